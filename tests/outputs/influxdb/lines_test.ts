import assert from "node:assert/strict";
import { cutOf, refusalOf } from "../../../lib/outputs/influxdb/refusals.ts";
import { type Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { type LineFormat, LineRenderer, Lines, prefixOf } from "../../../lib/outputs/influxdb/lines.ts";
import { keyText, measurementText, stringField } from "../../../lib/outputs/influxdb/text.ts";
import { SeriesTexts } from "../../../lib/outputs/rendering/series_texts.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { testdataText } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";
import { sessionBatches } from "../../kit/session.ts";

const FORMAT: LineFormat = { attributesAs: "tag", asTags: new Set(), asFields: new Set(), unsigned: true };
const U64 = seriesOf(metricOf("u"));
const F64 = seriesOf(metricOf("f", "f64"));

/** All lines of some batches, and why the other rows are refused. */
function render(batches: readonly Batch[], format: Partial<LineFormat> = {}, maxLines = 10, maxBytes = 4096) {
  const refused: [batch: number, row: number, reason: string][] = [];
  const renderer = new LineRenderer(
    { ...FORMAT, ...format },
    (batch, row, reason) => refused.push([batches.indexOf(batch), row, reason]),
  );
  const lines = new Lines(maxLines, maxBytes);
  const found: string[] = [];
  const at: [batch: number, row: number][] = [];
  let longest = 0;
  const take = () => {
    let text = "";
    for (let i = 0; i < lines.length; i++) {
      const line = new TextDecoder().decode(lines.line(i));
      text += line;
      longest = Math.max(longest, lines.line(i).length);
      assert.ok(line.endsWith("\n"));
      found.push(line.slice(0, -1));
      at.push([batches.indexOf(lines.batch(i)), lines.rows[i]]);
    }
    assert.equal(new TextDecoder().decode(lines.bytes), text);
    // A single line has the room that it needs.
    assert.ok(lines.buffer.bytes.length <= Math.max(maxBytes, longest + 512));
    lines.clear();
    assert.deepEqual([lines.length, lines.bytes.length, lines.batches], [0, 0, []]);
  };
  for (const batch of batches) {
    for (let row = 0; row < batch.length;) {
      row = renderer.render(batch, row, lines);
      if (row < batch.length) take();
    }
  }
  take();
  return { found, at, refused };
}

Deno.test("lines are those of a real Alumet agent, but for its defects", () => {
  const recorded = testdataText("outputs/influxdb-requests.txt").split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  // A line break in the value of a tag made two lines of one there.
  const broken = recorded.indexOf(recorded.find((line) => line.startsWith("f,"))!);
  recorded.splice(broken, 2, `${recorded[broken]}\n${recorded[broken + 1]}`);
  // NaN and infinities cannot be stored.
  const expected = recorded.filter((line) => !/ value=(NaN|inf) /.test(line));
  const registry = new MetricRegistry();
  const sessions = [["odd-values", "client-0"], ["renames", "client-0"], ["renames", "client-1"], [
    "renames",
    "client-2",
  ]] as const;
  const rendered = sessions.map(([name, client]) => render(sessionBatches(name, client, registry)));
  assert.deepEqual(rendered.flatMap(({ found }) => found), expected);
  const refused = rendered.reduce((sum, { refused }) => sum + refused.length, 0);
  assert.equal(refused, 2);
});

Deno.test("special characters are escaped, and what servers read differently is written as \\xNN", () => {
  const cases: [text: string, measurement: string, key: string][] = [
    ["cpu", "cpu", "cpu"],
    ["", "_", ""],
    ["a b,c=d", "a\\ b\\,c=d", "a\\ b\\,c\\=d"],
    ["dev-disk-by\\x2duuid.mount", "dev-disk-by\\x2duuid.mount", "dev-disk-by\\x2duuid.mount"],
    ["a\\", "a\\x5c", "a\\x5c"],
    ["a\\ b", "a\\x5c\\ b", "a\\x5c\\ b"],
    ["a\\=b", "a\\x5c=b", "a\\x5c\\=b"],
    ["\\\\server\\share", "\\x5c\\server\\share", "\\x5c\\server\\share"],
    ["a\nb\r\tc\0d\x7f", "a\\x0ab\\x0d\\x09c\\x00d\\x7f", "a\\x0ab\\x0d\\x09c\\x00d\\x7f"],
    ["a\\\n", "a\\x5c\\x0a", "a\\x5c\\x0a"],
    ["#1", "\\x231", "#1"],
    ["##, ", "\\x23#\\,\\ ", "##\\,\\ "],
    ['"é日🔋\u2028', '"é日🔋\u2028', '"é日🔋\u2028'],
  ];
  for (const [text, measurement, key] of cases) {
    assert.equal(measurementText(text), measurement);
    assert.equal(keyText(text), key);
  }
  assert.equal(stringField('a "b" \\ c, d=e\nf'), '"a \\"b\\" \\\\ c, d=e\\x0af"');
});

Deno.test("a backslash that no server takes for an escape stays, also before the last character", () => {
  const texts = ["a\\b", "\\b", "a\\", "a\\\\b", "a\\,"].map(measurementText);
  assert.deepEqual(texts, ["a\\b", "\\b", "a\\x5c", "a\\x5c\\b", "a\\x5c\\,"]);
});

Deno.test("attributes are tags or fields as the configuration says", () => {
  const series = seriesOf(metricOf("m"), {
    resourceKind: "gpu",
    consumerKind: "process",
    consumerId: "7",
    attributes: [
      ["s", 'a "b"'],
      ["u", 18446744073709551615n],
      ["f", 0.5],
      ["t", true],
      ["no", false],
      ["l", [1n, 2n]],
      ["nan", NaN],
      ["empty", ""],
    ],
  });
  const head = "m,resource_kind=gpu,resource_consumer_kind=process,resource_consumer_id=7";
  const tags = {
    s: 's=a\\ "b"',
    u: "u=18446744073709551615",
    f: "f=0.5",
    t: "t=true",
    no: "no=false",
    l: "l=[1\\,\\ 2]",
    nan: "nan=NaN",
  };
  const fields = 's="a \\"b\\"",u=18446744073709551615u,f=0.5,t=T,no=F,l="1,2"';
  assert.equal(prefixOf(series, FORMAT), `${head},${Object.values(tags).join()} value=`);
  // NaN has no field, and an empty text is one.
  assert.equal(prefixOf(series, { ...FORMAT, attributesAs: "field" }), `${head} ${fields},empty="",value=`);
  assert.equal(
    prefixOf(series, {
      ...FORMAT,
      attributesAs: "field",
      asTags: new Set(["u", "f", "l", "t", "no", "empty"]),
    }),
    `${head},${tags.u},${tags.f},${tags.t},${tags.no},${tags.l} s="a \\"b\\"",value=`,
  );
  assert.equal(
    prefixOf(series, { ...FORMAT, asFields: new Set(["s", "u", "l", "nan", "t", "f"]) }),
    `${head},no=false s="a \\"b\\"",u=18446744073709551615u,f=0.5,t=T,l="1,2",value=`,
  );
  const largest = seriesOf(metricOf("m"), { attributes: [["u", 2n ** 63n - 1n]] });
  assert.match(
    prefixOf(largest, { ...FORMAT, attributesAs: "field", unsigned: false }),
    / u=9223372036854775807i,value=$/,
  );
  // Without unsigned fields there is none for it.
  assert.equal(
    prefixOf(series, { ...FORMAT, asFields: new Set(["u", "s"]), unsigned: false }),
    `${head},${tags.f},${tags.t},${tags.no},${tags.l},${tags.nan} s="a \\"b\\"",value=`,
  );
});

Deno.test("an attribute whose name is taken is renamed as Alumet does, and the last of equal names counts", () => {
  const attributes = ["resource_id", "time", "_field", "value", "", "ok", "ok"].map((name, i) =>
    [name, `${i}`] as const
  );
  const series = seriesOf(metricOf("m"), { attributes });
  const head = "m,resource_kind=local_machine,resource_consumer_kind=local_machine";
  assert.equal(
    prefixOf(series, FORMAT),
    `${head},alumet_attribute__resource_id=0,alumet_attribute__time=1,alumet_attribute___field=2,value=3,` +
      "alumet_attribute__=4,ok=6 value=",
  );
  assert.equal(
    prefixOf(series, { ...FORMAT, attributesAs: "field" }),
    `${head} resource_id="0",alumet_attribute__time="1",alumet_attribute___field="2",alumet_attribute__value="3",` +
      'alumet_attribute__="4",ok="6",value=',
  );
});

Deno.test("values and times are exact", () => {
  const { found } = render([
    batchOf([
      [F64, 0.1, 1_700_000_000, 5],
      [F64, -0, 1_700_000_000, 999_999_999],
      [F64, 7, 0, 0],
      [F64, 1e300, 1, 1],
      [F64, -1e-7, 9_223_372_036, 854_775_806],
      [U64, 0n, 12, 120],
      [U64, 9007199254740993n],
      [U64, 18446744073709551615n],
    ]),
  ]);
  const head = "resource_kind=local_machine,resource_consumer_kind=local_machine value=";
  assert.deepEqual(found, [
    `f,${head}0.1 1700000000000000005`,
    `f,${head}-0 1700000000999999999`,
    `f,${head}7 0000000000`,
    `f,${head}1${"0".repeat(300)} 1000000001`,
    `f,${head}-0.0000001 9223372036854775806`,
    `u,${head}0u 12000000120`,
    `u,${head}9007199254740993u 1700000000000000000`,
    `u,${head}18446744073709551615u 1700000000000000000`,
  ]);
});

Deno.test("what InfluxDB cannot store is refused with the reason, and the others are written", () => {
  const batch = batchOf([
    [F64, 1],
    [F64, NaN],
    [F64, Infinity],
    [F64, -Infinity],
    [F64, 2, 9_223_372_036, 854_775_807],
    [F64, 2, 253_402_300_799],
    [U64, 9223372036854775807n],
    [U64, 9223372036854775808n],
    [F64, 3],
  ]);
  const { found, refused, at } = render([batch], { unsigned: false });
  assert.deepEqual(found.map((line) => line.split(" ")[1]), [
    "value=1",
    "value=9223372036854775807i",
    "value=3",
  ]);
  assert.deepEqual(at.map(([, row]) => row), [0, 6, 8]);
  assert.deepEqual(refused.map(([, row, reason]) => `${row}: ${reason}`), [
    "1: InfluxDB has no NaN",
    "2: InfluxDB has no infinity",
    "3: InfluxDB has no infinity",
    "4: the time is after 2262-04-11, where InfluxDB's calendar ends",
    "5: the time is after 2262-04-11, where InfluxDB's calendar ends",
    "7: this server has no unsigned fields, and the value is above 2^63-1",
  ]);
});

Deno.test("requests are cut at their limits of lines and of bytes, and know their rows", () => {
  const wide = seriesOf(metricOf("w"), { resourceId: "x".repeat(3000) });
  const batches = [0, 1, 2].map((b) =>
    batchOf(
      Array.from({ length: 37 }, (_, i): [Series, bigint] => [i % 5 === 0 ? wide : U64, BigInt(100 * b + i)]),
    )
  );
  const all = batches.flatMap((batch, b) => Array.from({ length: batch.length }, (_, row) => [b, row]));
  for (const [maxLines, maxBytes] of [[10, 100_000], [1000, 4096], [1000, 1], [1, 1000], [5000, 1 << 20]]) {
    const { found, at } = render(batches, {}, maxLines, maxBytes);
    assert.deepEqual(at, all, `${maxLines} ${maxBytes}`);
    assert.deepEqual(
      found.map((line) => / value=(\d+)u /.exec(line)![1]),
      all.map(([b, row]) => `${100 * b + row}`),
    );
  }
});

Deno.test("a buffer grows by doubling, and to no more than a request may have", () => {
  const wide = seriesOf(metricOf("w"), { resourceId: "x".repeat(1000) });
  const batch = batchOf(Array.from({ length: 100 }, (_, i): [Series, bigint] => [wide, BigInt(i)]));
  const renderer = new LineRenderer(FORMAT, () => assert.fail("refused"));
  for (const maxBytes of [1, 2000, 20_000, 25_000, 40_000]) {
    const lines = new Lines(40, maxBytes);
    const next = renderer.render(batch, 0, lines);
    assert.equal(next, lines.length);
    const line = lines.line(0).length;
    const room = line + 512;
    assert.ok(next === 1 || lines.bytes.length <= maxBytes, `${lines.bytes.length} of ${maxBytes}`);
    assert.ok(next === 40 || lines.bytes.length + room > maxBytes, `${lines.bytes.length} of ${maxBytes}`);
    assert.ok(lines.buffer.bytes.length <= Math.max(maxBytes, room), `${lines.buffer.bytes.length}`);
  }
});

Deno.test("renderers that share their texts render their own lines, each series once", () => {
  const texts = new SeriesTexts();
  const batch = batchOf([[seriesOf(metricOf("m"), { attributes: [["a", "x"]] }), 1n, 0]]);
  const render = (renderer: LineRenderer) => {
    const lines = new Lines(10, 10_000);
    renderer.render(batch, 0, lines);
    return new TextDecoder().decode(lines.bytes);
  };
  const [tags, fields] = (["tag", "field"] as const).map((attributesAs) =>
    new LineRenderer({ ...FORMAT, attributesAs }, () => assert.fail("refused"), texts)
  );
  for (let round = 0; round < 2; round++) {
    for (const [renderer, pattern] of [[tags, /,a=x value=1u /], [fields, / a="x",value=1u /]] as const) {
      assert.match(render(renderer), pattern);
      const place = texts.places[batch.series[0]];
      assert.match(render(renderer), pattern);
      assert.equal(texts.places[batch.series[0]], place, "its text is still there");
    }
  }
});

Deno.test("more series than the renderer keeps are rendered again", () => {
  const series = Array.from(
    { length: 300 },
    (_, i) => seriesOf(metricOf("m"), { resourceId: `${i}`, consumerId: "x".repeat(100_000) }),
  );
  const batch = batchOf([...series, ...series].map((one): [Series, bigint] => [one, 1n]));
  const { found } = render([batch], {}, 100, 1 << 20);
  assert.deepEqual(
    found.map((line) => Number(/resource_id=(\d+)/.exec(line)![1])),
    [...series, ...series].map((one) => Number(one.resourceId)),
  );
});

Deno.test("a refusal is read with its reason and its lines", () => {
  const reply = (text: string, status = 400) => ({
    status,
    text,
    headers: new Headers(),
    bytes: new Uint8Array(),
  });
  const conflict =
    'partial write: field type conflict: input field "v" on measurement "c" is type integer, ' +
    "already exists as type float";
  const inV1 = reply(JSON.stringify({ error: `${conflict} dropped=2` }));
  assert.deepEqual(refusalOf(inV1, 2), { reason: conflict, all: true, unreadable: new Map() });
  assert.deepEqual(refusalOf(inV1, 3).all, false);
  const inV2 = reply(
    JSON.stringify({
      code: "unprocessable entity",
      message: `failure writing points: ${conflict} dropped=1`,
    }),
    422,
  );
  assert.deepEqual(refusalOf(inV2, 5), {
    reason: `failure writing points: ${conflict}`,
    all: false,
    unreadable: new Map(),
  });
  const parse = refusalOf(
    reply(JSON.stringify({ error: "partial write: unable to parse 'b v=NaN 2': invalid number dropped=0" })),
    3,
  );
  assert.deepEqual(parse, {
    reason: "unable to parse: invalid number",
    all: false,
    unreadable: new Map([["b v=NaN 2", "unable to parse: invalid number"]]),
  });
  const several =
    "unable to parse 'a,t=it': 'x v=1 1': missing tag value\nunable to parse 'b': missing fields";
  assert.deepEqual([...refusalOf(reply(several), 3).unreadable.keys()], ["a,t=it': 'x v=1 1", "b"]);
  assert.equal(refusalOf(reply("", 413), 2).reason, "status 413");
  assert.equal(refusalOf(reply("null"), 2).reason, "null");
  assert.equal(refusalOf(reply('{"message":5}'), 2).reason, '{"message":5}');
  assert.equal(refusalOf(reply("x".repeat(200)), 2).reason, "x".repeat(200));
  assert.equal(refusalOf(reply("x".repeat(201)), 2).reason, `${"x".repeat(200)}…`);
  assert.deepEqual([1, 2].map((count) => refusalOf(reply("no"), count).all), [true, false]);
});

Deno.test("refused requests are cut between metrics, nearest to the middle", () => {
  const cut = (text: string) => cutOf([...text]);
  assert.deepEqual(["ab", "aabb", "aaab", "abbb", "abbbbbc"].map(cut), [1, 2, 3, 1, 1]);
  assert.deepEqual(["aa", "aaa", "aaaa"].map(cut), [1, 1, 2]);
  assert.deepEqual(["abcd", "aab"].map(cut), [2, 2]);
});
