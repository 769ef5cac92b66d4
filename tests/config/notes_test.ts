/** What `config check` notes: metrics that transforms name, secrets that others can see, and inputs that are too slow. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { adviceLines } from "../../lib/config/advice.ts";
import { metricNotes } from "../../lib/config/metric_notes.ts";
import { patienceLines } from "../../lib/config/patience.ts";
import type { Source } from "../../lib/config/source.ts";
import { http } from "../../lib/http/config.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { list, optional, table, text } from "../../lib/schema.ts";
import { linux, needs } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** The notes on a file with procfs, rapl and csv, and their number. */
async function notesOn(text: string): Promise<string[]> {
  await using dir = new TempDir();
  const path = dir.file("c.toml");
  await Deno.writeTextFile(path, `[plugins.procfs]\n[plugins.rapl]\n[plugins.csv]\n${text}`);
  let said = "";
  const code = await main(["config", "check", "--config", path, "--strict"], {
    stdout: () => true,
    stderr: (text) => void (said += text),
    env: () => undefined,
  });
  assert.equal(code, 0, said);
  return said.replaceAll(path, "c.toml").split("\n").filter((line) => line.startsWith("Note: "));
}

const FORMULA = (energy: string) =>
  `[plugins.energy-attribution.formulas.a]
expr = "e * u"
ref = "e"
per_resource.e = { metric = "${energy}" }
per_consumer.u = { metric = "cpu_percent" }
`;

const CASES: [name: string, text: string, note: RegExp | undefined][] = [
  ["a metric that an input makes", FORMULA("rapl_consumed_energy"), undefined],
  [
    "a metric that no input makes",
    FORMULA("rapl_energy"),
    /^Note: c\.toml:7: plugins\.energy-attribution\.formulas\.a\.per_resource\.e: no enabled input makes the metric rapl_energy/,
  ],
  ...([
    ["an event of perf", "[plugins.perf]\nevents = ['PAGE_FAULTS']", "perf_page_faults", "perf_cache_misses"],
    ["a renamed event", "[plugins.perf]\nevents = [{ event = 'rC0', rename = 'x' }]", "perf_x", "perf_rc0"],
    ["a metric of Intel's GPUs", "[plugins.intel-gpu]", "gpu_process_engine_time", "gpu2"],
    [
      "a metric of Kwollect",
      "[plugins.kwollect-input]\nsite = 'a'\nhostname = 'b'\nmetrics = ['c_watt']",
      "c_watt",
      "c",
    ],
  ].flatMap(([name, section, made, other]): typeof CASES => [
    [name, `${section}\n[plugins.filter]\ninclude = ["${made}"]`, undefined],
    [
      `not ${name}`,
      `${section}\n[plugins.filter]\ninclude = ["${other}"]`,
      new RegExp(`makes the metric ${other}`),
    ],
  ])),
  ["a pattern", '[plugins.filter]\ninclude = ["x_*"]', undefined],
  [
    "a name of a filter",
    '[plugins.filter]\ninclude = ["mem_total", "mem_totl"]',
    /include\[1\]: no enabled input makes the metric mem_totl/,
  ],
  [
    "a metric from clients",
    '[plugins.relay-server]\naddress = "127.0.0.1:1"\n' + FORMULA("anything"),
    undefined,
  ],
  [
    "the result of a transform before",
    '[plugins.energy-attribution]\nenergy_by = ["process"]\n[plugins.filter]\ninclude = ["process_energy"]',
    undefined,
  ],
  [
    "the result of a transform behind",
    '[plugins.filter]\ninclude = ["process_energy"]\n[plugins.energy-attribution]\nenergy_by = ["process"]',
    /no enabled input makes the metric process_energy, and no transform before/,
  ],
  [
    "a unit that does not fit",
    '[[plugins.convert.rules]]\nmetric = "mem_total"\nunit = "kWh"',
    /rules\[0\]\.metric: the unit of mem_total is By, expected W\.h or J/,
  ],
  ["a unit that fits", '[[plugins.convert.rules]]\nmetric = "rapl_consumed_energy"\nunit = "kWh"', undefined],
  [
    "energy in the wrong unit",
    '[plugins.energy-attribution]\nenergy_by = ["process"]\nenergy = { metric = "cpu_percent" }',
    /energy: the unit of cpu_percent is %, expected J or W\.h/,
  ],
];

Deno.test("what an input says of one metric counts more than what it says of many", () => {
  const plugin = (rest: Partial<Plugin>) => ({ plugin: rest as Plugin, config: {} });
  const notes = metricNotes({
    plugins: [
      plugin({ name: "in", kind: "input", metrics: ["m J", "m* W"] }),
      plugin({
        ...{ name: "t", kind: "transform", metrics: [] },
        wants:
          () => [{ path: ["x"], metric: "m", bases: ["W"] }, { path: ["y"], metric: "m2", bases: ["W"] }],
      }),
    ],
    source: () => ({ kind: "default" }),
  });
  assert.equal(notes.length, 1);
  assert.match(notes[0], /plugins\.t\.x: the unit of m is J, expected W$/);
});

for (const [name, text, note] of CASES) {
  Deno.test(`${name} ${note ? "is noted" : "needs no note"}`, async () => {
    const notes = await notesOn(text);
    if (note) assert.ok(notes.length >= 1 && note.test(notes.join("\n")), notes.join("\n"));
    else assert.deepEqual(notes, []);
  });
}

