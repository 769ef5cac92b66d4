/** `alumet-relay query`, as users type it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { render, type Row } from "../../lib/cli/rows.ts";
import type { StateBase } from "../../lib/agent/state_directory.ts";
import { main } from "../../lib/cli.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { Gathering, Known } from "../../lib/outputs/sqlite/gather.ts";
import { newColumns } from "../../lib/outputs/threads/point_columns.ts";
import { Store } from "../../lib/outputs/sqlite/store.ts";
import { linux, namespaces, needs } from "../kit/needs.ts";
import { cpuSeconds, peakMemory, PROGRAM, runProgram } from "../kit/process.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf } from "../kit/points.ts";
import { sessionBatches } from "../kit/session.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Database } from "../outputs/sqlite/database.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";

/** The recorded session, in a file. */
function storeSession(path: string): void {
  using store = new Store({
    path,
    synchronous: "normal",
    limits: { keepMs: Infinity, maxBytes: undefined, compactAfterMs: Infinity },
    rollups: [],
  });
  const known = new Known();
  known.begin(Date.now());
  const gathering = new Gathering(known, newColumns(10_000));
  sessionBatches().forEach((batch, i) => gathering.add(batch, i));
  store.write(gathering.group(null, false));
}

interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** The command within this process, on a terminal or in a pipe. */
async function query(
  args: readonly string[],
  { terminal = false, env = {}, stdin = "", services = [] }: {
    terminal?: boolean;
    env?: Record<string, string>;
    stdin?: string | Uint8Array;
    services?: StateBase[];
  } = {},
): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: "", err: "" };
  outcome.code = await main(["query", ...args], {
    stdout: (text) => void (outcome.out += text),
    stderr: (text) => void (outcome.err += text),
    terminal: () => terminal,
    stdin: () => Promise.resolve(typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin),
    env: (name) => env[name],
    services: () => services,
  });
  return outcome;
}

const shown = (columns: string[], rows: Row[], format: "table" | "csv" | "json", terminal = false) =>
  [...render(columns, rows, { format, terminal })].join("");

const ODD: Row[] = [
  [9223372036854775807n, 0.1, "plain", null],
  [-1n, -0, 'qu"ote, and\nline', new Uint8Array([0, 255])],
  [0n, Infinity, "\u001b[31mred\u202e", 1e21],
];

Deno.test("CSV has all digits, quotes cells if necessary, and leaves NULL empty", () => {
  assert.equal(
    shown(["i", "f", 't"', "n"], ODD, "csv"),
    'i,f,"t""",n\n9223372036854775807,0.1,plain,\n-1,-0,"qu""ote, and\nline",x\'00ff\'\n' +
      "0,inf,\u001b[31mred\u202e,1e+21\n",
  );
});

Deno.test("JSON is an array of objects with all digits, and escapes characters that move a cursor", () => {
  assert.equal(
    shown(["i", "f", "i", "n"], ODD, "json"),
    '[\n{"i":9223372036854775807,"f":0.1,"i:1":"plain","n":null},\n' +
      '{"i":-1,"f":-0.0,"i:1":"qu\\"ote, and\\nline","n":"x\'00ff\'"},\n' +
      '{"i":0,"f":9e999,"i:1":"\\u001b[31mred\\u202e","n":1e+21}\n]\n',
  );
  assert.equal(shown(["a"], [], "json"), "[]\n");
});

Deno.test("a table is as wide as its first rows, aligns numbers to the right, and shows control characters", () => {
  assert.equal(
    shown(["i", "f", "t", "n"], ODD, "table"),
    [
      "i                    f    t                    n",
      "-------------------  ---  -------------------  -------",
      "9223372036854775807  0.1  plain                NULL",
      `                 -1   -0  qu"ote, and\\nline    x'00ff'`,
      "                  0  inf  \\u001b[31mred\\u202e    1e+21",
      "",
    ].join("\n"),
  );
});

Deno.test("in every format, no text of the data reaches a terminal raw", () => {
  for (const format of ["table", "csv", "json"] as const) {
    const text = shown(["\u001b]0;title\u0007"], [["\u001b[2J\u009b1m\u202e\r"]], format, true);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, format);
  }
});

