import assert from "node:assert/strict";
import { ProgramPages, unchangedRanges } from "../../lib/agent/program_pages.ts";
import { seriesBytes } from "../../lib/agent/series_memory.ts";
import { memoryOf, resolveMemory, transformBytes } from "../../lib/transforms/memory.ts";
import { SpareMemory } from "../../lib/agent/spare_memory.ts";
import { openLibc } from "../../lib/base/libc.ts";
import {
  CGROUP_VARIABLE,
  hideCgroupVariable,
  memoryShare,
  usableMemoryBytes,
} from "../../lib/base/memory.ts";
import { linux, needs } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";

const GIB = 1024 ** 3;

/** What a process reads that is in these cgroups, on a machine with 8 GiB. */
async function bytesIn(cgroup: string, limits: Record<string, string>): Promise<number> {
  await using dir = new TempDir();
  const write = (path: string, text: string) => {
    const file = dir.file(path);
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  };
  write("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:          123456 kB\n");
  write("proc/self/cgroup", cgroup);
  for (const [path, text] of Object.entries(limits)) write(`cgroup/${path}`, text);
  return usableMemoryBytes(dir.file("proc"), dir.file("cgroup"));
}

Deno.test("without limits, a process may use the memory of the machine", async () => {
  assert.equal(
    await bytesIn("0::/system.slice/relay.service\n", { "system.slice/memory.max": "max\n" }),
    8 * GIB,
  );
  assert.equal(
    await bytesIn("4:memory:/a\n", { "memory/a/memory.limit_in_bytes": "9223372036854771712\n" }),
    8 * GIB,
  );
});

Deno.test("the smallest limit of the cgroup and of those around it counts, in both versions of cgroups", async () => {
  const unified = {
    "a/memory.max": `${2 * GIB}\n`,
    "a/b/memory.max": `${3 * GIB}\n`,
    "a/b/c/memory.max": "max\n",
  };
  assert.equal(await bytesIn("0::/a/b/c\n", unified), 2 * GIB);
  const old = { "memory/x/memory.limit_in_bytes": `${GIB}\n` };
  assert.equal(await bytesIn("5:cpu,memory:/x/y\n3:pids:/\n0::/\n", old), GIB);
  // In a container its own cgroup is the root.
  assert.equal(await bytesIn("0::/\n", { "memory.max": "419430400\n" }), 400 * 1024 ** 2);
});

Deno.test("where nothing can be read, it is a gibibyte", () => {
  assert.equal(usableMemoryBytes("/nowhere", "/nowhere"), GIB);
});

Deno.test("above memory.high the kernel slows a process down, so it counts like a limit", async () => {
  const files = { "a/memory.max": `${2 * GIB}\n`, "a/memory.high": `${GIB}\n` };
  assert.equal(await bytesIn("0::/a\n", files), GIB);
});

Deno.test("a share of the memory has its part of what the program leaves, at least 4 MiB and at most 1 GiB", () => {
  const MIB = 1024 ** 2;
  assert.equal(memoryShare(0, 2), 4 * MIB);
  assert.equal(memoryShare(250 * MIB, 2), 50 * MIB);
  assert.equal(memoryShare(64 * GIB, 2), GIB);
});

Deno.test("series get a quarter of the memory that the process does not need itself, within bounds", () => {
  const MIB = 1024 ** 2;
  assert.equal(seriesBytes(250 * MIB), 25 * MIB);
  assert.equal(seriesBytes(2 * GIB), 474 * MIB);
  assert.equal(seriesBytes(64 * GIB), GIB);
  assert.equal(seriesBytes(100 * MIB), 4 * MIB);
  assert.equal(seriesBytes(155 * MIB), 4 * MIB);
});

Deno.test("what a transform keeps gets an eighth of it, in steps that are the same for a little more memory", () => {
  const MIB = 1024 ** 2;
  assert.equal(transformBytes(250 * MIB), 12 * MIB);
  assert.equal(transformBytes(2 * GIB), 224 * MIB);
  assert.equal(transformBytes(8 * GIB), 960 * MIB);
  assert.equal(transformBytes(8 * GIB - 16 * MIB), 960 * MIB);
  assert.equal(transformBytes(64 * GIB), GIB);
  assert.equal(transformBytes(100 * MIB), 4 * MIB);
});

