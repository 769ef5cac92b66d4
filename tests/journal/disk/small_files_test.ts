/** The files beside the segments of a journal, and how segments are found and scanned, with files in memory. */
import assert from "node:assert/strict";
import { crc32c } from "../../../lib/base/crc32c.ts";
import { Census, keyOf } from "../../../lib/journal/disk/format/census.ts";
import { cursorPath, loadCursors, outputOf, saveCursor } from "../../../lib/journal/disk/format/cursor.ts";
import {
  replaceFile,
  replaceOrOverwrite,
  syncDirectory,
  SYSTEM_FILES,
  TEMPORARY,
  writeAll,
} from "../../../lib/journal/disk/format/files.ts";
import { findSegments } from "../../../lib/journal/disk/format/find_segments.ts";
import {
  identify,
  type Identity,
  MAX_NUMBER,
  mayHaveUsed,
  readIdentity,
  saveIdentity,
  SPARE_NUMBERS,
} from "../../../lib/journal/disk/format/identity.ts";
import { OriginWriter } from "../../../lib/journal/disk/format/record.ts";
import { type ScanOptions, scanSegment } from "../../../lib/journal/disk/format/scan.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  putRecordHead,
  RECORD_HEAD_BYTES,
  segmentName,
} from "../../../lib/journal/disk/format/segment.ts";
import { type ClientState, encodeSnapshot } from "../../../lib/journal/disk/format/snapshot.ts";
import type { ClientRecord } from "../../../lib/points/origins.ts";
import { PostcardWriter } from "../../../lib/postcard.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { MemoryFiles } from "../../kit/memory_files.ts";
import { TempDir } from "../../kit/temp_dir.ts";

Deno.test("a file is replaced as a whole, after it was synced, and what is left of a failure is removed", async () => {
  const files = new MemoryFiles();
  files.atOnce = 2;
  files.put("a", "before");
  files.put("a.tmp", "what a process left that was killed");
  await replaceFile("a", "after", files);
  assert.equal(files.text("a"), "after");
  assert.deepEqual(files.done, [
    "open a.tmp",
    ...["write a.tmp", "write a.tmp", "write a.tmp"],
    ...["sync a.tmp", "close a.tmp", "rename a.tmp"],
  ]);
  assert.equal(TEMPORARY, ".tmp");
  for (const action of ["open", "write", "sync", "rename"]) {
    files.failing.clear();
    files.failing.add(`${action} a.tmp`);
    await assert.rejects(replaceFile("a", Uint8Array.of(65), files), new Error(`${action} fails`));
    assert.deepEqual([[...files.content.keys()], files.text("a")], [["a"], "after"]);
  }
  files.failing.clear();
  await replaceFile("a", Uint8Array.of(65, 66, 67), files);
  assert.equal(files.text("a"), "ABC");
});

Deno.test("where there is no room for a second file, the first one is overwritten if it is not shorter", async () => {
  const files = new MemoryFiles();
  files.put("a", "12345");
  await replaceOrOverwrite("a", "1234567", files);
  assert.equal(files.text("a"), "1234567");
  files.failing.add("write a.tmp");
  files.done.length = 0;
  await replaceOrOverwrite("a", "abc", files);
  assert.equal(files.text("a"), "abc    ");
  assert.deepEqual(files.done.slice(-4), ["open a", "write a", "sync a", "close a"]);
  await replaceOrOverwrite("a", "ABCDEFG", files);
  assert.equal(files.text("a"), "ABCDEFG");
  for (const text of ["12345678", "123456é"]) {
    await assert.rejects(replaceOrOverwrite("a", text, files), new Error("write fails"));
  }
  assert.equal(files.text("a"), "ABCDEFG");
  files.failing.add("write b.tmp");
  await assert.rejects(replaceOrOverwrite("b", "1", files), new Error("write fails"));
});