Deno.test("rows are printed as they arrive, and only as many as somebody reads", () => {
  let made = 0;
  function* rows(): Generator<Row> {
    for (;;) yield [BigInt(made++)];
  }
  for (const format of ["table", "csv", "json"] as const) {
    made = 0;
    const pieces = render(["n"], rows(), { format, terminal: false });
    for (let n = 0; n < 1000; n++) pieces.next();
    pieces.return(undefined);
    assert.ok(made <= 1300, `${format}: ${made}`);
  }
});

Deno.test("a statement prints CSV in a pipe, a table on a terminal, and JSON on request", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  storeSession(path);
  const sql =
    "SELECT metric, value, relay_client FROM measurements WHERE metric = 'mem_total' ORDER BY time LIMIT 1";
  assert.deepEqual(await query([sql, "--database", path]), {
    code: 0,
    out: "metric,value,relay_client\nmem_total,25276063744,node-7\n",
    err: "",
  });
  const table = await query([sql, "--database", path], { terminal: true });
  assert.match(table.out, /^metric +value +relay_client\n-+ +-+ +-+\nmem_total +25276063744 +node-7\n$/);
  const json = await query([sql, "--database", path, "--format", "json"]);
  assert.deepEqual(JSON.parse(json.out), [{
    metric: "mem_total",
    value: 25276063744,
    relay_client: "node-7",
  }]);
  const input = await query(["-", "--database", path], {
    stdin: "-- how many\nSELECT count(*) AS n\nFROM points;\n",
  });
  assert.deepEqual(input, { code: 0, out: "n\n4712\n", err: "" });
});

Deno.test("without a statement it prints a summary, with examples that work", async () => {
  await using dir = new TempDir();
  const path = dir.file("it's m.sqlite");
  storeSession(path);
  const { code, out } = await query(["--database", path]);
  assert.equal(code, 0);
  assert.match(
    out,
    /^\S+ m\.sqlite \(\d+KiB\)\n4,712 points of 737 series, from 2026-11-23T16:45:01Z to 2026-11-23T16:45:04Z\n/,
  );
  assert.match(out, /\n\d+ metrics:\n {2}active {2}\(B, 1 series\)\n/);
  assert.match(out, /\n1 host:\n {2}node-7 {2}\(737 series\)\n/);
  const examples = [...out.matchAll(/main\.ts query (.*)$/gm)].map(([, words]) => words);
  assert.equal(examples.length, 3);
  for (const [i, words] of examples.entries()) {
    // As a shell that they are copied into takes them.
    const { stdout } = await new Deno.Command("sh", { args: ["-c", `printf '%s\\n' ${words}`] }).output();
    const result = await query(new TextDecoder().decode(stdout).trimEnd().split("\n"));
    assert.equal(result.code, 0, result.err);
    // The last one asks for the last hour.
    if (i < 2) assert.ok(result.out.split("\n").length > 2, result.out);
  }
});

