import assert from "node:assert/strict";
import { KernelSource } from "../../../lib/inputs/procfs/kernel.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { closing, collect, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

function kernelOf(tree: Tree) {
  return closing(new KernelSource(measuringOf(tree), 100));
}

Deno.test("kernel has nothing at the first poll, and then the differences, in Alumet's order", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  assert.deepEqual(rows(pollOnce(kernel)), []);
  tree.write(
    "proc/stat",
    "cpu  1001 22 303 40100 999 7 72 11 94 15\n" +
      "cpu0 601 11 202 20040 300 3 41 6 52 8\n" +
      "cpu1 400 11 101 20060 200 4 31 5 42 7\n" +
      "ctxt 295648\nprocesses 4470\nprocs_running 3\nprocs_blocked 0\n",
  );
  const states = (resource: string, ...ms: number[]) =>
    ["user", "nice", "system", "idle", "irq", "softirq", "steal", "guest", "guest_nice"].map((state, i) =>
      `kernel_cpu_time{cpu_state=${state}} ${resource} local_machine ${ms[i]}`
    );
  assert.deepEqual(rows(pollOnce(kernel)), [
    ...states("local_machine", 10, 20, 30, 1000, 10, 20, 30, 40, 50),
    ...states("cpu_core:0", 10, 10, 20, 400, 0, 10, 20, 20, 30),
    ...states("cpu_core:1", 0, 10, 10, 600, 10, 10, 10, 20, 20),
    "kernel_context_switches{} local_machine local_machine 100",
    "kernel_new_forks{} local_machine local_machine 3",
    "kernel_n_procs_running{} local_machine local_machine 3",
    "kernel_n_procs_blocked{} local_machine local_machine 0",
  ]);
});

Deno.test("CPUs are known by their numbers: one that goes offline does not move others, one that comes online has a new baseline", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  pollOnce(kernel);
  const idleOf = (batch: Batch) =>
    rows(batch).filter((row) => row.includes("=idle} cpu_core")).map((row) => row.replace(/.*cpu_core/, ""));
  tree.write("proc/stat", "cpu1 400 10 100 20007 200 3 30 4 40 5\ncpu2 1 1 1 1000 1 1 1 1 1 1\n");
  assert.deepEqual(idleOf(pollOnce(kernel)), [":1 local_machine 70"]);
  tree.write(
    "proc/stat",
    "cpu0 0 0 0 5 0 0 0 0 0 0\ncpu1 400 10 100 20008 200 3 30 4 40 5\ncpu2 1 1 1 1002 1 1 1 1 1 1\n",
  );
  assert.deepEqual(idleOf(pollOnce(kernel)), [":1 local_machine 10", ":2 local_machine 20"]);
});

Deno.test("a kernel counter that goes back has no point, and counts from there", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  pollOnce(kernel);
  tree.write("proc/stat", "cpu 1000 20 300 39990 0 6 70 8 90 10\nctxt 5\nprocesses 4468\n");
  const back = rows(pollOnce(kernel));
  assert.ok(!back.some((row) => row.includes("idle") || row.includes("context_switches")));
  assert.ok(back.some((row) => row.startsWith("kernel_new_forks") && row.endsWith(" 1")));
  tree.write("proc/stat", "cpu 1000 20 300 39991 0 6 70 8 90 10\nctxt 6\nprocesses 4468\n");
  const after = rows(pollOnce(kernel));
  assert.ok(after.includes("kernel_cpu_time{cpu_state=idle} local_machine local_machine 10"));
  assert.ok(after.includes("kernel_context_switches{} local_machine local_machine 1"));
});

Deno.test("states and lines that a kernel lacks have no points", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  tree.write("proc/stat", "cpu 1 2 3 4\nctxt x\n");
  pollOnce(kernel);
  assert.equal(pollOnce(kernel).length, 4);
});

Deno.test("a /proc/stat of many interrupts is read whole", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  tree.edit("proc/stat", /intr .*/, "intr 1" + " 0".repeat(200_000));
  pollOnce(kernel);
  assert.equal(rows(pollOnce(kernel)).at(-1), "kernel_n_procs_blocked{} local_machine local_machine 1");
});

Deno.test("what a kernel says no more, or in another form, has no point, and no value that is refused", () => {
  using tree = new Tree();
  using kernel = kernelOf(tree);
  const lines: string[] = [];
  const poll = (text: string) => {
    tree.write("proc/stat", text);
    return rows(collect((points) => kernel.poll(points), lines)).map((row) =>
      row.replace(/ local_machine/g, "")
    );
  };
  const all =
    "cpu 1 2 3 4 5 6 7 8 9 10 11 12\ncpux 5 5 5 5 5 5 5 5 5 5\ncpu-1 5 5 5 5\nctxt 5\nprocesses 6\nprocs_running 1\n";
  assert.deepEqual(poll(all), []);
  assert.equal(poll(all).length, 9 + 2 + 1, "the columns that are known");
  assert.deepEqual(poll("cpu 2 2 3 4\ncpux 9 9 9 9\nctxt x\nprocesses\nprocs_running x\n"), [
    "kernel_cpu_time{cpu_state=user} 10",
    "kernel_cpu_time{cpu_state=nice} 0",
    "kernel_cpu_time{cpu_state=system} 0",
    "kernel_cpu_time{cpu_state=idle} 0",
  ]);
  assert.deepEqual(lines, []);
});

Deno.test("a system without /proc/stat is said once", () => {
  using tree = new Tree(null);
  const lines: string[] = [];
  using kernel = closing(new KernelSource(measuringOf(tree, lines), 100));
  for (let n = 0; n < 3; n++) assert.equal(pollOnce(kernel).length, 0);
  assert.equal(lines.filter((line) => line.includes("No data")).length, 1);
});
