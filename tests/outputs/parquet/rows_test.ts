/** How points become the rows of Parquet files: sorted into files, told to the thread, and encoded column by column. */
import assert from "node:assert/strict";
import { parquetMetadataAsync } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { ByteWriter } from "hyparquet-writer";
import { ColumnsWriter } from "../../../lib/outputs/files/columns.ts";
import { type FileSeries, MAX_TIME_NS } from "../../../lib/outputs/files/file_series.ts";
import { ParquetFile } from "../../../lib/outputs/files/parquet.ts";
import { PathPattern } from "../../../lib/outputs/files/path.ts";
import { SERIES_NUMBERS, SERIES_TEXTS } from "../../../lib/outputs/parquet/messages.ts";
import { type FilePoints, Sorting } from "../../../lib/outputs/parquet/sorting.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { BARE_SERIES } from "../../kit/file_series.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { parquetRows } from "../../kit/parquet.ts";
import { batchOf } from "../../kit/points.ts";

const NS = 1_000_000_000n;
/** Seconds of the last time in nanoseconds that an integer of 64 bits holds. */
const LAST_SECOND = 9_223_372_036;
const START_S = 1_700_000_000;

const host = (name: string, metric = metricOf("power", "f64", { base: "W", prefix: "" })) =>
  seriesOf(metric, { attributes: [["relay_client", name]] });

/** What a file says of itself. */
const aboutFile = (bytes: Uint8Array<ArrayBuffer>) =>
  parquetMetadataAsync({
    byteLength: bytes.length,
    slice: (start, end) => bytes.slice(start, end).buffer,
  });
const groupsIn = async (bytes: Uint8Array<ArrayBuffer>) => (await aboutFile(bytes)).row_groups;

/** What the thread makes of the chunks of a file, each with room for so many rows. */
function rowsToldOf(sorting: Sorting, file: FilePoints, room: number) {
  const fill = sorting.fill(file);
  const [texts, series]: [string[], { texts: Record<string, string>; isInteger: boolean }[]] = [[], []];
  const [rows, lengths]: [unknown[][], number[]] = [[], []];
  for (let chunk; (chunk = fill(newColumns(room)));) {
    texts.push(...chunk.texts);
    for (let at = 0; at < chunk.series.length; at += SERIES_NUMBERS) {
      const numbers = chunk.series.slice(at, at + SERIES_NUMBERS);
      series.push({
        texts: Object.fromEntries(SERIES_TEXTS.map((name, i) => [name, texts[numbers[i]]])),
        isInteger: numbers.at(-1) === 1,
      });
    }
    const { columns: { series: numbers, seconds, nanos, values, length }, exact } = chunk;
    for (let row = 0; row < length; row++) {
      const { texts: { metric, client, unit, resourceId, attributes }, isInteger } = series[numbers[row]];
      rows.push([
        ...[metric, client, unit, resourceId, attributes, isInteger],
        ...[seconds[row], nanos[row], exact.get(row) ?? values[row]],
      ]);
    }
    lengths.push(length);
  }
  return { rows, lengths, texts, series: series.length };
}

