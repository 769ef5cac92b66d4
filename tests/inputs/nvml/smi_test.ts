import assert from "node:assert/strict";
import { within } from "../../../lib/base/waiting.ts";
import { config } from "../../../lib/inputs/nvml/config.ts";
import { NvmlSource } from "../../../lib/inputs/nvml/source.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";

const KNOWN = [
  ["pci.bus_id", "gpu_bus_id"],
  ["name", "gpu_name"],
  ["power.draw"],
  ["temperature.gpu"],
  ["utilization.gpu"],
  ["utilization.memory"],
  ["memory.total"],
  ["memory.used"],
  ["memory.free"],
  ["clocks.current.graphics", "clocks.gr"],
  ["clocks.current.sm", "clocks.sm"],
  ["clocks.current.memory", "clocks.mem"],
  ["clocks.current.video", "clocks.video"],
];

/** A made-up nvidia-smi, which ends if it is asked for a field that it does not know, as the real one does. */
const PROGRAM = `#!/bin/sh
cd "$(dirname "$0")"
case "$1" in
--help-query-gpu) cat help ;;
--query-compute-apps=*) while :; do cat apps; sleep 0.02; done ;;
*reserved* | *instant*) echo 'Field "memory.reserved" is not a valid field to query.'; exit 2 ;;
*) echo "$@" >>arguments; while :; do cat gpus; sleep 0.02; done ;;
esac
`;

function kit({ hasDevice = true } = {}) {
  const tree = new Tree(null);
  if (hasDevice) tree.write("dev/nvidiactl", "");
  tree.install("nvidia-smi", PROGRAM);
  tree.write(
    "bin/help",
    KNOWN.map((names) => names.map((name) => `"${name}"`).join(" or ")).join("\nAbout it.\n\n"),
  );
  tree.write(
    "bin/gpus",
    "00000000:3B:00.0, NVIDIA A100, 61.52, 41, 37, 12, 39424, 40960, 1024, 1410, 1411, 9501, [N/A]\n" +
      "00000000:AF:00.0, Tesla K80, [Not Supported], 50, [N/A], [N/A], 10, 20, 10, 1, 2, 3, 4\n",
  );
  tree.write("bin/apps", "00000000:3B:00.0, 4242, 1024\n00000000:3B:00.0, 4243, [N/A]\n");
  const clock = new FakeClock();
  const lines: string[] = [];
  const source = new NvmlSource(
    { ...config.defaultValue(), poll_interval: 20 },
    measuringOf(tree, lines, clock),
    // A busy machine takes its time to start programs.
    (answer) => within(answer, PATIENCE_MS),
  );
  const poll = async () => {
    await source.gather(false);
    const batch = pollOnce(source);
    const points = rows(batch);
    batch.release();
    clock.spend(1);
    return points;
  };
  /** Polls until there is a point that matches. */
  const polled = async (pattern: RegExp) => {
    let points: string[] = [];
    await until(async () => (points = await poll()).some((row) => pattern.test(row)));
    return points;
  };
  return {
    tree,
    clock,
    lines,
    source,
    poll,
    polled,
    async [Symbol.asyncDispose]() {
      source.close();
      // The programs end a moment later.
      await until(() => [...Deno.readDirSync("/proc")].every(({ name }) => !runsIn(name, tree.bin)));
      tree[Symbol.dispose]();
    },
  };
}

/** Whether a process is the program of this folder. */
function runsIn(pid: string, folder: string): boolean {
  try {
    return /^\d+$/.test(pid) &&
      Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(`${folder}/nvidia-smi`);
  } catch {
    return false;
  }
}

Deno.test({
  name:
    "without the library, nvidia-smi is asked for the fields that it knows, and what is not a number is left out",
  ...needs(linux),
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using k = kit();
    assert.ok((await k.poll()).length > 0, "the first poll waits for the first line");
    assert.ok(!k.source.isIdle);
    await k.polled(/4242/);
    const points = await k.polled(/nvml_instant_power.*3B/);
    assert.deepEqual(points.filter((row) => /3B.*local_machine/.test(row) && !row.includes("energy")), [
      "nvml_instant_power{} gpu:00000000:3B:00.0 local_machine 61520",
      "nvml_temperature_gpu{} gpu:00000000:3B:00.0 local_machine 41",
      "nvml_gpu_utilization{} gpu:00000000:3B:00.0 local_machine 37",
      "nvml_memory_utilization{} gpu:00000000:3B:00.0 local_machine 12",
      `nvml_gpu_memory_info{kind=free} gpu:00000000:3B:00.0 local_machine ${39424 * 2 ** 20}`,
      `nvml_gpu_memory_info{kind=total} gpu:00000000:3B:00.0 local_machine ${40960 * 2 ** 20}`,
      `nvml_gpu_memory_info{kind=used} gpu:00000000:3B:00.0 local_machine ${1024 * 2 ** 20}`,
      "nvml_n_compute_processes{} gpu:00000000:3B:00.0 local_machine 2",
    ]);
    const process = `nvml_used_gpu_memory{context=compute} gpu:00000000:3B:00.0 process:4242 ${
      1024 * 2 ** 20
    }`;
    assert.deepEqual(points.filter((row) => row.includes("process:")), [process]);
    assert.match(k.tree.read("bin/arguments"), /^--query-gpu=pci\.bus_id,name,power\.draw,temp.* -lms 20\n/);
    await k.polled(/nvml_energy_consumption.*3B.* [1-9]/);
    assert.match(
      k.lines.join(""),
      /INFO .*Found NVIDIA GPU 00000000:AF:00.0 \(Tesla K80\) file=\S+nvidia-smi/,
    );
  },
});

Deno.test({
  name:
    "an nvidia-smi that ends is reported and started again, and a GPU that it no longer lists is forgotten",
  ...needs(linux),
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using k = kit();
    await k.polled(/3B/);
    k.tree.write("bin/gpus", k.tree.read("bin/gpus").split("\n")[1] + "\n");
    await k.polled(/AF/);
    await until(async () => !(await k.poll()).some((row) => row.includes("3B")));
    k.tree.install("nvidia-smi", "#!/bin/sh\nexit 9\n");
    for (const { name } of Deno.readDirSync("/proc")) {
      try {
        if (runsIn(name, k.tree.bin)) Deno.kill(Number(name), "SIGKILL");
      } catch { /* a child of it that became another program, and has ended */ }
    }
    await until(async () => (await k.poll(), k.lines.join("").includes("it ended with exit code")));
    k.tree.install("nvidia-smi", PROGRAM);
    k.clock.spend(20_000);
    await k.polled(/AF/);
  },
});

Deno.test({
  name: "without a device of the driver, no program is run",
  ...needs(linux),
  async fn() {
    await using k = kit({ hasDevice: false });
    assert.deepEqual(await k.poll(), []);
    assert.ok(k.source.isIdle);
    assert.ok(!k.tree.has("bin/arguments"));
  },
});
