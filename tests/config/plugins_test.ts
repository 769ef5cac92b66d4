/** What the plugins of the product declare: keys, defaults, limits, secrets, and what they are. */
import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";
import { DEFAULT_OUTPUT, defaultInputs } from "../../lib/config/flags.ts";
import { general } from "../../lib/config/general.ts";
import { printDefaultConfig } from "../../lib/config/print.ts";
import type { InputPlugin, Plugin, TransformPlugin } from "../../lib/plugin.ts";
import { plugins } from "../../lib/plugins.ts";
import type { AnyKey } from "../../lib/schema.ts";

const ROOT = new URL("../../", import.meta.url);

function pluginOf(name: string): Plugin {
  const plugin = plugins.find((plugin) => plugin.name === name);
  assert.ok(plugin, name);
  return plugin;
}

/** Every key of the plugins, by its path. */
const KEYS: ReadonlyMap<string, AnyKey> = new Map(
  plugins.flatMap(({ name, config }) => [...keysOf(config, name)]),
);

function* keysOf(key: AnyKey, path: string): Generator<[path: string, key: AnyKey]> {
  yield [path, key];
  for (const [name, inner] of Object.entries(key.keys ?? {})) yield* keysOf(inner, `${path}.${name}`);
  if (key.item) yield* keysOf(key.item, `${path}.*`);
}

const pathsOf = (test: (key: AnyKey) => boolean) =>
  [...KEYS].filter(([, key]) => test(key)).map(([path]) => path);

/** The configuration of a plugin with these keys, the others with their defaults. */
function configOf(name: string, values: Record<string, unknown>): unknown {
  return pluginOf(name).config.check(values, [name], ({ message }) => assert.fail(`${name}: ${message}`));
}

Deno.test("config.example.toml has every key of every plugin, with its text and its default", () => {
  const only = [...defaultInputs(plugins), DEFAULT_OUTPUT];
  const config = loadConfig({
    plugins,
    general,
    only,
    file: null,
    requirePipeline: false,
    env: () => undefined,
  });
  const example = Deno.readTextFileSync(new URL("config.example.toml", ROOT));
  assert.equal(printDefaultConfig({ plugins, general, config }), example);
});

Deno.test("numbers of the configuration end where the documents say", () => {
  const limits: Record<string, readonly [least: number, most?: number]> = {
    "procfs.processes.groups.pid": [0, 2 ** 32 - 1],
    "procfs.processes.groups.ppid": [0, 2 ** 32 - 1],
    "kwollect-input.utc_offset": [-24, 24],
    "energy-estimation-tdp.tdp": [0],
    "energy-estimation-tdp.nb_cpu": [0.001],
    "energy-estimation-tdp.idle_watts": [0],
    "energy-estimation-tdp.nb_vcpu": [0],
    "energy-to-carbon.intensity_override.intensity": [0],
    "lines.limits.connections": [1],
    "lines.limits.connections_per_address": [1],
    "lines.limits.new_series_per_second": [1],
    "lines.limits.metrics": [1, 65_536],
    "lines.limits.metrics_per_address": [1, 65_536],
    "lines.limits.name_length": [1, 65_535],
    "scrape.limits.metrics": [1, 65_536],
    "scrape.limits.name_length": [1, 65_535],
  };
  for (const [path, [least, most]] of Object.entries(limits)) {
    const takes = (value: number) => {
      let problems = 0;
      KEYS.get(path)!.check(value, [path], () => void problems++);
      return problems === 0;
    };
    const step = Number.isInteger(least) ? 1 : least;
    assert.deepEqual([takes(least), takes(least - step)], [true, false], path);
    if (most !== undefined) assert.deepEqual([takes(most), takes(most + 1)], [true, false], path);
  }
});

Deno.test("passwords and tokens are secret, and the files that have them are known", () => {
  assert.deepEqual(pathsOf(({ secret }) => secret), [
    "kwollect-input.password",
    "relabel.hash_key",
    "relay-client.token",
    "influxdb.token",
    "influxdb.password",
    "postgresql.url",
    "postgresql.password",
    "opentelemetry.headers",
    "opentelemetry.token",
  ]);
  assert.deepEqual(pathsOf(({ secretFile }) => secretFile === true), [
    "redfish.targets.password_file",
    "kwollect-input.password_file",
    "lines.tokens",
    "lines.tls.key",
    "scrape.targets.token_file",
    "relay-server.tokens",
    "relay-server.tls.key",
    "relay-client.token_file",
    "relay-client.tls.key",
    "influxdb.token_file",
    "influxdb.password_file",
    "postgresql.password_file",
    "postgresql.key_file",
    "opentelemetry.token_file",
  ]);
});