Deno.test("points are sorted into their files, and what no file can hold is refused", async () => {
  const count = seriesOf(metricOf("count", "u64"), { resourceId: "7" });
  const watts = metricOf("power", "f64", { base: "W", prefix: "" });
  const [hostA, hostB] = [host("a", watts), host("b", watts)];
  const first = batchOf([
    [hostB, 1, START_S, 1],
    [hostA, 2, START_S + 3600, 2],
    [hostB, 3, START_S + 1, 3],
    [count, 2n ** 64n - 1n, START_S, 4],
    [hostB, 4, START_S + 2, 5],
  ]);
  const second = batchOf([
    [count, 0.5],
    [hostA, 5, LAST_SECOND, 0],
    [hostA, 6, LAST_SECOND - 1, 6],
    [count, 8, START_S, 7],
    [hostB, 7, START_S + 3600, 8],
    [hostB, 8, START_S, 9],
  ]);
  const sorting = await Sorting.of(new PathPattern("/x/{client}/%H/{metric}.parquet"), [first, second]);
  const names = ["b/22/power", "a/23/power", "_local/22/count", "b/23/power"];
  assert.deepEqual(sorting.files.map(({ path }) => path), names.map((name) => `/x/${name}.parquet`));
  const [b, a, local, late] = sorting.files.map((file) => rowsToldOf(sorting, file, 3));
  const power = (client: string) => ["power", client, "W", "", "{}", false];
  assert.deepEqual(b.rows, [
    [...power("b"), START_S, 1, 1],
    [...power("b"), START_S + 1, 3, 3],
    [...power("b"), START_S + 2, 5, 4],
    [...power("b"), START_S, 9, 8],
  ]);
  assert.deepEqual([b.lengths, b.series, b.texts.length], [[3, 1], 1, new Set(b.texts).size]);
  assert.deepEqual(a.rows, [
    [...power("a"), START_S + 3600, 2, 2],
    [...power("a"), LAST_SECOND - 1, 6, 6],
  ]);
  const integers = ["count", "", "", "7", "{}", true];
  assert.deepEqual(local.rows, [[...integers, START_S, 4, 2n ** 64n - 1n], [...integers, START_S, 7, 8]]);
  assert.deepEqual(late.rows, [[...power("b"), START_S + 3600, 8, 7]]);
  assert.deepEqual(sorting.refused.map(({ batch, row }) => [batch === second, row]), [[true, 0], [true, 1]]);
  assert.match(sorting.refused[0].reason, /u64/);
  assert.match(sorting.refused[1].reason, /year 2262/);
  assert.deepEqual(rowsToldOf(sorting, sorting.files[1], 3), a, "a file that failed is written again");
});

Deno.test("the last second of an hour and the first of the next one are in files of their own", async () => {
  const pattern = new PathPattern("/x/%F-%H.parquet");
  const one = host("a");
  for (let hour = 472_222; hour < 472_222 + 24; hour++) {
    const sorting = await Sorting.of(pattern, [batchOf([[one, 1, hour * 3600 - 1], [one, 2, hour * 3600]])]);
    assert.equal(sorting.files.length, 2, `${hour}`);
  }
});

Deno.test("the last time of a file is the last one that an integer of 64 bits holds, and columns begin empty", () => {
  assert.equal(BigInt.asIntN(64, MAX_TIME_NS), MAX_TIME_NS);
  assert.notEqual(BigInt.asIntN(64, MAX_TIME_NS + 1n), MAX_TIME_NS + 1n);
  const { length, series, seconds, nanos, values } = newColumns(3);
  assert.deepEqual([length, series.length, seconds.length, nanos.length, values.length], [0, 3, 3, 3, 3]);
});

Deno.test("points of many batches keep their rows", async () => {
  const one = host("a");
  const batches = Array.from(
    { length: 24 },
    (_, n) => batchOf([[one, n, n, 0], [one, n, n, 1], [one, n, n, 2]]),
  );
  const sorting = await Sorting.of(new PathPattern("/x.parquet"), batches);
  const { rows } = rowsToldOf(sorting, sorting.files[0], 100);
  assert.deepEqual(
    rows.map(([, , , , , , seconds, nanos]) => [seconds, nanos]),
    batches.flatMap((_, n) => [[n, 0], [n, 1], [n, 2]]),
  );
});

Deno.test("points are sorted also where there are many series, of which the thread is told in pieces", async () => {
  const metric = metricOf("power");
  const rows = Array.from({ length: 4400 }, (_, i): [ReturnType<typeof seriesOf>, number] => [
    seriesOf(metric, { resourceId: `${i % 4200}`, attributes: [["a", `${i % 5}`]] }),
    i,
  ]);
  const sorting = await Sorting.of(new PathPattern("/x.parquet"), [
    batchOf(rows.slice(0, 600)),
    batchOf(rows.slice(600)),
  ]);
  const [file] = sorting.files;
  const told = rowsToldOf(sorting, file, 20_000);
  assert.deepEqual([told.lengths, told.series], [[4096, 304], 4200]);
  told.rows.forEach((row, i) => {
    assert.deepEqual([row[3], row[4], row[8]], [`${i % 4200}`, `{"a":"${i % 5}"}`, i]);
  });
});

