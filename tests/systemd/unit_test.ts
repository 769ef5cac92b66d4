/** The units of systemd: what is printed, what is packaged, and what systemd thinks of them. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { INSTALLED_PROGRAM } from "../../lib/cli/systemd_unit.ts";
import { canAdopt } from "../../lib/net/activation.ts";
import { plugins } from "../../lib/plugins.ts";
import { quoteArgument, quoteProgram } from "../../lib/systemd/quoting.ts";
import { serviceUnit, socketUnit } from "../../lib/systemd/unit.ts";
import { PACKAGED_UNITS, PACKAGED_USER } from "../../tools/packaged_units.ts";
import { linux, needs, systemd } from "../kit/needs.ts";
import { runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url);

/** What `alumet-relay systemd-unit ARGS` prints, run within a directory with these files. */
async function print(
  args: string[],
  { files = {}, variables = {} }: { files?: Record<string, string>; variables?: Record<string, string> } = {},
): Promise<{ code: number; out: string; err: string; cwd: string }> {
  await using dir = new TempDir();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(dir.file(name), text);
  const before = Deno.cwd();
  Deno.chdir(dir.path);
  let [out, err] = ["", ""];
  try {
    const code = await main(["systemd-unit", ...args], {
      stdout: (text) => void (out += text),
      stderr: (text) => void (err += text),
      env: (name) => variables[name],
    });
    return { code, out, err, cwd: dir.path };
  } finally {
    Deno.chdir(before);
  }
}

/** The values of a key. */
function values(unit: string, key: string): string[] {
  return unit.split("\n").filter((line) => line.startsWith(`${key}=`)).map((line) =>
    line.slice(key.length + 1)
  );
}

Deno.test("packaging/systemd has the units of the template", async () => {
  const names = [...Deno.readDirSync(new URL("packaging/systemd/", ROOT))].map(({ name }) => name).sort();
  assert.deepEqual(names, Object.keys(PACKAGED_UNITS).sort());
  for (const [name, text] of Object.entries(PACKAGED_UNITS)) {
    const packaged = await Deno.readTextFile(new URL(`packaging/systemd/${name}`, ROOT));
    assert.equal(packaged, text, `${name}: deno run -A tools/packaged_units.ts writes it again`);
  }
});

Deno.test("the unit runs with the flags, checks them before a reload, and does not restart in vain", async () => {
  const { code, out, err } = await print(["client", "--relay-out", "server:50051", "--log-level", "debug"]);
  assert.deepEqual([code, err], [0, ""]);
  assert.deepEqual(values(out, "ExecStart"), [
    `${INSTALLED_PROGRAM} --relay-out server:50051 --log-level debug`,
  ]);
  assert.deepEqual(values(out, "ExecReload"), [
    `${INSTALLED_PROGRAM} config check --relay-out server:50051`,
    `/bin/sh -c "kill -HUP $MAINPID"`,
  ]);
  assert.deepEqual(values(out, "RestartPreventExitStatus"), ["64 65 78"]);
  assert.deepEqual(values(out, "Type"), ["notify"]);
  assert.deepEqual(values(out, "StateDirectory"), ["alumet-relay-client"]);
});

Deno.test("arguments reach the program unchanged: quotes, specifiers and variables are escaped", () => {
  const cases: [string, string][] = [
    ["plain=[::]:1", "plain=[::]:1"],
    ["", '""'],
    ["a b", '"a b"'],
    ["100%h", "100%%h"],
    ["$HOME ${X}", '"$$HOME $${X}"'],
    ['"\\', '"\\"\\\\"'],
    ["it's", `"it's"`],
    ["two\nlines\t\u0001", '"two\\nlines\\t\\x01"'],
    ["\u0010\u007f", '"\\x10\\x7f"'],
    [";", '";"'],
  ];
  for (const [text, quoted] of cases) assert.equal(quoteArgument(text), quoted);
  assert.equal(quoteProgram("/opt/a b/$x%"), '"/opt/a b/$x%%"');
});