Deno.test("programs do not get the variable that this program is compiled with, but one that the user has set", () => {
  const { name, value } = CGROUP_VARIABLE;
  const before = Deno.env.get(name);
  try {
    for (const [given, left] of [[value, undefined], ["1", "1"]] as const) {
      Deno.env.set(name, given);
      hideCgroupVariable();
      assert.equal(Deno.env.get(name), left);
    }
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
});

Deno.test("a path of a cgroup that leads outside of the mount counts as far as it is inside", async () => {
  assert.equal(await bytesIn("0::/../a\n", { "a/memory.max": `${GIB}\n`, "memory.max": "max\n" }), GIB);
  assert.equal(await bytesIn("0::/a//b\n", { "a/b/memory.max": `${GIB}\n` }), GIB);
});

Deno.test({
  name: "memory that the C library keeps for later goes back to the kernel",
  ...needs(linux),
  fn() {
    const library = openLibc({
      malloc: { parameters: ["usize"], result: "pointer" },
      free: { parameters: ["pointer"], result: "void" },
      memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
    });
    using spare = SpareMemory.open();
    if (!library || !spare) return;
    const { malloc, free, memset } = library.symbols;
    const residentMiB = () =>
      Number(/^RssAnon:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]) / 1024;
    // Blocks of this size come from the heap; the last one keeps its end where it is.
    const blocks = Array.from({ length: 1000 }, () => memset(malloc(65_536n), 1, 65_536n));
    for (const block of blocks.slice(0, -1)) free(block);
    const keptMiB = residentMiB();
    spare.giveBack();
    assert.ok(residentMiB() < keptMiB - 40, `${keptMiB} MiB, then ${residentMiB()} MiB`);
    free(blocks.at(-1)!);
    library.close();
  },
});

/** A mapping as `/proc/PID/smaps` has it. */
const mapping = (range: string, rights: string, path: string, anonymousKb: number) =>
  `${range} ${rights} 00001000 fd:00 1234    ${path}\nSize:    64 kB\nRss:     48 kB\n` +
  `Anonymous:             ${anonymousKb} kB\nVmFlags: rd ex mr mw me\n`;

Deno.test("only pages of the program that nothing can have changed go back", () => {
  const path = "/opt/our relay (deleted)";
  const smaps = [
    mapping("55d000000000-55d000100000", "r--p", path, 0),
    mapping("55d000100000-55d000300000", "r-xp", path, 0),
    mapping("55d000300000-55d000310000", "r--p", path, 4),
    mapping("55d000310000-55d000320000", "rw-p", path, 0),
    mapping("7f0000000000-7f0000010000", "r-xp", "/usr/lib/libc.so.6", 0),
    mapping("7f0000020000-7f0000030000", "r-xp", `/copy${path}`, 0),
    mapping("7f0000040000-7f0000050000", "r--s", path, 0),
    mapping("7f0000060000-7f0000070000", "r-xp", "", 0),
  ].join("");
  assert.deepEqual(unchangedRanges(smaps, path), [
    { start: 0x55d000000000n, end: 0x55d000100000n },
    { start: 0x55d000100000n, end: 0x55d000300000n },
  ]);
  // Cut behind a path.
  assert.deepEqual(unchangedRanges(smaps.slice(0, smaps.indexOf("Size")), path), []);
});

Deno.test({
  name: "pages of the program that only its start has used go back to the kernel, and it runs on",
  ...needs(linux),
  fn() {
    const given: bigint[] = [];
    using pages = ProgramPages.open((_address, lengthBytes) => {
      given.push(lengthBytes);
      return 0;
    });
    pages!.giveBack();
    assert.ok(given.length > 0 && given.every((bytes) => bytes > 0n), `${given}`);
    const residentKb = () =>
      Number(/^RssFile:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
    const beforeKb = residentKb();
    let collected = 0;
    using spare = SpareMemory.open(() => collected++);
    spare!.giveBack();
    assert.equal(collected, 0);
    spare!.giveBackAll();
    assert.equal(collected, 1);
    assert.ok(residentKb() < beforeKb - 1024, `${beforeKb} kB, then ${residentKb()} kB`);
  },
});

Deno.test("the memory of a transform is what its configuration says, or what the process may use for it", () => {
  assert.deepEqual(resolveMemory({ memory: 5 }), {});
  const { memory } = resolveMemory({});
  assert.equal(memory, transformBytes(usableMemoryBytes()));
  assert.deepEqual([memoryOf({ memory: 5 }), memoryOf({})], [5, memory]);
});
