import assert from "node:assert/strict";
import { ExitError } from "../../lib/base/errors.ts";
import { ConfigError, describeSource } from "../../lib/config.ts";
import { parseConfigFile, readText } from "../../lib/config/file.ts";
import { general } from "../../lib/config/general.ts";
import { valueAt } from "../../lib/config/overrides.ts";
import { printDefaultConfig, printEffectiveConfig } from "../../lib/config/print.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { LooseText, table, text } from "../../lib/schema.ts";
import {
  bad,
  CLIENT,
  configOf,
  failure,
  load,
  type Loaded,
  names,
  plugins,
  refuses,
} from "../kit/made_up_config.ts";
import { TempDir } from "../kit/temp_dir.ts";

Deno.test("a file enables its sections in order, and missing keys have their defaults", () => {
  const config = load(`
shutdown_timeout = "10s"
[plugins.relay-client]
relay_server = "server:50051"
retry.max_times = 2
[plugins.csv]
enable = false
[plugins.procfs]
enabled = true
`);
  assert.deepEqual(names(config), ["relay-client", "procfs"]);
  assert.equal(config.general.shutdown_timeout, 10_000);
  assert.equal(config.general.journal.enable, undefined);
  assert.deepEqual(configOf(config, "relay-client"), {
    client_name: "this-host",
    relay_server: "server:50051",
    buffer_max_length: 4096,
    buffer_timeout: 30_000,
    token: undefined,
    retry: { max_times: 2, max_delay: 4_000 },
  });
  assert.deepEqual(configOf(config, "procfs").groups, [{ pid: undefined, mode: "quick" }]);
  assert.equal(config.file, "alumet-config.toml");
  assert.deepEqual(config.notes, []);
});

Deno.test("all problems of a file are reported at once, each with its line", () => {
  bad(
    `shutdown_timout = "1s"
shutdown_timeout = "12 parsecs"
[plugins.relay-client]
bufer_timeout = "1s"
buffer_max_length = -1
relay_server = "server"
client_name = 12
[plugins.relay-client.retry]
max_times = "5"
[plugins.rapl]
poll_interval = "1s"
[[plugins.procfs.groups]]
[[plugins.procfs.groups]]

mode = "quik"
[relay-server]
[plugins.cvs]
enable = "maybe"
`,
    "1: shutdown_timout: unknown key; did you mean shutdown_timeout?",
    /:2: shutdown_timeout: expected a duration such as "5s", found "12 parsecs": unknown unit "parsecs"/,
    "4: plugins.relay-client.bufer_timeout: unknown key; did you mean buffer_timeout?",
    "5: plugins.relay-client.buffer_max_length: expected an integer (from 0 to 30000000), found -1",
    '6: plugins.relay-client.relay_server: cannot use "server": it has no port',
    '7: plugins.relay-client.client_name: expected a text, found 12; write "12"',
    '9: plugins.relay-client.retry.max_times: expected an integer, found "5"',
    "10: plugins.rapl: unknown plugin; there are procfs, relay-server, filter, relay-client, csv, sqlite; " +
      "a section for another agent needs enable = false",
    '15: plugins.procfs.groups[1].mode: expected "quick" or "slow", found "quik"; did you mean quick?',
    "16: relay-server: unknown table; did you mean [plugins.relay-server]?",
    "17: plugins.cvs: unknown plugin; did you mean csv?; a section for another agent needs enable = false",
    "18: plugins.cvs.enable: expected true or false",
  );
});

Deno.test("mistakes in TOML are reported with their lines, together with all other problems", () => {
  bad(
    `[plugins.relay-client]
relay_server = server:50051
retry.max_times = 1
bufer_timeout = "1s"
retry.max_times = 2
`,
    '2: plugins.relay-client.relay_server: expected a value, found server:50051; write a text in quotes: "server:50051"',
    "4: plugins.relay-client.bufer_timeout: unknown key; did you mean buffer_timeout?",
    "5: plugins.relay-client.retry.max_times: this key is already given in line 3",
  );
  bad('[plugins.csv]\noutput_path = "\\q"\n', /^Cannot read alumet-config.toml:\d: this is not TOML: .*$/);
  bad("[plugins.csv\n", "1: expected ], found the end of the line");
  bad("plugins = 1", "1: plugins: expected tables, [plugins.NAME]");
  bad("[plugins]\ncsv = true", "2: plugins.csv: expected a table, [plugins.csv]");
});

