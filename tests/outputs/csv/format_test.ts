/** What a row of CSV has for each time and each number. */
import assert from "node:assert/strict";
import { attributeColumns, type CsvFormat, CsvRenderer } from "../../../lib/outputs/csv/format.ts";
import { RowBuffer } from "../../../lib/outputs/rendering/numbers.ts";
import { SeriesTexts } from "../../../lib/outputs/rendering/series_texts.ts";
import { type AttributeValue, Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
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

/** What stands behind the value in the row of a series. */
function endOf(
  columns: readonly string[],
  attributes: Series["attributes"],
  format: Partial<CsvFormat> = {},
): string {
  const out = new RowBuffer(10_000);
  const renderer = new CsvRenderer(columns, { ...FORMAT, ...format });
  const one = seriesOf(metricOf("m"), { resourceKind: "kind", consumerKind: "c", attributes });
  renderer.render(batchOf([[one, 1n, 0]]), 0, out);
  const text = new TextDecoder().decode(out.bytes.subarray(0, out.length));
  const start = "m;1970-01-01T00:00:00Z;1;kind;;c;";
  assert.ok(text.startsWith(start) && text.endsWith("\n"), text);
  return text.slice(start.length, -1);
}

Deno.test("attributes stand in their columns, whichever order they come in, and the others behind them", () => {
  const values: [name: string, value: AttributeValue, cell: string][] = [
    ["s", 'a;"b"', '"a;""b"""'],
    ["u", 2n ** 64n - 1n, "18446744073709551615"],
    ["n", 7n, "7"],
    ["f", -0.5, "-0.5"],
    ["b", true, "true"],
    ["long", "x".repeat(200), "x".repeat(200)],
    ["relay_client", "node;1", '"node;1"'],
  ];
  const columns = values.map(([name]) => name);
  const attributes = values.map(([name, value]) => [name, value] as const);
  const cells = values.map(([, , cell]) => `;${cell}`).join("");
  // Only the last attribute may be the name of a client.
  for (const order of [attributes, [...attributes.slice(0, -1).toReversed(), attributes.at(-1)!]]) {
    assert.equal(endOf(columns, order), `${cells};`);
    // From the definition, where something has no column, or is a list.
    assert.equal(endOf(columns, [["late", "1,2"], ["no", false], ...order]), `${cells};late=1\\,2,no=false`);
    assert.equal(endOf([...columns, "list"], [["list", [1n, 2n]], ...order]), `${cells};[1, 2];`);
  }
  assert.equal(endOf(["a", "b"], [["b", "1"]]), ";;1;");
  assert.equal(endOf(["a", "b"], [["a", "1"], ["a", "2"]]), ";2;;");
  assert.equal(endOf(["a", "relay_client"], [["relay_client", "x"]]), ";;x;");
  assert.equal(endOf(["a", "relay_client"], [["a", "1"]]), ";1;;");
  assert.equal(endOf([], [["relay_client", "x"]]), ";relay_client=x");
});

Deno.test("one renderer tells clients apart, also those whose numbers are used again", () => {
  const store = new SeriesStore();
  const renderer = new CsvRenderer(["relay_client"], FORMAT, new SeriesTexts(store));
  for (const client of ["a", "b", "a", "c;", "d"]) {
    const batch = new Batch(1, null, store);
    batch.push(seriesOf(metricOf("m"), { attributes: [["relay_client", client]] }), 0, 0, 1);
    const out = new RowBuffer(1000);
    renderer.render(batch, 0, out);
    const text = new TextDecoder().decode(out.bytes.subarray(0, out.length));
    assert.ok(text.endsWith(client === "c;" ? ';"c;";\n' : `;${client};\n`), text);
    batch.release();
    if (client === "b") { for (let n = 0; n < 400; n++) store.tick(); }
  }
});

Deno.test("what a spreadsheet could run gets an apostrophe, wherever it stands; numbers do not", () => {
  const escaping = { escapeFormulas: true };
  for (const first of ["=", "+", "-", "@", "\t"]) {
    const text = `${first}1`;
    assert.equal(endOf(["a"], [["a", text]], escaping), `;'${text};`);
    assert.equal(endOf(["a"], [["a", text]]), `;${text};`);
    assert.equal(endOf(["relay_client"], [["relay_client", text]], escaping), `;'${text};`);
    assert.equal(endOf([], [[text, "1"]], escaping), `;'${text}=1`);
    assert.equal(endOf(["a", "l"], [["a", text], ["l", [1n]]], escaping), `;'${text};[1];`);
  }
  assert.equal(endOf(["a", "n"], [["a", "x=1"], ["n", -1.5]], escaping), ";x=1;-1.5;");
  assert.equal(endOf(["a"], [["a", ""]], escaping), ";;");
  const { header } = new CsvRenderer(["=a"], { ...FORMAT, ...escaping });
  assert.match(new TextDecoder().decode(header), /;'=a;/);
});

Deno.test("whatever the texts of a series become, there is room for them", () => {
  const quotes = '"'.repeat(20_000);
  const doubled = `"${quotes}${quotes}"`;
  assert.equal(endOf([], [["relay_client", quotes]]), `;"relay_client=${quotes}${quotes}"`);
  assert.equal(endOf(["relay_client"], [["relay_client", quotes]]), `;${doubled};`);
  assert.equal(endOf(["a"], [["a", quotes]]), `;${doubled};`);
  const small = Array.from({ length: 200 }, (_, n) => [`f${1000 + n}`, 5e-324] as const);
  const digits = `0.${"0".repeat(323)}5`;
  assert.equal(endOf(small.map(([name]) => name), small), `${`;${digits}`.repeat(200)};`);
  const columns = Array.from({ length: 150 }, (_, n) => `c${n}`);
  const delimiter = "d".repeat(300);
  const out = new RowBuffer(100_000);
  new CsvRenderer(columns, { ...FORMAT, delimiter }).render(batchOf([[series(metricOf("w")), 1n]]), 0, out);
  assert.ok(
    new TextDecoder().decode(out.bytes.subarray(0, out.length)).endsWith(`${delimiter.repeat(151)}\n`),
  );
});

Deno.test("texts of a series are whole at each length", () => {
  for (const length of [0, 1, 126, 127, 128, 129, 255, 256, 16_383, 16_384]) {
    const [kind, id, consumer, attribute] = ["k", "i", "c", "a"].map((letter) => letter.repeat(length));
    const one = seriesOf(metricOf("m"), {
      ...{ resourceKind: kind, resourceId: id, consumerKind: consumer, consumerId: id },
      attributes: [["a", attribute]],
    });
    const out = new RowBuffer(100_000);
    new CsvRenderer(["a"], FORMAT).render(batchOf([[one, 1n, 0]]), 0, out);
    assert.equal(
      new TextDecoder().decode(out.bytes.subarray(0, out.length)),
      `m;1970-01-01T00:00:00Z;1;${kind};${id};${consumer};${id};${attribute};\n`,
    );
  }
});
