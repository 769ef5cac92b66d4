/** What a row of CSV has for each time and each number. */
import assert from "node:assert/strict";
import { attributeColumns, CsvRenderer } from "../../../lib/outputs/csv/format.ts";
import { RowBuffer } from "../../../lib/outputs/rendering/numbers.ts";
import { SeriesTexts } from "../../../lib/outputs/rendering/series_texts.ts";
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
  const batch = batchOf([[WHOLE, 1n, 1], [FLOATS, 2.5, 2], [WHOLE, 3n, 3]]);
  for (const delimiter of ["→", "§", "🔋", "||"]) {
    assert.deepEqual(cells(batch, delimiter).map((row) => row.slice(0, 5)), [
      ["whole", "1970-01-01T00:00:01Z", "1", "local_machine", ""],
      ["floats", "1970-01-01T00:00:02Z", "2.5", "local_machine", ""],
      ["whole", "1970-01-01T00:00:03Z", "3", "local_machine", ""],
    ]);
  }
});

Deno.test("the longest numbers fit, whatever the delimiter and the metric are called", () => {
  const long = series(metricOf("m".repeat(3000), "f64"));
  const numbers = [-Number.MAX_VALUE, -2.2250738585072014e-308, -5e-324];
  const batch = batchOf(numbers.map((value) => [long, value, 253_402_300_799, 999_999_999]));
  for (const delimiter of [";", "d".repeat(400)]) {
    const renderer = new CsvRenderer([], { ...FORMAT, delimiter });
    for (const capacity of [1, 4000, 8000]) {
      const texts: string[] = [];
      for (let row = 0; row < batch.length;) {
        const out = new RowBuffer(capacity);
        row = renderer.render(batch, row, out);
        assert.ok(texts.length < row, "at least one row");
        texts.push(...new TextDecoder().decode(out.bytes.subarray(0, out.length)).trimEnd().split("\n"));
      }
      assert.deepEqual(texts.map((text) => Number(text.split(delimiter)[2])), numbers, `${capacity}`);
    }
  }
});

Deno.test("renderers that share their texts render the ends of their own rows, each of them once", () => {
  const texts = new SeriesTexts();
  const both = series(metricOf("both"), [["a", "1"], ["b", "2"]]);
  const batch = batchOf([[both, 1n, 1], [both, 2n, 2], [both, 3n, 3]]);
  const renderers = [["a"], ["b"], ["a", "b"]].map((columns) => new CsvRenderer(columns, FORMAT, texts));
  const ends = ["1;b=2", "2;a=1", "1;2;"];
  const render = (renderer: CsvRenderer) => {
    const out = new RowBuffer(10_000);
    renderer.render(batch, 0, out);
    return new TextDecoder().decode(out.bytes.subarray(0, out.length));
  };
  for (let round = 0; round < 2; round++) {
    renderers.forEach((renderer, i) => {
      const row = (value: number) =>
        `both;1970-01-01T00:00:0${value}Z;${value};local_machine;;local_machine;;${ends[i]}\n`;
      assert.equal(render(renderer), row(1) + row(2) + row(3));
      const place = texts.places[batch.series[0]];
      assert.equal(render(renderer), row(1) + row(2) + row(3));
      assert.equal(texts.places[batch.series[0]], place, "its text is still there");
    });
  }
});

Deno.test("columns are those of the attributes of a batch, and each series is asked for once", () => {
  const all = [["b", "é"], ["a"], ["metric", "b"], ["foreign"]].map((names) =>
    series(metricOf("m"), names.map((name) => [name, 1n] as const))
  );
  const batch = batchOf([...all, ...all].map((one) => [one, 1n]));
  const asked: number[] = [];
  const columns = attributeColumns(batch, (number) => {
    asked.push(number);
    return number !== batch.series[3];
  });
  assert.deepEqual(columns, ["a", "b", "é"]);
  assert.deepEqual(asked, [...batch.series.subarray(0, 4)]);
  assert.deepEqual(attributeColumns(batch), ["a", "b", "foreign", "é"]);
});
