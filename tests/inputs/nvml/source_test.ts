import assert from "node:assert/strict";
import { config } from "../../../lib/inputs/nvml/config.ts";
import { Emitter } from "../../../lib/inputs/nvml/emit.ts";
import { registerMetrics } from "../../../lib/inputs/nvml/metrics.ts";
import { NvmlSource } from "../../../lib/inputs/nvml/source.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { compiler } from "../../kit/c_library.ts";
import { ANSWERS, installNvml, lentSamples, nvmlFolder } from "../../kit/fake_nvml.ts";
import { closing, collect, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
const GPU = "gpu 00000000:3B:00.0 NVIDIA A100\nField186 61520\nMemoryInfo 1000 100 600 300\n";
const OTHER = "gpu 00000000:AF:00.0 NVIDIA A100\nField186 50000\n";

/** A source that is polled by hand. */
function kit(answers: string, { variant = "new" as "new" | "old" } = {}) {
  const tree = new Tree(null);
  const clock = new FakeClock();
  const lines: string[] = [];
  tree.write(ANSWERS, answers);
  installNvml(tree, variant);
  const measuring = measuringOf(tree, lines, clock);
  let late = Promise.withResolvers<void>();
  const isInTime = (answer: Promise<unknown>) =>
    Promise.race([answer.then(() => true), late.promise.then(() => false)]);
  const source = closing(new NvmlSource(config.defaultValue(), measuring, isInTime));
  const take = (): string[] => {
    const batch = pollOnce(source);
    const points = rows(batch);
    batch.release();
    clock.spend(1000);
    return points;
  };
  return {
    tree,
    clock,
    lines,
    source,
    measuring,
    async poll(): Promise<string[]> {
      await source.gather(false);
      return take();
    },
    /** A poll that takes as long as it may, because of a GPU that hangs; the others have answered by then. */
    async pollLate(last = false): Promise<string[]> {
      const gathering = source.gather(last);
      const points: string[] = [];
      await until(() => points.push(...take()) > 0);
      late.resolve();
      await gathering;
      late = Promise.withResolvers();
      return points;
    },
    [Symbol.dispose]() {
      source[Symbol.dispose]();
      tree[Symbol.dispose]();
    },
  };
}

const powers = (points: string[]) =>
  points.filter((row) => row.startsWith("nvml_instant_power")).map((row) => row.replace(/.* /, ""));

Deno.test({
  name:
    "a GPU whose driver hangs is left out until it answers, is asked once, and keeps no other from being measured",
  ...needs(linux, compiler),
  async fn() {
    using k = kit(GPU + OTHER);
    assert.deepEqual(powers(await k.poll()), ["61520", "50000"]);
    k.tree.write(ANSWERS, GPU + "Temperature wait\n" + OTHER);
    // What it did not have is asked for again after ten minutes.
    k.clock.spend(600_000);
    assert.deepEqual(powers(await k.pollLate()), ["50000"]);
    assert.deepEqual(powers(await k.poll()), ["50000"], "the others do not wait again");
    assert.deepEqual(powers(await k.pollLate(true)), ["50000"], "a stop does not wait for it either");
    const hangs = k.lines.filter((line) => line.includes("The driver does not answer"));
    assert.equal(hangs.length, 1);
    k.tree.write(ANSWERS, GPU + "Temperature 41\n" + OTHER);
    await until(async () => powers(await k.poll()).length === 2);
  },
});

Deno.test({
  name: "a library of before field values and second versions of structs gives what it has",
  ...needs(linux, compiler),
  async fn() {
    using k = kit(GPU.replace("Field186", "PowerUsage") + "ComputeRunningProcesses 7 4096 1 2\n", {
      variant: "old",
    });
    assert.deepEqual(await k.poll(), [
      "nvml_instant_power{} gpu:00000000:3B:00.0 local_machine 61520",
      "nvml_gpu_memory_info{kind=free} gpu:00000000:3B:00.0 local_machine 600",
      "nvml_gpu_memory_info{kind=total} gpu:00000000:3B:00.0 local_machine 1000",
      "nvml_gpu_memory_info{kind=used} gpu:00000000:3B:00.0 local_machine 300",
      "nvml_n_compute_processes{} gpu:00000000:3B:00.0 local_machine 1",
      "nvml_used_gpu_memory{context=compute compute_instance_id=2} gpu_partition:00000000:3B:00.0/1 process:7 4096",
    ]);
  },
});

Deno.test({
  name: "a GPU that is lost is measured again when it is back, and one that is added within a minute",
  ...needs(linux, compiler),
  async fn() {
    using k = kit(GPU);
    await k.poll();
    k.tree.write(ANSWERS, GPU.replace("Field186", "Field186 ! 15\nPowerUsage ! 15\nX"));
    assert.deepEqual(await k.poll(), []);
    assert.match(k.lines.at(-1)!, /WARN .*Lost a GPU: the GPU has fallen off the bus/);
    k.tree.write(ANSWERS, GPU + OTHER);
    assert.deepEqual(powers(await k.poll()), [], "it is not asked in each poll");
    k.clock.spend(60_000);
    assert.deepEqual(powers(await k.poll()), ["61520", "50000"]);
  },
});

Deno.test({
  name:
    "devices that may not be opened are a finding with the command that allows it, and a mismatch a warning",
  ...needs(linux, compiler),
  async fn() {
    using denied = kit("init 4\n" + GPU);
    assert.deepEqual(await denied.poll(), []);
    assert.ok(denied.source.isIdle);
    const [{ problem, allow }] = denied.measuring.findings.list;
    assert.deepEqual([problem, allow], ["permission denied", "sudo chmod o+rw /dev/nvidia*"]);
    using mismatch = kit("init 18\n" + GPU);
    await mismatch.poll();
    assert.match(mismatch.lines.join(""), /WARN .*restart the machine after an update of the driver/);
    mismatch.tree.write(ANSWERS, GPU);
    mismatch.clock.spend(60_000);
    assert.equal(powers(await mismatch.poll()).length, 1, "it is tried again");
  },
});

Deno.test({
  name: "a stop takes the round that is under way: probe has a value after its second",
  ...needs(linux, compiler),
  async fn() {
    using k = kit(GPU + "Temperature wait\n" + OTHER);
    const gathering = k.source.gather(false);
    await until(() => k.measuring.findings.list.length === 2);
    const last = k.source.gather(true);
    k.tree.write(ANSWERS, GPU + "Temperature 41\n" + OTHER);
    await last;
    const batch = pollOnce(k.source);
    assert.deepEqual(powers(rows(batch)), ["61520", "50000"]);
    batch.release();
    await gathering;
  },
});

Deno.test({
  name: "the program finds the library where the system has it, and what it measures has its value in probe",
  ...needs(linux, compiler),
  async fn() {
    using tree = new Tree(null);
    tree.write(ANSWERS, "gpu 00000000:3B:00.0 NVIDIA A100\nTotalEnergyConsumption 1000\n");
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", MAIN, "probe", "--plugins", "nvml", "--json"],
      cwd: tree.root,
      env: { LD_LIBRARY_PATH: nvmlFolder(), FAKE_NVML_ANSWERS: `${tree.root}/${ANSWERS}` },
    });
    let said = "";
    await until(
      async () => {
        const { stdout, stderr } = await command.output();
        said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        const [{ found, file, value, unit }] = JSON.parse(new TextDecoder().decode(stdout) || "[{}]");
        // The last answers may come too late for a probe on a busy machine.
        if (value === null) return false;
        assert.deepEqual([found, file, value, unit], [
          "NVIDIA GPU 00000000:3B:00.0 (NVIDIA A100)",
          "libnvidia-ml.so.1",
          0,
          "mJ",
        ], said);
        return true;
      },
      PATIENCE_MS,
      () => said,
    );
  },
});

