import assert from "node:assert/strict";
import {
  checkUtf8,
  decodeUtf8,
  PostcardError,
  PostcardReader,
  PostcardWriter,
  putVarint,
  varintLength,
  zigzagDecode32,
  zigzagDecode64,
  zigzagEncode32,
  zigzagEncode64,
} from "../lib/postcard.ts";
import { cases, Chance, fromHex, testdataText, toHex } from "./kit/bytes.ts";

interface Primitive {
  type: string;
  hex: string;
  value: string;
  f64?: string;
}

const { primitives } = JSON.parse(testdataText("postcard.json")) as { primitives: Primitive[] };

function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return toHex(new Uint8Array(view.buffer));
}

/** Reads a value of that type, as the text in which the vectors have it. */
function readPrimitive(reader: PostcardReader, type: string): string {
  switch (type) {
    case "f64":
      return bitsOf(reader.f64());
    case "string":
      return reader.string();
    case "u8":
    case "u16":
    case "u32":
    case "u64":
    case "i8":
    case "i16":
    case "i32":
    case "i64":
    case "bool":
      return String(reader[type]());
    default:
      throw new Error(`no such type: ${type}`);
  }
}

function writePrimitive(writer: PostcardWriter, type: string, value: string, bits = ""): void {
  switch (type) {
    case "f64":
      writer.f64(new DataView(fromHex(bits).buffer).getFloat64(0));
      break;
    case "string":
      writer.string(value);
      break;
    case "bool":
      writer.bool(value === "true");
      break;
    case "u64":
    case "i64":
      writer[type](BigInt(value));
      break;
    case "u8":
    case "u16":
    case "u32":
    case "i8":
    case "i16":
    case "i32":
      writer[type](Number(value));
      break;
    default:
      throw new Error(`no such type: ${type}`);
  }
}

Deno.test("the reader decodes every primitive of the reference implementation, to the last byte", () => {
  assert.ok(primitives.length > 50);
  for (const { type, hex, value, f64 } of primitives) {
    const reader = new PostcardReader(fromHex(hex));
    assert.equal(readPrimitive(reader, type), f64 ?? value, `${type} ${hex}`);
    assert.equal(reader.remaining, 0);
  }
});

Deno.test("the writer encodes every primitive as the reference implementation does", () => {
  for (const { type, hex, value, f64 } of primitives) {
    const writer = new PostcardWriter();
    writePrimitive(writer, type, value, f64);
    assert.equal(toHex(writer.written), hex, `${type} ${value}`);
  }
});

Deno.test("varints that are too long for their type, or overflow it, are refused", () => {
  const verdicts: [method: "u16" | "u32" | "u64", hex: string, good: boolean][] = [
    ["u16", "ffff03", true],
    ["u16", "ffff04", false],
    ["u16", "80808000", false],
    ["u16", "808000", true],
    ["u32", "ffffffff0f", true],
    ["u32", "ffffffff10", false],
    ["u32", "808080808000", false],
    ["u64", "ffffffffffffffffff01", true],
    ["u64", "ffffffffffffffffff02", false],
    ["u64", "8080808080808080808000", false],
    ["u64", "8000", true],
  ];
  for (const [method, hex, good] of verdicts) {
    const read = () => new PostcardReader(fromHex(hex))[method]();
    if (good) read();
    else assert.throws(read, (error) => error instanceof PostcardError && error.code === "bad_varint", hex);
  }
});

Deno.test("u64Number is a number up to 2^53, and an exact bigint above", () => {
  for (
    const value of [0n, 127n, 128n, 2n ** 49n - 1n, 2n ** 49n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n]
  ) {
    const read = new PostcardReader(new PostcardWriter().u64(value).written).u64Number();
    assert.equal(BigInt(read), value);
    assert.equal(typeof read, value <= 2n ** 53n ? "number" : "bigint");
  }
});

Deno.test("putVarint and varintLength agree with the writer", () => {
  for (const value of [0, 1, 127, 128, 16383, 16384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 42 + 5, 2 ** 53]) {
    const bytes = new Uint8Array(10);
    const length = putVarint(bytes, 0, value);
    assert.equal(length, varintLength(value));
    assert.equal(toHex(bytes.subarray(0, length)), toHex(new PostcardWriter().u64(BigInt(value)).written));
  }
});

Deno.test("zigzag maps the ends of each range and comes back", () => {
  for (const n of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31)]) assert.equal(zigzagDecode32(zigzagEncode32(n)), n);
  for (const n of [0n, -1n, 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    assert.equal(zigzagDecode64(zigzagEncode64(n)), n);
  }
  assert.equal(zigzagEncode32(-(2 ** 31)), 2 ** 32 - 1);
  assert.equal(zigzagEncode64(-(2n ** 63n)), 2n ** 64n - 1n);
});

