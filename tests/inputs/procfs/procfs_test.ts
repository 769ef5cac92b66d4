import assert from "node:assert/strict";
import { procfs } from "../../../lib/inputs/procfs.ts";
import { config } from "../../../lib/inputs/procfs/config.ts";
import { KernelSource } from "../../../lib/inputs/procfs/kernel.ts";
import { MemorySource } from "../../../lib/inputs/procfs/memory.ts";
import { NetworkSource } from "../../../lib/inputs/procfs/network.ts";
import { type MetricDefinition, MetricRegistry } from "../../../lib/points/registry.ts";
import { unitUniqueName } from "../../../lib/points/units.ts";
import { contextWith } from "../../kit/context.ts";
import { countPoints } from "../../kit/count_points.ts";
import { logTo, measuringOf, pollOnce } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";
import { pause, until } from "../../kit/waiting.ts";

class RecordingRegistry extends MetricRegistry {
  readonly registered: string[] = [];

  override register(definition: MetricDefinition, suffix?: string) {
    this.registered.push(`${definition.name} ${definition.type} ${unitUniqueName(definition.unit)}`);
    return super.register(definition, suffix);
  }
}

function contextOf(lines: string[] = []) {
  return contextWith({ log: logTo(lines), registry: new RecordingRegistry() });
}

Deno.test("opening registers the metrics of the recorded session, in their order", async () => {
  using tree = new Tree();
  const context = contextOf();
  await using _ = await procfs.open(config.defaultValue(), context, tree);
  assert.deepEqual(context.registry.registered, [
    "kernel_cpu_time u64 millis",
    "kernel_context_switches u64 1",
    "kernel_new_forks u64 1",
    "kernel_n_procs_running u64 1",
    "kernel_n_procs_blocked u64 1",
    "mem_total u64 By",
    "mem_free u64 By",
    "mem_available u64 By",
    "cached u64 By",
    "swap_cached u64 By",
    "active u64 By",
    "inactive u64 By",
    "mapped u64 By",
    "network_bytes u64 By",
    "network_packets u64 1",
    "network_packet_drops u64 1",
    "network_errors u64 1",
    "cpu_time_delta u64 nanos",
    "cpu_percent f64 %",
    "memory_usage u64 By",
  ]);
});

Deno.test("parts that are not enabled register nothing, and an input without parts waits for the stop", async () => {
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network, settings.processes]) {
    part.enabled = false;
  }
  using tree = new Tree();
  const context = contextOf();
  await using input = await procfs.open(settings, context, tree);
  assert.deepEqual(context.registry.registered, []);
  const stop = new AbortController();
  const running = input.run({ push: () => assert.fail() }, stop.signal);
  stop.abort();
  await running;
});

Deno.test("the strategy event measures no process, and says so", async () => {
  using tree = new Tree();
  const settings = config.defaultValue();
  settings.processes.strategy = "event";
  const lines: string[] = [];
  const stop = new AbortController();
  await using input = await procfs.open(settings, contextOf(lines), tree);
  stop.abort();
  const kinds = new Set<string>();
  await input.run({
    push: (batch) => {
      for (let row = 0; row < batch.length; row++) kinds.add(batch.seriesAt(row).consumerKind);
    },
  }, stop.signal);
  assert.deepEqual([...kinds], ["local_machine"]);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /WARN .*No process is measured/);
});

Deno.test("without /proc, opening fails and says what is needed", async () => {
  await assert.rejects(
    () => procfs.open(config.defaultValue(), contextOf(), { proc: "/nonexistent/proc" }),
    (error: Error & { exitCode: number }) => error.exitCode === 69 && /needs Linux/.test(error.message),
  );
});

