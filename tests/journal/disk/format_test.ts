/** The bytes of segments, without a disk: what is written, what is read of it, and what is wrong with other bytes. */
import assert from "node:assert/strict";
import { crc32c } from "../../../lib/base/crc32c.ts";
import type { Files, JournalFile } from "../../../lib/journal/disk/format/files.ts";
import { RecordReader } from "../../../lib/journal/disk/format/record_reader.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  numberOfName,
  putRecordHead,
  readHeader,
  readSnapshotPayload,
  RECORD_HEAD_BYTES,
  segmentName,
} from "../../../lib/journal/disk/format/segment.ts";
import {
  type ClientState,
  decodeSnapshot,
  encodeSnapshot,
} from "../../../lib/journal/disk/format/snapshot.ts";
import { PostcardError } from "../../../lib/postcard.ts";
import { Chance, toHex } from "../../kit/bytes.ts";

const HEADER = { first: 0x0102030405, pointsBefore: 2 ** 53 - 1, missing: 7 };
const encoder = new TextEncoder();

/** A file with these bytes, which begins anywhere in its buffer. */
function fileOf(bytes: Uint8Array) {
  return { readStart: (_path: string, length: number) => bytes.slice(0, length) };
}

const headerOf = (bytes: Uint8Array) => readHeader(fileOf(bytes), "a");

/** The header with another beginning, and the checksum of all of it. */
function ofFormat(format: string): Uint8Array {
  const bytes = encodeHeader(HEADER);
  bytes.set(encoder.encode(format));
  new DataView(bytes.buffer).setUint32(36, crc32c(bytes, 0, 36), true);
  return bytes;
}

Deno.test("the header of a segment is its format, three numbers, and a checksum of the bytes before", () => {
  const bytes = encodeHeader(HEADER);
  assert.equal(
    toHex(bytes.subarray(0, 36)),
    toHex(encoder.encode("ALRJRNL3")) + "0504030201000000" + "ffffffffffff1f00" + "0700000000000000" +
      "00000000",
  );
  const sum = new DataView(new ArrayBuffer(4));
  sum.setUint32(0, crc32c(bytes.subarray(0, 36)), true);
  assert.equal(toHex(bytes.subarray(36)), toHex(new Uint8Array(sum.buffer)));
  assert.deepEqual(headerOf(bytes), HEADER);
});

Deno.test("a header is read from the first 40 bytes of a file, and from no fewer", () => {
  const bytes = Uint8Array.from([...encodeHeader(HEADER), 1, 2, 3]);
  assert.deepEqual(headerOf(bytes), HEADER);
  for (const length of [0, 1, 8, 39]) {
    assert.deepEqual(headerOf(bytes.slice(0, length)), {
      problem: `it has ${length} bytes, a header has 40`,
    });
  }
  assert.deepEqual(headerOf(bytes.slice(0, 40)), HEADER);
});

Deno.test("no bit of a header may change", () => {
  for (let at = 0; at < HEADER_BYTES; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = encodeHeader(HEADER);
      bytes[at] ^= 1 << bit;
      // The digit 3 is one bit from the 2 of the format before.
      const isFormat = at >= 8 || (at === 7 && bit === 0);
      const problem = isFormat ? "the checksum of its header is wrong" : "it does not begin like a segment";
      assert.deepEqual(headerOf(bytes), { problem }, `bit ${bit} of byte ${at}`);
    }
  }
});

Deno.test("the format before is read as well, and a later one is told from a damaged one", () => {
  assert.deepEqual(headerOf(ofFormat("ALRJRNL2")), HEADER);
  for (const otherFormat of ["ALRJRNL1", "ALRJRNL4", "ALRJRNLx"]) {
    assert.deepEqual(headerOf(ofFormat(otherFormat)), {
      problem:
        `its format is ${otherFormat}, of another version of this program; this one reads ALRJRNL2 and ALRJRNL3`,
      otherFormat,
    });
  }
  for (const other of ["ALRJRNL ", "ALRJRNL\n", "ALRJRN4L", "BLRJRNL4", "        "]) {
    assert.deepEqual(headerOf(ofFormat(other)), { problem: "it does not begin like a segment" }, other);
  }
  // The rest is that of a segment of this format, or of the one before: the last letter alone is damaged.
  for (const format of ["ALRJRNL2", "ALRJRNL3"]) {
    const bytes = ofFormat(format);
    bytes[7] = 0x34;
    assert.deepEqual(headerOf(bytes), { problem: "it does not begin like a segment" });
  }
});