Deno.test("the ends of each type are written, and what is beyond them is refused", () => {
  for (
    const [type, min, max] of [
      ["u8", 0, 0xff],
      ["i8", -0x80, 0x7f],
      ["u16", 0, 0xffff],
      ["i16", -0x8000, 0x7fff],
      ["u32", 0, 0xffffffff],
      ["i32", -0x80000000, 0x7fffffff],
    ] as const
  ) {
    for (const end of [min, max]) {
      assert.equal(
        new PostcardReader(new PostcardWriter()[type](end).written)[type](),
        end,
        `${type} ${end}`,
      );
    }
    const writer = new PostcardWriter();
    for (const beyond of [min - 1, max + 1, 1.5, NaN]) {
      assert.throws(() => writer[type](beyond), RangeError, `${type} ${beyond}`);
    }
    assert.equal(writer.length, 0);
  }
  const writer = new PostcardWriter();
  for (const beyond of [-1n, 2n ** 64n, -1, 2 ** 54]) assert.throws(() => writer.u64(beyond), RangeError);
  for (const beyond of [-(2n ** 63n) - 1n, 2n ** 63n]) assert.throws(() => writer.i64(beyond), RangeError);
  assert.equal(writer.length, 0);
});

Deno.test("what a writer has is copied to its place, and nothing beside it", () => {
  const bytes = new Uint8Array(6).fill(9);
  new PostcardWriter().u8(1).u8(2).u8(3).copyTo(bytes, 2);
  assert.deepEqual([...bytes], [9, 9, 1, 2, 3, 9]);
});

Deno.test("a writer that is cleared writes from the beginning", () => {
  const writer = new PostcardWriter().u32(300).u8(7);
  writer.clear();
  assert.equal(writer.length, 0);
  assert.deepEqual([...writer.u8(9).written], [9]);
});

Deno.test("text keeps byte order marks and NUL, and invalid UTF-8 is refused", () => {
  for (const text of ["", "\ufeffa", "\u0000", "a\u0000b".repeat(20), "é".repeat(40)]) {
    const bytes = new TextEncoder().encode(text);
    assert.equal(decodeUtf8(bytes, 0, bytes.length), text);
    assert.equal(checkUtf8(bytes, 0, bytes.length), undefined);
  }
  for (const hex of ["ff", "c3", "eda080", "f4908080", "c080", "61".repeat(40) + "ff"]) {
    const bytes = fromHex(hex);
    assert.throws(() => decodeUtf8(bytes, 0, bytes.length), PostcardError, hex);
  }
});

/** A random value as a pair of writer and reader calls. */
function randomValue(
  chance: Chance,
  depth = 0,
): [(w: PostcardWriter) => void, (r: PostcardReader) => unknown, unknown] {
  switch (chance.int(depth > 3 ? 14 : 19)) {
    case 0: {
      const v = chance.int(256);
      return [(w) => w.u8(v), (r) => r.u8(), v];
    }
    case 1: {
      const v = chance.int(65536);
      return [(w) => w.u16(v), (r) => r.u16(), v];
    }
    case 2: {
      const v = Math.floor(2 ** (chance.next() * 32)) - 1;
      return [(w) => w.u32(v), (r) => r.u32(), v];
    }
    case 3: {
      const v = chance.u64();
      return [(w) => w.u64(v), (r) => r.u64(), v];
    }
    case 4: {
      const v = chance.int(256) - 128;
      return [(w) => w.i8(v), (r) => r.i8(), v];
    }
    case 5: {
      const v = chance.int(65536) - 32768;
      return [(w) => w.i16(v), (r) => r.i16(), v];
    }
    case 6: {
      const v = chance.int(2 ** 32) - 2 ** 31;
      return [(w) => w.i32(v), (r) => r.i32(), v];
    }
    case 7: {
      const v = BigInt.asIntN(64, chance.u64());
      return [(w) => w.i64(v), (r) => r.i64(), v];
    }
    case 8: {
      const v = Math.fround((chance.next() - 0.5) * 1e6);
      return [(w) => w.f32(v), (r) => r.f32(), v];
    }
    case 9: {
      const v = chance.pick([0, -0, 1 / 3, 5e-324, 1.7976931348623157e308, Infinity, NaN, chance.next()]);
      return [(w) => w.f64(v), (r) => r.f64(), v];
    }
    case 10: {
      const v = chance.int(2) === 1;
      return [(w) => w.bool(v), (r) => r.bool(), v];
    }
    case 11: {
      const v = chance.text(60);
      return [(w) => w.string(v), (r) => r.string(), v];
    }
    case 12: {
      const v = chance.bytes();
      return [(w) => w.bytes(v), (r) => r.bytes(), v];
    }
    case 13:
      return [(w) => w.unit(), (r) => r.unit(), undefined];
    case 14: {
      const variants = 1 + chance.int(300);
      const v = chance.int(variants);
      return [(w) => w.discriminant(v), (r) => r.discriminant(variants), v];
    }
    case 15: {
      const [write, read, v] = randomValue(chance, depth + 1);
      const some = chance.int(2) === 1 && v !== undefined;
      return [(w) => w.option(some ? v : null, write), (r) => r.option(read), some ? v : null];
    }
    case 16: {
      const v = Array.from({ length: chance.int(20) }, () => chance.u64());
      return [(w) => w.sequence(v, (w, x) => w.u64(x)), (r) => r.sequence((r) => r.u64()), v];
    }
    case 17: {
      const v = new Map(Array.from({ length: chance.int(8) }, () => [chance.text(), chance.int(1000)]));
      const write = (w: PostcardWriter) => void w.map(v, (w, k) => w.string(k), (w, x) => w.u32(x));
      return [write, (r) => r.map((r) => r.string(), (r) => r.u32()), v];
    }
    default: {
      // A struct: fields one after another.
      const fields = Array.from({ length: chance.int(5) }, () => randomValue(chance, depth + 1));
      return [
        (w) => fields.forEach(([write]) => write(w)),
        (r) => fields.map(([, read]) => read(r)),
        fields.map(([, , v]) => v),
      ];
    }
  }
}

