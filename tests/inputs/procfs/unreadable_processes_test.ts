import assert from "node:assert/strict";
import type { OpenFile } from "../../../lib/inputs/polling/files.ts";
import type { Points } from "../../../lib/inputs/polling/points.ts";
import { collect, rows, values } from "../../kit/measuring.ts";
import { pids, processesOf } from "../../kit/processes.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("permission denied is counted, and said once for each group", () => {
  using tree = new Tree();
  const open = (path: string) => {
    if (path.endsWith("smaps_rollup")) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  tree.start(100);
  using kit = processesOf({ ...tree, proc: tree.proc, open }, [{ pid: 1 }, {
    memoryMode: "slow_but_accurate",
  }]);
  kit.discover();
  kit.at(1000);
  assert.deepEqual(rows(kit.poll(1)).filter((row) => /memory/.test(row) && /:(77|100)/.test(row)).length, 2);
  assert.equal(kit.processes.stats.permissionDenied, 2);
  assert.equal(kit.lines.filter((line) => line.includes("WARN")).length, 1);
  assert.equal(kit.lines.filter((line) => line.includes("DEBUG")).length, 1);
});

Deno.test("processes that may not be seen at all (hidepid) are counted once, and looked at again", () => {
  using tree = new Tree();
  let hidden = true;
  const open = (path: string) => {
    if (hidden && path.endsWith("/77/stat")) throw new Deno.errors.PermissionDenied("EPERM");
    return Deno.openSync(path);
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  assert.deepEqual(pids(kit.discover()).sort(), [1, 2]);
  kit.discover();
  assert.equal(kit.processes.stats.permissionDenied, 1);
  hidden = false;
  assert.deepEqual(pids(kit.discover()), [77]);
});

Deno.test("with too many open files, files are opened at each poll, which is said once", () => {
  using tree = new Tree();
  for (let pid = 100; pid < 150; pid++) tree.start(pid);
  let opened = 0;
  const open = (path: string): OpenFile => {
    if (opened >= 40) throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    const file = Deno.openSync(path);
    opened++;
    return {
      readSync: (buffer) => file.readSync(buffer),
      seekSync: (offset, whence) => file.seekSync(offset, whence),
      close() {
        opened--;
        file.close();
      },
    };
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  let said = 0;
  kit.files.onLimit = () => said++;
  assert.equal(pids(kit.discover()).length, 53);
  for (let n = 1; n < 4; n++) {
    kit.at(1000 * n);
    const batch = kit.poll();
    assert.equal(pids(batch).length, 53);
    assert.equal(batch.length, 53 * 9);
    assert.ok(opened < 40, "there is room for others");
  }
  assert.equal(said, 1);
  assert.equal(kit.processes.stats.tooManyOpenFiles, 0);
});

Deno.test("a process whose files cannot be opened for now goes on, is counted, and is measured when they can be", () => {
  using tree = new Tree();
  tree.edit("proc/self/limits", "1024 ", "1 ");
  let isFull = false;
  const open = (path: string): OpenFile => {
    if (isFull) throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    return Deno.openSync(path);
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open }, [{ pid: 77 }]);
  assert.deepEqual(pids(kit.discover()), [77]);
  isFull = true;
  kit.at(1000);
  assert.deepEqual([kit.poll().length, kit.processes.stats.tooManyOpenFiles], [0, 1]);
  for (const ms of [1100, 1200]) {
    kit.at(ms);
    kit.discover();
  }
  const { processes, processesFound, processesEnded } = kit.processes.stats;
  assert.deepEqual([processes, processesFound, processesEnded], [1, 1, 0]);
  isFull = false;
  kit.at(2000);
  assert.deepEqual(pids(kit.poll()), [77]);
});

Deno.test("at most half of the files that may be open are kept open", () => {
  using tree = new Tree();
  tree.edit("proc/self/limits", "1024 ", "8 ");
  for (let pid = 100; pid < 110; pid++) tree.start(pid);
  using kit = processesOf(tree);
  assert.equal(pids(kit.discover()).length, 13);
  assert.equal(kit.files.kept, 4);
});

Deno.test("a process that cannot be read for an unknown reason does not keep others from being measured", () => {
  using tree = new Tree();
  let broken = false;
  const open = (path: string): OpenFile => {
    if (broken && path.includes("/77/")) {
      throw Object.assign(new Error("Input/output error"), { code: "EIO" });
    }
    return Deno.openSync(path);
  };
  tree.edit("proc/self/limits", "1024 ", "0 ");
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  kit.discover();
  broken = true;
  kit.at(1000);
  const failing = (fill: (points: Points) => void) =>
    collect((points) => assert.throws(() => fill(points), /Input/));
  const batch = failing((points) => kit.processes.poll(0, points, false));
  assert.deepEqual(pids(batch).sort(), [1, 2]);
  kit.at(2000);
  kit.discover();
  tree.start(100);
  kit.at(3000);
  const found = failing((points) => kit.processes.discover(points));
  assert.deepEqual(pids(found), [100]);
  broken = false;
  kit.at(4000);
  assert.deepEqual(pids(kit.poll()).sort(), [1, 100, 2, 77]);
});

Deno.test({
  name: "a real process is measured, and killed between two polls without an error",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const child = new Deno.Command("sh", {
      args: ["-c", "echo ready; read end"],
      stdin: "piped",
      stdout: "piped",
    })
      .spawn();
    const said = child.stdout.getReader();
    using kit = processesOf({}, [{ pid: child.pid }]);
    try {
      // Right after its start it has next to no memory.
      await said.read();
      assert.deepEqual(pids(kit.discover()), [child.pid]);
      kit.at(1000);
      const [resident, , virtual] = values(kit.poll());
      assert.ok(resident > 100_000 && virtual > resident && virtual < 1e12);
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await Promise.all([said.cancel(), child.stdin.close().catch(() => {})]);
    }
    kit.at(2000);
    assert.equal(kit.poll().length, 0);
    assert.deepEqual(kit.lines, []);
    assert.equal(kit.processes.stats.processesEnded, 1);
  },
});
