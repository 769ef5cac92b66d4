import assert from "node:assert/strict";
import { snakeCase } from "../../../lib/inputs/procfs/meminfo_entries.ts";
import { MemorySource } from "../../../lib/inputs/procfs/memory.ts";
import { closing, measuringOf, pollOnce, rows, values } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

function memoryOf(tree: Tree, entries: string[], lines: string[] = []) {
  return closing(new MemorySource(measuringOf(tree, lines), entries));
}

Deno.test("memory has the entries in bytes, in the order of the file, from the first poll on", () => {
  using tree = new Tree();
  using memory = memoryOf(tree, ["Mapped", "MemTotal", "Active", "Inactive", "MemTotal"]);
  assert.deepEqual(rows(pollOnce(memory)), [
    "mem_total{} local_machine local_machine 25276502016",
    "active{} local_machine local_machine 452321280",
    "inactive{} local_machine local_machine 920977408",
    "mapped{} local_machine local_machine 22188032",
  ]);
  tree.edit("proc/meminfo", /Mapped: .*/, "Mapped: 1 kB");
  assert.equal(values(pollOnce(memory)).at(-1), 1024);
});

Deno.test("memory entries without a unit, above 2^53 bytes, and with odd names are exact; unknown ones have no points", () => {
  using tree = new Tree();
  const lines: string[] = [];
  using memory = memoryOf(tree, ["VmallocTotal", "HugePages_Total", "Active(anon)", "MemTotl"], lines);
  assert.deepEqual(rows(pollOnce(memory)), [
    "active(anon){} local_machine local_machine 1564672",
    "vmalloc_total{} local_machine local_machine 14073748835531776",
    "hugepages_total{} local_machine local_machine 7",
  ]);
  pollOnce(memory);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /DEBUG .*No data .*entry=MemTotl/);
});

Deno.test("the file is read whole, in whatever pieces the kernel gives it, and stands for its first entry", () => {
  using tree = new Tree();
  const open = (path: string) => {
    const file = Deno.openSync(path);
    return {
      readSync: (buffer: Uint8Array) => file.readSync(buffer.subarray(0, 100)),
      seekSync: (offset: number, whence: Deno.SeekMode) => file.seekSync(offset, whence),
      close: () => file.close(),
    };
  };
  const measuring = measuringOf({ proc: tree.proc, open });
  using memory = closing(new MemorySource(measuring, ["MemTotal", "Mapped"]));
  assert.equal(pollOnce(memory).length, 2);
  assert.equal(measuring.findings.list[0].series?.metric.name, "mem_total");
});

Deno.test("names of memory metrics are Alumet's", () => {
  const names = {
    a: "a",
    A: "A",
    Ab: "ab",
    aa: "aa",
    aaa: "aaa",
    snake_case: "snake_case",
    camelCase: "camel_case",
    PascalCase: "pascal_case",
    SReclaimable: "s_reclaimable",
    NFS_Unstable: "nfs_unstable",
    Committed_AS: "committed_as",
    DirectMap4k: "direct_map4k",
    "": "",
    _: "_",
  };
  for (const [entry, name] of Object.entries(names)) assert.equal(snakeCase(entry), name);
});
