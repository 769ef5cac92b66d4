/** What outputs keep beside their files, and what they find in folders of files. */
import assert from "node:assert/strict";
import { crc32c } from "../../../lib/base/crc32c.ts";
import { rowSize as csvRowSize } from "../../../lib/outputs/csv/point_size.ts";
import { newestFiles } from "../../../lib/outputs/files/newest.ts";
import { ParquetFile } from "../../../lib/outputs/files/parquet.ts";
import { fileBytes } from "../../../lib/outputs/files/parquet_bytes.ts";
import { type Position, PositionFile } from "../../../lib/outputs/files/position.ts";
import { rowSize as parquetRowSize } from "../../../lib/outputs/parquet/point_size.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { BARE_SERIES } from "../../kit/file_series.ts";
import { positionOf, readPosition } from "../../kit/positions.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const SLOT_BYTES = 4096;

Deno.test("a position is read as it was written, however many files it names", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const file = await PositionFile.open(path);
  assert.equal(file.latest, null);
  const chance = new Chance(1);
  for (let n = 0; n < 60; n++) {
    const written = positionOf(n, chance.int(n === 40 ? 2000 : 30));
    await file.write(written);
    await Deno.copyFile(path, `${path}.copy`);
    assert.deepEqual(await readPosition(`${path}.copy`), written);
  }
  file.close();
  assert.deepEqual(await readPosition(path), file.latest);
});

Deno.test("a position that is torn in the middle of being written is the one before, or the new one", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const file = await PositionFile.open(path);
  await file.write(positionOf(0));
  const chance = new Chance(2);
  for (let n = 1; n < cases(300); n++) {
    const before = await Deno.readFile(path);
    await file.write(positionOf(n, 1 + n % 3));
    const after = await Deno.readFile(path);
    assert.equal(before.length, after.length);
    // Any bytes may have come to the disk, and others not yet.
    const torn = before.slice();
    const from = chance.int(torn.length);
    torn.set(after.subarray(from, from + chance.int(torn.length)), from);
    await Deno.writeFile(`${path}.torn`, torn);
    const found = await readPosition(`${path}.torn`);
    assert.ok(
      found?.position === n || found?.position === n - 1,
      `${found?.position} is neither ${n} nor before`,
    );
  }
  file.close();
});

Deno.test("a file that is not a position is replaced by one", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const good = await PositionFile.open(path);
  await good.write(positionOf(5));
  good.close();
  const chance = new Chance(3);
  for (let n = 0; n < cases(300); n++) {
    const bytes = n % 2 ? chance.bytes(10_000) : chance.mutate(await Deno.readFile(path));
    await Deno.writeFile(`${path}.bad`, bytes);
    const file = await PositionFile.open(`${path}.bad`);
    // One of two slots may be good still.
    if (file.latest !== null) assert.deepEqual(file.latest, positionOf(5));
    else assert.equal(file.damaged, bytes.length > 0);
    await file.write(positionOf(7));
    file.close();
    assert.deepEqual(await readPosition(`${path}.bad`), positionOf(7));
  }
});

/** A slot, as it stands in files that exist. */
function slotOf(generation: number, number: number, files = 1): string {
  const text = JSON.stringify({ generation, ...positionOf(number, files) });
  return `${crc32c(new TextEncoder().encode(text)).toString(16).padStart(8, "0")} ${text}\n`;
}

Deno.test("a position is in two slots that are written in turn, and in larger ones where they become too small", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const file = await PositionFile.open(path);
  assert.deepEqual([file.latest, file.damaged, file.changedMs], [null, false, undefined]);
  const slots = (bytes = SLOT_BYTES) => {
    const text = Deno.readTextFileSync(path);
    assert.equal(text.length, 2 * bytes);
    return [text.slice(0, bytes).trimEnd(), text.slice(bytes).trimEnd()];
  };
  const expected = (...list: [generation: number, number: number, files?: number][]) =>
    list.map(([generation, number, files]) => slotOf(generation, number, files).trimEnd());
  await file.write(positionOf(10));
  assert.deepEqual(slots(), expected([1, 10], [1, 10]));
  await file.write(positionOf(11));
  assert.deepEqual(slots(), expected([2, 11], [1, 10]));
  await file.write(positionOf(12));
  assert.deepEqual(slots(), expected([2, 11], [3, 12]));
  // One that is longer than a slot makes both again, with room for twice as much; what was longer before is no more.
  const fits = (bytes: number) => {
    let files = 0;
    while (slotOf(4, 13, files + 1).length <= bytes) files++;
    return files;
  };
  await file.write(positionOf(13, fits(SLOT_BYTES)));
  assert.equal(slots()[0], slotOf(4, 13, fits(SLOT_BYTES)).trimEnd());
  await file.write(positionOf(14, fits(SLOT_BYTES) + 1));
  const large = fits(SLOT_BYTES) + 1;
  assert.deepEqual(slots(4 * SLOT_BYTES), expected([5, 14, large], [5, 14, large]));
  await file.write(positionOf(15));
  file.close();
  const again = await PositionFile.open(path);
  assert.deepEqual([again.latest, again.damaged, again.changedMs! > 0], [positionOf(15), false, true]);
  await again.write(positionOf(16));
  assert.equal(Deno.readTextFileSync(path).length, 8 * SLOT_BYTES);
  assert.ok(Deno.readTextFileSync(path).startsWith(slotOf(7, 16).slice(0, -1)) === false);
  again.close();
  assert.deepEqual(await readPosition(path), positionOf(16));
});

