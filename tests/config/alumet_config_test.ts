/** Configurations of real agents: what they write, and each key of the inputs that measure, with its default. */
import { parse } from "@std/toml";
import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";
import { general } from "../../lib/config/general.ts";
import { plugins } from "../../lib/plugins.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** What `alumet-agent config regen` of a real agent has written. */
const FILE = new URL("../testdata/alumet-config-regen.toml", import.meta.url).pathname;

Deno.test("the file that a real agent writes is valid with all plugins that are available here, and with each of them", () => {
  const text = Deno.readTextFileSync(FILE);
  const names = plugins.map(({ name }) => name).filter((name) =>
    new RegExp(`^\\[plugins\\.${name}[.\\]]`, "m").test(text)
  );
  assert.ok(names.length >= 9, names.join());
  for (const only of [names, ...names.map((name) => [name])]) {
    const config = loadConfig({
      plugins,
      general,
      file: FILE,
      only,
      requirePipeline: false,
      env: () => undefined,
    });
    assert.deepEqual(config.plugins.map(({ plugin }) => plugin.name).sort(), only.toSorted());
  }
});

const POLL_1S = { poll_interval: '"1s"' };
const PACE = { ...POLL_1S, flush_interval: '"5s"' };
const GROUPS = { poll_interval: '"5s"', disable_sources: "false" };
const JOBS = { ...GROUPS, annotate_foreign_measurements: "false" };
const EVERY_5S = { enabled: "true", poll_interval: '"5s"' };

/** The defaults of a real agent (0.9.5), as TOML, by section and key; `undefined` where a key has none. */
const DEFAULTS: Record<string, Record<string, string | undefined>> = {
  "rapl": { ...PACE, no_perf_events: "false" },
  "cgroups": GROUPS,
  "k8s": {
    ...JOBS,
    k8s_node: undefined,
    k8s_api_url: '"http://127.0.0.1:8080"',
    token_retrieval: '"auto"',
    annotate_containers: "false",
  },
  "slurm": {
    ...JOBS,
    ignore_non_jobs: "true",
    jobs_monitoring_level: '"job"',
    add_source_in_pause_state: "false",
    cgroupv1_refresh_interval: undefined,
  },
  "oar": { ...JOBS, oar_version: '"oar3"', jobs_only: "true" },
  "nvml": { ...PACE, skip_failed_devices: "true", mode: '"full"' },
  "amd-gpu": { ...PACE, skip_failed_devices: "true" },
  "jetson": PACE,
  "grace-hopper": { ...POLL_1S, root_path: '"/sys/class/hwmon"' },
  "perf": {
    ...PACE,
    events: '["REF_CPU_CYCLES", "CACHE_MISSES", "BRANCH_MISSES", "LL_READ_MISS"]',
    add_source_in_pause_state: "false",
  },
  "kwollect-input": {
    site: '"cluster"',
    hostname: '"node"',
    metrics: '["metric"]',
    // Placeholders, of which nothing is sent.
    login: undefined,
    password: undefined,
    // It has no effect.
    utc_offset: undefined,
  },
  "socket-control": { socket_path: '"alumet-control.sock"' },
  "procfs.kernel": EVERY_5S,
  "procfs.memory": {
    ...EVERY_5S,
    metrics:
      '["MemTotal", "MemFree", "MemAvailable", "Cached", "SwapCached", "Active", "Inactive", "Mapped"]',
  },
  "procfs.network": EVERY_5S,
  "procfs.processes": { enabled: "true", refresh_interval: '"2s"', strategy: '"watcher"' },
  "procfs.processes.events": { ...POLL_1S, flush_interval: '"4s"', memory_mode: '"quick"' },
};

/** Other values that a real agent takes. */
const OTHERS: [section: string, key: string, ...values: string[]][] = [
  ["rapl", "poll_interval", '"150ms"', '"1s 500ms"', '"1m 30s"', '"2min"', '"1h"'],
  ["rapl", "no_perf_events", "true"],
  ["cgroups", "disable_sources", "true"],
  ["k8s", "k8s_node", '"node-7"'],
  ["k8s", "k8s_api_url", '"https://10.0.0.1:6443"'],
  ["k8s", "token_retrieval", '"file"', '"kubectl"', '{ file = "/run/token" }'],
  ["k8s", "token_retrieval", '{ kubectl = { service_account = "alumet-reader", namespace = "alumet" } }'],
  ["slurm", "jobs_monitoring_level", '"step"', '"substep"', '"task"'],
  ["slurm", "cgroupv1_refresh_interval", '"30s"'],
  ["slurm", "add_source_in_pause_state", "true"],
  ["oar", "oar_version", '"oar2"'],
  ["nvml", "mode", '"minimal"'],
  ["nvml", "skip_failed_devices", "false"],
  ["amd-gpu", "skip_failed_devices", "false"],
  ["perf", "events", '["INSTRUCTIONS#u:k", { event = "r01c2", rename = "x" }, { event = "CPU_CYCLES" }]'],
  ["perf", "events", '["CGROUP_SWITCHES", "L1D_READ_ACCESS", "r0xc2", "mem_load_retired:l1_hit"]', "[]"],
  ["kwollect-input", "utc_offset", "2", "-3"],
  ["procfs.processes", "strategy", '"event"'],
  ["procfs.processes.events", "memory_mode", '"slow_but_accurate"'],
];