Deno.test("a table of a plugin at the wrong place is one, and no other table or value", () => {
  bad(`csv = 5\n${CLIENT}`, /^Cannot read alumet-config.toml:1: csv: unknown key/);
  bad(`${CLIENT}[nonsense]\n`, /^Cannot read alumet-config.toml:3: nonsense: unknown key/);
});

Deno.test("a problem of no line comes before those of lines", () => {
  const url = text({ doc: "A key.", default: "" });
  const config = table({ url }, { doc: "A key.", check: () => ({ key: "url", problem: "is required" }) });
  const other = { ...plugins[0], name: "other", config } as Plugin;
  refuses(
    'shutdown_timeout = "x"\n',
    { plugins: [...plugins, other], only: ["other", "csv"] },
    78,
    "Cannot read alumet-config.toml: plugins.other.url: is required",
    /^Cannot read alumet-config.toml:1: shutdown_timeout: /,
  );
});

Deno.test("callers get each problem separately", () => {
  const error = failure(CLIENT + "x = 1\n");
  assert.ok(error instanceof ConfigError);
  assert.deepEqual(error.problems[0].path, ["plugins", "relay-client", "x"]);
  assert.deepEqual(error.problems[0].source, {
    kind: "file",
    file: "alumet-config.toml",
    line: 3,
    variables: [],
  });
});

Deno.test("every plugin accepts both enable and enabled, which must agree", () => {
  assert.deepEqual(names(load(CLIENT + "enable = true\nenabled = true\n")), ["procfs", "relay-client"]);
  bad(
    CLIENT + "enable = true\nenabled = false\n",
    "4: plugins.relay-client.enabled: enable and enabled contradict each other; remove one of them",
  );
  const config = load(CLIENT + 'enable = "${ON}"\n[plugins.csv]', { variables: { ON: "false" } });
  assert.deepEqual(names(config), ["procfs", "csv"]);
});

Deno.test("disabled sections of a real agent's plugins are ignored", () => {
  const config = load(
    CLIENT + '[plugins.rapl]\nenable = false\nanything = "${UNSET}"\n[plugins.csv]\nenabled = false\nx = 1',
  );
  assert.deepEqual(names(config), ["procfs", "relay-client"]);
});

Deno.test("with --plugins, sections of other plugins are ignored", () => {
  const config = load("[plugins.rapl]\nx = 1\n[plugins.csv]\nx = '${UNSET}'\n" + CLIENT, {
    only: ["relay-client", "procfs"],
  });
  assert.deepEqual(names(config), ["procfs", "relay-client"]);
});

Deno.test("keys of a real agent without effect here are noted", () => {
  const config = load('max_update_interval = "500ms"\nsource_channel_size = 256\n' + CLIENT);
  assert.deepEqual(config.notes, [
    "max_update_interval has no effect here and is ignored (alumet-config.toml:1)",
    "source_channel_size has no effect here and is ignored (alumet-config.toml:2)",
  ]);
});

Deno.test("environment variables work anywhere in texts, with defaults, and as values of any type", () => {
  const config = load(
    CLIENT + `client_name = "\${NODE}-\${RACK:-r1}"
relay_server = "\${HOST}:\${PORT:-50051}"
buffer_max_length = "\${LENGTH}"
buffer_timeout = \${TIMEOUT}
token = '$\${NOT_A_VARIABLE} \\\${NOR_THIS}'
[plugins.csv]
force_flush = "\${FLUSH}"
output_path = "\${EMPTY:-filled.csv}\${EMPTY}"
[plugins.filter]
include = ["\${A:-a}", "b"]
`,
    { variables: { NODE: "n7", HOST: "h", LENGTH: "100", TIMEOUT: "2s", FLUSH: "false", EMPTY: "" } },
  );
  const client = configOf(config, "relay-client");
  assert.equal(client.client_name, "n7-r1");
  assert.equal(client.relay_server, "h:50051");
  assert.equal(client.buffer_max_length, 100);
  assert.equal(client.buffer_timeout, 2_000);
  assert.equal(client.token, "${NOT_A_VARIABLE} ${NOR_THIS}");
  assert.deepEqual(configOf(config, "csv"), { output_path: "filled.csv", force_flush: false });
  assert.deepEqual(configOf(config, "filter"), { include: ["a", "b"] });
  assert.equal(
    describeSource(config.source(["plugins", "relay-client", "client_name"])),
    "alumet-config.toml:3, environment variables NODE, RACK",
  );
});