Deno.test("the name of a segment is its number in 20 digits", () => {
  for (const number of [0, 42, 2 ** 52]) {
    const name = segmentName(number);
    assert.equal(name, `${"0".repeat(20 - String(number).length)}${number}.segment`);
    assert.equal(numberOfName(name), number);
  }
  for (
    const name of [
      "42.segment",
      `0${segmentName(1)}`,
      `${segmentName(1)}.tmp`,
      segmentName(1).replace(".", "-"),
    ]
  ) {
    assert.equal(numberOfName(name), null, name);
  }
});

/** A record with this payload behind a header, and another one. */
function segmentOf(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = HEADER_BYTES + RECORD_HEAD_BYTES + payload.length;
  const bytes = new Uint8Array(end + RECORD_HEAD_BYTES + 1);
  bytes.set(encodeHeader(HEADER));
  bytes.set(payload, HEADER_BYTES + RECORD_HEAD_BYTES);
  putRecordHead(bytes, HEADER_BYTES, end);
  putRecordHead(bytes, end, bytes.length);
  return bytes;
}

Deno.test("a record is its length, a checksum of its payload, and the payload, wherever it stands", () => {
  const payload = encoder.encode("payload");
  const buffer = new Uint8Array(40).fill(0xaa);
  const bytes = buffer.subarray(3);
  bytes.set(payload, 5 + RECORD_HEAD_BYTES);
  putRecordHead(bytes, 5, 5 + RECORD_HEAD_BYTES + payload.length);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, payload.length, true);
  head.setUint32(4, crc32c(payload), true);
  const record = new Uint8Array([...new Uint8Array(head.buffer), ...payload]);
  assert.equal(toHex(bytes), `${"aa".repeat(5)}${toHex(record)}${"aa".repeat(37 - 5 - record.length)}`);
});

Deno.test("the first record of a segment is read without the others, if it is whole", () => {
  const payload = encoder.encode("the clients");
  const bytes = segmentOf(payload);
  const end = HEADER_BYTES + RECORD_HEAD_BYTES + payload.length;
  for (let length = 0; length <= bytes.length; length++) {
    const read = readSnapshotPayload(fileOf(bytes.slice(0, length)), "a");
    assert.deepEqual(read, length < end ? null : payload, `${length} bytes`);
  }
  assert.deepEqual(readSnapshotPayload(fileOf(segmentOf(encoder.encode("x"))), "a"), encoder.encode("x"));
  assert.equal(readSnapshotPayload(fileOf(segmentOf(new Uint8Array(0))), "a"), null);
  for (let at = HEADER_BYTES; at < end; at++) {
    const damaged = bytes.slice();
    damaged[at] ^= 0x10;
    assert.equal(readSnapshotPayload(fileOf(damaged), "a"), null, `byte ${at}`);
  }
});

Deno.test("no more is read of a file than the largest first record has, whatever its length says", () => {
  for (const [length, isRead] of [[2 ** 31, true], [2 ** 31 + 1, false], [2 ** 32 - 1, false]] as const) {
    const bytes = segmentOf(encoder.encode("x"));
    new DataView(bytes.buffer).setUint32(HEADER_BYTES, length, true);
    const asked: number[] = [];
    const readStart = (_path: string, length: number) => {
      asked.push(length);
      return bytes.slice(0, length);
    };
    assert.equal(readSnapshotPayload({ readStart }, "a"), null);
    assert.deepEqual(asked, isRead ? [48, 48 + length] : [48]);
  }
});

const CLIENTS: readonly ClientState[] = [
  { name: "", instance: "", sequence: 0, points: 2 ** 53, contactMs: 0 },
  { name: "é", instance: "0f".repeat(16), sequence: 300, points: 7, contactMs: 1_700_000_000_000 },
];

Deno.test("the list of clients has a name, an instance, a number, points and a time of each", () => {
  const bytes = encodeSnapshot(CLIENTS);
  assert.equal(
    toHex(bytes),
    "0002" + "00" + "00" + "00" + "8080808080808010" + "00" +
      "02c3a9" + "01" + "0f".repeat(16) + "ac02" + "07" + "80d095ffbc31",
  );
  assert.deepEqual(decodeSnapshot(bytes), CLIENTS);
  const [me] = CLIENTS;
  assert.deepEqual(decodeSnapshot(encodeSnapshot([{ ...me, points: 0 }])), [{ ...me, points: 0 }]);
  // A time before the epoch, or with a fraction, is none that can be written.
  for (const [contactMs, kept] of [[-5, 0], [1.9, 1]]) {
    assert.deepEqual(decodeSnapshot(encodeSnapshot([{ ...me, contactMs }])), [{ ...me, contactMs: kept }]);
  }
});

