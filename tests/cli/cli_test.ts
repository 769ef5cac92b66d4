/** The command line. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { COMMANDS, FLAGS } from "../../lib/cli/declarations.ts";
import denoConfig from "../../deno.json" with { type: "json" };
import { names, run, usageError } from "./running.ts";

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

Deno.test("the help of a command describes its own flags", async () => {
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

Deno.test("--state-dir and the environment set the state directory of the agent", async () => {
  const baseOf = async (args: string[], variables: Record<string, string>) =>
    (await run(["--relay-in", "[::]:1", ...args], { variables })).settings?.stateBase;
  const session = { XDG_STATE_HOME: "/x" };
  assert.deepEqual(await baseOf(["--state-dir", "s"], session), { path: "s", from: "--state-dir" });
  assert.deepEqual(await baseOf([], session), { path: "/x/alumet-relay", from: "XDG_STATE_HOME" });
  assert.equal(await baseOf([], {}), null);
});

Deno.test("ALUMET_CONFIG names the file, and --config overrides it", async () => {
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

Deno.test("the list of exit codes includes those of a second signal", async () => {
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

Deno.test("standard error gets every usage error, each with the nearest valid name", async () => {
  await usageError(["--relay-im", "x"], "Unknown flag --relay-im; did you mean --relay-in?");
  await usageError(["-x"], "Unknown flag -x");
  await usageError(["--zzzzzz=1"], "Unknown flag --zzzzzz");
  await usageError(["--no-config"], /^Unknown flag --no-config/);
  await usageError(["rum"], "Unknown command rum; did you mean run?");
  await usageError(["config", "chekc"], "Unknown command config chekc; did you mean config check?");
  await usageError(
    ["config", "zzz"],
    "Unknown command config zzz; there is config check, config show, config regen",
  );
  await usageError(["config"], "Cannot run config: write config check or config show or config regen");
  await usageError(["zzz"], /^Unknown command zzz; there are run, config check, /);
  await usageError(["help", "zzz"], /^Unknown command zzz/);
  await usageError(["run", "x", "y"], "Cannot use x y: run takes no argument");
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
    "Cannot use --relay-in 2 times: give it once",
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
  await usageError(["--force"], "Cannot use --force with run: only config regen takes it");
  await usageError(
    ["config", "check", "--status"],
    "Cannot use --status with config check: only plugins list takes it",
  );
});

Deno.test("an incomplete or contradictory command line is a usage error", async () => {
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

Deno.test("in the journal of systemd, lines have priorities and no time, including errors of the command line", async () => {
  const { err, log } = await run(["--relay-in", "[::]:1"], { journal: true });
  assert.match(err, /^<6>alumet-relay: alumet-relay [\d.]+\n$/);
  log!.warn("oh");
  assert.equal((await run(["--rely-in", "x"], { journal: true })).err.match(/^<3>/gm)?.length, 2);
  const json = await run(["--relay-in", "[::]:1", "--log-format", "json"], { journal: true });
  assert.match(json.err, /^<6>\{"level":"info","part":"alumet-relay","message":"alumet-relay [\d.]+"\}\n$/);
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

Deno.test("an internal error is called so, with exit code 70", async () => {
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

Deno.test("the process ends with the exit code, and writes only results to standard output", async () => {
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
    "base/timers.ts",
    "base/waiting.ts",
    "cli.ts",
    "cli/declarations.ts",
    "cli/parse.ts",
    "systemd/journal_stream.ts",
  ]);
});