Deno.test({
  name: "the plugin measures this machine, from the start to the stop",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const settings = config.defaultValue();
    for (const part of [settings.kernel, settings.memory, settings.network]) part.poll_interval = 10;
    settings.processes.groups[0].poll_interval = 10;
    settings.processes.groups[0].flush_interval = 20;
    const lines: string[] = [];
    const context = contextOf(lines);
    await using input = await procfs.open(settings, context);
    const stop = new AbortController();
    const seen = new Set<string>();
    let points = 0;
    const wanted = ["kernel_cpu_time", "mem_total", "cpu_time_delta", "cpu_percent", "memory_usage"];
    await input.run({
      push(batch) {
        points += batch.length;
        for (let row = 0; row < batch.length; row++) {
          const { metric } = batch.seriesAt(row);
          seen.add(metric.name);
          assert.ok(batch.values[row] >= 0 && Number.isFinite(batch.values[row]));
          assert.ok(Math.abs(batch.seconds[row] - Date.now() / 1000) < 60);
          if (metric.type === "u64") assert.ok(batch.exactValue(row) < 2n ** 64n);
        }
        batch.release();
        if (wanted.every((name) => seen.has(name))) stop.abort();
      },
    }, stop.signal);
    assert.equal(input.stats?.points, points);
    assert.ok(input.stats?.processes);
    assert.equal(input.stats?.failedPolls, 0);
    assert.ok(!lines.some((line) => line.includes("ERROR")));
  },
});

Deno.test("intervals change while it runs, and processes keep what was known of them", async () => {
  using tree = new Tree();
  tree.start(500, { user: 100 });
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network, settings.processes.groups[0]]) {
    part.poll_interval = 3_600_000;
  }
  settings.processes.refresh_interval = 3_600_000;
  await using input = await procfs.open(settings, contextOf(), tree);
  const run = countPoints(input);
  await until(() => run.count("mem_total") > 0);
  assert.equal(run.count("mem_total"), 1, "it is polled at once");
  assert.equal(input.stalledSince, undefined);

  const fast = structuredClone(settings);
  fast.memory.poll_interval = 5;
  fast.processes.groups[0].poll_interval = 5;
  fast.processes.groups[0].flush_interval = 5;
  input.reconfigure!(fast);
  await run.grown("mem_total", 5);
  await run.grown("cpu_time_delta", 5);
  const kernel = run.count("kernel_context_switches");
  assert.ok(kernel <= 1, "the kernel's interval is an hour, and it was polled once more");
  const { processesFound, processesEnded } = input.stats!;
  input.reconfigure!(settings);
  // All are polled once more, those that were slow all the time as well.
  await until(() => run.count("kernel_context_switches") > kernel);
  const slow = run.count("mem_total");
  await pause(50);
  assert.equal(run.count("mem_total"), slow, "it is slow again");
  assert.deepEqual([input.stats!.processesFound, input.stats!.processesEnded], [
    processesFound,
    processesEnded,
  ]);
  await run.stop();
});

Deno.test("parts of the whole system are switched on and off while it runs, the others are not touched", async () => {
  using tree = new Tree();
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network]) part.poll_interval = 5;
  settings.processes.enabled = settings.kernel.enabled = false;
  const context = contextOf();
  await using input = await procfs.open(settings, context, tree);
  const run = countPoints(input);
  await run.grown("network_bytes", 3);
  assert.equal(run.count("kernel_cpu_time"), 0);

  const other = structuredClone(settings);
  other.kernel.enabled = true;
  other.network.enabled = false;
  other.memory.metrics = ["MemFree"];
  input.reconfigure!(other);
  const [total, network] = [run.count("mem_total"), run.count("network_bytes")];
  await run.grown("kernel_context_switches", 3);
  await run.grown("mem_free", 3);
  assert.deepEqual([run.count("mem_total"), run.count("network_bytes")], [total, network]);

  for (const part of [other.kernel, other.memory]) part.enabled = false;
  input.reconfigure!(structuredClone(other));
  const free = run.count("mem_free");
  await pause(30);
  assert.equal(run.count("mem_free"), free, "nothing is left to poll");
  input.reconfigure!(settings);
  await run.grown("network_bytes", 3);
  await run.stop();
});

Deno.test("missing files have no points, and a line at debug", () => {
  using tree = new Tree();
  for (const path of ["stat", "meminfo", "net"]) tree.remove(`proc/${path}`);
  const lines: string[] = [];
  const measuring = measuringOf(tree, lines);
  const sources = [
    new KernelSource(measuring, 100),
    new MemorySource(measuring, ["MemTotal"]),
    new NetworkSource(measuring),
  ];
  for (const source of sources) assert.equal(pollOnce(source).length + pollOnce(source).length, 0);
  assert.equal(lines.length, 3, lines.join(""));
  for (const line of lines) assert.match(line, /DEBUG test: No data file=/);
});