Deno.test("a list of clients that is cut, has more behind it, or is another thing is refused", () => {
  const bytes = encodeSnapshot(CLIENTS);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeSnapshot(bytes.slice(0, length)), PostcardError, `${length} bytes`);
  }
  assert.throws(() => decodeSnapshot(Uint8Array.from([...bytes, 0])), PostcardError);
  for (const wrong of [[1, ...bytes.slice(1)], [0, 0]]) {
    assert.throws(
      () => decodeSnapshot(Uint8Array.from(wrong)),
      (error) => error instanceof PostcardError && error.offset === 0 && /not a snapshot/.test(error.message),
    );
  }
});

/** A file in memory, of which each reading gets `most` bytes at most. */
function memoryFile(bytes: Uint8Array, most: number) {
  let at = 0;
  const file = {
    read(into: Uint8Array): Promise<number | null> {
      const count = Math.min(most, into.length, bytes.length - at);
      into.set(bytes.subarray(at, at + count));
      at += count;
      return Promise.resolve(count === 0 ? null : count);
    },
    seek: (offset: number) => Promise.resolve(at = offset),
    close: () => {},
  };
  return { open: () => Promise.resolve(file as unknown as JournalFile) } as unknown as Files;
}

/** A segment with these payloads, and where each record begins. */
function recordsOf(payloads: readonly Uint8Array[]): { bytes: Uint8Array<ArrayBuffer>; starts: number[] } {
  const starts: number[] = [];
  let end = HEADER_BYTES;
  for (const { length } of payloads) {
    starts.push(end);
    end += RECORD_HEAD_BYTES + length;
  }
  const bytes = new Uint8Array(end);
  bytes.set(encodeHeader(HEADER));
  payloads.forEach((payload, n) => {
    bytes.set(payload, starts[n] + RECORD_HEAD_BYTES);
    putRecordHead(bytes, starts[n], starts[n] + RECORD_HEAD_BYTES + payload.length);
  });
  return { bytes, starts };
}

const PAYLOADS = [5, 1, 40, 3, 300, 2].map((length, n) => new Uint8Array(length).fill(n + 1));

/** What comes of a segment: numbers of payloads, why there are no more, and what was skipped. */
async function readAll(
  bytes: Uint8Array,
  most = Infinity,
  buffer?: Uint8Array<ArrayBuffer>,
): Promise<string> {
  using reader = await RecordReader.open(memoryFile(bytes, most), "a", buffer);
  const found: (string | number)[] = [];
  const numberOf = (payload: Uint8Array) => PAYLOADS.findIndex((one) => toHex(one) === toHex(payload));
  while (true) {
    const next = await reader.next(bytes.length);
    if (typeof next !== "string") {
      found.push(numberOf(next));
      continue;
    }
    found.push(next);
    if (next === "end") break;
    const damage = await reader.skipDamage(bytes.length);
    if (damage === null) break;
    found.push(damage.what);
    if (damage.what === "length") found.push(numberOf(damage.payload));
  }
  return found.join(" ");
}

Deno.test("records are read however the file comes in pieces, and however small the buffer is", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  for (const most of [1, 2, 7, 8, 9, 100, Infinity]) {
    for (const size of [1, 8, 13, 64, 1024]) {
      assert.equal(await readAll(bytes, most, new Uint8Array(size)), "0 1 2 3 4 5 end", `${most} of ${size}`);
    }
  }
  using reader = await RecordReader.open(memoryFile(bytes, 7), "a");
  for (const [n, start] of starts.entries()) {
    assert.equal(reader.offset, start);
    assert.deepEqual(await reader.next(bytes.length), PAYLOADS[n]);
  }
  assert.equal(reader.offset, bytes.length);
  assert.equal(await reader.next(bytes.length), "end");
});

Deno.test("nothing is read beyond the bytes that are known to be written, and more of them may come", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  using reader = await RecordReader.open(memoryFile(bytes, 3), "a", new Uint8Array(4));
  for (const [n, start] of starts.entries()) {
    const end = start + RECORD_HEAD_BYTES + PAYLOADS[n].length;
    for (const length of [start, start - 1]) assert.equal(await reader.next(length), "end");
    for (const length of [start + 1, start + 7, start + 8, end - 1]) {
      assert.equal(await reader.next(length), "torn", `${length - start} bytes of record ${n}`);
    }
    assert.deepEqual(await reader.next(end), PAYLOADS[n]);
  }
});