Deno.test("a variable that is not set is reported once, with its key and line", () => {
  bad(
    CLIENT +
      'client_name = "${NODE}"\nbuffer_timeout = "${T}"\nbuffer_max_length = ${L:-x}\ntoken = "${"\nrelay_server = "${a b}"\n',
    "3: plugins.relay-client.client_name: environment variable NODE is not set; set it, or write ${NODE:-default}",
    "4: plugins.relay-client.buffer_timeout: environment variable T is not set; set it, or write ${T:-default}",
    '5: plugins.relay-client.buffer_max_length: expected an integer (from 0 to 30000000), found "x"',
    "6: plugins.relay-client.token: ${ is not closed by }; write $${ for a plain ${",
    "7: plugins.relay-client.relay_server: ${a b} is not ${NAME} or ${NAME:-default}; write $${ for a plain ${",
  );
});

Deno.test("a variable that is not set is a problem of what is in effect, also outside of plugins", () => {
  const unset = "environment variable T is not set; set it, or write ${T:-default}";
  bad(`shutdown_timeout = "\${T}"\n${CLIENT}`, `1: shutdown_timeout: ${unset}`);
  bad(`plugins = "\${T}"\n`, `1: plugins: ${unset}`);
  bad('[plugins]\ncsv = "${T}"\n', "2: plugins.csv: expected a table, [plugins.csv]");
  assert.deepEqual(names(load(CLIENT + '[plugins.csv]\nenable = false\noutput_path = "${T}"\n')), [
    "procfs",
    "relay-client",
  ]);
});

Deno.test("a value from the command line replaces a variable that is not set", () => {
  const config = load(CLIENT + 'relay_server = "${SERVER}"\n', { relayOut: "s:1" });
  assert.equal(configOf(config, "relay-client").relay_server, "s:1");
});

Deno.test("later layers override earlier ones: default, file, --config-override, flags such as --relay-out", () => {
  const key = ["plugins", "relay-client", "relay_server"];
  const toml = CLIENT + 'relay_server = "file:1"\n';
  const overrides = ["plugins.relay-client.relay_server='override:1'"];
  const at = (
    config: Loaded,
  ) => [configOf(config, "relay-client").relay_server, describeSource(config.source(key))];
  assert.deepEqual(at(load(CLIENT)), ["[::1]:50051", "default"]);
  assert.deepEqual(at(load(toml)), ["file:1", "alumet-config.toml:3"]);
  assert.deepEqual(at(load(toml, { overrides })), [
    "override:1",
    "--config-override plugins.relay-client.relay_server",
  ]);
  assert.deepEqual(at(load(toml, { overrides, relayOut: "flag:1" })), ["flag:1", "--relay-out"]);
});

Deno.test("a server, a client and a hop need only flags", () => {
  assert.deepEqual(names(load(undefined, { relayIn: "[::]:1" })), ["relay-server", "sqlite"]);
  assert.deepEqual(names(load(undefined, { relayOut: "h:1" })), ["relay-client", "procfs"]);
  assert.deepEqual(names(load(undefined, { relayIn: "[::]:1", relayOut: "h:1" })), [
    "relay-client",
    "relay-server",
  ]);
  assert.deepEqual(names(load(undefined, { relayIn: "[::]:1", outputFile: "x" })), ["csv", "relay-server"]);
  const server = load(undefined, { relayIn: "0.0.0.0:1" });
  assert.equal(configOf(server, "relay-server").address, "0.0.0.0:1");
  assert.equal(server.file, undefined);
  assert.deepEqual(names(load(undefined, { only: ["procfs", "csv"] })), ["procfs", "csv"]);
  assert.deepEqual(names(load(undefined, { overrides: ["plugins.procfs={}", "plugins.csv={}"] })), [
    "procfs",
    "csv",
  ]);
});

Deno.test("without flags and a file, the error says what to type, with exit code 64", () => {
  const error = failure(undefined);
  assert.equal(error.exitCode, 64);
  assert.match(error.message, /--relay-in :50051/);
  assert.match(error.message, /--relay-out HOST:50051/);
  assert.match(error.message, /config regen/);
});

Deno.test("flags enable plugins in addition to the file, and override enable = false with a note", () => {
  assert.deepEqual(names(load("[plugins.procfs]\n", { relayOut: "h:1" })), ["procfs", "relay-client"]);
  assert.deepEqual(names(load("[plugins.csv]\n", { relayIn: "[::]:1" })), ["csv", "relay-server"]);
  const config = load("[plugins.procfs]\n[plugins.csv]\nenable = false\n", { outputFile: "out.csv" });
  assert.deepEqual(names(config), ["procfs", "csv"]);
  assert.deepEqual(config.notes, [
    "plugin csv is disabled in alumet-config.toml:3, but --output-file enables it",
  ]);
});