Deno.test("the database of a service is found, and an unreadable one is not reported as missing", async () => {
  await using dir = new TempDir();
  const env = { HOME: dir.path, ALUMET_CONFIG: dir.file("config.toml") };
  await Deno.writeTextFile(env.ALUMET_CONFIG, "");
  const services = [
    { path: dir.file("client"), from: "the service client" },
    { path: dir.file("server"), from: "the service server" },
  ];
  const count = ["SELECT count(*) FROM points"];
  // Whoever may not look into a directory gets an error that is not NotFound, as here.
  await Deno.writeTextFile(dir.file("client"), "");
  const none = await query(count, { env, services });
  assert.equal(none.code, 69);
  assert.match(
    none.err,
    /There is no database measurements.sqlite in \S+ \(by HOME\) or \S+\/server \(by the service/,
  );
  assert.match(none.err, /Cannot read \S+\/client: .*; name one with --database PATH/);
  await Deno.mkdir(dir.file("server/server"), { recursive: true });
  storeSession(dir.file("server/server/measurements.sqlite"));
  assert.equal((await query(count, { env, services })).out, "count(*)\n4712\n");
});

/** Set in a process that has given up root's right to read everything. */
const WITHOUT_POWER = "ALUMET_RELAY_TEST_WITHOUT_POWER";

Deno.test("the error about a directory of another user says who may read it", async (t) => {
  if (Deno.uid() === 0 && !Deno.env.has(WITHOUT_POWER)) {
    const { success, stdout } = await new Deno.Command("setpriv", {
      args: [
        ...["--bounding-set", "-dac_override,-dac_read_search", Deno.execPath(), "test", "-A", "--no-check"],
        ...["--filter", t.name, new URL(import.meta.url).pathname],
      ],
      env: { [WITHOUT_POWER]: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stdout));
    return;
  }
  await using dir = new TempDir();
  const path = dir.file("service");
  await Deno.mkdir(path, { mode: 0 });
  const env = { HOME: dir.path, ALUMET_CONFIG: "/dev/null" };
  const { err } = await query([], { env, services: [{ path, from: "the service" }] });
  await Deno.chmod(path, 0o700);
  assert.match(err, /permission denied. Run this as root, or as a member of the group/);
});

Deno.test("the database is that of --database, of the configuration, or in a state directory", async () => {
  await using dir = new TempDir();
  const env = { HOME: dir.path, ALUMET_CONFIG: dir.file("config.toml") };
  await Deno.writeTextFile(env.ALUMET_CONFIG, "");
  const count = ["SELECT count(*) FROM points"];
  const none = await query(count, { env });
  assert.equal(none.code, 69);
  assert.match(
    none.err,
    /^There is no database measurements\.sqlite in \S+\/alumet-relay \(by HOME\); name one with --database PATH\n$/,
  );

  const base = `${dir.path}/.local/state/alumet-relay`;
  await Deno.mkdir(`${base}/server`, { recursive: true });
  storeSession(`${base}/server/measurements.sqlite`);
  assert.equal((await query(count, { env })).out, "count(*)\n4712\n");

  await Deno.mkdir(`${base}/local`);
  storeSession(`${base}/local/measurements.sqlite`);
  const two = await query(count, { env });
  assert.equal(two.code, 69);
  assert.match(
    two.err,
    /^There are 2 databases: \S+server\/measurements\.sqlite, \S+local\/measurements\.sqlite; name one/,
  );

  storeSession(dir.file("named.sqlite"));
  await Deno.writeTextFile(env.ALUMET_CONFIG, `[plugins.sqlite]\npath = "${dir.file("named.sqlite")}"\n`);
  assert.equal((await query(count, { env })).code, 0);
  assert.match((await query([], { env })).out, /^\S+named\.sqlite /);
});

Deno.test("each problem is one line, with the exit code of its kind, and changes nothing", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  storeSession(path);
  await Deno.writeTextFile(dir.file("text"), "no database ".repeat(100));
  const other = new DatabaseSync(dir.file("other.sqlite"));
  // Tables of other programs may have the names of ours.
  other.exec("CREATE TABLE t (x); CREATE TABLE blocks (x)");
  other.close();
  const before = await Deno.readFile(path);
  const cases: [string[], number, RegExp][] = [
    [["SELEC 1", "--database", path], 64, /^Cannot run the statement: near "SELEC": syntax error\n$/],
    [
      ["SELECT \u001b[2J", "--database", path],
      64,
      /^Cannot run the statement: unrecognized token: "\\u001b"\n$/,
    ],
    [
      ["SELECT 1; DELETE FROM points", "--database", path],
      64,
      /^Cannot run more than one statement: DELETE FROM points\n$/,
    ],
    [
      ["DELETE FROM points", "--database", path],
      64,
      /^Cannot run the statement: this command only reads the database\n$/,
    ],
    [["", "--database", path], 64, /^Cannot run the statement: it is empty\n$/],
    [["; /* nothing */ ;", "--database", path], 64, /^Cannot run the statement: it is empty\n$/],
    [["/* SELECT 1", "--database", path], 64, /^Cannot run the statement: it is empty\n$/],
    [["SELECT abs(-9223372036854775807 - 1)", "--database", path], 64, /integer overflow\n$/],
    [["SELECT", "1", "--database", path], 64, /query takes one argument/],
    [
      ["SELECT 1", "--database", dir.file("none")],
      69,
      /^Cannot read the database \S+none: there is no such file\n$/,
    ],
    [["SELECT 1", "--database", dir.path], 69, /it is not a file\n$/],
    [
      ["SELECT 1", "--database", dir.file("text")],
      69,
      /^Cannot read the database \S+text: file is not a database\n$/,
    ],
    [
      ["--database", dir.file("other.sqlite")],
      69,
      /other\.sqlite is not a database of alumet-relay; query it with /,
    ],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await query(args);
    assert.equal(outcome.code, code, `${args[0]}: ${outcome.err}`);
    assert.match(outcome.err, message);
  }
  assert.deepEqual(await Deno.readFile(path), before);
  assert.equal((await query(["SELECT 1 -- one;", "--database", path])).code, 0);
  assert.equal(
    (await query(["SELECT 'a;b' AS \"x;y\";", "--database", dir.file("other.sqlite")])).out,
    "x;y\na;b\n",
  );
});

/** A statement with no end. */
const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'row' FROM n";

Deno.test({
  name: "it ends silently when nobody reads any more, as with head, and many rows need little memory",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    storeSession(path);
    const command = [...PROGRAM, "query", ENDLESS, "--database", path].map((word) =>
      `'${word.replaceAll("'", "'\\''")}'`
    );
    for (const format of ["table", "csv", "json"]) {
      const piped = `(${command.join(" ")} --format ${format}; echo "exit code $?" >&2) | head -n 3`;
      const { stdout, stderr } = await runProgram(["-c", piped], { program: ["sh"] });
      assert.equal(stdout.split("\n").length, 4);
      assert.equal(stderr, "exit code 0\n");
    }
    const million = `SELECT count(*) FROM (${ENDLESS} LIMIT 1000000)`;
    assert.equal((await query([million, "--database", path])).out, "count(*)\n1000000\n");
    const [program, ...args] = [...PROGRAM, "query", `${ENDLESS} LIMIT 1000000`, "--database", path];
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
    let bytes = 0;
    let peak = 0;
    for await (const part of child.stdout) {
      bytes += part.length;
      // Near its end, but it still has more to write than a pipe holds.
      if (peak === 0 && bytes > 9_000_000) peak = peakMemory(child.pid) / 2 ** 20;
    }
    assert.equal((await child.status).code, 0);
    assert.equal(bytes, `i,'row'\n`.length + 5_888_896 + 1_000_000 * ",row\n".length);
    assert.ok(peak > 20 && peak < 250, `${peak} MiB`);
  },
});

