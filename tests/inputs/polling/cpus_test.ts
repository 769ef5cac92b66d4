import assert from "node:assert/strict";
import { countCpus, cpusOf, placeOf } from "../../../lib/inputs/polling/cpus.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("lists of CPUs are counted and read", () => {
  for (
    const [list, cpus] of [["0-1\n", [0, 1]], ["0", [0]], ["0-3,8,10-11\n", [0, 1, 2, 3, 8, 10, 11]]] as const
  ) {
    assert.equal(countCpus(list), cpus.length);
    assert.deepEqual(cpusOf(list), cpus);
  }
  for (const list of ["", "\n", "1-2-3", "a", "3-1", "0-99999999999", "65536"]) {
    assert.equal(countCpus(list), undefined);
    assert.equal(cpusOf(list), undefined);
  }
});

Deno.test("a machine has 65,536 CPUs at most", () => {
  assert.equal(countCpus("0-65535"), 65_536);
  assert.equal(countCpus("0-65536"), undefined);
});

Deno.test("a CPU is in a package and on a die, where /sys says so", () => {
  using tree = new Tree(null);
  tree.write("sys/devices/system/cpu/cpu3/topology/physical_package_id", "1\n");
  tree.write("sys/devices/system/cpu/cpu4/topology/physical_package_id", "-1\n");
  tree.write("sys/devices/system/cpu/cpu5/topology/physical_package_id", "1\n");
  tree.write("sys/devices/system/cpu/cpu5/topology/die_id", "2\n");
  const files = new ProcFiles(tree);
  assert.deepEqual([3, 4, 5, 6].map((cpu) => placeOf(files, cpu)), [
    { socket: 1, die: 0 },
    undefined,
    { socket: 1, die: 2 },
    undefined,
  ]);
});