Deno.test("of two slots the one that was written last counts, and a file of another size is written from the start", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const put = (first: string, second: string, bytes = SLOT_BYTES, more = "") =>
    Deno.writeTextFileSync(path, first.padEnd(bytes) + second.padEnd(bytes) + more);
  for (const [first, second, latest] of [[5, 6, 6], [6, 5, 5], [5, 5, 5]] as const) {
    put(slotOf(first, first === 6 ? 5 : first), slotOf(second, second === 5 && first === 6 ? 9 : second));
    const found = await readPosition(path);
    assert.equal(found?.position, first === 6 ? 5 : latest);
  }
  // A line that is no slot, one with a wrong sum, and one that is not JSON.
  const sumOf = (text: string) => crc32c(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
  for (
    const bad of ["", "12345678\n", slotOf(9, 9).replace("9", "8"), `${sumOf("no")} no\n`, `${sumOf("")} \n`]
  ) {
    put(bad, slotOf(1, 7));
    assert.equal((await readPosition(path))?.position, 7, bad);
    put(bad, bad);
    const file = await PositionFile.open(path);
    assert.deepEqual([file.latest, file.damaged], [null, true], bad);
    file.close();
  }
  for (
    const [bytes, more, isKept] of [[SLOT_BYTES, "", true], [2 * SLOT_BYTES, "", true], [
      SLOT_BYTES - 1,
      "",
      false,
    ], [SLOT_BYTES, " ", false]] as const
  ) {
    put(slotOf(6, 1), slotOf(5, 2), bytes, more);
    const file = await PositionFile.open(path);
    assert.equal(file.latest?.position, 1);
    await file.write(positionOf(3));
    file.close();
    const text = Deno.readTextFileSync(path);
    // It goes on in its slots, or begins with both of them.
    assert.deepEqual(
      [text.includes('"generation":7'), text.length],
      isKept ? [true, 2 * bytes] : [false, 2 * SLOT_BYTES],
    );
  }
});

Deno.test("a position file that was removed, moved or replaced is made again under its name", async () => {
  await using directory = new TempDir();
  Deno.mkdirSync(directory.file("a"));
  const path = directory.file("a/position");
  const file = await PositionFile.open(path);
  await file.write(positionOf(1));
  await file.write(positionOf(2, 500));
  assert.ok(await file.isThere());
  await file.makeAgain();
  assert.equal(file.latest?.position, 2, "it is there");
  Deno.renameSync(path, directory.file("a/moved"));
  assert.ok(!await file.isThere());
  Deno.writeTextFileSync(path, "");
  assert.ok(!await file.isThere());
  await file.makeAgain();
  assert.deepEqual([file.latest, await file.isThere()], [null, true]);
  await file.write(positionOf(3));
  assert.equal(Deno.statSync(path).size, 2 * SLOT_BYTES);
  assert.match(Deno.readTextFileSync(path), /^\w{8} \{"generation":1,/);
  // Without its folder the file that was moved goes on.
  Deno.renameSync(directory.file("a"), directory.file("b"));
  await file.makeAgain();
  assert.equal(file.latest?.position, 3);
  await file.write(positionOf(4));
  assert.equal((await Deno.readTextFile(directory.file("b/position"))).includes('"position":4'), true);
  file.close();
  assert.equal(file.relative(directory.file("a/x/y")), "x/y");
  assert.equal(file.relative(directory.file("c")), "../c");
  assert.equal(file.absolute("../c"), directory.file("c"));
});

/** Files of a disk that gives a little at a time. */
function readingSlowly() {
  const { read } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.read = function (into: Uint8Array) {
    return read.call(this, into.subarray(0, 700));
  };
  return { [Symbol.dispose]: () => void (Deno.FsFile.prototype.read = read) };
}

Deno.test("a position that comes in pieces is read whole", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const file = await PositionFile.open(path);
  await file.write(positionOf(1));
  await file.write(positionOf(2));
  await file.write(positionOf(3));
  file.close();
  using _slow = readingSlowly();
  assert.deepEqual(await readPosition(path), positionOf(3));
});