Deno.test("all bytes are written however few are taken at once, and a directory is synced like a file", async () => {
  const files = new MemoryFiles();
  files.atOnce = 3;
  using file = await files.open("a", { create: true, write: true });
  await writeAll(file, Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  assert.deepEqual(files.content.get("a"), Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  files.done.length = 0;
  await syncDirectory("d", files);
  assert.deepEqual(files.done, ["open d", "sync d", "close d"]);
});

Deno.test("the system lists files by name without directories, reads their beginnings, and makes private directories", async () => {
  await using dir = new TempDir();
  const inner = `${dir.path}/one/two`;
  await SYSTEM_FILES.makeDirectory(inner);
  await SYSTEM_FILES.makeDirectory(inner);
  assert.equal(Deno.statSync(inner).mode! & 0o777, 0o750 & ~Deno.umask());
  for (const name of ["c", "a", "b"]) Deno.writeTextFileSync(`${dir.path}/${name}`, "text");
  assert.deepEqual(await SYSTEM_FILES.list(dir.path), ["a", "b", "c"]);
  const start = (length: number) => new TextDecoder().decode(SYSTEM_FILES.readStart(`${dir.path}/a`, length));
  assert.deepEqual([start(0), start(3), start(4), start(100)], ["", "tex", "text", "text"]);
});

Deno.test("a cursor is a small file of constant size, named after its output", async () => {
  const files = new MemoryFiles();
  const path = cursorPath("d", "a/b c");
  assert.equal(path, "d/a%2Fb%20c.cursor");
  assert.equal(outputOf(path), "a/b c");
  for (const position of [0, 7, MAX_NUMBER]) {
    await saveCursor(files, path, position);
    const check = crc32c(new TextEncoder().encode(`${position}`));
    assert.equal(files.text(path), `{"position":${position},"check":${check}}\n`.padEnd(64));
    files.put("d/other.txt", "{}");
    assert.deepEqual([...await loadCursors(files, "d")], [[path, position]]);
  }
});

Deno.test("a cursor that is damaged, or has a position that none can have, is told from none", async () => {
  const withCheck = (position: number) =>
    JSON.stringify({ position, check: crc32c(new TextEncoder().encode(`${position}`)) });
  for (
    const text of [
      "",
      "{",
      "null",
      withCheck(5).replace("5", "6"),
      withCheck(-1),
      withCheck(MAX_NUMBER + 1),
      withCheck(1.5),
      withCheck(5).padEnd(1024) + "x",
    ]
  ) {
    const files = new MemoryFiles();
    files.put("d/a.cursor", text);
    // Only its beginning is read.
    const position = text.length > 1024 ? 5 : null;
    assert.deepEqual([...await loadCursors(files, "d")], [["d/a.cursor", position]], text);
  }
  const files = new MemoryFiles();
  files.put("d/%.cursor", withCheck(5));
  files.put("d/unreadable.cursor", withCheck(5));
  files.failing.add("read d/unreadable.cursor");
  assert.deepEqual([...(await loadCursors(files, "d")).values()], [null, null]);
});

const ID = "0a".repeat(16);
const IDENTITY: Identity = { id: ID, host: "h", numbers: 5, outputs: ["a", "b"], runs: [[3, 4], [1, 2]] };

Deno.test("the identity of a journal is a file of constant size, and is synced with its directory", async () => {
  const files = new MemoryFiles();
  assert.equal(readIdentity(files, "d"), undefined);
  await saveIdentity(files, "d", IDENTITY);
  assert.equal(files.text("d/journal.id"), (JSON.stringify(IDENTITY) + "\n").padEnd(1024));
  assert.deepEqual(files.done.slice(-3), ["open d", "sync d", "close d"]);
  assert.deepEqual(readIdentity(files, "d"), IDENTITY);
  files.failing.add("read d/journal.id");
  assert.equal(readIdentity(files, "d"), null);
});

Deno.test("an identity without a valid id, host and number is damaged; without valid runs or outputs it has none", () => {
  const files = new MemoryFiles();
  const read = (change: Record<string, unknown>) => {
    files.put("d/journal.id", JSON.stringify({ ...IDENTITY, ...change }));
    return readIdentity(files, "d");
  };
  for (
    const change of [
      { id: "0A".repeat(16) },
      { id: ID + "0" },
      { id: "0" + ID },
      { id: undefined },
      { host: 5 },
      { numbers: -1 },
      { numbers: 1.5 },
      { numbers: "5" },
      { numbers: MAX_NUMBER + 1 },
    ]
  ) assert.equal(read(change), null, JSON.stringify(change));
  // However many outputs there are.
  const outputs = Array.from({ length: 1000 }, (_, n) => `an-output-with-a-long-name-${n}`);
  assert.deepEqual(read({ outputs }), { ...IDENTITY, outputs });
  for (const numbers of [0, MAX_NUMBER]) assert.deepEqual(read({ numbers }), { ...IDENTITY, numbers });
  for (const runs of [undefined, {}, [5], [[1, 2, 3]], [[1]], [[1, -2]], [[1, 2], [1, "2"]]]) {
    assert.deepEqual(read({ runs }), { ...IDENTITY, runs: [] }, JSON.stringify(runs));
  }
  const { outputs: _, ...rest } = IDENTITY;
  for (const outputs of [undefined, "a", ["a", 5]]) assert.deepEqual(read({ outputs }), rest);
  files.put("d/journal.id", "{");
  assert.equal(readIdentity(files, "d"), null);
});

/** The identity that a start finds in `files`, and the log of it. */
async function started(
  files: MemoryFiles,
  known: number,
  { host = "h", random = 0, outputs }: { host?: string; random?: number; outputs?: string[] } = {},
) {
  const log = new LogLines();
  const identity = await identify(files, "d", host, known, log.log, { outputs, random: () => random });
  return { identity, lines: log.lines };
}

Deno.test("each start leaves out a thousand million numbers, and at random up to a hundred times as many", async () => {
  const files = new MemoryFiles();
  const first = await started(files, 0, { outputs: ["a"], random: 0.5 });
  assert.match(first.identity.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(first.identity, {
    id: first.identity.id,
    host: "h",
    numbers: 0,
    outputs: ["a"],
    runs: [],
  });
  const second = await started(files, 70);
  assert.deepEqual(second, {
    identity: { ...first.identity, numbers: 70 + 1e9, outputs: ["a"], runs: [[0, 70]] },
    lines: [],
  });
  // Nothing was written in between.
  const third = await started(files, 70, { outputs: ["b"], random: 0.25 });
  const { numbers } = second.identity;
  assert.deepEqual(third.identity, {
    ...first.identity,
    numbers: numbers + 1e9 + 25e9,
    outputs: ["b"],
    runs: [[numbers, numbers], [0, 70]],
  });
  assert.deepEqual(readIdentity(files, "d"), third.identity);
  // Segments without an identity have been used, too.
  assert.equal((await started(new MemoryFiles(), 1)).identity.numbers, 1 + 1e9);
  let last = readIdentity(files, "d")!;
  for (let n = 0; n < 20; n++) ({ identity: last } = await started(files, last.numbers + 1));
  assert.equal(last.runs.length, 12);
  assert.ok(last.runs.every(([from], n) => n === 0 || from < last.runs[n - 1][0]));
});

Deno.test("a journal that is damaged, or was made on another host, gets an id of its own and says so", async () => {
  const files = new MemoryFiles();
  const { identity: { id } } = await started(files, 0);
  const moved = await started(files, 9, { host: "other" });
  assert.notEqual(moved.identity.id, id);
  assert.match(
    moved.lines.join("\n"),
    new RegExp(
      `^WARN .*The journal was made on another host and gets a new id.* id=${moved.identity.id} host=other made_on=h\\n$`,
    ),
  );
  assert.deepEqual(moved.identity.runs, [[0, 9]]);
  files.put("d/journal.id", "{");
  const damaged = await started(files, 0);
  assert.notEqual(damaged.identity.id, moved.identity.id);
  assert.match(
    damaged.lines.join("\n"),
    new RegExp(
      `^WARN .*Cannot read the id of the journal, it gets a new one.* id=${damaged.identity.id}\\n$`,
    ),
  );
  assert.equal(damaged.identity.numbers, 1e9, "it may have been used");
});

Deno.test("where its identity cannot be saved, a journal says so and takes numbers that the next start will not", async () => {
  const files = new MemoryFiles();
  files.failing.add("open d/journal.id.tmp");
  for (const [random, factor] of [[0, 1], [0.9999, 1000]]) {
    const { identity, lines } = await started(files, 5, { random });
    assert.equal(identity.numbers, 5 + 1e9 + Math.floor(random * 100e9) + factor * 1e9);
    assert.match(lines.join("\n"), /^WARN .*Cannot save the id of the journal.* error="open fails"\n$/);
  }
});

Deno.test("a start may have used its numbers, and those before the next start that were spare", () => {
  const identity = { ...IDENTITY, numbers: 10 * SPARE_NUMBERS, runs: [[5e9, 6e9], [1e9, 2e9]] as const };
  for (
    const [number, may] of [
      [10e9, true],
      [10e9 - 1, false],
      [7e9, false],
      [7e9 - 1, true],
      [5e9, true],
      [5e9 - 1, false],
      [3e9 - 1, true],
      [1e9, true],
      [1e9 - 1, true],
    ] as const
  ) assert.equal(mayHaveUsed(identity, number), may, `${number}`);
});

const TIMES = { wallMs: () => 10_000, monotonicMs: () => 700 };

Deno.test("segments are found by their headers, in order, with the age of their last change", async () => {
  const files = new MemoryFiles();
  const put = (name: string, first: number, changedMs: number | null) => {
    files.put(`d/${name}`, encodeHeader({ first, pointsBefore: first * 2, missing: 1 }));
    files.changedMs.set(`d/${name}`, changedMs);
  };
  put(segmentName(9), 9, 9600);
  put(segmentName(5), 5, null);
  put(segmentName(3), 2, 10_001);
  const found = await findSegments("d", [segmentName(9), segmentName(5), "x", segmentName(3)], files, TIMES);
  const segment = (name: number, first: number, writtenMs: number) => ({
    first,
    pointsBefore: first * 2,
    missing: 1,
    path: `d/${segmentName(name)}`,
    length: HEADER_BYTES,
    fileBytes: HEADER_BYTES,
    end: null,
    begunMs: writtenMs,
    writtenMs,
    lostPoints: 0,
  });
  assert.deepEqual(found, {
    segments: [segment(3, 2, 700), segment(5, 5, 700), segment(9, 9, 300)],
    problems: new Map(),
    otherFormats: new Map(),
    misnamed: [`d/${segmentName(3)}`],
  });
});

Deno.test("of two segments with one number that with its name is taken; others are problems", async () => {
  const files = new MemoryFiles();
  const names = [1, 2, 3, 4, 5, 6].map(segmentName);
  const paths = names.map((name) => `d/${name}`);
  for (const path of paths) files.put(path, encodeHeader({ first: 4, pointsBefore: 0, missing: 0 }));
  files.put(paths[1], "ALRJRNL9".padEnd(HEADER_BYTES));
  files.put(paths[2], "no segment".padEnd(HEADER_BYTES));
  files.failing.add(`read ${paths[5]}`);
  const { segments, problems, otherFormats, misnamed } = await findSegments("d", names, files, TIMES);
  assert.deepEqual([segments.map(({ path }) => path), misnamed], [[paths[3]], []]);
  assert.deepEqual([...problems].sort(), [
    [paths[0], `it begins with the same record as ${paths[3]}`],
    [paths[1], problems.get(paths[1])],
    [paths[2], "it does not begin like a segment"],
    [paths[4], `it begins with the same record as ${paths[3]}`],
    [paths[5], "read fails"],
  ]);
  assert.ok(otherFormats.size === 0 || otherFormats.has(paths[1]));
});

const ONE = { name: "one", instance: ID };
const LOCAL: ClientState = { name: "", instance: "", sequence: 0, points: 3, contactMs: 0 };
const FIRST = 20;

/** A segment whose records have 1, 2, 3 … points of a client, in its batches 1, 2, 3 … */
function segmentOf(records: number) {
  const origins = new OriginWriter();
  const payloads = [encodeSnapshot([LOCAL])];
  for (let n = 1; n <= records; n++) {
    const writer = new PostcardWriter();
    origins.write(writer, [{ client: ONE as ClientRecord, start: 0, end: n, sequence: n }]);
    payloads.push(writer.u64(n).raw(new Uint8Array(n).fill(0xff)).written.slice());
  }
  const starts = [HEADER_BYTES];
  for (const { length } of payloads) starts.push(starts.at(-1)! + RECORD_HEAD_BYTES + length);
  const bytes = new Uint8Array(starts.at(-1)!);
  bytes.set(encodeHeader({ first: FIRST, pointsBefore: 100, missing: 0 }));
  payloads.forEach((payload, n) => {
    bytes.set(payload, starts[n] + RECORD_HEAD_BYTES);
    putRecordHead(bytes, starts[n], starts[n + 1]);
  });
  return { bytes, starts };
}

/** What a scan finds: the rest, and what the census has of the client. */
async function scanned(
  bytes: Uint8Array<ArrayBuffer>,
  options?: ScanOptions,
  { length = bytes.length, first = FIRST } = {},
) {
  const files = new MemoryFiles();
  files.put("s", bytes);
  const { census, ...scan } = await scanSegment(
    files,
    { path: "s", first, pointsBefore: 100, length },
    options,
  );
  const state = census?.clients.get(keyOf(ONE));
  return { ...scan, points: census?.points, one: state && [state.points, state.sequence, state.contactMs] };
}

const GOOD = { badSnapshot: false, stop: "end", lostPoints: 0 };

Deno.test("a scan counts the records of a segment, up to the one where it is to end", async () => {
  const { bytes, starts } = segmentOf(3);
  const all = { ...GOOD, records: 3, goodLength: bytes.length, points: 106, one: [6, 3, 50] };
  assert.deepEqual(await scanned(bytes, { seenMs: 50 }), all);
  const two = { ...GOOD, records: 2, goodLength: starts[3], points: 103, one: [3, 2, 0] };
  assert.deepEqual(await scanned(bytes, { before: FIRST + 2 }), two);
  assert.deepEqual(await scanned(bytes, {}, { length: starts[3] }), two);
  // The list of clients is read in any case.
  const none = { ...GOOD, records: 0, goodLength: starts[1], points: 100, one: undefined };
  assert.deepEqual(await scanned(bytes, { before: FIRST }), none);
});

Deno.test("a segment that ends within a record is torn, and has those before", async () => {
  const { bytes, starts } = segmentOf(3);
  const two = { records: 2, goodLength: starts[3], points: 103, one: [3, 2, 0] };
  for (const length of [starts[3] + 1, bytes.length - 1]) {
    assert.deepEqual(await scanned(bytes.slice(0, length)), { ...GOOD, ...two, stop: "torn" });
  }
});

Deno.test("a damaged record ends a scan, and the points from there on are counted as lost", async () => {
  const { bytes, starts } = segmentOf(5);
  const two = { badSnapshot: false, records: 2, goodLength: starts[3], points: 103 };
  const damaged = bytes.slice();
  damaged[starts[4] - 1] ^= 1;
  const problem = "its checksum is wrong";
  // Whoever still has batches 3 to 5 sends them again.
  const lost = { ...two, stop: "bad", problem, lostPoints: 12, one: [3, 2, 0] };
  assert.deepEqual(await scanned(damaged), lost);
  // All outputs had the first two of these, which is why their numbers count.
  assert.deepEqual(await scanned(damaged, { lostFrom: FIRST + 4 }), {
    ...lost,
    lostPoints: 5,
    one: [3, 4, 0],
  });
  assert.deepEqual(await scanned(damaged, { lostFrom: FIRST + 5 }), {
    ...lost,
    lostPoints: 0,
    one: [3, 5, 0],
  });
  const wrongLength = bytes.slice();
  wrongLength[starts[3]]++;
  assert.deepEqual(await scanned(wrongLength), { ...lost, problem: "its length is wrong" });
  assert.deepEqual(await scanned(wrongLength, { lostFrom: FIRST + 3 }), {
    ...lost,
    problem: "its length is wrong",
    lostPoints: 9,
    one: [3, 3, 0],
  });
});

Deno.test("a client that a damaged record names is known in those after it, and each damaged record is lost", async () => {
  const { bytes, starts } = segmentOf(5);
  const damaged = bytes.slice();
  damaged[starts[2] - 1] ^= 1;
  const none = { badSnapshot: false, stop: "bad", problem: "its checksum is wrong", records: 0, points: 100 };
  const lost = { ...none, goodLength: starts[1], lostPoints: 15, one: [0, 0, 0] };
  assert.deepEqual(await scanned(damaged), lost);
  assert.deepEqual(await scanned(damaged, {}, { first: 0 }), lost, "the first record of all");
  const all = { lostFrom: FIRST + 5 };
  assert.deepEqual(await scanned(damaged, all), { ...lost, lostPoints: 0, one: [0, 5, 0] });
  damaged[starts[4] - 1] ^= 1;
  assert.deepEqual(await scanned(damaged), lost);
  assert.deepEqual(await scanned(damaged, all), { ...lost, lostPoints: 0, one: [0, 5, 0] });
});

Deno.test("a length beyond the end is wrong if the record is valid without it, and else that of a torn record", async () => {
  const { bytes, starts } = segmentOf(5);
  const damaged = bytes.slice();
  damaged[starts[3] + 1]++;
  const two = { badSnapshot: false, records: 2, goodLength: starts[3], points: 103, one: [3, 2, 0] };
  assert.deepEqual(await scanned(damaged), {
    ...two,
    stop: "bad",
    problem: "its length is wrong",
    lostPoints: 12,
  });
  damaged[starts[4] - 1] ^= 1;
  assert.deepEqual(await scanned(damaged), { ...two, stop: "torn", lostPoints: 0 });
  const strange = bytes.slice(0, starts[3] + 20).fill(0, starts[3]).fill(9, starts[3] + 8);
  assert.deepEqual(await scanned(strange), {
    ...two,
    stop: "bad",
    problem: "it is not a record",
    lostPoints: 0,
  });
});

Deno.test("where it is not known how many records are damaged, the points of all after them are lost", async () => {
  const { bytes, starts } = segmentOf(5);
  const damaged = bytes.slice();
  // The head of the third record, and its end.
  damaged.fill(0xee, starts[3], starts[3] + RECORD_HEAD_BYTES);
  damaged[starts[4] - 1] ^= 1;
  const scan = await scanned(damaged, { lostFrom: FIRST + 5 });
  assert.deepEqual([scan.stop, scan.records, scan.goodLength, scan.lostPoints], ["bad", 2, starts[3], 12]);
  assert.deepEqual(scan.one, [3, 2, 0]);
});

Deno.test("a damaged list of clients is replaced by a base, and without one nothing is counted", async () => {
  const { bytes, starts } = segmentOf(2);
  const damaged = bytes.slice();
  damaged[starts[1] - 1] ^= 1;
  assert.deepEqual(await scanned(damaged, { base: new Census(100), seenMs: 50 }), {
    badSnapshot: true,
    stop: "end",
    records: 2,
    goodLength: bytes.length,
    lostPoints: 0,
    points: 103,
    one: [3, 2, 50],
  });
  const nothing = {
    badSnapshot: false,
    stop: "bad",
    records: 0,
    goodLength: HEADER_BYTES,
    points: undefined,
    one: undefined,
  };
  const problem = "its checksum is wrong";
  assert.deepEqual(await scanned(damaged), { ...nothing, problem, lostPoints: 3 });
  assert.deepEqual(await scanned(damaged, { lostFrom: FIRST + 1 }), { ...nothing, problem, lostPoints: 2 });
  const more = damaged.slice();
  more[starts[2] - 1] ^= 1;
  for (const options of [{}, { base: new Census(100) }]) {
    assert.deepEqual(await scanned(more, options), { ...nothing, problem, lostPoints: 2 });
  }
  assert.deepEqual(await scanned(bytes, {}, { length: HEADER_BYTES }), {
    ...nothing,
    problem: "its list of clients is incomplete",
    lostPoints: 0,
  });
});

Deno.test("a segment that cannot be read is bad", async () => {
  const files = new MemoryFiles();
  files.put("s", segmentOf(1).bytes);
  files.failing.add("open s");
  const scan = await scanSegment(files, { path: "s", first: FIRST, pointsBefore: 0, length: 100 });
  assert.deepEqual([scan.stop, scan.problem, scan.census], ["bad", "open fails", null]);
});