Deno.test("a flag that is not about relays completes nothing, and a file is not read where none is wanted", () => {
  assert.deepEqual(names(load(undefined, { outputFile: "x", requirePipeline: false })), ["csv"]);
  assert.deepEqual(names(load(CLIENT, { file: null, requirePipeline: false })), []);
});

Deno.test("a file without an input or without an output says what to add", () => {
  const input = "no input is enabled: add [plugins.procfs] or [plugins.relay-server]";
  const output = "no output is enabled: add [plugins.relay-client] or [plugins.csv] or [plugins.sqlite]";
  refuses(
    "",
    {},
    78,
    `Cannot read alumet-config.toml: ${input}`,
    `Cannot read alumet-config.toml: ${output}`,
  );
  refuses("[plugins.csv]", { relayOut: "h:1" }, 78, `Cannot read alumet-config.toml: ${input}`);
  refuses("[plugins.procfs]", {}, 78, `Cannot read alumet-config.toml: ${output}`);
  assert.deepEqual(names(load("[plugins.procfs]", { requirePipeline: false })), ["procfs"]);
});

Deno.test("--plugins must name existing plugins, including those that other flags need", () => {
  refuses(
    CLIENT,
    { only: ["procfs", "cvs", "zzz"] },
    64,
    "Cannot use --plugins procfs,cvs,zzz: unknown plugin cvs; did you mean csv?",
    "Cannot use --plugins procfs,cvs,zzz: unknown plugin zzz; there are procfs, relay-server, filter, relay-client, csv, sqlite",
  );
  refuses(
    CLIENT,
    { only: ["procfs"], relayOut: "h:1" },
    64,
    "Cannot use --relay-out with --plugins procfs: it needs relay-client, which is not in the list",
  );
  refuses(
    undefined,
    { only: ["csv"] },
    64,
    "Cannot run with --plugins csv: no input is enabled: add procfs or relay-server",
  );
  const config = load(CLIENT + "enable = false\n", { only: ["procfs", "relay-client"] });
  assert.deepEqual(config.notes, [
    "plugin relay-client is disabled in alumet-config.toml:3, but --plugins enables it",
  ]);
});

Deno.test("a file that a flag names must exist", () => {
  const line = (path: string) =>
    `Cannot read ${path}: there is no such file; create one with: alumet-relay config regen --config ${path}`;
  refuses(undefined, { file: "my.toml" }, 78, line("my.toml"));
  refuses(undefined, { file: "my.toml", relayIn: "[::]:1" }, 78, line("my.toml"));
  refuses(undefined, { requireFile: true, relayIn: "[::]:1" }, 78, line("alumet-config.toml"));
  refuses(undefined, { file: "." }, 78, /^Cannot read \.: Is a directory/);
});

Deno.test("a file may start with a byte order mark and end its lines as Windows does", () => {
  assert.deepEqual(names(load("\ufeff" + CLIENT.replaceAll("\n", "\r\n"))), ["procfs", "relay-client"]);
  bad("\ufeff" + CLIENT.replaceAll("\n", "\r\n") + "x = 1\r\n", /:3: plugins.relay-client.x: unknown key/);
});