/** Whether a process has that file open. */
function isOpenIn(pid: number, path: string): boolean {
  try {
    const names = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name);
    return names.some((name) => Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === path);
  } catch {
    return false;
  }
}

Deno.test({
  name: "Ctrl-C ends a statement that never ends by itself",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    storeSession(path);
    const [program, ...args] = [...PROGRAM, "query", `SELECT max(i) FROM (${ENDLESS})`, "--database", path];
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    const killer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    // It is at the statement: the database is open, and it computes.
    await until(() => isOpenIn(child.pid, path));
    const opened = cpuSeconds(child.pid);
    await until(() => cpuSeconds(child.pid) > opened + 0.2);
    child.kill("SIGINT");
    const { signal, code } = await child.status;
    clearTimeout(killer);
    assert.ok(signal === "SIGINT" || code === 130, `${signal} ${code}`);
  },
});

Deno.test({
  name: "a database in a read-only directory that nobody uses is readable",
  ...needs(linux, namespaces),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    storeSession(path);
    assert.deepEqual([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["m.sqlite"]);
    const command = `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"`;
    const count = ["query", "SELECT count(*) FROM points", "--database", path];
    const { code, stdout, stderr } = await runProgram([...count, "--config", "/dev/null"], {
      wrapper: ["unshare", "--mount", "sh", "-c", command, dir.path],
    });
    assert.deepEqual([code, stdout], [0, "count(*)\n4712\n"], stderr);
  },
});

Deno.test("a statement from standard input must be UTF-8", async () => {
  await using dir = new TempDir();
  storeSession(dir.file("m.sqlite"));
  const { code, err } = await query(["-", "--database", dir.file("m.sqlite")], {
    stdin: Uint8Array.of(0x53, 0xe9),
  });
  assert.equal(code, 64);
  assert.match(err, /^Cannot read the statement: byte 0xe9 is not UTF-8/);
});

for (const compacted of [false, true]) {
  const name = `points are printed without SQL, by metric, host and time, and as means${
    compacted ? ", when they are compacted" : ""
  }`;
  Deno.test(name, () => printsPoints(compacted));
}