Deno.test("each group of rows says the limits of what is in it, however series alternate", async () => {
  // In the order of bytes; UTF-16 writes the last one as a pair, which is before U+FFFF.
  const METRICS = ["", "a".repeat(40), "é", "\uffff", "\u{1f600}"];
  const chance = new Chance(1);
  const series = Array.from({ length: 300 }, (_, i): FileSeries => ({
    metric: METRICS[i % METRICS.length],
    unit: "J",
    client: `node-${i % 7}`,
    ...{ resourceKind: "cpu", resourceId: String(i), consumerKind: "", consumerId: "" },
    attributes: i % 3 === 0 ? "{}" : `{"i":${i}}`,
  }));
  const GROUP = 1000;
  const rows: { series: FileSeries; time: bigint; value: number; integer: bigint | null }[] = [];
  for (let k = 0; k < 3 * GROUP + 5;) {
    const one = series[chance.int(series.length)];
    // Runs that are longer and shorter than what is packed.
    const end = k + 1 + chance.int(chance.int(2) === 0 ? 2 : 40);
    for (; k < end; k++) {
      const integer = one.metric === "" ? BigInt(chance.int(1e9)) ** 2n : null;
      const value = integer !== null
        ? Number(integer)
        : [NaN, -Infinity, -0, 0.1][chance.int(k < 2 * GROUP ? 400 : 4)];
      rows.push({
        series: one,
        time: BigInt(chance.int(1e9)) * NS - 5n,
        value: value ?? -chance.int(9),
        integer,
      });
    }
  }
  const pieces: Uint8Array[] = [];
  const file = new ParquetFile((bytes) => void pieces.push(bytes.slice()), {
    createdBy: "test",
    groupRows: GROUP,
  });
  for (const { series, time, value, integer } of rows) file.add(series, time, value, integer);
  file.end();
  const bytes = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
  const found = (await parquetRows(bytes)).map((row) => [
    ...[
      row.timestamp,
      row.value,
      row.value_u64,
      row.metric,
      row.relay_client,
      row.resource_id,
      row.attributes,
    ],
  ]);
  const expected = rows.map(({ series: s, time, value, integer }) => [
    ...[time, value, integer, s.metric, s.client, s.resourceId, s.attributes],
  ]);
  assert.equal(found.length, expected.length);
  found.forEach((row, k) => assert.deepEqual(row.map(String), expected[k].map(String), `row ${k}`));

  const groups = await groupsIn(bytes);
  const limits = (group: number, column: string) => {
    const chunk = groups[group].columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column);
    const { min_value: min, max_value: max } = chunk?.meta_data?.statistics ?? {};
    return [min, max];
  };
  for (const [group] of groups.entries()) {
    const inGroup = rows.slice(group * GROUP, (group + 1) * GROUP);
    const values = inGroup.map(({ value }) => value);
    const extremes = [Math.min(...values), Math.max(...values)];
    const hasNaN = values.some(Number.isNaN);
    assert.deepEqual(
      limits(group, "value").map(String),
      (hasNaN ? [undefined, undefined] : extremes).map(String),
    );
    const hosts = inGroup.map(({ series }) => series.client).sort();
    assert.deepEqual(limits(group, "relay_client"), [hosts[0], hosts.at(-1)]);
    const metrics = new Set(inGroup.map(({ series }) => series.metric));
    const sorted = METRICS.filter((metric) => metrics.has(metric));
    assert.deepEqual(limits(group, "metric"), [sorted[0], sorted.at(-1)]);
    assert.deepEqual(limits(group, "value_u64"), [undefined, undefined]);
  }
});

/** What a column says of its least and its greatest value. */
function limitsOf(write: (columns: ColumnsWriter) => void): unknown[] {
  const columns = new ColumnsWriter(new ByteWriter(), 1);
  write(columns);
  const { min_value: min, max_value: max } = columns.end().columns[0].meta_data?.statistics ?? {};
  return [min, max];
}