Deno.test("reading the default file gives the defaults, whatever it enables", () => {
  for (const options of [{ only: ["procfs", "csv"] }, { relayIn: "[::]:7" }, { relayOut: "h:1" }]) {
    const config = load(undefined, { ...options, requirePipeline: false });
    const printed = printDefaultConfig({ general, plugins, config });
    const again = load(printed);
    assert.deepEqual(new Set(names(again)), new Set(names(config)));
    for (const { plugin, config: value } of config.plugins) {
      assert.deepEqual(configOf(again, plugin.name), value);
    }
    assert.deepEqual(again.general, config.general);
    assert.match(printed, /^# client_name = ""$/m);
    assert.match(printed, /^# token = ""$/m);
    for (const line of printed.split("\n")) assert.ok(line.length <= 110, line);
  }
});

Deno.test("the values in effect are TOML, each with its source, and secrets are masked", () => {
  const config = load(
    CLIENT + 'token = "hunter2"\nclient_name = "${N:-x}"\n[plugins.procfs.kernel]\npoll_interval = "1s"\n',
    { relayOut: "h:1", overrides: ["plugins.procfs.groups=[]"] },
  );
  const printed = printEffectiveConfig({ general, plugins, config, resolved: () => undefined });
  assert.equal(
    printed,
    `shutdown_timeout = "5s" # default
# log_level is not set: info

[journal]
# enable is not set
path = "" # default
max_size = "1GiB" # default
segment_size = "16MiB" # default
min_free = "64MiB" # default
# max_age is not set: points of any age are kept
# catch_up_rate is not set: no limit
sync = "50ms" # default
# on_full is not set
new_outputs = "now" # default

[dead_letters]
max_size = "64MiB" # default

[series]
# memory is not set
# memory_per_client is not set: a sixteenth of memory

[http]
# enable is not set
# address is not set: 127.0.0.1:9092
allow = [] # default: all
token = "" # default
token_file = "" # default
memory = "8MiB" # default

[http.tls]
cert = "" # default: no TLS
key = "" # default
client_ca = "" # default

[plugins.procfs]
enable = true # alumet-config.toml:1
groups = [] # --config-override plugins.procfs.groups

[plugins.procfs.kernel]
enabled = true # default
poll_interval = "1s" # alumet-config.toml:6

[plugins.relay-client]
enable = true # alumet-config.toml:2
client_name = "x" # alumet-config.toml:4, environment variable N
relay_server = "h:1" # --relay-out
buffer_max_length = 4096 # default
buffer_timeout = "30s" # default
token = "***" # alumet-config.toml:3

[plugins.relay-client.retry]
max_times = 8 # default
max_delay = "4s" # default

# Plugins that are not enabled: relay-server, filter, csv, sqlite
`,
  );
  assert.deepEqual(new Set(names(load(printed))), new Set(["procfs", "relay-client"]));
});

Deno.test("no error and no source shows a secret", () => {
  const config = load(CLIENT, { overrides: ["plugins.relay-client.token=hunter2"] });
  assert.doesNotMatch(
    printEffectiveConfig({ general, plugins, config, resolved: () => undefined }),
    /hunter2/,
  );
  for (const value of ["{ x = 'hunter2' }", "'hunter2", "['hunter2'"]) {
    const { message } = failure(CLIENT, { overrides: [`plugins.relay-client.token=${value}`] });
    assert.doesNotMatch(message, /hunter2/);
  }
  for (const value of ["hunter2", '"hunter2', '"a" hunter2', "['hunter2']", '"hunter2\\q"', "[hunter2"]) {
    const { message } = failure(CLIENT + `token = ${value}\n`);
    assert.doesNotMatch(message, /hunter2/);
  }
});

Deno.test("the plugins of a real agent that are not available here are one problem, with what to do", () => {
  const file =
    "[plugins.procfs]\n[plugins.nvml]\n[plugins.k8s]\nx = 1\n[plugins.slurm]\nenable = false\n[plugins.zzz]\n";
  assert.throws(() => load(file, { only: undefined, relayOut: "h:1" }), (error: Error) => {
    const lines = error.message.split("\n");
    assert.equal(lines.length, 2, error.message);
    assert.match(
      lines[0],
      /:2: plugins\.nvml: Alumet's plugins are not available here: nvml, k8s; write enable = false/,
    );
    assert.match(lines[1], /:7: plugins\.zzz: unknown plugin/);
    return true;
  });
  assert.deepEqual(names(load(file, { only: ["procfs", "csv"] })), ["procfs", "csv"]);
});

Deno.test("several variables without quotes stand in one file, also behind a mistake", () => {
  const text = "shutdown_timeout = ${A}\nx = 1 2\n[plugins.procfs.kernel]\npoll_interval = ${B}\n";
  const file = parseConfigFile("c.toml", text, (name) => ({ A: "1s", B: "2s" })[name]);
  assert.deepEqual(file.mistakes.map(({ source }) => describeSource(source)), ["c.toml:2"]);
  assert.deepEqual(file.unset, []);
  assert.deepEqual(
    [["shutdown_timeout"], ["plugins", "procfs", "kernel", "poll_interval"]].map((path) =>
      valueAt(file.tree, path)
    ),
    [new LooseText("1s"), new LooseText("2s")],
  );
});

Deno.test("a file that is not UTF-8 is refused with its line, one that is not there is none, and a directory is an error", async () => {
  await using dir = new TempDir();
  const path = dir.file("c.toml");
  assert.equal(readText(path), undefined);
  Deno.writeFileSync(path, Uint8Array.of(0x61, 0x0a, 0xff));
  assert.throws(
    () => readText(path),
    (error) => error instanceof ConfigError && error.message.startsWith(`Cannot read ${path}:2: `),
  );
  assert.throws(
    () => readText(dir.path),
    (error) => error instanceof ExitError && error.message.startsWith(`Cannot read ${dir.path}: `),
  );
});
