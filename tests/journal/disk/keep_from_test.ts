/** What a reader of a journal on disk has committed, and still keeps. */
import assert from "node:assert/strict";
import { drain, fill, open, range, segmentsOf, withDirectory } from "../../kit/journal.ts";
import { numbered } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";

Deno.test("what a reader keeps comes again after a restart, and is deleted when it is no longer kept", async () => {
  await withDirectory(async (directory) => {
    const options = { segmentBytes: 512 };
    {
      await using journal = await open(directory, options);
      const reader = journal.reader("stage");
      reader.keepFrom(10);
      await fill(journal, 300);
      assert.deepEqual(await drain(reader), range(0, 300));
      assert.equal(reader.uncommitted, 0);
      assert.equal(reader.pendingPoints, 0);
    }
    const kept = segmentsOf(directory).length;
    assert.ok(kept > 1, `${kept} segments`);
    {
      await using journal = await open(directory, options);
      const reader = journal.reader("stage");
      assert.deepEqual(await drain(reader), range(10, 300));
      reader.keepFrom(Infinity);
      await until(() => segmentsOf(directory).length === 1);
    }
    {
      await using journal = await open(directory, options);
      assert.deepEqual(await drain(journal.reader("stage")), []);
    }
  });
});

Deno.test("a reader that asks for it gets nothing that is not on disk, whoever has sent it", async () => {
  await withDirectory(async (directory) => {
    let isFailing = true;
    const { SYSTEM_FILES } = await import("../../../lib/journal/disk/format/files.ts");
    await using journal = await open(directory, {
      retryMs: 5,
      files: {
        ...SYSTEM_FILES,
        open(path, options) {
          if (isFailing && path.includes(".segment")) throw new Error("not now");
          return SYSTEM_FILES.open(path, options);
        },
      },
    });
    const eager = journal.reader("eager");
    const patient = journal.reader("patient", { onlyWritten: true });
    void journal.append(numbered(1));
    assert.equal(await eager.wait(PATIENCE_MS), "ready");
    assert.equal(await patient.wait(20), "timeout");
    journal.beginStop();
    assert.equal(await patient.wait(20), "timeout", "not even at a stop");
    isFailing = false;
    assert.equal(await patient.wait(PATIENCE_MS), "ready");
    assert.equal(patient.next()!.values[0], 0);
  });
});

Deno.test("an output commits only what it has read, and says where it resumes before it reads", async () => {
  await using dir = new TempDir();
  await using journal = await open(dir.path, { outputs: ["a"] });
  const reader = journal.reader("a");
  assert.equal(reader.position, -1);
  reader.resumeAfter(-1);
  await fill(journal, 2);
  assert.equal(await reader.wait(), "ready");
  assert.throws(() => reader.commit(1), {
    name: "RangeError",
    message: "Cannot commit 1 batches: 0 are read and not committed",
  });
  assert.ok(reader.next());
  assert.equal(reader.position, 0);
  assert.throws(() => reader.resumeAfter(0), { name: "RangeError", message: /already been read/ });
  assert.throws(() => reader.commit(2), { name: "RangeError" });
  assert.equal(reader.pendingPoints, 2, "nothing was settled");
  reader.commit(1);
  assert.deepEqual([reader.uncommitted, reader.pendingPoints], [0, 1]);
});
