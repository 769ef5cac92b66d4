import assert from "node:assert/strict";
import { crc32c } from "../../lib/base/crc32c.ts";
import { Chance } from "../kit/bytes.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

Deno.test("crc32c computes the checksums of RFC 3720, appendix B.4, and the check value of the catalogue", () => {
  assert.equal(crc32c(ascii("")), 0);
  assert.equal(crc32c(ascii("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, n) => n)), 0x46dd794e);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, n) => 31 - n)), 0x113fdb5c);
});

Deno.test("crc32c of parts at any offset equals that of the whole", () => {
  const chance = new Chance(7);
  for (let n = 0; n < 200; n++) {
    const bytes = chance.bytes(300);
    const whole = crc32c(bytes);
    const cut = chance.int(bytes.length + 1);
    assert.equal(crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut)), whole);
    const moved = new Uint8Array(bytes.length + 20);
    moved.set(bytes, 5);
    assert.equal(crc32c(moved, 5, 5 + bytes.length), whole);
    assert.equal(crc32c(moved.subarray(3), 2, 2 + bytes.length), whole);
  }
});

Deno.test("crc32c takes every length around its words of four bytes and its streams of words, and every value of a byte", () => {
  const bitwise = (bytes: Uint8Array) => {
    let crc = 0xffffffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc >>> 0;
  };
  for (let length = 0; length < 120; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => 37 * i + length);
    assert.equal(crc32c(bytes), bitwise(bytes));
  }
  for (let value = 0; value < 256; value++) {
    const bytes = new Uint8Array(117).fill(value);
    assert.equal(crc32c(bytes), bitwise(bytes), `${value}`);
  }
});
