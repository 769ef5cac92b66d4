import assert from "node:assert/strict";
import type { AgentSettings } from "../../lib/agent/settings.ts";
import { main, type Surroundings } from "../../lib/cli.ts";
import { COMMANDS, FLAGS } from "../../lib/cli/declarations.ts";
import type { Logger } from "../../lib/base/log.ts";
import type { Plugin } from "../../lib/plugin.ts";
import type { Reload } from "../../lib/service.ts";
import { duration, optional, table, text } from "../../lib/schema.ts";
import { TempDir } from "../kit/temp_dir.ts";
import denoConfig from "../../deno.json" with { type: "json" };

const doc = "A key.";
const fake = (kind: Plugin["kind"], name: string, config: Plugin["config"], facts = {}) =>
  ({ kind, name, description: `Is the ${name}.`, config, ...facts }) as unknown as Plugin;
const PLUGINS: readonly Plugin[] = [
  fake("input", "procfs", table({ poll_interval: duration({ doc, default: "5s" }) }, { doc }), {
    isLocal: true,
  }),
  fake("input", "relay-server", table({ address: text({ doc, default: "[::]:50051" }) }, { doc }), {
    receives: true,
  }),
  fake(
    "output",
    "relay-client",
    table({
      relay_server: text({ doc, default: "[::1]:50051" }),
      token: optional(text({ doc, default: "", secret: true })),
    }, { doc }),
    { sends: true },
  ),
  fake("output", "csv", table({ output_path: text({ doc, default: "alumet-output.csv" }) }, { doc })),
  fake("output", "sqlite", table({ path: text({ doc, default: "" }) }, { doc })),
];

interface Outcome {
  code: number;
  out: string;
  err: string;
  settings?: AgentSettings;
  log?: Logger;
  reload?: Reload;
}

interface Setting {
  files?: Record<string, string>;
  variables?: Record<string, string>;
  /** Looks at the directory afterwards. */
  after?: () => void;
  /** Standard error is the journal of systemd. @default {false} */
  journal?: boolean;
  /** Is called in the place of the agent. */
  whileRunning?: (outcome: Outcome) => Promise<void>;
}

/** Runs the program in a directory of its own, with fake plugins and a fake agent. */
async function run(
  args: string[],
  { files = {}, variables = {}, after, journal = false, whileRunning }: Setting = {},
): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: "", err: "" };
  const surroundings: Surroundings = {
    stdout: (text) => outcome.out += text,
    stderr: (text) => outcome.err += text,
    color: () => false,
    terminal: () => false,
    stdin: () => Promise.resolve(new Uint8Array()),
    journal: () => journal,
    queueStderr: () => {},
    takeLostLines: () => 0,
    env: (name) => variables[name],
    services: () => [],
    plugins: () => Promise.resolve(PLUGINS),
    run: async (settings, log, reload) => {
      Object.assign(outcome, { settings, log, reload });
      await whileRunning?.(outcome);
      return 7;
    },
  };
  const directory = await Deno.makeTempDir();
  const before = Deno.cwd();
  Deno.chdir(directory);
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(name, text);
    outcome.code = await main(args, surroundings);
    after?.();
  } finally {
    Deno.chdir(before);
    await Deno.remove(directory, { recursive: true });
  }
  return outcome;
}

async function usageError(args: string[], ...lines: (string | RegExp)[]): Promise<void> {
  const { code, out, err, settings } = await run(args);
  assert.equal(code, 64, `${args.join(" ")}: ${err}`);
  assert.equal(out, "");
  assert.equal(settings, undefined);
  const actual = err.trimEnd().split("\n");
  assert.equal(actual.pop(), "Type alumet-relay --help for what there is.");
  assert.equal(actual.length, lines.length, err);
  lines.forEach((line, i) =>
    typeof line === "string" ? assert.equal(actual[i], line) : assert.match(actual[i], line)
  );
}

const names = ({ settings }: Outcome) => settings?.plugins.map(({ plugin }) => plugin.name);

