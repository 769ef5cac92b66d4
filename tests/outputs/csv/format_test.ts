/** What a row of CSV has for each time and each number. */
import assert from "node:assert/strict";
import { CsvRenderer } from "../../../lib/outputs/csv/format.ts";
import { RowBuffer } from "../../../lib/outputs/rendering/numbers.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf, series } from "../../kit/points.ts";

const FORMAT = { delimiter: ";", lateDelimiter: ",", appendUnit: true, unitDisplayName: true };
const FLOATS = series(metricOf("floats", "f64"));
const WHOLE = series(metricOf("whole"));
const DAY = 86_400;

/** The cells of each row, without attributes. */
function cells(batch: ReturnType<typeof batchOf>, delimiter = ";"): string[][] {
  const out = new RowBuffer(10_000_000);
  assert.equal(new CsvRenderer([], { ...FORMAT, delimiter }).render(batch, 0, out), batch.length);
  const text = new TextDecoder().decode(out.bytes.subarray(0, out.length));
  assert.ok(text.endsWith("\n"));
  return text.slice(0, -1).split("\n").map((line) => line.split(delimiter));
}

Deno.test("each second of a day has its own text, however the rows before it were", () => {
  const seconds = Array.from({ length: DAY }, (_, second) => 1_700_006_400 + second);
  const there = cells(batchOf(seconds.map((second) => [WHOLE, 1n, second])));
  const back = cells(batchOf(seconds.toReversed().map((second) => [WHOLE, 1n, second]))).reverse();
  seconds.forEach((second, i) => {
    const expected = new Date(second * 1000).toISOString().replace(".000", "");
    if (there[i][1] !== expected || back[i][1] !== expected) {
      assert.fail(`${second}: ${there[i][1]}, ${back[i][1]}`);
    }
  });
});

Deno.test("days change at midnight, from 1970 to the end of 9999", () => {
  const days = [0, 1, 58, 59, 60, 365, 11_016, 11_017, 19_782, 19_783, 2_932_895];
  const seconds = days.flatMap((day) => [day * DAY, day * DAY + 1, (day + 1) * DAY - 1]);
  const got = cells(batchOf(seconds.map((second) => [WHOLE, 1n, second])));
  assert.deepEqual(
    got.map(([, time]) => time),
    seconds.map((second) => new Date(second * 1000).toISOString().replace(".000", "")),
  );
});

Deno.test("a fraction has the digits that it needs, and none remains from the row before", () => {
  const nanos = [
    0,
    1,
    10,
    123_456_789,
    100_000_000,
    900_000_000,
    999_999_999,
    5,
    0,
    1_000,
    120_000_000,
    0,
    50,
  ];
  const got = cells(batchOf(nanos.map((nano) => [WHOLE, 1n, 5, nano])));
  assert.deepEqual(
    got.map(([, time]) => time),
    nanos.map((nano) =>
      `1970-01-01T00:00:05${nano === 0 ? "" : `.${String(nano).padStart(9, "0").replace(/0+$/, "")}`}Z`
    ),
  );
});

Deno.test("numbers are whole up to 2^53, keep the sign of zero, and are exact above", () => {
  const rows: [number | bigint, string][] = [
    [0, "0"],
    [-0, "-0"],
    [1, "1"],
    [-1, "-1"],
    [0.5, "0.5"],
    [-1.5, "-1.5"],
    [2 ** 53 - 1, "9007199254740991"],
    [2 ** 53, "9007199254740992"],
    [NaN, "NaN"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
  ];
  assert.deepEqual(
    cells(batchOf(rows.map(([value]) => [FLOATS, value]))).map(([, , value]) => value),
    rows.map(([, text]) => text),
  );
  const exact = [0n, 1n, 9n, 10n, 99n, 100n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n];
  assert.deepEqual(
    cells(batchOf(exact.map((value) => [WHOLE, value]))).map(([, , value]) => value),
    exact.map(String),
  );
});

Deno.test("a delimiter of several bytes stands between all cells of every row", () => {
  const rows = cells(batchOf([[WHOLE, 1n, 1], [FLOATS, 2.5, 2], [WHOLE, 3n, 3]]), "→");
  assert.deepEqual(rows.map((row) => row.slice(0, 5)), [
    ["whole", "1970-01-01T00:00:01Z", "1", "local_machine", ""],
    ["floats", "1970-01-01T00:00:02Z", "2.5", "local_machine", ""],
    ["whole", "1970-01-01T00:00:03Z", "3", "local_machine", ""],
  ]);
});