Deno.test("random values of every type come back as they went in", () => {
  const chance = new Chance(1);
  for (let n = 0; n < cases(3000); n++) {
    const [write, read, value] = randomValue(chance);
    const writer = new PostcardWriter(16);
    write(writer);
    const reader = new PostcardReader(writer.written);
    assert.deepStrictEqual(read(reader), value, `case ${n}`);
    assert.equal(reader.remaining, 0);
  }
});

Deno.test("mutated bytes are decoded or refused with a PostcardError, whatever they are", () => {
  const chance = new Chance(2);
  for (let n = 0; n < cases(20_000); n++) {
    const [write, read] = randomValue(chance);
    const writer = new PostcardWriter();
    write(writer);
    try {
      read(new PostcardReader(chance.mutate(writer.written)));
    } catch (error) {
      assert.ok(error instanceof PostcardError, `case ${n}: ${error}`);
    }
  }
});

Deno.test("a count above the bytes that are left is refused before anything is made of it", () => {
  // 2^60 items, in bytes that would be enough for a few.
  const bytes = new PostcardWriter().u64(2n ** 60n).raw(new Uint8Array(100)).written;
  let calls = 0;
  const count = () => calls++;
  assert.throws(() => new PostcardReader(bytes).sequence(count), PostcardError);
  assert.throws(() => new PostcardReader(bytes).map(count, count), PostcardError);
  assert.throws(() => new PostcardReader(bytes).string(), PostcardError);
  assert.throws(() => new PostcardReader(bytes).bytes(), PostcardError);
  assert.equal(calls, 0);
});

Deno.test("a reader keeps to its part of the bytes", () => {
  const bytes = fromHex("0561626364656667");
  assert.equal(new PostcardReader(bytes, 0, 6).string(), "abcde");
  assert.throws(() => new PostcardReader(bytes, 0, 5).string(), PostcardError);
  assert.equal(new PostcardReader(bytes, 1, 2).u8(), 0x61);
  assert.throws(() => new PostcardReader(bytes, 8).u8(), { name: "PostcardError" });
  for (const method of ["u16", "u32", "u64", "u64Number"] as const) {
    const cut = new PostcardReader(Uint8Array.of(0x81, 0x82, 0x01), 0, 2);
    assert.throws(() => cut[method](), { name: "PostcardError", code: "end_of_input" }, method);
  }
});

/** What a call throws as a code, or what it returns. */
function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof PostcardError) return error.code;
    throw error;
  }
}