Deno.test("a file that ends anywhere has the records before, and the last one is torn", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  for (let length = HEADER_BYTES; length < bytes.length; length++) {
    const whole = starts.filter((start, n) =>
      start + RECORD_HEAD_BYTES + PAYLOADS[n].length <= length
    ).length;
    const isEnd = starts.includes(length);
    const expected = [...PAYLOADS.keys()].slice(0, whole).concat().join(" ");
    assert.equal(
      await readAll(bytes.slice(0, length), 11),
      `${expected} ${isEnd ? "end" : "torn"}`.trim(),
      `${length} bytes`,
    );
    // Bytes that were never written may be zero, as many as there are.
    const zeros = bytes.slice();
    zeros.fill(0, length);
    const last = starts[whole];
    if (last === length) {
      assert.equal(
        await readAll(zeros, 11, new Uint8Array(16)),
        `${expected} torn`.trim(),
      );
    }
  }
});

Deno.test("of a record with a wrong byte all others are read, and what is wrong is told", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  for (const [n, start] of starts.entries()) {
    const before = [...PAYLOADS.keys()].slice(0, n).join(" ");
    const after = [...[...PAYLOADS.keys()].slice(n + 1), "end"].join(" ");
    const isLast = n === PAYLOADS.length - 1;
    for (let at = start; at < start + RECORD_HEAD_BYTES + PAYLOADS[n].length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x40;
      const what = `byte ${at - start} of record ${n}`;
      const got = (await readAll(damaged, 50, new Uint8Array(32))).slice(before.length).trim();
      if (at >= start + 4) assert.equal(got, isLast ? "torn more end" : `bad payload ${after}`, what);
      // A length of more bytes than there are may be that of a record that was not written to its end, unless no record
      // is as long.
      else if (isLast) assert.equal(got, at === start + 3 ? "bad" : "torn", what);
      else {
        assert.match(got, /^(torn|bad) length \d /, what);
        assert.equal(got.replace(/^\w+ length /, ""), `${n} ${after}`, what);
      }
    }
  }
});

Deno.test("several damaged records are skipped together, up to the next one that is valid", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  const damaged = bytes.slice();
  damaged[starts[1]] ^= 0x40;
  damaged[starts[2] + 20] ^= 1;
  assert.equal(await readAll(damaged), "0 bad more 3 4 5 end");
  damaged[starts[3] + 9] ^= 1;
  damaged[starts[4] + 9] ^= 1;
  damaged[starts[5] + 9] ^= 1;
  assert.equal(await readAll(damaged), "0 bad more end");
  // A whole record with a wrong checksum, behind which nothing is valid.
  const end = bytes.slice();
  for (const n of [4, 5]) end[starts[n] + 9] ^= 1;
  assert.equal(await readAll(end), "0 1 2 3 bad more end");
  // Zeros and something behind them are not an end that was never written.
  const zeros = bytes.slice();
  zeros.fill(0, starts[2], starts[4]);
  assert.equal(
    await readAll(zeros, 5, new Uint8Array(8)),
    "0 1 bad more 4 5 end",
  );
});

Deno.test("the end of a file may be zeros that were never written, which no other bytes are", async () => {
  const { bytes } = recordsOf(PAYLOADS.slice(0, 2));
  const behind = (...more: number[]) => Uint8Array.from([...bytes, ...more]);
  const zeros = (count: number) => Array(count).fill(0);
  for (const count of [1, 7, 8, 9, 30]) assert.equal(await readAll(behind(...zeros(count)), 3), "0 1 torn");
  // The last byte alone is another one, and the buffer is smaller than what is left.
  assert.equal(await readAll(behind(...zeros(7), 1)), "0 1 bad");
  for (const count of [8, 30, 100]) {
    assert.equal(await readAll(behind(...zeros(count), 1), 5, new Uint8Array(16)), "0 1 bad");
  }
  // What stands in the buffer before them does not count.
  assert.equal(await readAll(behind(...zeros(60), 1), Infinity, new Uint8Array(64)), "0 1 bad");
  // Zeros are not a record, neither behind a damaged one nor after that.
  const damaged = bytes.slice();
  damaged[bytes.length - 1] ^= 1;
  assert.equal(await readAll(Uint8Array.from([...damaged, ...zeros(40)])), "0 bad more end");
  const { bytes: all, starts } = recordsOf(PAYLOADS);
  all[starts[2] + 9] ^= 1;
  assert.equal(await readAll(Uint8Array.from([...all, ...zeros(40)])), "0 1 bad payload 3 4 5 torn");
});