Deno.test("a file gets its position in place, and another file with more room when it says something", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const ofLength = (generation: number, bytes: number): Position => {
    const { files: [file], ...rest } = positionOf(1);
    const named = (path: string) => ({ ...rest, files: [{ ...file, path }] });
    const { length } = JSON.stringify({ generation, ...named("") });
    return named("x".repeat(bytes - length - 10));
  };
  const file = await PositionFile.open(path);
  const { ino } = Deno.statSync(path);
  await file.write(ofLength(1, SLOT_BYTES / 2));
  assert.deepEqual([Deno.statSync(path).ino, Deno.statSync(path).size], [ino, 2 * SLOT_BYTES]);
  await file.write(ofLength(2, SLOT_BYTES));
  assert.deepEqual([Deno.statSync(path).ino, Deno.statSync(path).size], [ino, 2 * SLOT_BYTES]);
  Deno.linkSync(path, directory.file("before"));
  // A crash may have left a longer one.
  Deno.writeTextFileSync(`${path}.tmp`, "x".repeat(100_000));
  await file.write(ofLength(3, SLOT_BYTES + 1));
  assert.notEqual(Deno.statSync(path).ino, ino);
  assert.equal(Deno.statSync(path).size, 8 * SLOT_BYTES);
  file.close();
  // The one before is given up, too.
  assert.deepEqual(await readPosition(directory.file("before")), ofLength(2, SLOT_BYTES));
  assert.deepEqual(await readPosition(path), ofLength(3, SLOT_BYTES + 1));
  await assert.rejects(PositionFile.open(directory.path));
});

