import assert from "node:assert/strict";
import { openKept } from "../../../lib/agent/kept.ts";
import { EXIT, ExitError } from "../../../lib/base/errors.ts";
import { crc32c } from "../../../lib/base/crc32c.ts";
import { general } from "../../../lib/config/general.ts";
import { check } from "../../../lib/journal/disk/care/check.ts";
import { repair } from "../../../lib/journal/disk/care/repair.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { drain, fill, open, segmentsOf } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { TempDir } from "../../kit/temp_dir.ts";

/** Makes a segment one of another format; its header stays as it was, or is whole. */
function setFormat(segment: string, format: string, isWhole: boolean): void {
  const bytes = Deno.readFileSync(segment);
  bytes.set(new TextEncoder().encode(format));
  if (isWhole) new DataView(bytes.buffer).setUint32(36, crc32c(bytes, 0, 36), true);
  Deno.writeFileSync(segment, bytes);
}

/** Two segments with points 0 and 1, of which output `a` has none. */
async function twoSegments(directory: string): Promise<string[]> {
  for (const n of [0, 1]) {
    await using journal = await open(directory);
    journal.reader("a");
    await fill(journal, 1, n);
  }
  return segmentsOf(directory);
}

const filesOf = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();

async function refusal(work: () => Promise<unknown>): Promise<ExitError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof ExitError, String(error));
    return error;
  }
  throw new Error("It was not refused");
}

for (const format of ["ALRJRNL1", "ALRJRNL4"]) {
  Deno.test(`a journal with a segment of format ${format} is refused with exit code 65, and nothing in it changes`, async () => {
    await using dir = new TempDir();
    const segments = await twoSegments(dir.path);
    setFormat(segments[1], format, true);
    const before = filesOf(dir.path);
    for (const work of [() => open(dir.path), () => repair(dir.path)]) {
      const error = await refusal(work);
      assert.equal(error.exitCode, EXIT.data);
      assert.match(
        error.message,
        new RegExp(`another version of this program wrote ${segments[1]}.*${format}`),
      );
      assert.match(error.message, /Run that version again until .* or move the directory away/);
    }
    assert.deepEqual(filesOf(dir.path), before);
    const { problems } = await check(dir.path);
    assert.match(problems.map(({ problem }) => problem).join(), /of another version of this program/);
    // The other version comes back, and finds everything.
    setFormat(segments[1], "ALRJRNL2", true);
    await using journal = await open(dir.path);
    assert.deepEqual(await drain(journal.reader("a")), [0, 1]);
  });
}

Deno.test("one damaged letter of a format is damage, and the journal is not refused", async () => {
  await using dir = new TempDir();
  const segments = await twoSegments(dir.path);
  setFormat(segments[0], "ALRJRNL7", false);
  await using journal = await open(dir.path);
  assert.deepEqual(await drain(journal.reader("a")), [1]);
  assert.equal(journal.stats.quarantinedSegments, 1);
});

Deno.test("an agent with a journal of another version does not run in memory instead", async () => {
  await using dir = new TempDir();
  const [segment] = await twoSegments(dir.file("client/journal"));
  setFormat(segment, "ALRJRNL4", true);
  const error = await refusal(() =>
    openKept(general.defaultValue().journal, { path: dir.path, from: "HOME" }, "client", {
      log: new LogLines().log,
      registry: new MetricRegistry(),
      outputs: ["a"],
      stages: [],
      onFull: "block",
      onDrop: () => {},
    })
  );
  assert.equal(error.exitCode, EXIT.data);
});