Deno.test("--help and help print every command and every common flag to standard output", async () => {
  const { code, out, err } = await run(["--help"]);
  assert.equal(code, 0);
  assert.equal(err, "");
  for (const { name } of COMMANDS) assert.match(out, new RegExp(`^  ${name} `, "m"));
  for (const { name, commands } of FLAGS) if (!commands) assert.match(out, new RegExp(`--${name}[ \n]`));
  for (const args of [["-h"], ["help"], ["--help", "--relay-in", "[::]:1"]]) {
    assert.equal((await run(args)).out, out);
  }
  for (const line of out.split("\n")) assert.ok(line.length <= 110, line);
});

Deno.test("help on a command tells of its own flags", async () => {
  const { code, out } = await run(["help", "config", "regen"]);
  assert.equal(code, 0);
  assert.match(out, /^alumet-relay config regen: Write a commented/);
  assert.match(out, /--force/);
  assert.doesNotMatch(out, /--status/);
  assert.equal((await run(["config", "regen", "--help"])).out, out);
  assert.equal((await run(["-h", "config", "regen"])).out, out);
  assert.match((await run(["help", "config"])).out, /config check: [^]*config show: [^]*config regen: /);
  assert.match((await run(["run", "--help"])).out, /^alumet-relay run: /);
});

Deno.test("--version, -V and version print the version in deno.json", async () => {
  for (const args of [["--version"], ["-V"], ["version"], ["run", "--version"]]) {
    const { code, out, err } = await run(args);
    assert.deepEqual({ code, out, err }, { code: 0, out: `alumet-relay ${denoConfig.version}\n`, err: "" });
  }
});

Deno.test("run is the default command, and hands the checked configuration to the agent", async () => {
  for (
    const args of [["--relay-in", "[::]:1"], ["run", "--relay-in=[::]:1"], ["--relay-in", "[::]:1", "run"]]
  ) {
    const outcome = await run(args);
    assert.equal(outcome.code, 7);
    assert.equal(outcome.out, "");
    assert.deepEqual(names(outcome), ["relay-server", "sqlite"]);
    assert.deepEqual(outcome.settings?.plugins[0].config, { address: "[::]:1" });
    assert.equal(outcome.settings?.general.shutdown_timeout, 5_000);
    assert.equal(outcome.settings?.general.journal?.enable, undefined);
  }
});

Deno.test("--state-dir and the environment tell the agent where its state is", async () => {
  const baseOf = async (args: string[], variables: Record<string, string>) =>
    (await run(["--relay-in", "[::]:1", ...args], { variables })).settings?.stateBase;
  const session = { XDG_STATE_HOME: "/x" };
  assert.deepEqual(await baseOf(["--state-dir", "s"], session), { path: "s", from: "--state-dir" });
  assert.deepEqual(await baseOf([], session), { path: "/x/alumet-relay", from: "XDG_STATE_HOME" });
  assert.equal(await baseOf([], {}), null);
});

Deno.test("ALUMET_CONFIG names the file, --config goes before it", async () => {
  const files = {
    "a.toml": "[plugins.procfs]\n[plugins.csv]\n",
    "b.toml": "[plugins.relay-server]\n[plugins.csv]\n",
  };
  assert.deepEqual(names(await run([], { files, variables: { ALUMET_CONFIG: "a.toml" } })), [
    "procfs",
    "csv",
  ]);
  const both = await run(["--config", "b.toml"], { files, variables: { ALUMET_CONFIG: "a.toml" } });
  assert.deepEqual(names(both), ["relay-server", "csv"]);
  assert.equal((await run([], { files, variables: { ALUMET_CONFIG: "" } })).code, 64);
  const missing = await run([], { variables: { ALUMET_CONFIG: "c.toml" } });
  assert.equal(missing.code, 78);
  assert.match(missing.err, /Cannot read c.toml: .* alumet-relay config regen --config c.toml/);
  assert.equal((await run(["--no-default-config", "--relay-in", "[::]:1"])).code, 78);
});