Deno.test("a file that is shorter than it should be is torn, and what is behind the known bytes does not count", async () => {
  const { bytes, starts } = recordsOf(PAYLOADS);
  for (let length = starts[4]; length < starts[5]; length++) {
    using reader = await RecordReader.open(memoryFile(bytes.slice(0, length), 9), "a", new Uint8Array(20));
    for (let n = 0; n < 4; n++) assert.deepEqual(await reader.next(bytes.length), PAYLOADS[n]);
    assert.equal(await reader.next(bytes.length), "torn", `${length} bytes`);
  }
  for (const size of [8, 16, 1024]) {
    const zeros = Uint8Array.from([...recordsOf([]).bytes, ...new Uint8Array(50)]);
    using short = await RecordReader.open(memoryFile(zeros, 7), "a", new Uint8Array(size));
    assert.equal(await short.next(zeros.length + 30), "torn");
    using known = await RecordReader.open(
      memoryFile(Uint8Array.from([...zeros, 1, 1, 1]), 7),
      "a",
      new Uint8Array(size),
    );
    assert.equal(await known.next(zeros.length), "torn");
  }
});

Deno.test("a record of up to 256 MiB may be one that was not written to its end, a longer one is damaged", async () => {
  for (const [size, stop] of [[2 ** 28, "torn"], [2 ** 28 + 1, "bad"]] as const) {
    const { bytes } = recordsOf(PAYLOADS);
    new DataView(bytes.buffer).setUint32(HEADER_BYTES, size, true);
    using reader = await RecordReader.open(memoryFile(bytes, 1000), "a");
    assert.equal(await reader.next(bytes.length), stop);
  }
});

/**
 * What is found behind a record whose length is wrong, in a segment of `length` bytes with these payloads at these places,
 * and heads of records of 1 MiB whose checksums are `wrong` at others.
 */
async function found(
  length: number,
  at: readonly (readonly [place: number, payload: Uint8Array])[],
  wrong: readonly number[] = [],
) {
  const bytes = new Uint8Array(HEADER_BYTES + length);
  new DataView(bytes.buffer).setUint32(HEADER_BYTES, 2 ** 32 - 1, true);
  for (const [place, payload] of at) {
    const start = HEADER_BYTES + place;
    bytes.set(payload, start + RECORD_HEAD_BYTES);
    putRecordHead(bytes, start, start + RECORD_HEAD_BYTES + payload.length);
  }
  for (const place of wrong) bytes[HEADER_BYTES + place + 2] = 16;
  using reader = await RecordReader.open(memoryFile(bytes, Infinity), "a");
  assert.equal(await reader.next(bytes.length), "bad");
  const damage = await reader.skipDamage(bytes.length);
  return damage === null ? null : [damage.what, reader.offset - HEADER_BYTES];
}

Deno.test("a valid record is searched for in the next 2 MiB, and must end in 4", async () => {
  const MIB = 2 ** 20;
  const [payload] = PAYLOADS;
  for (const place of [9, 10, 2 * MIB - 1, 2 * MIB]) {
    assert.deepEqual(await found(5 * MIB, [[place, payload]]), ["more", place], `${place}`);
  }
  for (const place of [2 * MIB + 1, 3 * MIB]) assert.equal(await found(5 * MIB, [[place, payload]]), null);
  // At the very end of the file.
  assert.deepEqual(await found(1000, [[1000 - 9, Uint8Array.of(1)]]), ["more", 991]);
  const place = 2 * MIB - 100;
  const large = (end: number) => new Uint8Array(end - place - RECORD_HEAD_BYTES).fill(1);
  assert.deepEqual(await found(5 * MIB, [[place, large(4 * MIB)]]), ["more", place]);
  assert.equal(await found(5 * MIB, [[place, large(4 * MIB + 1)]]), null);
});

Deno.test("the search sums 64 MiB in vain at most", async () => {
  const MIB = 2 ** 20;
  /** So many heads of records of 1 MiB with wrong checksums, and a valid record of 1 MiB behind them. */
  const behind = (heads: number) => {
    const wrong = Array.from({ length: heads }, (_, n) => 20 + 8 * n);
    return found(4 * MIB, [[2000, new Uint8Array(MIB).fill(1)]], wrong);
  };
  assert.deepEqual(await behind(50), ["more", 2000]);
  assert.equal(await behind(64), null);
});

Deno.test("whatever bytes stand in a segment, reading comes to an end, and no payload comes that was not written", async () => {
  const chance = new Chance(3);
  const { bytes } = recordsOf(PAYLOADS);
  for (let n = 0; n < 300; n++) {
    const damaged = Uint8Array.from([
      ...bytes.subarray(0, HEADER_BYTES),
      ...chance.mutate(bytes.slice(HEADER_BYTES)),
    ]);
    const found = await readAll(damaged, 1 + chance.int(60), new Uint8Array(1 + chance.int(60)));
    assert.doesNotMatch(found, /-1/);
  }
});