Deno.test("plugins say what they are", () => {
  const inputs = plugins.filter(({ kind }) => kind === "input") as InputPlugin<unknown>[];
  const named = (list: readonly Plugin[]) => list.map(({ name }) => name).join(" ");
  const energies =
    "rapl hwmon grace-hopper jetson nvml amd-gpu intel-gpu power-supply ipmi redfish kwollect-input";
  assert.equal(named(inputs.filter(({ measuresEnergy }) => measuresEnergy)), energies);
  assert.equal(
    named(inputs.filter(({ onlyOnRequest }) => onlyOnRequest)),
    "ipmi redfish kwollect-input perf",
  );
  assert.equal(
    named(plugins.filter(({ isLocal }) => isLocal)),
    "procfs rapl hwmon grace-hopper jetson nvml amd-gpu intel-gpu power-supply ipmi cgroups k8s slurm oar perf " +
      "process-to-cgroup-bridge",
  );
  assert.equal(named(inputs.filter(({ receives }) => receives)), "relay-server");
  assert.equal(named(inputs.filter(({ waitsForRoom }) => waitsForRoom)), "lines");
  assert.equal(
    named(plugins.filter((plugin) => "staged" in plugin && plugin.staged)),
    "rates energy-attribution aggregation",
  );
});

Deno.test("perf, and procfs where its configuration says so, follow the commands exec and watch", () => {
  const follows = (name: string, values: Record<string, unknown>) =>
    (pluginOf(name) as InputPlugin<unknown>).followsCommands!(configOf(name, values));
  assert.ok(follows("perf", {}));
  assert.ok(!follows("procfs", {}));
  assert.ok(follows("procfs", { processes: { strategy: "event" } }));
  assert.ok(!follows("procfs", { processes: { strategy: "event", enabled: false } }));
});

Deno.test("an input whose fastest poll takes 3 ms or less needs real time", () => {
  const needs = (name: string, values: Record<string, unknown>) =>
    pluginOf(name).needsRealTime!(configOf(name, values));
  assert.deepEqual(["3ms", "4ms"].map((poll_interval) => needs("rapl", { poll_interval })), [true, false]);
  // The shortest one counts, wherever it is.
  assert.ok(needs("procfs", { memory: { poll_interval: "2ms" } }));
  assert.ok(needs("procfs", { processes: { groups: [{}, { poll_interval: "2ms" }] } }));
  assert.ok(!needs("procfs", { processes: { refresh_interval: "2ms" } }));
});

Deno.test("an input that takes points from others says where, and when a sender may forget them", () => {
  const input = (name: string) => pluginOf(name) as InputPlugin<unknown>;
  const lines = (values: Record<string, unknown>) => input("lines").listens!(configOf("lines", values));
  assert.equal(lines({ stdin: true, udp: ":1" }), undefined);
  assert.deepEqual(lines({ tcp: ":8094" }), { hostname: "::", port: 8094, family: "IPv6" });
  assert.deepEqual(lines({ http: ":8086", tcp: ":8094" }), { hostname: "::", port: 8086, family: "IPv6" });
  const server = (values: Record<string, unknown>) => configOf("relay-server", values);
  assert.deepEqual(input("relay-server").listens!(server({ address: ":50051" })), {
    hostname: "::",
    port: 50_051,
    family: "IPv6",
  });
  assert.deepEqual(
    ["stored", "journal"].map((acknowledge) => input("relay-server").acknowledges!(server({ acknowledge }))),
    ["stored", "durable"],
  );
});

Deno.test("every key, section and plugin has a text", () => {
  for (const [path, { doc }] of KEYS) assert.match(doc, /^\S.*\w.*[.)]$/s, path);
  for (const { name, description } of plugins) assert.match(description, /^[A-Z].*[^.]$/, name);
});

Deno.test("a transform says how slow the inputs may be for it", () => {
  const patience = (name: string, values: Record<string, unknown>) =>
    (pluginOf(name) as TransformPlugin<unknown>).patience!(configOf(name, values)).map(
      ({ path, ms, withFlush }) => [path.join("."), ms, withFlush],
    );
  const formula = {
    expr: "a",
    ref: "a",
    per_resource: { a: { metric: "a" } },
    per_consumer: { b: { metric: "b" } },
  };
  assert.deepEqual(patience("aggregation", { interval: "10s" }), [["interval", 10_000, false]]);
  assert.deepEqual(patience("rates", { retention_time: "1m" }), [["retention_time", 60_000, true]]);
  assert.deepEqual(patience("energy-attribution", { energy_by: ["job"], formulas: { f: formula } }), [
    ["retention_time", 15_000, true],
    ["formulas.f.retention_time", 15_000, true],
  ]);
  assert.deepEqual(
    patience("energy-attribution", { formulas: { f: { ...formula, retention_time: "10s" } } }),
    [["formulas.f.retention_time", 5000, true]],
  );
});