Deno.test("the help of a command has its own flags first", async () => {
  const { out } = await run(["help", "query"]);
  const own = out.indexOf("Flags of this command:\n      --database PATH");
  assert.ok(own > 0 && own < out.indexOf("Flags of all commands:\n      --config PATH"), out);
  assert.doesNotMatch((await run(["help", "version"])).out, /Flags of this command/);
});

Deno.test("the list of exit codes has those of a second signal", async () => {
  const { out } = await run(["--help"]);
  assert.match(out, /^ {2}130 {2}a second Ctrl-C/m);
  assert.match(out, /^ {2}143 {2}a second SIGTERM/m);
});

Deno.test("flags that may be given several times keep their order, and values may hold = and commas", async () => {
  const { settings } = await run([
    "--plugins",
    "procfs, csv,",
    "--config-override",
    "plugins.csv.output_path=a",
    "--config-override=plugins.csv.output_path='b=c'",
    "--config-override=shutdown_timeout=1s",
  ]);
  assert.deepEqual(settings?.plugins.map(({ config }) => config), [{ poll_interval: 5_000 }, {
    output_path: "b=c",
  }]);
  assert.equal(settings?.general.shutdown_timeout, 1_000);
});

Deno.test("usage errors name what is wrong and the nearest that is right, all of them, on standard error", async () => {
  await usageError(["--relay-im", "x"], "Unknown flag --relay-im; did you mean --relay-in?");
  await usageError(["-x"], "Unknown flag -x");
  await usageError(["--zzzzzz=1"], "Unknown flag --zzzzzz");
  await usageError(["--no-config"], /^Unknown flag --no-config/);
  await usageError(
    ["exec", "sleep", "1"],
    /^Cannot run exec: Alumet's agent has that command, alumet-relay does not; it measures running processes/,
  );
  await usageError(["rum"], "Unknown command rum; did you mean run?");
  await usageError(["config", "chekc"], "Unknown command config chekc; did you mean config check?");
  await usageError(
    ["config", "zzz"],
    "Unknown command config zzz; there is config check, config show, config regen",
  );
  await usageError(["config"], "Cannot run config: a command is config check or config show or config regen");
  await usageError(["zzz"], /^Unknown command zzz; there are run, config check, /);
  await usageError(["help", "zzz"], /^Unknown command zzz/);
  await usageError(["run", "x", "y"], "Cannot use x y: run takes no further words");
  await usageError(["--", "x"], /^Unknown command x/);
  await usageError(["--relay-in"], "Cannot use --relay-in: it needs a value, --relay-in ADDRESS");
  await usageError(["--relay-in", ""], "Cannot use --relay-in: it needs a value, --relay-in ADDRESS");
  await usageError(["--relay-in="], "Cannot use --relay-in: it needs a value, --relay-in ADDRESS");
  await usageError(
    ["--relay-in", "-x", "--relay-out", "--log-level", "info"],
    "Cannot use --relay-in: it needs a value, --relay-in ADDRESS",
    "Cannot use --relay-out: it needs a value, --relay-out HOST:PORT",
    "Unknown flag -x",
  );
  await usageError(
    ["--relay-in", "a:1", "--relay-in", "b:1"],
    "Cannot use --relay-in 2 times: once is enough",
  );
  await usageError(
    ["--no-default-config=x"],
    "Cannot use --no-default-config=x: --no-default-config takes no value",
  );
  await usageError(
    ["--log-level", "inof"],
    /^Cannot use --log-level inof: expected one of .*; did you mean info\?$/,
  );
  await usageError(["--log-format", "xml"], "Cannot use --log-format xml: expected one of text, json");
  await usageError(["--force"], "Cannot use --force with run: it belongs to config regen");
  await usageError(
    ["config", "check", "--status"],
    "Cannot use --status with config check: it belongs to plugins list",
  );
});

Deno.test("a command line that says too little or contradicts itself is a usage error", async () => {
  for (
    const args of [[], ["--plugins", ","], ["--plugins", "zzz"], ["--plugins", "csv", "--relay-in", "[::]:1"]]
  ) {
    const { code, out, err } = await run(args);
    assert.equal(code, 64);
    assert.equal(out, "");
    assert.notEqual(err, "");
  }
  assert.match((await run(["--config", "-"])).err, /Cannot use --config - with run/);
});

