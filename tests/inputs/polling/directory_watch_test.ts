import assert from "node:assert/strict";
import { DirectoryWatch } from "../../../lib/inputs/polling/directory_watch.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test({
  name: "folders that appear, move and vanish are reported by the folder that they are in, files are not",
  ...needs(linux),
  fn() {
    using tree = new Tree(null);
    using watch = DirectoryWatch.open()!;
    assert.ok(watch.add(tree.sys) && watch.add(tree.proc));
    assert.deepEqual(watch.changes(), new Set());
    tree.write("sys/file", "x");
    assert.deepEqual(watch.changes(), new Set());
    tree.write("sys/a/b/file", "x");
    assert.deepEqual(watch.changes(), new Set([tree.sys]), "b is in a, which is not watched");
    assert.deepEqual(watch.changes(), new Set(), "each change is reported once");
    Deno.renameSync(`${tree.sys}/a`, `${tree.proc}/größe`);
    assert.deepEqual(watch.changes(), new Set([tree.sys, tree.proc]));
    tree.remove("proc/größe");
    assert.deepEqual(watch.changes(), new Set([tree.proc]));
  },
});

Deno.test({
  name: "a folder that is gone is no longer watched, and one that does not exist cannot be",
  ...needs(linux),
  fn() {
    using tree = new Tree(null);
    using watch = DirectoryWatch.open()!;
    assert.ok(!watch.add(`${tree.root}/nothing`));
    tree.write("sys/a/file", "x");
    assert.ok(watch.add(`${tree.sys}/a`));
    assert.equal(watch.size, 1);
    tree.remove("sys/a");
    assert.deepEqual(watch.changes(), new Set([`${tree.sys}/a`]));
    assert.equal(watch.size, 0);
    watch.close();
    watch.close();
  },
});