/** What is configured, each value of which stands in a file. */
function checkedOf(plugins: [plugin: Partial<Plugin>, config: unknown][], source: Source = IN_FILE) {
  return {
    general: { http: http.defaultValue() },
    plugins: plugins.map(([plugin, config]) => ({ plugin: { name: "p", ...plugin } as Plugin, config })),
    source: () => source,
  };
}

const IN_FILE: Source = { kind: "file", file: "c.toml", line: 3, variables: [] };

Deno.test("secrets in the file or on the command line are named, and those that are not set, defaults or in variables are not", () => {
  const secret = text({ doc: "A key.", default: "", secret: true });
  const config = table({
    a: secret,
    list: list(secret, { doc: "A key.", default: [] }),
    some: text({ doc: "A key.", default: "", secret: (value) => value.includes("@") }),
    inner: optional(table({ b: optional(secret) }, { doc: "A table." })),
  }, { doc: "Keys." });
  const linesOf = (value: unknown, source?: Source) =>
    adviceLines(checkedOf([[{ config }, value]], source)).map((line) =>
      line.split(": ").slice(0, 2).join(": ")
    );
  assert.deepEqual(linesOf({ a: "x", list: ["", "y"], some: "x@y", inner: { b: "z" } }), [
    "c.toml:3: plugins.p.a",
    "c.toml:3: plugins.p.list[1]",
    "c.toml:3: plugins.p.some",
    "c.toml:3: plugins.p.inner.b",
  ]);
  assert.deepEqual(linesOf({ a: "", list: [], some: "xy", inner: { b: undefined } }), []);
  assert.deepEqual(linesOf({ a: "", list: [], inner: undefined }), []);
  assert.deepEqual(linesOf({ a: "x" }, { kind: "flag", flag: "--x" }), ["--x: plugins.p.a"]);
  assert.deepEqual(linesOf({ a: "x" }, { kind: "default" }), []);
  assert.deepEqual(linesOf({ a: "x" }, { ...IN_FILE, variables: ["X"] }), []);
});

Deno.test({
  name:
    "a file with a secret that others can read or change is named, a directory and what is not there are not",
  ...needs(linux),
  fn: async () => {
    await using dir = new TempDir();
    const config = table({
      key: text({ doc: "A key.", default: "", secretFile: true }),
      open: text({ doc: "A key.", default: "" }),
    }, { doc: "Keys." });
    const problems = (file: string) =>
      adviceLines(checkedOf([[{ config }, { key: file, open: file }]])).map((line) =>
        line.replaceAll(file, "FILE")
      );
    const file = dir.file("key");
    Deno.writeTextFileSync(file, "");
    const of = (mode: number) => {
      Deno.chmodSync(file, mode);
      return problems(file);
    };
    const named = (what: string) => [
      `c.toml:3: plugins.p.key: every user of this machine can ${what} FILE: chmod o= FILE`,
    ];
    assert.deepEqual([of(0o600), of(0o660), of(0o601)], [[], [], []]);
    assert.deepEqual([of(0o604), of(0o602), of(0o606)], [named("read"), named("change"), named("change")]);
    Deno.chmodSync(dir.path, 0o777);
    for (const none of ["", dir.file("none"), dir.path]) assert.deepEqual(problems(none), [], none);
  },
});

Deno.test("a key that waits is noted if the slowest input that is enabled is slower, with the time that its points are kept", () => {
  const input = (config: unknown): [Partial<Plugin>, unknown] => [{ kind: "input", name: "in" }, config];
  const linesOf = (ms: number, withFlush: boolean, ...inputs: [Partial<Plugin>, unknown][]) => {
    const waits = {
      kind: "transform",
      patience: () => [{ path: ["window"], ms, withFlush, problem: "too late" }],
    };
    return patienceLines(checkedOf([...inputs, [waits as unknown as Plugin, {}]]));
  };
  const note = (key: string, poll: string, only: string) => [
    `c.toml:3: plugins.p.window: ${key} is ${poll}, and only ${only} suits: too late`,
  ];
  assert.deepEqual(linesOf(1, true), []);
  const plain = input({ poll_interval: 5000 });
  assert.deepEqual([linesOf(5000, true, plain), linesOf(5000, false, plain)], [[], []]);
  assert.deepEqual(linesOf(4999, true, plain), note("plugins.in.poll_interval", "5s", "4s 999ms"));
  const flushed = input({ poll_interval: 5000, flush_interval: 1 });
  assert.deepEqual(linesOf(5000, false, flushed), []);
  assert.deepEqual(linesOf(4000, false, flushed), note("plugins.in.poll_interval", "5s", "4s"));
  assert.deepEqual(linesOf(5001, true, flushed), []);
  assert.deepEqual(
    linesOf(5000, true, flushed),
    note("plugins.in.poll_interval", "5s", "5s, flush_interval included,"),
  );
  // Lists and tables within the keys of an input have paces of their own.
  const many = input({
    list: [{ poll_interval: 1000 }, { poll_interval: 3000 }],
    off: { enabled: false, poll_interval: 9000 },
    none: null,
    text: "poll_interval",
  });
  assert.deepEqual(linesOf(2000, false, plain, many), note("plugins.in.poll_interval", "5s", "2s"));
  assert.deepEqual(linesOf(2000, false, many), note("plugins.in.list[1].poll_interval", "3s", "2s"));
  assert.deepEqual(linesOf(3000, false, many), []);
});