Deno.test("a bad file is logged, a line for each problem, as text or JSON, exit code 78", async () => {
  const files = { "alumet-config.toml": "[plugins.procfs]\nx = 1\n[plugins.csv]\ny = 1\n" };
  const text = await run([], { files });
  assert.equal(text.code, 78);
  assert.match(
    text.err,
    /^\S+Z ERROR alumet-relay: Cannot read alumet-config.toml:2: plugins.procfs.x: unknown key; .*\n\S+ ERROR .*:4: .*\n$/,
  );
  const json = await run(["--log-format", "json"], { files });
  const events = json.err.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ level }) => level), ["error", "error"]);
});

Deno.test("where the journal of systemd takes the log, lines have priorities and no time, mistakes too", async () => {
  const { err, log } = await run(["--relay-in", "[::]:1"], { journal: true });
  assert.match(err, /^<6>alumet-relay: alumet-relay [\d.]+\n$/);
  log!.warn("oh");
  assert.equal((await run(["--rely-in", "x"], { journal: true })).err.match(/^<3>/gm)?.length, 2);
  const json = await run(["--relay-in", "[::]:1", "--log-format", "json"], { journal: true });
  assert.match(json.err, /^<6>\{"level":"info","part":"alumet-relay","message":"alumet-relay [\d.]+"\}\n$/);
});

Deno.test("log_level in the file is the level where no flag says it, and a reload changes it", async () => {
  const files = { "a.toml": 'log_level = "error"\n[plugins.relay-server]\n[plugins.csv]\n' };
  const whileRunning = async ({ log, reload }: Outcome) => {
    log!.info("not heard");
    await Deno.writeTextFile("a.toml", files["a.toml"].replace("error", "debug"));
    const settings = await reload!.read();
    log!.info("not yet");
    reload!.taken(settings);
    log!.debug("heard");
  };
  const { code, err } = await run(["--config", "a.toml"], { files, whileRunning });
  assert.equal(code, 7);
  assert.match(err, /^\S+ DEBUG alumet-relay: heard\n$/);
  const flag = await run(["--config", "a.toml", "--log-level", "info"], { files, whileRunning });
  assert.match(flag.err, /not heard\n.*not yet\n$/);
});

Deno.test("a reload reads the file with the flags of the start, and says all that is wrong with it", async () => {
  const files = { "a.toml": "[plugins.relay-server]\n[plugins.csv]\n" };
  await run(["--config", "a.toml", "--output-file", "x.csv"], {
    files,
    whileRunning: async ({ reload }) => {
      await Deno.writeTextFile("a.toml", "oops = 1\n[plugins.relay-server]\naddres = 'x'\n[plugins.csv]\n");
      await assert.rejects(
        reload!.read(),
        /a.toml:1: oops: unknown key.*\n.*a.toml:3: plugins.relay-server.addres/,
      );
      await Deno.writeTextFile("a.toml", "[plugins.relay-server]\naddress = '[::]:2'\n[plugins.csv]\n");
      const { plugins } = await reload!.read();
      assert.deepEqual(plugins.map(({ config }) => config), [{ address: "[::]:2" }, {
        output_path: "x.csv",
      }]);
      await Deno.remove("a.toml");
      await assert.rejects(reload!.read(), /Cannot read a.toml: there is no such file/);
    },
  });
});

Deno.test("--log-level and --log-format shape the agent's log, and notes are warnings", async () => {
  const files = { "alumet-config.toml": "source_channel_size = 1\n[plugins.procfs]\n[plugins.csv]\n" };
  const quiet = await run(["--log-level", "error"], { files });
  assert.equal(quiet.err, "");
  quiet.log?.error("Something");
  assert.match(quiet.err, / ERROR alumet-relay: Something\n$/);
  const json = await run(["--log-format=json", "--log-level=warn"], { files });
  const event = JSON.parse(json.err);
  assert.deepEqual([event.level, event.part], ["warn", "alumet-relay"]);
  assert.match(event.message, /^source_channel_size has no effect/);
});

