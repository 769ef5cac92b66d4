import assert from "node:assert/strict";
import { decodeUtf8, Utf8Error } from "../../lib/base/utf8.ts";

const problem = (bytes: readonly number[] | Uint8Array): [number | undefined, string] => {
  try {
    decodeUtf8(Uint8Array.from(bytes));
  } catch (error) {
    assert.ok(error instanceof Utf8Error, String(error));
    return [error.line, error.message];
  }
  throw new Error("It was decoded");
};
const encode = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string, mark = "") =>
  [...mark + text].flatMap((c) => [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]);

Deno.test("decodeUtf8 keeps every valid text, with its byte order mark", () => {
  for (const text of ["", "a\nb", "é€🔋", "\ufeffa", "\ufffd", "a\ufffdb\ufffd"]) {
    assert.equal(decodeUtf8(encode(text)), text);
  }
});

Deno.test("decodeUtf8 names the line and the byte that is not UTF-8", () => {
  assert.deepEqual(problem([...encode("a\nb\n"), 0xe9, 0x0a]), [
    3,
    "byte 0xe9 is not UTF-8; save the file as UTF-8",
  ]);
  assert.deepEqual(problem([...encode("\ufffd\n\ufffd é\n"), 0xff])[0], 3);
  // The beginning of a character, cut off.
  assert.match(problem([...encode("a"), 0xe2, 0x82])[1], /^byte 0xe2 /);
});

Deno.test("decodeUtf8 says that a text is in UTF-16, with and without a byte order mark", () => {
  const text = "[plugins.csv]\n";
  assert.deepEqual(problem(utf16(text, "\ufeff")), [undefined, "it is in UTF-16; save the file as UTF-8"]);
  assert.match(problem(utf16(text))[1], /it seems to be in UTF-16/);
  assert.deepEqual(problem(encode("a\nbcd\0")), [2, "there is a NUL byte; save the file as UTF-8"]);
});

Deno.test("decodeUtf8 finds the first bad byte wherever it is", () => {
  const good = encode("aé€🔋\ufffd\n".repeat(5));
  for (let at = 0; at <= good.length; at++) {
    // Between two characters.
    if ((good[at] & 0xc0) === 0x80) continue;
    const bytes = [...good.subarray(0, at), 0xfe, ...good.subarray(at)];
    const line = good.subarray(0, at).filter((byte) => byte === 10).length + 1;
    assert.deepEqual(problem(bytes), [line, "byte 0xfe is not UTF-8; save the file as UTF-8"], String(at));
  }
});

Deno.test("decodeUtf8 takes the first bytes for UTF-16 only where they are", () => {
  assert.match(problem([0xff, 0xfe, 0x61, 0x00])[1], /^it is in UTF-16/);
  assert.match(problem([0xfe, 0xff, 0x00, 0x61])[1], /^it is in UTF-16/);
  assert.match(problem([0x61, 0xff])[1], /^byte 0xff/);
  assert.match(problem([0xff, 0xff])[1], /^byte 0xff/);
  assert.match(problem([0xfe, 0x61])[1], /^byte 0xfe/);
  assert.match(problem([0])[1], /^there is a NUL byte/);
  assert.match(problem([0, 0x61])[1], /^it seems to be in UTF-16/);
  assert.match(problem([0x61, 0])[1], /^it seems to be in UTF-16/);
  assert.match(problem([0x61, 0x62, 0])[1], /^there is a NUL byte/);
  assert.deepEqual(problem([10, 0xff])[0], 2);
  assert.match(problem([0xff, 0x61, 0xbd])[1], /^byte 0xff/);
  assert.deepEqual(problem([0x61, 10, 0xff, 10])[0], 2);
});

Deno.test("decodeUtf8 finds a bad byte behind a mark, and behind characters that only begin like a replacement", () => {
  assert.deepEqual(problem([...encode("\ufeff\n"), 0xff])[0], 2);
  assert.deepEqual(problem([...encode("\ufffd\ufeff\n"), 0xfe]), [
    2,
    "byte 0xfe is not UTF-8; save the file as UTF-8",
  ]);
  assert.deepEqual(problem([0xef, 0x61, 10, 0xfe]), [1, "byte 0xef is not UTF-8; save the file as UTF-8"]);
  // U+F000 and U+FFC0 share bytes with U+FFFD.
  for (const text of ["\uf000\n", "\uffc0\n", "\uff7d\n", "\ufffd\ufffd\n\ufffdx\ufffd"]) {
    const lines = text.split("\n").length;
    assert.deepEqual(problem([...encode(text), 0xfe, ...encode("\ufffd\n")]), [
      lines,
      "byte 0xfe is not UTF-8; save the file as UTF-8",
    ]);
  }
});