Deno.test("text is checked to its last byte and no further, at the lengths around the short way", () => {
  for (const length of [1, 2, 22, 23, 24, 25, 40]) {
    for (let at = 0; at < length; at++) {
      // One byte on each side of the text is invalid, and does not belong to it.
      const bytes = new Uint8Array(length + 2).fill(0x61);
      bytes[0] = bytes[length + 1] = 0x80;
      const what = `byte ${at} of ${length}`;
      assert.equal(outcome(() => decodeUtf8(bytes, 1, length + 1)), "a".repeat(length), what);
      assert.equal(outcome(() => checkUtf8(bytes, 1, length + 1)), undefined, what);
      for (const bad of [0x80, 0xff]) {
        bytes[1 + at] = bad;
        assert.equal(outcome(() => decodeUtf8(bytes, 1, length + 1)), "bad_utf8", what);
        assert.equal(outcome(() => checkUtf8(bytes, 1, length + 1)), "bad_utf8", what);
      }
      if (at + 1 < length) {
        bytes.set([0xc3, 0xa4], 1 + at);
        const text = "a".repeat(at) + "ä" + "a".repeat(length - at - 2);
        assert.equal(outcome(() => decodeUtf8(bytes, 1, length + 1)), text, what);
        assert.equal(outcome(() => checkUtf8(bytes, 1, length + 1)), undefined, what);
      }
    }
  }
});

Deno.test("bools, options and variants take the values that they have, and no other byte", () => {
  const read = (byte: number) => new PostcardReader(Uint8Array.of(byte, 7));
  for (let byte = 0; byte < 128; byte++) {
    assert.equal(outcome(() => read(byte).bool()), byte < 2 ? byte === 1 : "bad_bool");
    assert.equal(
      outcome(() => read(byte).option((reader) => reader.u8())),
      [null, 7][byte] ?? (byte < 2 ? null : "bad_option"),
    );
    assert.equal(outcome(() => read(byte).discriminant(5)), byte < 5 ? byte : "bad_discriminant");
  }
});

Deno.test("an error says where the value begins that is wrong", () => {
  const at = (bytes: number[], read: (reader: PostcardReader) => unknown) => {
    const reader = new PostcardReader(Uint8Array.from([0, ...bytes]));
    reader.skip(1);
    try {
      read(reader);
    } catch (error) {
      return (error as PostcardError).offset;
    }
  };
  assert.equal(at([2], (reader) => reader.bool()), 1);
  assert.equal(at([2], (reader) => reader.option(() => 0)), 1);
  assert.equal(at([0x80, 0x80, 0x80], (reader) => reader.u16()), 1);
  assert.equal(at(new Array(10).fill(0xff), (reader) => reader.u64()), 1);
  assert.equal(at([9], (reader) => reader.discriminant(9)), 1);
  assert.equal(at([1, 2, 3], (reader) => reader.f64()), 1);
  assert.equal(at([5, 97], (reader) => reader.string()), 1);
});

Deno.test("a length is taken as long as its items fit into what is left", () => {
  for (const [itemBytes, left, most] of [[1, 10, 10], [3, 10, 3], [5, 10, 2], [11, 10, 0]]) {
    for (let count = 0; count <= 12; count++) {
      const bytes = new Uint8Array(1 + left);
      bytes[0] = count;
      const got = outcome(() => new PostcardReader(bytes).length(itemBytes));
      assert.equal(
        got,
        count <= most ? count : "end_of_input",
        `${count} items of ${itemBytes} bytes in ${left}`,
      );
    }
  }
});

Deno.test("putVarint and varintLength change their ways exactly where one byte more is needed", () => {
  for (let bits = 7; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits, Math.min(2 ** bits + 1, 2 ** 53)]) {
      const expected = new PostcardWriter().u64(value).written;
      const bytes = new Uint8Array(12).fill(0xee);
      assert.equal(putVarint(bytes, 1, value), 1 + expected.length, `${value}`);
      assert.deepEqual([...bytes.subarray(0, expected.length + 2)], [0xee, ...expected, 0xee], `${value}`);
      assert.equal(varintLength(value), expected.length, `${value}`);
      assert.equal(new PostcardReader(expected).u64Number(), value);
      assert.equal(new PostcardReader(expected).u64(), BigInt(value));
    }
  }
});

Deno.test("texts of every length, with what is not ASCII at every place, are written as TextEncoder encodes them", () => {
  const encoder = new TextEncoder();
  const writer = new PostcardWriter(16);
  for (let length = 0; length < 70; length++) {
    for (let place = 0; place <= length; place++) {
      for (const odd of place < length ? ["\x7f", "\x80", "é", "\ud83d", "😀"] : [""]) {
        const text = "a".repeat(place) + odd + "b".repeat(Math.max(0, length - place - 1));
        writer.clear();
        writer.u8(7).string(text).u8(8);
        const expected = encoder.encode(text);
        const head = expected.length < 128 ? [expected.length] : [expected.length & 0x7f | 0x80, 1];
        assert.equal(String(writer.written), String([7, ...head, ...expected, 8]), JSON.stringify(text));
      }
    }
  }
});