Deno.test("config check says that all is right, or all that is wrong", async () => {
  const right = await run(["config", "check", "--relay-in", "[::]:1", "--relay-out", "h:1"]);
  assert.deepEqual([right.code, right.out, right.err], [
    0,
    "",
    "The command line is right: relay-server → relay-client\n",
  ]);
  const file = await run(["config", "check"], {
    files: { "alumet-config.toml": "[plugins.procfs]\n[plugins.csv]\n" },
  });
  assert.equal(file.err, "alumet-config.toml is right: procfs → csv\n");
  const wrong = await run(["config", "check", "--config", "f"], {
    files: { f: "[plugins.procfs]\na = 1\nb = x\n" },
  });
  assert.equal(wrong.code, 78);
  assert.equal(
    wrong.err,
    "Cannot read f:2: plugins.procfs.a: unknown key; known are poll_interval\n" +
      'Cannot read f:3: plugins.procfs.b: expected a value, found x; write a text in quotes: "x"\n',
  );
});

Deno.test("config show says what a process uses where the configuration leaves it open", async () => {
  const show = async (args: string[], file = "") => {
    await using dir = new TempDir();
    await Deno.writeTextFile(dir.file("c.toml"), file);
    let out = "";
    const code = await main(["config", "show", "--config", dir.file("c.toml"), ...args], {
      stdout: (text) => out += text,
      env: (name) => name === "HOME" ? "/home/me" : undefined,
    });
    assert.equal(code, 0);
    return out.split("\n");
  };
  const state = "/home/me/.local/state/alumet-relay";
  const server = await show(["--relay-in", ":50051"], "[plugins.sqlite]\n");
  for (
    const line of [
      "# log_level is not set: info",
      "# enable is not set: true",
      `path = "" # default: "${state}/server/journal"`,
      '# on_full is not set: "block"',
      `path = "" # default: "${state}/server/measurements.sqlite"`,
      "# keep is not set: all points are kept",
    ]
  ) assert.ok(server.includes(line), `${line}\n${server.join("\n")}`);
  const local = await show(["--state-dir", "/x"], "[plugins.procfs]\n[plugins.sqlite]\npath = 'a.sqlite'\n");
  for (
    const line of ["# enable is not set: false", 'path = "" # default', '# on_full is not set: "drop_oldest"']
  ) {
    assert.ok(local.includes(line), `${line}\n${local.join("\n")}`);
  }
  assert.ok(local.some((line) => /^path = "a.sqlite" # .*c\.toml:3$/.test(line)));
});

Deno.test("config show masks a URL only if there is a password in it", async () => {
  for (
    const [url, isShown] of [["postgresql://me@h/d", true], ["postgresql://me:hunter2@h/d", false]] as const
  ) {
    let out = "";
    await main([
      "config",
      "show",
      "--no-default-config",
      "--config-override",
      `plugins.postgresql.url=${url}`,
      "--config",
      "/dev/null",
    ], {
      stdout: (text) => out += text,
      env: () => undefined,
    });
    assert.equal(out.includes(`url = "${url}"`), isShown, out);
    assert.equal(out.includes('url = "***"'), !isShown, out);
  }
});

Deno.test("config show prints effective values with their sources to standard output", async () => {
  const files = { "alumet-config.toml": "[plugins.relay-client]\ntoken = '${TOKEN}'\n" };
  const { code, out } = await run(["config", "show", "--relay-out", "h:1"], {
    files,
    variables: { TOKEN: "hunter2" },
  });
  assert.equal(code, 0);
  assert.match(out, /^relay_server = "h:1" # --relay-out$/m);
  assert.match(out, /^token = "\*\*\*" # alumet-config.toml:2, environment variable TOKEN$/m);
  assert.doesNotMatch(out, /hunter2/);
});

Deno.test("config regen writes a file that runs, and never over another one unless forced", async () => {
  const printed = await run(["config", "regen", "--config", "-"]);
  assert.equal(printed.code, 0);
  assert.equal(printed.err, "");
  const read = (name: string) => Deno.readTextFileSync(name);
  const written = await run(["config", "regen"], {
    after: () => assert.equal(read("alumet-config.toml"), printed.out),
  });
  assert.deepEqual([written.code, written.out, written.err], [0, "", "Wrote alumet-config.toml\n"]);
  const files = { "my.toml": "# mine" };
  const refused = await run(["config", "regen", "--config", "my.toml"], {
    files,
    after: () => assert.equal(read("my.toml"), "# mine"),
  });
  assert.equal(refused.code, 64);
  assert.equal(refused.err, "Cannot write my.toml: it exists; --force replaces it\n");
  const forced = await run(["config", "regen", "--force", "--config", "my.toml"], {
    files,
    after: () => assert.equal(read("my.toml"), printed.out),
  });
  assert.equal(forced.code, 0);
  const nowhere = await run(["config", "regen", "--config", "no/such/directory"]);
  assert.equal(nowhere.code, 69);
  assert.match(nowhere.err, /^Cannot write no\/such\/directory: /);
  assert.deepEqual(names(await run([], { files: { "alumet-config.toml": printed.out } })), [
    "procfs",
    "sqlite",
  ]);
});

Deno.test("config regen enables what its flags ask for, with their values", async () => {
  const client = await run(["config", "regen", "--config=-", "--relay-out", "server:50051"]);
  assert.match(client.out, /^relay_server = "server:50051"$/m);
  const running = await run([], { files: { "alumet-config.toml": client.out } });
  assert.deepEqual(names(running), ["procfs", "relay-client"]);
  const chosen = await run(["config", "regen", "--config=-", "--plugins", "relay-server,csv"]);
  assert.deepEqual(names(await run([], { files: { "alumet-config.toml": chosen.out } })), [
    "relay-server",
    "csv",
  ]);
});

Deno.test("plugins list tells kinds and purposes, with --status what is enabled and why", async () => {
  const plain = await run(["plugins", "list"]);
  assert.equal(
    plain.out,
    `procfs        input   Is the procfs.
relay-server  input   Is the relay-server.
relay-client  output  Is the relay-client.
csv           output  Is the csv.
sqlite        output  Is the sqlite.
`,
  );
  const status = await run(["plugins", "list", "--status", "--relay-in", "[::]:1"]);
  assert.match(status.out, /^relay-server {2}input {3}enabled \(--relay-in\)$/m);
  assert.match(status.out, /^procfs {8}input {3}disabled$/m);
});

Deno.test("an error in the program itself is told apart, exit code 70", async () => {
  let err = "";
  const code = await main(["plugins", "list"], {
    stderr: (text) => err += text,
    plugins: () => Promise.reject(new Error("boom")),
  });
  assert.equal(code, 70);
  assert.match(err, /^alumet-relay: internal error: Error: boom/);
});

/** Runs main.ts in a process of its own. */
async function process(args: string[], env: Record<string, string> = {}) {
  const directory = await Deno.makeTempDir();
  try {
    const output = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("../../deno.json", import.meta.url).pathname,
        new URL("../../main.ts", import.meta.url).pathname,
        ...args,
      ],
      cwd: directory,
      env: { NO_COLOR: "1", ...env },
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code: output.code, out: decode(output.stdout), err: decode(output.stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the process ends with the exit code, and keeps standard output for what was asked for", async () => {
  const version = await process(["--version"]);
  assert.deepEqual(version, { code: 0, out: `alumet-relay ${denoConfig.version}\n`, err: "" });
  const nothing = await process([], { ALUMET_CONFIG: "" });
  assert.equal(nothing.code, 64);
  assert.equal(nothing.out, "");
  assert.match(nothing.err, /^Nothing to do: .*\n {2}alumet-relay --relay-in/);
  const missing = await process(["run"], { ALUMET_CONFIG: "missing.toml" });
  assert.equal(missing.code, 78);
  assert.match(missing.err, /^\S+Z ERROR alumet-relay: Cannot read missing.toml/);
});

Deno.test("--help and --version load neither plugins nor the configuration", async () => {
  const info = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL("../../lib/cli.ts", import.meta.url).pathname],
  }).output();
  interface Module {
    specifier: string;
    dependencies?: { code?: { specifier?: string }; isDynamic?: boolean }[];
  }
  const { roots, modules }: { roots: string[]; modules: Module[] } = JSON.parse(
    new TextDecoder().decode(info.stdout),
  );
  const loaded = new Set<string>();
  const visit = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    const module = modules.find((module) => module.specifier === specifier);
    for (const { code, isDynamic } of module?.dependencies ?? []) {
      if (code?.specifier && !isDynamic) visit(code.specifier);
    }
  };
  roots.forEach(visit);
  const local = [...loaded].filter((specifier) => specifier.includes("/lib/")).map((s) =>
    s.replace(/.*\/lib\//, "")
  ).sort();
  assert.deepEqual(local, [
    "base/errors.ts",
    "base/log.ts",
    "base/stderr.ts",
    "base/suggest.ts",
    "base/waiting.ts",
    "cli.ts",
    "cli/declarations.ts",
    "cli/parse.ts",
    "systemd/journal_stream.ts",
  ]);
});

Deno.test("a configuration that is not UTF-8 is refused with the line that is wrong", async () => {
  const cases: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [
      new Uint8Array([...new TextEncoder().encode("[plugins.csv]\noutput_path = 'm"), 0xfc, 0x27, 0x0a]),
      /c\.toml:2: byte 0xfc is not UTF-8/,
    ],
    [new Uint8Array([0xff, 0xfe, 0x5b, 0x00]), /c\.toml: it is in UTF-16; save the file as UTF-8/],
  ];
  for (const [bytes, message] of cases) {
    await using dir = new TempDir();
    await Deno.writeFile(dir.file("c.toml"), bytes);
    let err = "";
    const code = await main(["config", "check", "--config", dir.file("c.toml")], {
      stderr: (text) => void (err += text),
    });
    assert.equal(code, 78);
    assert.match(err, message);
  }
});