Deno.test({
  name: "samples of counters are given back: when the next is there, when a part is gone, and in the end",
  ...needs(linux, compiler),
  async fn() {
    const part = (id: number, times: string) => `MigDevice ${id} 9 9 9 9\nGpmSample ${id} ${times}\n`;
    const before = lentSamples();
    {
      using nvml = kit(`${GPU}MigMode 1 1\n${part(1, "1000 0 0 0")}${part(2, "1000 0 0 0")}`);
      await nvml.poll();
      await nvml.poll();
      assert.equal(lentSamples() - before, 2);
      nvml.tree.write(ANSWERS, `${GPU}MigMode 1 1\n${part(2, "2000 500 100 50")}`);
      const uses = (await nvml.poll()).filter((row) => row.includes("utilization"));
      assert.deepEqual(uses, [
        "nvml_gpu_utilization{} gpu_partition:00000000:3B:00.0/2 local_machine 50",
        "nvml_memory_utilization{} gpu_partition:00000000:3B:00.0/2 local_machine 5",
        "nvml_sm_utilization{} gpu_partition:00000000:3B:00.0/2 local_machine 10",
      ]);
      assert.equal(lentSamples() - before, 1);
    }
    assert.equal(lentSamples(), before);
  },
});

Deno.test("10,000 processes that come and go on a GPU leave no series behind", () => {
  const emitter = new Emitter(registerMetrics(new MetricRegistry(), false), "00000000:3B:00.0");
  const first = 5_000_000;
  for (let n = 0; n < 100; n++) {
    const pids = Array.from({ length: 100 }, (_, i) => first + n * 100 + i);
    const computeProcesses = pids.map((pid) => ({ pid, bytes: 1, gpuInstance: n, computeInstance: 0 }));
    const processUtilization = pids.map((pid) => ({ pid, sm: 1, memory: 1, encoder: 1, decoder: 1 }));
    const sample = { computeProcesses, processUtilization, partitions: [] };
    collect((points) => emitter.push(points, sample, 1)).release();
  }
  const before = seriesStore.capacity;
  for (let tick = 0; tick < 400; tick++) seriesStore.tick();
  const live = Array.from({ length: before }, (_, number) => number).filter((number) =>
    seriesStore.isLive(number) && Number(seriesStore.definitionOf(number).consumerId) >= first
  );
  assert.equal(live.length, 0);
});