Deno.test("the flags and the file are checked first", async () => {
  const file = "[plugins.procfs]\n[plugins.relay-client]\nrelay_server = 'server:1'\n";
  const cases: [string[], number, RegExp][] = [
    [["client", "--rely-out", "x"], 64, /Unknown flag --rely-out; did you mean --relay-out/],
    [["client", "--relay-out", "nonsense"], 64, /--relay-out: plugins.relay-client.relay_server/],
    [["client", "--config", "missing.toml"], 78, /there is no such file/],
    [["client"], 64, /Nothing to do/],
    [[], 64, /Name the unit: alumet-relay systemd-unit client or /],
    [["clint", "--relay-out", "x:1"], 64, /Cannot print a unit for clint: .*did you mean client/],
    [["server", "--relay-out", "x:1"], 64, /no input receives from clients with these flags; add --relay-in/],
    [["client", "--relay-in", "[::]:1"], 64, /no output sends to a server with these flags; add --relay-out/],
    [["client", "--relay-out", "x:1", "--state-dir", "/x"], 64, /Cannot use --state-dir in a unit/],
    [
      ["server", "--relay-in", "[::]:1", "--output-file", "/data/x.csv"],
      64,
      /write below \/var\/lib\/alumet-re/,
    ],
    [
      ["client", "--config", "client.toml"],
      64,
      /\/tmp is hidden from its process; copy it to \/etc\/alumet-relay\//,
    ],
  ];
  for (const [args, code, message] of cases) {
    const result = await print(args, { files: { "client.toml": file } });
    assert.equal(result.code, code, `${args.join(" ")}: ${result.err}`);
    assert.match(result.err, message);
    assert.equal(result.out, "", args.join(" "));
  }
});

Deno.test("the file may use secrets of the unit's store of credentials, and sockets of its own directory", async () => {
  const link = `/var/lib/alumet-relay-test-${crypto.randomUUID()}.toml`;
  const text = "[plugins.procfs]\n[plugins.relay-client]\ntoken_file = '${CREDENTIALS_DIRECTORY}/token'\n";
  const tls = "relay_server = 'server:1'\ntls.enable = true\n";
  const sockets = "[plugins.lines]\nunix = '${RUNTIME_DIRECTORY}/lines.sock'\n" +
    "[plugins.socket-control]\nsocket_path = '${RUNTIME_DIRECTORY}/control.sock'\n";
  try {
    await Deno.writeTextFile(link, text + tls + sockets);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return;
    throw error;
  }
  try {
    const { code, out, err } = await print(["client", "--config", link]);
    assert.deepEqual([code, err], [0, ""]);
    assert.deepEqual(values(out, "ExecStart"), [`${INSTALLED_PROGRAM} --config ${link}`]);
    assert.ok(values(out, "LoadCredential").includes("token:alumet-relay-client.token"));
    assert.deepEqual(values(out, "RuntimeDirectory"), ["alumet-relay-client"]);
  } finally {
    await Deno.remove(link);
  }
});