Deno.test("config check remarks on values that are valid and perhaps not meant", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(
    dir.file("c.toml"),
    "[plugins.procfs]\nmemory.metrics = ['MemTotl', 'MemFree', 'Active(file)', 'Weird']\n[plugins.relay-client]\nbuffer_timeout = '1M'\n",
  );
  let err = "";
  const code = await main(["config", "check", "--config", dir.file("c.toml")], {
    stderr: (text) => void (err += text),
  });
  assert.equal(code, 0, err);
  const notes = err.split("\n").filter((line) => /^Note: .*c\.toml/.test(line));
  assert.match(
    notes[0],
    /c\.toml:2: plugins.procfs.memory.metrics\[0\]: Linux has no entry MemTotl .*; did you mean MemTotal\?$/,
  );
  assert.match(
    notes[1],
    /metrics\[3\]: Linux has no entry Weird in \/proc\/meminfo that this program knows$/,
  );
  assert.match(
    notes[2],
    /c\.toml:4: plugins.relay-client.buffer_timeout: 1M is 1 month; write 1min for minutes$/,
  );
  assert.equal(notes.length, 3, err);
});

Deno.test("a client's name that no server accepts is refused", async () => {
  const check = async (name: string) => {
    let err = "";
    const args = ["--relay-out", "[::1]:1", "--config-override", `plugins.relay-client.client_name=${name}`];
    const code = await main([
      "config",
      "check",
      "--config",
      "/dev/null",
      "--plugins",
      "procfs,relay-client",
      ...args,
    ], {
      stderr: (text) => void (err += text),
    });
    return { code, err };
  };
  assert.equal((await check("é".repeat(127))).code, 0);
  const { code, err } = await check("é".repeat(128));
  assert.notEqual(code, 0);
  assert.match(err, /client_name: .*is too long: servers accept 255 bytes/);
});
