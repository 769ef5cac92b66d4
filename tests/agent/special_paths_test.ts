import assert from "node:assert/strict";
import { canReadAgain, specialPath } from "../../lib/agent/special_paths.ts";
import { linux, needs } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";

Deno.test({
  name:
    "paths below /dev, /proc and /sys are found in a configuration, also behind links and where nothing is yet",
  ...needs(linux),
  fn: async () => {
    await using dir = new TempDir();
    Deno.symlinkSync("/dev/shm", dir.file("link"));
    for (
      const path of ["/dev/shm/out.csv", "/dev/shm/not/there", "/proc/sys", "/sys", dir.file("link/out.csv")]
    ) {
      assert.equal(specialPath({ list: [null, undefined, 1, { path }] }), path);
    }
    const longest = "/dev/".padEnd(4096, "x");
    assert.equal(specialPath(longest), longest);
    const others = [
      "",
      "-",
      "csv",
      "50ms",
      "/devices",
      dir.file("out.csv"),
      "/dev/stdout",
      "/dev/fd/3",
      "/dev/null",
      "a\0b",
      "/dev/a\0b",
      "/dev/".padEnd(4097, "x"),
    ];
    assert.equal(specialPath({ others, deeper: { others } }), undefined);
  },
});

Deno.test("a file of the disk can be read again, a pipe and what is not there cannot", async () => {
  const file = await Deno.makeTempFile();
  try {
    assert.ok(canReadAgain(file));
    assert.ok(canReadAgain(`${file}.gone`), "it may come back");
    assert.ok(canReadAgain("/proc/self/../version"), "a file below /proc, while Deno lets it be read");
    assert.ok(!canReadAgain("/dev/null"));
    assert.ok(!canReadAgain("/dev/fd/9999"));
    assert.ok(!canReadAgain("/dev/../proc/self/fd/9999"));
  } finally {
    await Deno.remove(file);
  }
});
