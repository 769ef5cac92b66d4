import assert from "node:assert/strict";
import { fileSystemOf, statOf } from "../../lib/base/file_system.ts";
import { linux, needs } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";

Deno.test("a folder has a file system with a size, and a path that does not exist has none", async () => {
  await using dir = new TempDir();
  const { totalBytes, freeBytes } = fileSystemOf(dir.path)!;
  assert.ok(totalBytes > 0 && freeBytes >= 0 && freeBytes <= totalBytes);
  assert.equal(fileSystemOf(dir.file("no/such/folder")), undefined);
});

Deno.test({
  name: "memory of this machine is local, and /proc is not known to be",
  ...needs(linux),
  fn() {
    assert.equal(fileSystemOf("/dev/shm")?.isLocal, true);
    assert.equal(fileSystemOf("/proc")?.isLocal, false);
  },
});

Deno.test("a path is looked at with and without a thread, and an error is a rejection either way", async () => {
  await using dir = new TempDir();
  for (const isLocal of [true, false]) {
    assert.equal((await statOf(dir.path, isLocal)).isDirectory, true);
    await assert.rejects(statOf(dir.file("nothing"), isLocal), Deno.errors.NotFound);
  }
});