Deno.test("a process gets only what it needs: /proc if it measures, capabilities for its inputs and a low port", async () => {
  const server = (await print(["server", "--relay-in", "[::]:50051"])).out;
  assert.deepEqual(values(server, "CapabilityBoundingSet"), [""]);
  assert.deepEqual(values(server, "ProcSubset"), ["pid"]);
  assert.deepEqual(values(server, "PrivateUsers"), ["yes"]);
  const low = (await print(["server", "--relay-in", "[::]:443"])).out;
  assert.deepEqual(values(low, "CapabilityBoundingSet"), ["CAP_NET_BIND_SERVICE"]);
  assert.deepEqual(values(low, "AmbientCapabilities"), ["CAP_NET_BIND_SERVICE"]);
  assert.deepEqual(values(low, "PrivateUsers"), []);
  const client = (await print(["client", "--relay-out", "s:1"])).out;
  assert.deepEqual(values(client, "CapabilityBoundingSet"), ["CAP_DAC_READ_SEARCH"]);
  assert.deepEqual(values(client, "ProcSubset"), ["all"]);
  assert.match(client, /^# CAP_DAC_READ_SEARCH for rapl: only root may read the energy counters /m);
  const processes = (await print([
    "client",
    "--relay-out",
    "s:1",
    "--plugins",
    "procfs,relay-client",
    "--config-override",
    'plugins.procfs.processes.groups=[{memory_mode="slow_but_accurate",exe_regex="a"}]',
  ])).out;
  assert.deepEqual(values(processes, "CapabilityBoundingSet"), ["CAP_SYS_PTRACE"]);
  assert.match(processes, /^# CAP_SYS_PTRACE for procfs: exe_regex /m);
  assert.deepEqual(values(client, "DeviceAllow"), ["char-nvidia* rw"]);
  assert.deepEqual([...values(client, "PrivateDevices"), ...values(server, "PrivateDevices")], ["no", "yes"]);
  const perf = (await print(["client", "--relay-out", "s:1", "--plugins", "cgroups,perf,relay-client"])).out;
  assert.deepEqual(values(perf, "CapabilityBoundingSet"), ["CAP_PERFMON"]);
  assert.ok(values(perf, "SystemCallFilter").includes("perf_event_open"));
  const gpu = [..."client --relay-out s:1 --plugins amd-gpu,relay-client".split(" "), "--config-override"];
  const all = (await print([...gpu, 'plugins.amd-gpu.processes="all"'])).out;
  assert.match(all, /^# CAP_SYS_PTRACE for amd-gpu: /m);
  const fast = (await print([
    ..."client --relay-out s:1 --config-override plugins.rapl.poll_interval='1ms'".split(" "),
  ])).out;
  assert.match(fast, /^# .* delays the polls of rapl\.\nCPUSchedulingPolicy=rr\nCPUSchedulingPriority=1$/m);
  assert.deepEqual(values(client, "CPUSchedulingPolicy"), []);
  const plain = (await print(["client", "--relay-out", "s:1", "--plugins", "procfs,relay-client"])).out;
  assert.ok(!values(plain, "SystemCallFilter").includes("perf_event_open"));
  assert.deepEqual(values(plain, "CapabilityBoundingSet"), [""]);
  const both = await print(["server", "--relay-in", "[::]:1024", "--plugins", "procfs,relay-server,csv"]);
  assert.deepEqual(values(both.out, "ProcSubset"), ["all"]);
  const hop = (await print(["server", "--relay-in", "[::]:50051", "--relay-out", "s:1"])).out;
  assert.deepEqual(values(hop, "ProcSubset"), ["pid"]);
});

/** What inputs need with their defaults, and with other keys. */
const RIGHTS: [input: string, keys: Record<string, unknown>, capabilities: string[], devices: string[]][] = [
  ["procfs", {}, [], []],
  ["procfs", { processes: { strategy: "event" } }, [], []],
  ["procfs", { processes: { groups: [{ memory_mode: "slow_but_accurate" }] } }, ["CAP_SYS_PTRACE"], []],
  ["procfs", { processes: { groups: [{ exe_regex: "a" }] } }, ["CAP_SYS_PTRACE"], []],
  ["rapl", {}, ["CAP_DAC_READ_SEARCH"], []],
  ["hwmon", {}, [], []],
  ["grace-hopper", {}, [], []],
  ["jetson", {}, [], []],
  ["nvml", {}, [], ["nvidia*"]],
  ["amd-gpu", {}, [], []],
  ["amd-gpu", { processes: "all" }, ["CAP_SYS_PTRACE"], []],
  ["intel-gpu", {}, [], []],
  ["intel-gpu", { processes: "all" }, ["CAP_SYS_PTRACE"], []],
  ["power-supply", {}, [], []],
  ["ipmi", {}, [], ["ipmidev"]],
  ["redfish", {}, [], []],
  ["kwollect-input", {}, [], []],
  ["cgroups", {}, [], []],
  ["k8s", { annotate_foreign_measurements: true }, [], []],
  ["slurm", { annotate_foreign_measurements: true }, [], []],
  ["oar", { annotate_foreign_measurements: true }, [], []],
  ["perf", {}, ["CAP_PERFMON"], []],
  ["lines", {}, [], []],
  ["scrape", {}, [], []],
  ["socket-control", {}, [], []],
  ["relay-server", {}, [], []],
];

Deno.test("the unit asks for exactly what each input needs, and a comment says which input needs it", () => {
  const inputs = plugins.filter(({ kind }) => kind === "input");
  assert.deepEqual([...new Set(RIGHTS.map(([name]) => name))].sort(), inputs.map(({ name }) => name).sort());
  for (const [name, keys, capabilities, devices] of RIGHTS) {
    const plugin = inputs.find((input) => input.name === name)!;
    const config = plugin.config.check(keys, [], () => {});
    const unit = serviceUnit({
      role: "client",
      program: "/bin/true",
      args: [],
      checkArgs: [],
      measures: true,
      capabilities: (plugin.capabilities?.(config) ?? []).map((one) => ({ ...one, plugin: name })),
      devices: (plugin.devices ?? []).map((one) => ({ ...one, plugin: name })),
      realTime: [],
      lowPort: false,
      packaged: false,
    });
    const which = `${name} ${JSON.stringify(keys)}`;
    for (const key of ["CapabilityBoundingSet", "AmbientCapabilities"]) {
      assert.deepEqual(values(unit, key), [capabilities.join(" ")], which);
    }
    assert.deepEqual(values(unit, "DeviceAllow"), devices.map((device) => `char-${device} rw`), which);
    const commented = unit.split("\n").filter((line) => line.includes(` for ${name}: `));
    assert.equal(commented.length, capabilities.length + devices.length, commented.join("\n"));
    const allowsPerf = values(unit, "SystemCallFilter").includes("perf_event_open");
    assert.equal(allowsPerf, capabilities.includes("CAP_PERFMON"), which);
  }
});

Deno.test("a socket has the server's address, or an error says that this Deno does not support it", async () => {
  const { code, out, err } = await print(["socket", "--relay-in", "10.0.0.1:50051"]);
  if (Deno.build.os === "linux" && await canAdopt()) {
    assert.equal(code, 0, err);
    assert.deepEqual(values(out, "ListenStream"), ["10.0.0.1:50051"]);
  } else {
    assert.equal(code, 69);
    assert.equal(out, "");
    assert.match(
      err,
      /compiled with Deno [\d.]+, which cannot take one from systemd; without the unit the server opens its port itself/,
    );
  }
  const stream = (hostname: string) => values(socketUnit({ hostname, port: 7 }, false), "ListenStream");
  assert.deepEqual(stream("::"), ["7"]);
  assert.deepEqual(stream("0.0.0.0"), ["0.0.0.0:7"]);
  assert.deepEqual(stream("fe80::1%eth0"), ["[fe80::1]:7"]);
  assert.deepEqual(values(socketUnit({ hostname: "fe80::1%eth0", port: 7 }, false), "BindToDevice"), [
    "eth0",
  ]);
});

/** Writes the units into a directory, with a program that is there: systemd looks for it. */
async function write(dir: TempDir, packaged: boolean): Promise<string[]> {
  const services = [true, false].flatMap((lowPort) =>
    (["client", "server"] as const).map((role): [string, string] => [
      `alumet-relay-${role}${lowPort ? "-low" : ""}.service`,
      serviceUnit({
        role,
        program: "/bin/true",
        args: ["--config", "/etc/alumet-relay/a b%.toml", '$X"'],
        checkArgs: ["config", "check"],
        measures: role === "client",
        capabilities: role === "client"
          ? [{ plugin: "rapl", name: "CAP_DAC_READ_SEARCH", reason: "only root may read them" }]
          : [],
        realTime: role === "client" ? ["rapl"] : [],
        devices: role === "client" ? [{ plugin: "nvml", name: "nvidia*", reason: "it opens them" }] : [],
        lowPort,
        packaged,
      }),
    ])
  );
  const units = [...services, [
    "alumet-relay-server.socket",
    socketUnit({ hostname: "::", port: 50051 }, packaged),
  ]];
  for (const [name, text] of units) await Deno.writeTextFile(dir.file(name), text);
  return units.map(([name]) => dir.file(name));
}

Deno.test("only packaged units have a permanent user, a group of readers, and a manual page", async () => {
  const printed = (await print(["server", "--relay-in", "[::]:50051"])).out;
  assert.deepEqual([values(printed, "DynamicUser"), values(printed, "UMask")], [["yes"], ["0077"]]);
  assert.deepEqual([...values(printed, "User"), ...values(printed, "Documentation")], []);
  const packaged = PACKAGED_UNITS["alumet-relay-server.service"];
  assert.deepEqual(values(packaged, "DynamicUser"), []);
  assert.deepEqual(values(packaged, "User"), values(packaged, "Group"));
  assert.match(PACKAGED_USER, new RegExp(`^u ${values(packaged, "User")[0]} -`));
  assert.deepEqual([values(packaged, "UMask"), values(packaged, "StateDirectoryMode")], [["0027"], ["0750"]]);
  assert.deepEqual(values(packaged, "Documentation"), ["man:alumet-relay(1)"]);
});

Deno.test({
  name: "systemd-analyze verify reports nothing about the units",
  ...needs(linux, systemd),
  async fn() {
    for (const packaged of [true, false]) {
      await using dir = new TempDir();
      for (const unit of await write(dir, packaged)) {
        // The manual page is in the package. Nor does this machine have its user.
        const man = packaged ? ["--man=no"] : [];
        const { code, stdout, stderr } = await runProgram(["verify", ...man, unit], {
          program: ["systemd-analyze"],
        });
        assert.deepEqual([code, stdout, stderr], [0, "", ""], unit);
      }
    }
  },
});

Deno.test({
  name: "systemd-analyze security finds an exposure of 2.0 at most, 1.3 for a server without a low port",
  ...needs(linux, systemd),
  async fn() {
    for (const packaged of [true, false]) {
      await using dir = new TempDir();
      for (const unit of await write(dir, packaged)) {
        if (!unit.endsWith(".service")) continue;
        const { code, stdout } = await runProgram(
          ["security", "--no-pager", "--offline=true", "--threshold=20", unit],
          { program: ["systemd-analyze"] },
        );
        const [, level] = /Overall exposure level for .*: ([\d.]+)/.exec(stdout)!;
        assert.equal(code, 0, stdout);
        assert.ok(
          Number(level) <= (unit.endsWith("server.service") ? 1.3 : 2),
          `${unit}: ${level}\n${stdout}`,
        );
      }
    }
  },
});