/** What the plugin makes of a section with this text in it. @throws the problems */
function valueOf(section: string, text: string): unknown {
  const [name] = section.split(".");
  const plugin = plugins.find((plugin) => plugin.name === name)!;
  const { plugins: sections } = parse(`[plugins.${section}]\n${text}`) as {
    plugins: Record<string, Record<string, unknown>>;
  };
  const problems: string[] = [];
  const value = plugin.config.check(sections[name], [], ({ message, isNote }) => {
    if (!isNote) problems.push(message);
  });
  assert.deepEqual(problems, [], `[plugins.${section}] ${text}`);
  return value;
}

Deno.test("each key of Alumet's inputs may be left out, and has Alumet's default then", () => {
  for (const [section, keys] of Object.entries(DEFAULTS)) {
    const withoutKeys = valueOf(section, "");
    for (const [key, value] of Object.entries(keys)) {
      if (value === undefined) continue;
      assert.deepEqual(valueOf(section, `${key} = ${value}`), withoutKeys, `${section}: ${key}`);
    }
    const all = Object.entries(keys).flatMap(([key, value]) =>
      value === undefined ? [] : `${key} = ${value}`
    );
    assert.deepEqual(valueOf(section, all.join("\n")), withoutKeys, section);
  }
});

Deno.test("each value that Alumet's inputs take is taken", () => {
  for (const [section, key, ...values] of OTHERS) {
    assert.ok(key in DEFAULTS[section], `${section}: ${key}`);
    for (const value of values) {
      const taken = valueOf(section, `${key} = ${value}`);
      if (value !== DEFAULTS[section][key]) {
        assert.notDeepEqual(taken, valueOf(section, ""), `${section}: ${key} = ${value}`);
      }
    }
  }
});

Deno.test("the table of keys has those of the file that a real agent writes", () => {
  const { plugins: sections } = parse(Deno.readTextFileSync(FILE)) as { plugins: Record<string, unknown> };
  for (const [section, keys] of Object.entries(DEFAULTS)) {
    const written = section.split(".").reduce<unknown>(
      (table, name) => (table as Record<string, unknown> | undefined)?.[name],
      sections,
    );
    for (const [key, value] of Object.entries((written ?? {}) as Record<string, unknown>)) {
      const isTable = typeof value === "object" && !Array.isArray(value);
      if (isTable || key === "groups") continue;
      assert.ok(key in keys, `${section}: ${key}`);
      if (keys[key] !== undefined) assert.deepEqual(parse(`x = ${keys[key]}`).x, value, `${section}: ${key}`);
    }
  }
});

Deno.test("keys that Alumet's plugins of control groups ignore are ignored, with a note that says so", async () => {
  await using dir = new TempDir();
  // Mistyped, as Alumet's own documentation has it, and as an earlier version wrote it.
  const keys = 'poll_interval = "2s"\ndisable_source = true\nsources_disable = true\npath = "/"\n';
  for (const only of ["cgroups", "k8s", "slurm", "oar"]) {
    const file = dir.file(`${only}.toml`);
    await Deno.writeTextFile(file, `[plugins.${only}]\n${keys}`);
    const config = loadConfig({ plugins, general, file, only: [only], requirePipeline: false });
    const { poll_interval, disable_sources } = config.plugins[0].config as Record<string, unknown>;
    assert.deepEqual([poll_interval, disable_sources], [2000, false]);
    const ignored = (line: number, key: string) =>
      `${file}:${line}: plugins.${only}.${key}: ignored: unknown key; `;
    assert.equal(config.notes[0], `${ignored(3, "disable_source")}did you mean disable_sources?`);
    for (const [n, key] of [[1, "sources_disable"], [2, "path"]] as const) {
      const start = `${ignored(3 + n, key)}expected one of poll_interval, disable_sources, `;
      assert.ok(config.notes[n].startsWith(start), config.notes[n]);
    }
    assert.equal(config.notes.length, 3);
  }
});
