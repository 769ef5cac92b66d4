import assert from "node:assert/strict";
import { CgroupTree, type TreeOptions } from "../../../lib/inputs/cgroups/tree.ts";
import { DirectoryWatch } from "../../../lib/inputs/polling/directory_watch.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";

/** A tree of groups whose names are all that is known of them. */
function kit(options: Partial<TreeOptions<string>> = {}) {
  const files = new Tree(null);
  const clock = new FakeClock();
  const open = new Set<string>();
  const born = new Map<string, number | undefined>();
  const groups = new CgroupTree<string>({
    root: files.sys,
    clock,
    open(path, folder, bornAfterMs) {
      assert.equal(folder, path === "/" ? files.sys : files.sys + path);
      assert.ok(!open.has(path), `${path} is open`);
      open.add(path);
      born.set(path, bornAfterMs);
      return path;
    },
    close: (path) => void open.delete(path),
    onTooMany: () => {},
    ...options,
  });
  const make = (path: string) => Deno.mkdirSync(files.sys + path, { recursive: true });
  const paths = () => {
    groups.refresh();
    assert.deepEqual(new Set(groups.groups), open);
    return [...groups.groups];
  };
  return {
    files,
    clock,
    open,
    born,
    groups,
    make,
    paths,
    [Symbol.dispose]() {
      groups.close();
      files[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "groups that appear and vanish are known at the next poll, with all below them",
  ...needs(linux),
  fn() {
    using k = kit();
    k.make("/a/b");
    assert.deepEqual(k.paths(), ["/", "/a", "/a/b"]);
    k.clock.spend(10);
    k.make("/a/c/d/e");
    assert.deepEqual(k.paths(), ["/", "/a", "/a/b", "/a/c", "/a/c/d", "/a/c/d/e"]);
    assert.deepEqual([k.born.get("/a/b"), k.born.get("/a/c/d")], [undefined, 0]);
    k.clock.spend(10);
    k.files.remove("sys/a/c");
    k.make("/a/c/f");
    assert.deepEqual(k.paths(), ["/", "/a", "/a/b", "/a/c", "/a/c/f"]);
    assert.equal(k.born.get("/a/c/f"), 10);
    k.files.remove("sys/a");
    assert.deepEqual(k.paths(), ["/"]);
  },
});

Deno.test("without reports of the kernel, folders are read again, but not all the time", () => {
  using k = kit({ watch: null });
  k.make("/a");
  assert.deepEqual(k.paths(), ["/", "/a"]);
  k.make("/b");
  k.clock.spend(999);
  assert.deepEqual(k.paths(), ["/", "/a"]);
  k.clock.spend(1);
  assert.deepEqual(k.paths(), ["/", "/a", "/b"]);
});

Deno.test({
  name: "when reports are lost, or watches are used up, everything is read again",
  ...needs(linux),
  fn() {
    let isLost = false;
    let isFull = false;
    const watch = DirectoryWatch.open()!;
    const weak = {
      add: (path: string) => !isFull && watch.add(path),
      changes() {
        const changes = watch.changes();
        return isLost ? null : changes;
      },
      close: () => watch.close(),
    } as DirectoryWatch;
    using k = kit({ watch: weak });
    assert.deepEqual(k.paths(), ["/"]);
    isLost = true;
    k.make("/a");
    assert.deepEqual(k.paths(), ["/", "/a"]);
    isLost = false;
    isFull = true;
    k.make("/b");
    assert.deepEqual(k.paths(), ["/", "/a", "/b"]);
    k.make("/b/c");
    k.clock.spend(1000);
    assert.deepEqual(k.paths(), ["/", "/a", "/b", "/b/c"]);
  },
});

Deno.test({
  name: "10,000 groups that come and go leave nothing behind",
  ...needs(linux),
  fn() {
    const watch = DirectoryWatch.open()!;
    using k = kit({ watch });
    for (let n = 0; n < 100; n++) {
      for (let i = 0; i < 100; i++) k.make(`/job_${n}_${i}`);
      assert.equal(k.paths().length, 101);
      for (let i = 0; i < 100; i++) Deno.removeSync(`${k.files.sys}/job_${n}_${i}`);
    }
    assert.deepEqual(k.paths(), ["/"]);
    assert.equal(watch.size, 1);
  },
});

Deno.test("a root that is gone has no groups, and is found when it is back", () => {
  using k = kit({ watch: null });
  k.make("/a");
  k.paths();
  k.files.remove("sys");
  k.clock.spend(1000);
  assert.deepEqual(k.paths(), []);
  k.make("/b");
  k.clock.spend(1000);
  assert.deepEqual(k.paths(), ["/", "/b"]);
});

/** A watch that says what the test says. */
function watching(changes: () => string[]): DirectoryWatch {
  return { add: () => true, changes, close: () => {} } as unknown as DirectoryWatch;
}

Deno.test("although nothing is reported, everything is read again after a minute", () => {
  using k = kit({ watch: watching(() => []) });
  k.make("/a");
  assert.deepEqual(k.paths(), ["/", "/a"]);
  k.make("/a/b");
  k.clock.spend(59_999);
  assert.deepEqual(k.paths(), ["/", "/a"]);
  k.clock.spend(1);
  assert.deepEqual(k.paths(), ["/", "/a", "/a/b"]);
});

Deno.test("without reports of the kernel, what is gone is found out, and reading takes a twentieth of the time", () => {
  let tookMs = 0;
  using k = kit({
    watch: null,
    open: (path) => {
      k.clock.spend(tookMs);
      k.open.add(path);
      return path;
    },
  });
  for (const path of ["/a/b", "/a/c", "/d"]) k.make(path);
  assert.deepEqual(k.paths(), ["/", "/a", "/a/b", "/a/c", "/d"]);
  for (const path of ["sys/a/b", "sys/d"]) k.files.remove(path);
  k.clock.spend(1000);
  assert.deepEqual(k.paths(), ["/", "/a", "/a/c"]);
  tookMs = 100;
  k.make("/e");
  k.clock.spend(1000);
  assert.deepEqual(k.paths(), ["/", "/a", "/a/c", "/e"]);
  k.make("/f");
  // Counted from the beginning of the last reading, which took 100 ms.
  k.clock.spend(1899);
  assert.deepEqual(k.paths(), ["/", "/a", "/a/c", "/e"]);
  k.clock.spend(1);
  assert.ok(k.paths().includes("/f"));
});

Deno.test("groups above the limit are left out, which is told once, and come in when others go", () => {
  let told = 0;
  using k = kit({ watch: null, mostGroups: 3, onTooMany: () => told++ });
  for (const path of ["/a", "/b"]) k.make(path);
  assert.deepEqual([k.paths().length, told], [3, 0]);
  k.make("/c");
  k.make("/d");
  for (let n = 0; n < 2; n++) {
    k.clock.spend(1000);
    assert.deepEqual([k.paths(), told], [["/", "/a", "/b"], 1]);
  }
  k.files.remove("sys/a");
  k.clock.spend(1000);
  k.paths();
  k.clock.spend(1000);
  assert.deepEqual([k.paths(), told], [["/", "/b", "/c"], 1]);
  assert.equal(k.born.get("/c"), undefined, "it may have been there before");
});