async function printsPoints(compacted: boolean): Promise<void> {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const now = Math.floor(Date.now() / 60_000) * 60;
  {
    using database = new Database(
      path,
      Infinity,
      seriesStore,
      undefined,
      { rollups: [], leastPoints: 1 },
      3_600_000,
    );
    const rows = ["node-1", "node-2"].flatMap((host, h) =>
      ["rapl_energy", "rapl_power", "mem_free"].flatMap((name, m) => {
        const series = seriesOf(metricOf(name, m === 2 ? "u64" : "f64", { base: "J", prefix: "" }), {
          resourceKind: "cpu_package",
          resourceId: "0",
          attributes: [["relay_client", host], ["job", "one"]],
        });
        return [-7200, -120, -90, -60].map((seconds, i) =>
          [series, 100 * h + 10 * m + i, now + seconds, 500_000_000] as [
            typeof series,
            number,
            number,
            number,
          ]
        );
      })
    );
    database.write([batchOf(rows)], Date.now());
    if (compacted) database.tidy(Date.now() + 7_200_000);
    assert.equal(database.store.stats.compactedPoints, compacted ? 24 : 0);
  }
  const ask = async (...args: string[]) => {
    const { code, out, err } = await query(["--database", path, "--format", "json", ...args]);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Record<string, unknown>[];
  };
  const energy = await ask("--metric", "rapl*", "--host", "node-1", "--since", "1h");
  assert.deepEqual(energy.map(({ metric, value }) => [metric, value]).sort(), [
    ["rapl_energy", 1],
    ["rapl_energy", 2],
    ["rapl_energy", 3],
    ["rapl_power", 11],
    ["rapl_power", 12],
    ["rapl_power", 13],
  ]);
  const time = (seconds: number) =>
    new Date(1000 * (now + seconds)).toISOString().slice(0, 19).replace("T", " ");
  assert.deepEqual(energy[0], {
    time: `${time(-120)}.500`,
    value: 1,
    host: "node-1",
    metric: "rapl_energy",
    unit: "J",
    resource: "cpu_package 0",
    consumer: "local_machine",
    attributes: '{"job":"one"}',
  });
  assert.equal((await ask("--metric", "mem_free")).length, 8);
  assert.equal((await ask("--since", "1d")).length, 24);
  const means = await ask("--metric", "mem_free", "--host", "node-2", "--since", "1h", "--every", "1m");
  assert.deepEqual(
    means.map(({ time, mean, lowest, highest, points }) => [time, mean, lowest, highest, points]),
    [
      [time(-120), 121.5, 121, 122, 2],
      [time(-60), 123, 123, 123, 1],
    ],
  );
  assert.equal((await ask("--since", "1970-01-01")).length, 24);
  assert.equal((await ask("--since", "99999999999999d")).length, 24, "nothing is older than 1970");
  assert.equal((await ask("--since", new Date(1000 * (now - 90)).toISOString())).length, 12);
  assert.equal((await ask("--since", "2300-01-01 00:00")).length, 0);
  const table = await query(
    ["--database", path, "--metric", "mem_free", "--host", "node-2", "--every", "1m"],
    {
      terminal: true,
    },
  );
  assert.match(
    table.out,
    /^time +mean +lowest +highest +points +host +metric +unit +resource +consumer +attributes/,
  );

  const sql = `SELECT typeof(value) AS type, count(*) AS n FROM measurements WHERE time >= ${
    now - 7200
  }000000000 GROUP BY 1`;
  const { out } = await query(["--database", path, "--format", "csv", sql]);
  assert.equal(out, "type,n\ninteger,8\nreal,16\n");
  const summary = await query(["--database", path]);
  assert.match(summary.out, /^24 points of 6 series/m);
}

Deno.test("an error about a flag names the expected values", async () => {
  await using dir = new TempDir();
  storeSession(dir.file("m.sqlite"));
  const fails = async (args: string[], message: RegExp) => {
    const { code, err } = await query(["--database", dir.file("m.sqlite"), ...args]);
    assert.equal(code, 64, err);
    assert.match(err, message);
  };
  await fails(
    ["--since", "soon"],
    /--since soon: expected a time such as 2026-11-01 or .*, or an age such as 12h/,
  );
  await fails(["--since", "2026-02-29"], /--since 2026-02-29: expected a time/);
  await fails(["--every", "10ms", "--metric", "x"], /--every: expected whole seconds/);
  await fails(["--every", "0s"], /--every: expected whole seconds/);
  await fails(["--host", "a", "SELECT 1"], /--host cannot be used with a statement/);
});
