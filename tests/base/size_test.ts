import assert from "node:assert/strict";
import { formatSize, parseSize } from "../../lib/base/size.ts";

Deno.test("parseSize accepts binary and decimal units, and none", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["4096", 4096],
    ["1B", 1],
    ["1kB", 1000],
    ["500 MB", 500_000_000],
    ["16MiB", 16_777_216],
    ["1.5GiB", 1_610_612_736],
    [" 2TiB ", 2_199_023_255_552],
    ["", undefined],
    ["MiB", undefined],
    ["1mb", undefined],
    ["-1", undefined],
    ["0.3B", undefined],
    ["1e3", undefined],
    ["9999999TiB", undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

Deno.test("formatSize writes what parseSize reads back", () => {
  for (
    const [bytes, text] of [[0, "0"], [1024, "1KiB"], [1000, "1000"], [16_777_216, "16MiB"], [
      2 ** 40,
      "1TiB",
    ]] as const
  ) {
    assert.equal(formatSize(bytes), text);
    assert.equal(parseSize(text), bytes);
  }
});

Deno.test("each unit is its own power, and a single byte has none", () => {
  const bytes = {
    kB: 1e3,
    MB: 1e6,
    GB: 1e9,
    TB: 1e12,
    KiB: 2 ** 10,
    MiB: 2 ** 20,
    GiB: 2 ** 30,
    TiB: 2 ** 40,
  };
  for (const [unit, one] of Object.entries(bytes)) assert.equal(parseSize(`3 ${unit}`), 3 * one);
  assert.equal(formatSize(1), "1");
  assert.equal(formatSize(3 * 2 ** 30), "3GiB");
});
