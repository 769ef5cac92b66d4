import assert from "node:assert/strict";
import { copyOf, drain, fill, open, range, segmentsOf, withDirectory } from "../../kit/journal.ts";

Deno.test("a journal that is cut at any byte of its last records has every earlier record, and continues", () =>
  withDirectory(async (root) => {
    const whole = `${root}/whole`;
    {
      await using journal = await open(whole);
      journal.reader("a");
      await fill(journal, 4, 0, 3);
    }
    const [segment] = segmentsOf(whole);
    const bytes = await Deno.readFile(segment);
    let before = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const directory = `${root}/${length}`;
      await copyOf(whole, directory);
      await Deno.truncate(segment.replace(whole, directory), length);
      await using journal = await open(directory);
      const reader = journal.reader("b");
      await fill(journal, 1, 100);
      journal.end();
      const numbers = await drain(reader);
      assert.equal(numbers.pop(), 100);
      assert.deepEqual(numbers, range(0, numbers.length));
      assert.ok(numbers.length >= before && numbers.length % 3 === 0);
      before = numbers.length;
    }
    assert.equal(before, 12);
  }));

Deno.test("a copy of a running journal has all durable batches", () =>
  withDirectory(async (root) => {
    await using journal = await open(`${root}/live`, { segmentBytes: 2000 });
    journal.reader("a");
    for (let n = 0; n < 20; n++) {
      const done = fill(journal, 10, 10 * n);
      const durable = journal.writtenPosition;
      await copyOf(`${root}/live`, `${root}/copy`);
      await done;
      {
        await using copy = await open(`${root}/copy`);
        const numbers = await drain(copy.reader("a"));
        assert.deepEqual(numbers, range(0, numbers.length));
        assert.ok(numbers.length >= durable, `${numbers.length} of ${durable}`);
      }
      await Deno.remove(`${root}/copy`, { recursive: true });
    }
  }));

/** What a byte of a segment belongs to. */
function placeOf(
  bytes: Uint8Array,
  at: number,
): "header" | "snapshot" | "number of points" | "record" | "last record" {
  if (at < 40) return "header";
  const view = new DataView(bytes.buffer);
  for (let start = 40, end;; start = end) {
    end = start + 8 + view.getUint32(start, true);
    if (at >= end) continue;
    if (start === 40) return "snapshot";
    if (end === bytes.length) return "last record";
    // How many origins there are, and how many rows.
    return at === start + 8 || at === start + 9 ? "number of points" : "record";
  }
}

Deno.test("a flipped byte costs the later records of its segment, which are counted and copied to quarantine", () =>
  withDirectory(async (root) => {
    const whole = `${root}/whole`;
    {
      await using journal = await open(whole, { segmentBytes: 70 });
      journal.reader("a");
      for (let n = 0; n < 12; n++) await fill(journal, 1, 2 * n, 2);
    }
    const segments = segmentsOf(whole);
    assert.equal(segments.length, 3);
    for (const [which, segment] of segments.entries()) {
      const isLast: boolean = which === segments.length - 1;
      const bytes = await Deno.readFile(segment);
      for (let at = 0; at < bytes.length; at++) {
        const place = placeOf(bytes, at);
        const what = `byte ${at} of segment ${which}: ${place}`;
        const directory = `${root}/${which}-${at}`;
        await copyOf(whole, directory);
        const damaged = bytes.slice();
        damaged[at] ^= 0x10;
        await Deno.writeFile(segment.replace(whole, directory), damaged);
        {
          await using journal = await open(directory);
          const reader = journal.reader("a");
          await fill(journal, 1, 100);
          journal.end();
          const numbers = await drain(reader);
          const { stats } = journal;
          assert.equal(numbers.pop(), 100, what);
          assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), what);
          // Behind the last segment nothing says what should be there: its end may be torn by a crash, and the number
          // of points may be what is damaged. Then that record is not counted, and all others are.
          const missing = 24 - numbers.length - stats.damagedPoints;
          if (isLast && (place === "number of points" || place === "last record")) {
            assert.ok(missing <= 2, `${what}: ${missing}`);
          } else assert.equal(missing, 0, what);
          assert.equal(numbers.length === 24, place === "snapshot", what);
          assert.ok(stats.quarantinedSegments + stats.tornTails >= 1, what);
          if (stats.quarantinedSegments > 0) {
            const kept = [...Deno.readDirSync(`${directory}/quarantine`)].map(({ name }) =>
              Deno.readFileSync(`${directory}/quarantine/${name}`)
            );
            assert.deepEqual(kept[0], damaged, what);
          }
        }
        await Deno.remove(directory, { recursive: true });
      }
    }
  }));

Deno.test("a missing segment is a gap, unknown files stay, a damaged cursor starts from the beginning", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 70 });
      await drain(journal.reader("a"));
      for (let n = 0; n < 12; n++) await fill(journal, 1, 2 * n, 2);
    }
    const segments = segmentsOf(directory);
    await Deno.remove(segments[1]);
    await Deno.writeTextFile(`${directory}/notes.txt`, "mine");
    await Deno.writeTextFile(`${directory}/a.cursor`, "{");
    await using journal = await open(directory);
    const numbers = await drain(journal.reader("a"));
    assert.ok(numbers.length < 24 && numbers[0] === 0 && numbers.at(-1) === 23);
    assert.equal(numbers.length + journal.stats.damagedPoints, 24);
    assert.equal(await Deno.readTextFile(`${directory}/notes.txt`), "mine");
  }));