Deno.test("the newest files below a folder are found, whatever cannot be read", async () => {
  await using directory = new TempDir();
  const put = (path: string, bytes: number, seconds: number) => {
    Deno.mkdirSync(directory.file(path).replace(/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(directory.file(path), new Uint8Array(bytes));
    Deno.utimeSync(directory.file(path), seconds, seconds);
  };
  put("a/old.csv", 1, 1000);
  put("a/b/new.csv", 2, 3000);
  put("middle.csv", 3, 2000);
  put("newest.txt", 4, 4000);
  const folder = `${directory.path}/`;
  const found = (most: number) => newestFiles(folder, (path) => path.endsWith(".csv"), most);
  assert.deepEqual(await found(9), [
    { path: `${folder}a/b/new.csv`, bytes: 2, changedMs: 3_000_000 },
    { path: `${folder}middle.csv`, bytes: 3, changedMs: 2_000_000 },
    { path: `${folder}a/old.csv`, bytes: 1, changedMs: 1_000_000 },
  ]);
  assert.deepEqual((await found(1)).map(({ bytes }) => bytes), [2]);
  assert.deepEqual(await newestFiles(`${folder}nowhere/`, () => true, 9), []);
  const wanted: string[] = [];
  await newestFiles(folder, (path) => wanted.push(path) < 0, 9);
  assert.deepEqual(wanted.sort(), ["a/b/new.csv", "a/old.csv", "middle.csv", "newest.txt"]);
});

Deno.test("of a folder with very many entries some are looked at", async () => {
  const { readDir, stat } = Deno;
  let folders = 0;
  const entry = (name: string, isFile: boolean) => ({ name, isFile, isDirectory: !isFile, isSymlink: false });
  try {
    Deno.readDir = async function* () {
      folders++;
      yield entry("folder", false);
      for (let n = 0; n < 10_000; n++) yield entry(`${n}`, true);
    };
    Deno.stat = () => Promise.resolve({ size: 1, mtime: null } as Deno.FileInfo);
    const found = await newestFiles("/x/", () => true, 100_000);
    // Two folders and their files, as far as to the limit.
    assert.deepEqual([found.length, folders, found[0].changedMs], [16_384 - 2, 2, 0]);
  } finally {
    Object.assign(Deno, { readDir, stat });
  }
});

Deno.test("a file is read from a place up to another one, and one that has become shorter is an error", async () => {
  await using directory = new TempDir();
  Deno.writeFileSync(directory.file("x"), Uint8Array.from({ length: 100 }, (_, n) => n));
  using file = Deno.openSync(directory.file("x"));
  const bytes = fileBytes(file, 100);
  assert.equal(bytes.byteLength, 100);
  assert.deepEqual([...new Uint8Array(await bytes.slice(10, 13))], [10, 11, 12]);
  assert.deepEqual([...new Uint8Array(await bytes.slice(98))], [98, 99]);
  // A disk that gives a little at a time.
  const slow = {
    seekSync: (at: number) => file.seekSync(at, Deno.SeekMode.Start),
    readSync: (into: Uint8Array) => file.readSync(into.subarray(0, 2)),
  } as unknown as Deno.FsFile;
  assert.deepEqual([...new Uint8Array(await fileBytes(slow, 100).slice(3, 8))], [3, 4, 5, 6, 7]);
  assert.throws(() => void fileBytes(file, 101).slice(99), /RangeError: .*shorter/);
});

Deno.test("what a row of CSV files takes follows from the end of the newest one", async () => {
  await using directory = new TempDir();
  const sizeIn = async (text: string, name = "a.csv") => {
    await Deno.writeTextFile(directory.file(name), text);
    return await csvRowSize(directory.file("a.csv"));
  };
  const usual = { bytes: 95, measuredIn: null };
  assert.equal(await csvRowSize("-"), undefined);
  assert.deepEqual(await csvRowSize(directory.file("none/a.csv")), usual);
  const measured = (bytes: number) => ({ bytes, measuredIn: directory.file("a.csv") });
  assert.deepEqual(await sizeIn("header\n" + "123456789\n".repeat(99)), usual);
  assert.deepEqual(await sizeIn("header\n" + "123456789\n".repeat(100)), measured(10));
  assert.deepEqual(await sizeIn("header\n" + "123456789\n".repeat(100) + "half a row"), measured(10));
  assert.deepEqual(await sizeIn("no row"), usual);
  // Files of others, and those that are compressed, do not count.
  for (const name of ["other.txt", "a.20260305T070809Z.csv.gz"]) {
    await Deno.writeTextFile(directory.file(name), "header\n" + "12345\n".repeat(100));
    Deno.utimeSync(directory.file(name), 4_000_000_000, 4_000_000_000);
  }
  assert.deepEqual(await sizeIn("header\n" + "123456789\n".repeat(100)), measured(10));
  {
    using _slow = readingSlowly();
    assert.deepEqual(await sizeIn("header\n" + "123456789\n".repeat(100)), measured(10));
  }
  // Of a long file only the end counts: what is before has other rows.
  const tail = 262_144;
  assert.deepEqual(await sizeIn("x\n".repeat(50_000) + "1234567\n".repeat(tail / 8)), measured(8));
  assert.deepEqual(
    await sizeIn(`${"y".repeat(tail - 800 - 2)}\n` + "1234567\n".repeat(100) + "z"),
    measured(8),
  );
});

Deno.test("what a row of Parquet files takes follows from the newest ones, of which some may be damaged", async () => {
  await using directory = new TempDir();
  const put = (name: string, rows: number, seconds: number) => {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const file = new ParquetFile((bytes) => void pieces.push(bytes.slice()), {
      createdBy: "test",
      groupRows: 1000,
    });
    for (let n = 0; n < rows; n++) file.add(BARE_SERIES, BigInt(n), n, null);
    file.end();
    const bytes = pieces.flatMap((piece) => [...piece]);
    Deno.writeFileSync(directory.file(name), Uint8Array.from(bytes));
    Deno.utimeSync(directory.file(name), seconds, seconds);
    return bytes.length;
  };
  const size = () => parquetRowSize(directory.file("%H.parquet"));
  const usual = { bytes: 7, measuredIn: null };
  assert.deepEqual(await size(), usual);
  const first = put("a.parquet", 999, 1000);
  assert.deepEqual(await size(), usual);
  const second = put("b.parquet", 1, 2000);
  const { bytes, measuredIn } = await size();
  assert.deepEqual([bytes, measuredIn], [(first + second) / 1000, `${directory.path}/`]);
  // Files that cannot be read, or have no rows, do not count.
  Deno.writeTextFileSync(directory.file("c.parquet"), "damaged");
  put("d.parquet", 0, 3000);
  Deno.writeTextFileSync(directory.file("e.txt"), "another");
  assert.equal((await size()).bytes, (first + second) / 1000);
  // The sixteen newest: those before have been forgotten.
  const small = Array.from({ length: 13 }, (_, n) => put(`n${n}.parquet`, 1, 4000 + n))[0];
  assert.deepEqual(await size(), usual);
  Deno.removeSync(directory.file("n0.parquet"));
  assert.equal((await size()).bytes, (first + second + 12 * small) / 1012);
});