Deno.test("the limits of times are the first and the last one, wherever they stand", () => {
  for (const times of [[2n, 1n, 3n], [2n, 3n, 1n], [1n, 2n, 3n], [3n, 2n, 1n], [1n, 3n, 2n], [3n, 1n, 2n]]) {
    assert.deepEqual(
      limitsOf((columns) => columns.times("timestamp", BigInt64Array.from(times))),
      [1n, 3n],
      times.join(),
    );
  }
  assert.deepEqual(limitsOf((columns) => columns.times("timestamp", BigInt64Array.of(7n))), [7n, 7n]);
});

Deno.test("a limit that is zero stands for both zeros, and other limits are the values themselves", () => {
  const limits = (...values: number[]) =>
    limitsOf((columns) => columns.floats("value", Float64Array.from(values)));
  assert.deepEqual(limits(0, 5), [-0, 5]);
  assert.deepEqual(limits(-5, -0), [-5, 0]);
  assert.deepEqual(limits(1, 3), [1, 3]);
  assert.deepEqual(limits(-3, 1), [-3, 1]);
  assert.deepEqual(limits(1, NaN), [undefined, undefined]);
});

Deno.test("the sizes that a group gives are those of its pages, packed and unpacked", async () => {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const file = new ParquetFile((bytes) => void pieces.push(bytes.slice()), {
    createdBy: "test",
    groupRows: 300,
  });
  const texts = { resourceKind: "", resourceId: "", consumerKind: "", consumerId: "", attributes: "{}" };
  for (let row = 0; row < 600; row++) {
    // Long names, so that also a dictionary is packed.
    const series = { ...texts, metric: "m".repeat(500), unit: "u".repeat(100), client: "c".repeat(row % 7) };
    file.add(series, BigInt(row % 3), 1, row % 2 === 0 ? 1n : null);
  }
  file.end();
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  const groups = await groupsIn(bytes);
  assert.equal(groups.length, 2);
  for (const { columns, total_byte_size, total_compressed_size } of groups) {
    let [unpackedOfGroup, packedOfGroup] = [0n, 0n];
    for (const { meta_data: about } of columns) {
      assert.ok(about);
      const start = Number(about.dictionary_page_offset ?? about.data_page_offset);
      const end = start + Number(about.total_compressed_size);
      const reader = { view: new DataView(bytes.buffer), offset: start };
      let unpacked = 0;
      const pages: Record<string, number> = {};
      while (reader.offset < end) {
        const headerStart = reader.offset;
        const header = parquetHeader(reader);
        unpacked += reader.offset - headerStart + header.uncompressed_page_size;
        reader.offset += header.compressed_page_size;
        pages[header.type] = (pages[header.type] ?? 0) + 1;
      }
      assert.equal(reader.offset, end, about.path_in_schema[0]);
      assert.equal(about.total_uncompressed_size, BigInt(unpacked), about.path_in_schema[0]);
      const told = about.encoding_stats?.map(({ page_type, count }) => [page_type, count]);
      assert.deepEqual(Object.fromEntries(told ?? []), pages);
      unpackedOfGroup += about.total_uncompressed_size;
      packedOfGroup += about.total_compressed_size;
    }
    assert.deepEqual([total_byte_size, total_compressed_size], [unpackedOfGroup, packedOfGroup]);
  }
});

Deno.test("a file says what it is, how many rows it has, and when a group of them is written", async () => {
  for (const count of [0, 1, 2, 3, 5]) {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const about = { createdBy: "test 1", groupRows: 2, about: { by: "us" } };
    const file = new ParquetFile((bytes) => void pieces.push(bytes.slice()), about);
    const ended = Array.from({ length: count }, (_, n) => file.add(BARE_SERIES, BigInt(n), n, null));
    assert.deepEqual(ended, ended.map((_, n) => n % 2 === 1));
    file.end();
    const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
    const { num_rows, row_groups, created_by, key_value_metadata, schema } = await aboutFile(bytes);
    assert.deepEqual([num_rows, row_groups.length], [BigInt(count), Math.ceil(count / 2)]);
    assert.deepEqual((await parquetRows(bytes)).map(({ value }) => value), ended.map((_, n) => n));
    assert.deepEqual([created_by, key_value_metadata], ["test 1", [{ key: "by", value: "us" }]]);
    const time = schema.find(({ name }) => name === "timestamp");
    assert.deepEqual(time?.logical_type, { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "NANOS" });
  }
});
