import assert from "node:assert/strict";
import { specialPath } from "../../lib/agent/special_paths.ts";
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
      assert.equal(specialPath({ list: [null, 1, { path }] }), path);
    }
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
    ];
    assert.equal(specialPath({ others, deeper: { others } }), undefined);
  },
});
