/** Files of points, as `import` reads them. */
import assert from "node:assert/strict";
import { parquetMetadata, parquetMetadataAsync, type SchemaElement } from "hyparquet";
import { ByteWriter, parquetWriteBuffer } from "hyparquet-writer";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { ExitError } from "../../lib/base/errors.ts";
import type { FileFormat } from "../../lib/cli/export/formats.ts";
import { readPoints } from "../../lib/cli/import/files.ts";
import { ParquetSink } from "../../lib/cli/export/parquet.ts";
import { readU64, RowError, Rows, seriesTexts, Times } from "../../lib/cli/import/rows.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** The batches of a file, each as `metric client attributes seconds.nanos value` a row. */
async function read(format: FileFormat, text: string | Uint8Array, shares: number[] = []) {
  await using dir = new TempDir();
  const path = dir.file(`f.${format}`);
  Deno.writeFileSync(path, typeof text === "string" ? new TextEncoder().encode(text) : text);
  const batches: string[][] = [];
  for await (const batch of readPoints(path, format, (share) => void shares.push(share))) {
    batches.push(rowsOf(batch));
  }
  return batches;
}

const shown = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(shown)}]`
    : typeof value === "bigint"
    ? `${value}n`
    : JSON.stringify(value) ?? "";

function rowsOf(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(row);
    const unit = `${metric.unit.prefix}${metric.unit.base}`;
    const value = metric.type === "u64" ? `${batch.exactValue(row)}u` : String(batch.values[row]);
    return [
      ...[metric.name, unit, resourceKind, resourceId, consumerKind, consumerId],
      ...attributes.map(([name, value]) => `${name}=${shown(value)}`),
      ...[`${batch.seconds[row]}.${batch.nanos[row]}`, value],
    ].join(" ");
  });
}

const fails = (format: FileFormat, text: string | Uint8Array, row: number, message: string) =>
  assert.rejects(read(format, text), (error) => {
    assert.ok(error instanceof ExitError && error.exitCode === 65, String(error));
    assert.match(error.message, new RegExp(`^Cannot read .*f\\.${format}, row ${row}: `));
    assert.equal(error.message.slice(error.message.indexOf(": ") + 2), message);
    return true;
  }, message);

const COLUMNS =
  "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit,type";
const csv = (time: string, value: string, type = "f64", metric = "m", attributes = "{}", client = "node") =>
  `${metric},${time},${value},cpu,0,process,7,${client},${attributes},W,${type}\n`;

const TIME = "2027-01-15T08:00:00Z";
const SECONDS = 1_800_000_000;
const ROW = `cpu 0 process 7`;

/** A line as `export` writes it. */
const json = (time: string, value: string, more: Record<string, unknown> = {}, attributes = "{}") => {
  const { metric = "m", ...rest } = more;
  const texts = {
    ...{ resource_kind: "cpu", resource_id: "0", consumer_kind: "process", consumer_id: "7" },
    ...{ relay_client: "node", unit: "W", ...rest },
  };
  return `{"metric":${JSON.stringify(metric)},"timestamp":"${time}","value":${value},${
    JSON.stringify(texts).slice(1, -1)
  },"attributes":${attributes}}\n`;
};

Deno.test("rows of CSV are points, whatever the order of columns, with quoted cells and either end of lines", async () => {
  const quoted = '"{""a"":""x"",""n"":18446744073709551615,""f"":1.0,""b"":true,""z"":null,""l"":[1,2]}"';
  const lines = [
    csv(TIME, "0.5"),
    csv("2027-01-15T08:00:01.25Z", "-1e-3", "f64", "m", quoted, ""),
    csv(TIME, "18446744073709551615", "u64", '"a,""b""\nc"'),
    csv(TIME, ""),
    csv(TIME, "inf"),
    csv(TIME, "-inf").trim(),
  ];
  const node = 'relay_client="node"';
  const expected = [[
    `m W ${ROW} ${node} ${SECONDS}.0 0.5`,
    `m W ${ROW} a="x" n=18446744073709551615n f=1 b=true z=null l=[1n,2n] ${SECONDS + 1}.250000000 -0.001`,
    `a,"b"\nc W ${ROW} ${node} ${SECONDS}.0 18446744073709551615u`,
    `m W ${ROW} ${node} ${SECONDS}.0 NaN`,
    `m W ${ROW} ${node} ${SECONDS}.0 Infinity`,
    `m W ${ROW} ${node} ${SECONDS}.0 -Infinity`,
  ]];
  assert.deepEqual(await read("csv", [`${COLUMNS}\n`, ...lines].join("")), expected);
  const windows = [`${COLUMNS}\r\n`, ...lines.map((line) => line.replace(/\n$/, "\r\n"))];
  assert.deepEqual(await read("csv", windows.join("")), expected);
  const turned = "type,x,unit,attributes,relay_client,consumer_id,consumer_kind,resource_id,resource_kind," +
    `value,timestamp,metric\nf64,,W,{},node,7,process,0,cpu,0.5,${TIME},m\n`;
  assert.deepEqual(await read("csv", turned), [[expected[0][0]]]);
});

Deno.test("lines of JSON are points, as export writes them or in any other order", async () => {
  const attributes = '{"a":"x","n":18446744073709551615,"f":1.0,"b":false,"z":null,"l":[1,2]}';
  const lines = [
    json(TIME, "0.5"),
    json(TIME, "-1e-3", { relay_client: "" }, attributes),
    json(TIME, "18446744073709551615", { metric: 'a","value":"b' }),
    json(TIME, "null"),
    // Integers and floats of one name are different series.
    json(TIME, "3"),
    json("2027-01-15T08:00:00.000000001Z", "3.0"),
    json(TIME, "0.25"),
    json(TIME, "4"),
    `{"unit":"W", "attributes":{"a":"x"}, "type":"f64", "value":1e3, "timestamp":"${TIME}", "metric":"m", ` +
    '"relay_client":"node", "resource_kind":"cpu","resource_id":"0","consumer_kind":"process","consumer_id":"7"}',
  ];
  const node = 'relay_client="node"';
  assert.deepEqual(await read("jsonl", lines.join("")), [[
    `m W ${ROW} ${node} ${SECONDS}.0 0.5`,
    `m W ${ROW} a="x" n=18446744073709551615n f=1 b=false z=null l=[1n,2n] ${SECONDS}.0 -0.001`,
    `a","value":"b W ${ROW} ${node} ${SECONDS}.0 18446744073709551615u`,
    `m W ${ROW} ${node} ${SECONDS}.0 NaN`,
    `m W ${ROW} ${node} ${SECONDS}.0 3u`,
    `m W ${ROW} ${node} ${SECONDS}.1 3`,
    `m W ${ROW} ${node} ${SECONDS}.0 0.25`,
    `m W ${ROW} ${node} ${SECONDS}.0 4u`,
    `m W ${ROW} a="x" ${node} ${SECONDS}.0 1000`,
  ]]);
  assert.deepEqual(await read("jsonl", ""), [[]]);
});

Deno.test("lines of JSON that no export wrote are read in the same way each time", async () => {
  const rest =
    '"unit":"W","resource_kind":"cpu","resource_id":"0","consumer_kind":"process","consumer_id":"7",' +
    '"relay_client":"","attributes":{}';
  for (
    const line of [
      `{"metric":"m",${rest},"value":1,"":"","timestamp":"${TIME}"}`,
      `{ "timestamp":"${TIME}","value":1,"metric":"m",${rest}}`,
      `{${rest},"metric":"m","timestamp":"${TIME}","value":1} `,
      `{"metric":"m","timestamp":"${TIME}", "value":1, ${rest}}`,
    ]
  ) {
    const row = `m W ${ROW} ${SECONDS}.0 1u`;
    assert.deepEqual(await read("jsonl", `${line}\n${line}\n`), [[row, row]], line);
  }
  assert.deepEqual(await read("jsonl", json(TIME, "null", { relay_client: "" })), [[
    `m W ${ROW} ${SECONDS}.0 NaN`,
  ]]);
});

Deno.test("an export to Parquet is read as the same points, in groups of 32,768", async () => {
  const texts = {
    unit: "W",
    resourceKind: "cpu",
    resourceId: "0",
    consumerKind: "process",
    consumerId: "7",
    client: "",
  };
  const [a, b] = [
    { ...texts, metric: "a", isFloat: true, attributes: '{"k":1}' },
    { ...texts, metric: "\ufeffb", isFloat: false, attributes: "{}" },
  ];
  const nanos = BigInt(SECONDS) * 1_000_000_000n;
  const points = [
    ...[[a, nanos, 0.5, null], [b, nanos + 1n, 2 ** 64, 2n ** 64n - 1n], [
      a,
      nanos + 999_999_999n,
      NaN,
      null,
    ]],
    ...[[a, 0n, -0, null], [b, 1n, 0, 0n]],
  ] as [typeof a, bigint, number, bigint | null][];
  const written = async (repeat: number, most = points.length) => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const sink = new ParquetSink((bytes) => void parts.push(bytes.slice()), "test");
    for (let n = 0; n < repeat; n++) {
      sink.add({
        // What is behind the length is from before.
        length: most,
        series: [...points.map(([series]) => series), a],
        times: [...points, points[0]].map(([, time]) => time),
        values: Float64Array.from([...points, points[0]], ([, , value]) => value),
        integers: [...points.map(([, , , integer]) => integer), null],
      });
    }
    sink.end();
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };
  const last = 2n ** 63n - 1n;
  const until = (client: string, time: bigint) => {
    const series = [{ ...texts, metric: "m", client, isFloat: true, attributes: "{}" }];
    const values = Float64Array.of(1);
    new ParquetSink(() => {}, "test").add({ length: 1, series, times: [time], values, integers: [null] });
  };
  for (const client of ["", "node"]) {
    until(client, last);
    assert.throws(() => until(client, last + 1n), {
      name: "RangeError",
      message:
        `m of ${
          client || "this host"
        } has a point of 2262-04-11T23:47:16.854Z, and the last time of Parquet is ` +
        "2262-04-11T23:47:16Z; leave such points out with --until 2262-04-11, or choose another format (--format csv or jsonl)",
    });
  }
  const shares: number[] = [];
  assert.deepEqual(await read("parquet", await written(1), shares), [[
    `a W ${ROW} k=1n ${SECONDS}.0 0.5`,
    `\ufeffb W ${ROW} ${SECONDS}.1 18446744073709551615u`,
    `a W ${ROW} k=1n ${SECONDS}.999999999 NaN`,
    `a W ${ROW} k=1n 0.0 0`,
    `\ufeffb W ${ROW} 0.1 0u`,
  ]]);
  assert.deepEqual(shares, [1]);
  assert.deepEqual(await read("parquet", await written(0), shares), [[]]);
  assert.deepEqual(shares, [1, 0]);
  assert.equal((await read("parquet", await written(1, 1), shares))[0].length, 1);
  assert.equal(shares.at(-1), 1);
  const many = await written(6554);
  const { row_groups } = await parquetMetadataAsync({
    byteLength: many.length,
    slice: (start, end) => many.slice(start, end).buffer,
  });
  assert.deepEqual(row_groups.map(({ num_rows }) => Number(num_rows)), [32_768, 2]);
  await fails("parquet", many.slice(0, 1000), 1, "parquet file invalid (footer != PAR1)");
});

const TEXT = { type: "BYTE_ARRAY", converted_type: "UTF8" } as const;
const TEXTS = "metric unit resource_kind resource_id consumer_kind consumer_id relay_client attributes".split(
  " ",
);
/** Columns whose values a row of {@linkcode parquetOf} has unless it says others. */
const USUAL: Record<string, unknown> = {
  ...{ timestamp: 0n, value: null, value_u64: null, metric: "m", unit: "W", resource_kind: "cpu" },
  ...{ resource_id: "0", consumer_kind: "process", consumer_id: "7", relay_client: "", attributes: "{}" },
};

/** A file of another program, with columns of other types or none, and groups of that many rows. */
function parquetOf(
  rows: readonly Record<string, unknown>[],
  types: Record<string, Partial<SchemaElement> | null> = {},
  rowGroupSize = 100,
): Uint8Array {
  const unit = "NANOS";
  const columns = Object.entries<Partial<SchemaElement> | null>({
    timestamp: { type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit } },
    value: { type: "DOUBLE" },
    value_u64: { type: "INT64", converted_type: "UINT_64" },
    ...Object.fromEntries(TEXTS.map((name) => [name, TEXT])),
    ...types,
  }).filter(([, type]) => type !== null);
  const schema = columns.map(([name, type]): SchemaElement => ({
    name,
    repetition_type: "OPTIONAL",
    ...type,
  }));
  return new Uint8Array(parquetWriteBuffer({
    schema: [{ name: "root", num_children: columns.length }, ...schema],
    columnData: columns.map(([name]) => ({ name, data: rows.map((row) => ({ ...USUAL, ...row })[name]) })),
    rowGroupSize,
  }));
}

Deno.test("all rows of all groups of Parquet are read, also of a group that is read in parts", async () => {
  const numbers = async (count: number, groupRows: number) => {
    const rows = Array.from({ length: count }, (_, n) => ({ value_u64: BigInt(n) }));
    await using dir = new TempDir();
    const path = dir.file("f.parquet");
    Deno.writeFileSync(path, parquetOf(rows, {}, groupRows));
    const numbers: number[] = [];
    for await (const batch of readPoints(path, "parquet", () => {})) {
      for (let row = 0; row < batch.length; row++) numbers.push(Number(batch.exactValue(row)));
    }
    return numbers;
  };
  assert.deepEqual(await numbers(7, 3), [0, 1, 2, 3, 4, 5, 6]);
  const large = 65_537;
  const read = await numbers(large, large);
  assert.equal(read.length, large);
  assert.ok(read.every((number, row) => number === row));
});

Deno.test("a group of Parquet has 4,194,304 rows at most", async () => {
  const file = parquetOf([{ value: 1 }]);
  /** The file, as if its group had more rows than it has. */
  const claiming = (rows: number): Uint8Array => {
    const metadata = parquetMetadata(file.slice().buffer);
    const writer = new ByteWriter();
    writer.appendBytes(file.subarray(0, file.length - 8 - metadata.metadata_length));
    metadata.row_groups[0].num_rows = metadata.num_rows = BigInt(rows);
    writeMetadata(writer, metadata);
    writer.appendBytes(new TextEncoder().encode("PAR1"));
    return writer.getBytes();
  };
  await fails(
    "parquet",
    claiming(4_194_305),
    1,
    "its group has 4194305 rows, and 4194304 fit into memory: write the file with smaller row groups",
  );
  await fails("parquet", claiming(4_194_304), 2, "its timestamp is not a time");
});

Deno.test("a row of Parquet has its own series, whatever the row before it has", async () => {
  const [a, b] = [{ relay_client: "a" }, { metric: "n" }];
  // Nothing of it is as in the rows beside it.
  const other = Object.fromEntries(TEXTS.map((name) => [name, name === "attributes" ? '{"k":1}' : "o"]));
  const rows = [
    ...[{ ...a, value: 1 }, { ...a, value_u64: 2n }, { ...a, value: 3 }, { ...a, value: 4 }],
    ...[{ ...b, value: 5 }, { ...b, value: 6 }, { ...a, value: 7 }, { ...b, value: 8 }],
    ...[{ ...other, value: 9 }, { ...a, value: 10 }],
  ];
  const [mine, none] = ['relay_client="a" ', ""];
  assert.deepEqual(await read("parquet", parquetOf(rows)), [[
    ...[["m", mine, "1"], ["m", mine, "2u"], ["m", mine, "3"], ["m", mine, "4"]],
    ...[["n", none, "5"], ["n", none, "6"], ["m", mine, "7"], ["n", none, "8"]],
    ...[["o", "", "9"], ["m", mine, "10"]],
  ].map(([metric, client, value]) =>
    metric === "o" ? 'o o o o o o k=1n relay_client="o" 0.0 9' : `${metric} W ${ROW} ${client}0.0 ${value}`
  )]);
});

Deno.test("times of Parquet are in nanoseconds, microseconds or milliseconds", async () => {
  const times = async (unit: "NANOS" | "MICROS" | "MILLIS", timestamp: bigint) => {
    const timestamps = {
      type: "INT64",
      logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit },
    } as const;
    const [[row]] = await read("parquet", parquetOf([{ timestamp, value: 1 }], { timestamp: timestamps }));
    return row.split(" ").at(-2);
  };
  assert.equal(await times("NANOS", 1_800_000_000_123_456_789n), `${SECONDS}.123456789`);
  assert.equal(await times("MICROS", 1_800_000_000_123_456n), `${SECONDS}.123456000`);
  assert.equal(await times("MILLIS", 1_800_000_000_123n), `${SECONDS}.123000000`);
});

Deno.test("what is wrong with a row of Parquet, or with its columns, is said", async () => {
  const problem = (bytes: Uint8Array, row: number, message: string) => fails("parquet", bytes, row, message);
  const one = [{ value: 1 }];
  await problem(parquetOf(one, { unit: null }), 1, "the file has no column unit");
  await problem(
    parquetOf(one, { value: null, attributes: null }),
    1,
    "the file has no column value, attributes",
  );
  const timestamps = { timestamp: { type: "DOUBLE" } } as const;
  await problem(parquetOf([{ timestamp: 1, value: 1 }], timestamps), 1, "its timestamp is not a time");
  await problem(
    parquetOf([{ value_u64: 1 }], { value_u64: { type: "INT32" } }),
    1,
    "its value_u64 is not an integer of 64 bits",
  );
  await problem(parquetOf([...one, ...one, {}]), 3, "its value is not a float");
  await problem(parquetOf([...one, { value: 1, consumer_id: null }]), 2, "its consumer_id is not a text");
  await problem(parquetOf([{ timestamp: -1n, value: 1 }]), 1, "its time is not between 1970 and 9999");
});

Deno.test("batches have 4096 points, the same each time, and progress is the share of the file that was read", async () => {
  const lengths = async (text: string, shares?: number[]) =>
    (await read("csv", text, shares)).map(({ length }) => length);
  const rows = (count: number) => `${COLUMNS}\n${csv(TIME, "1").repeat(count)}`;
  assert.deepEqual(await lengths(rows(0)), [0]);
  assert.deepEqual(await lengths(rows(4096)), [4096, 0]);
  const shares: number[] = [];
  const text = rows(10_000);
  assert.deepEqual(await lengths(text, shares), [4096, 4096, 1808]);
  const step = 256 * 1024 / text.length;
  assert.deepEqual(shares, [step, 2 * step, 1]);
  const line = json(TIME, "1");
  assert.deepEqual((await read("jsonl", line.repeat(4097))).map(({ length }) => length), [4096, 1]);
});

Deno.test("what is wrong with a row of CSV is said with its number", async () => {
  const header = `${COLUMNS}\n`;
  await fails("csv", "", 1, "there is no row with the names of the columns");
  await fails(
    "csv",
    "metric,value\n",
    1,
    "the first row does not name the columns timestamp, type, unit, " +
      "resource_kind, resource_id, consumer_kind, consumer_id, relay_client, attributes",
  );
  await fails("csv", header + csv(TIME, "1") + csv(TIME, "1", "f32"), 2, 'its type is "f32": use u64 or f64');
  await fails("csv", header + csv(TIME, "1").trim() + ",\n", 1, "it has 12 cells instead of 11");
  await fails("csv", header.replace("unit,", ""), 1, "the first row does not name the columns unit");
  for (const value of ["x", "1.", "0x1", "null", "1e", " 1", "Infinity"]) {
    const found = value === "null" ? "NULL" : value;
    await fails("csv", header + csv(TIME, value), 1, `${JSON.stringify(found)} is not a number`);
  }
  for (const value of ["18446744073709551616", "-1", "1.0", "", "100000000000000000000"]) {
    await fails(
      "csv",
      header + csv(TIME, value, "u64"),
      1,
      `${JSON.stringify(value)} is not an integer from 0 to ${2n ** 64n - 1n}`,
    );
  }
  for (
    const time of [
      "2027-01-15T08:00:00",
      "2027-01-15 08:00:00Z",
      "2027-01-15T08:00:00.Z",
      "2027-01-15T08:00:00.0000000001Z",
    ]
  ) {
    await fails("csv", header + csv(time, "1"), 1, `"${time}" is not a time such as 2026-11-01T12:00:00.5Z`);
  }
  await fails("csv", header + csv("2027-02-30T25:00:00Z", "1"), 1, '"2027-02-30T25:00:00Z" is not a time');
  await fails("csv", header + csv("1969-12-31T23:59:59Z", "1"), 1, "its time is not between 1970 and 9999");
  await fails("csv", header + csv(TIME, "1", "f64", ""), 1, "the name of the metric is empty");
  await fails("csv", `${header}a"b,c\n`, 1, "a quotation mark is not closed");
  await fails("csv", `${header}"a"b",c"\n`, 1, "a quotation mark is in the wrong place");
  await fails("csv", `${header}"a\n`, 1, "a quotation mark is not closed");
  await fails("csv", header + csv(TIME, "1", "f64", "m", "[]"), 1, "its attributes are not a JSON object");
  await fails("csv", header + csv(TIME, "1", "f64", "m", "{"), 1, '"{" is not valid JSON');
  for (const value of ['{""b"":1}', "[1.5]", '[""x""]', "[[1]]"]) {
    const attributes = `"{""a"":${value}}"`;
    await fails(
      "csv",
      header + csv(TIME, "1", "f64", "m", attributes),
      1,
      value === "[1.5]"
        ? `"1.5" is not an integer from 0 to ${2n ** 64n - 1n}`
        : 'its attribute "a" is neither a text, a number, true or false, nor a list of integers',
    );
  }
});

Deno.test("what is wrong with a line of JSON is said with its number", async () => {
  await fails("jsonl", json(TIME, "1") + "{\n", 2, '"{" is not valid JSON');
  for (const text of ["[]", "1", '"x"', "null"]) await fails("jsonl", text, 1, "it is not a JSON object");
  await fails("jsonl", json(TIME, "1", { unit: 5 }), 1, "its unit is not a text");
  await fails("jsonl", json(TIME, "1").replace('"unit":"W",', ""), 1, "it has no unit");
  await fails("jsonl", json(TIME, '"1"'), 1, "its value is neither a number nor null");
  await fails("jsonl", json("x", "1"), 1, '"x" is not a time such as 2026-11-01T12:00:00.5Z');
  await fails(
    "jsonl",
    json(TIME, "18446744073709551616"),
    1,
    `"18446744073709551616" is not an integer from 0 to ${2n ** 64n - 1n}`,
  );
  await fails("jsonl", json(TIME, "1", {}, "5"), 1, "its attributes are not a JSON object");
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  await fails("jsonl", json(TIME, "1") + deep, 2, `"${"[".repeat(79)}…" is nested too deeply`);
  // Also of a series that is known already.
  const list = json(TIME, "1").replace("{", "[");
  await fails(
    "jsonl",
    json(TIME, "1") + list,
    2,
    `${JSON.stringify(`${list.slice(0, 79)}…`)} is not valid JSON`,
  );
  await fails("jsonl", json(TIME, "0.5") + json(TIME, "x"), 2, '"x" is not a number');
  await fails(
    "jsonl",
    json(TIME, "1") + json(TIME, "18446744073709551616"),
    2,
    `"18446744073709551616" is not an integer from 0 to ${2n ** 64n - 1n}`,
  );
  await fails(
    "jsonl",
    json(TIME, "1") + json("x", "1"),
    2,
    '"x" is not a time such as 2026-11-01T12:00:00.5Z',
  );
  // A message has the beginning of a long text.
  const [fits, long] = ["x".repeat(80), "x".repeat(81)];
  await fails("jsonl", json(fits, "1"), 1, `"${fits}" is not a time such as 2026-11-01T12:00:00.5Z`);
  await fails(
    "jsonl",
    json(long, "1"),
    1,
    `"${"x".repeat(79)}…" is not a time such as 2026-11-01T12:00:00.5Z`,
  );
});

Deno.test("a row has a mebibyte of characters at most, and is UTF-8", async () => {
  const MIB = 1024 * 1024;
  const notJson = "is not valid JSON";
  const message = async (format: FileFormat, text: string | Uint8Array) => {
    const error = await read(format, text).then(() => undefined, (error) => error as Error);
    return error?.message.replace(/^.*, row \d+: /, "").replace(/^"x+…" /, "");
  };
  assert.equal(await message("jsonl", `${"x".repeat(MIB)}`), notJson);
  assert.equal(await message("jsonl", `${"x".repeat(MIB + 1)}`), `it has more than ${MIB} characters`);
  // Of a row of CSV, also in several lines.
  const half = "x".repeat(MIB / 2);
  const cell = (more: number) => `${COLUMNS}\n"${half}\n${half.slice(2 - more)}\n"\n`;
  assert.equal(await message("csv", cell(0)), "it has 1 cells instead of 11");
  assert.equal(await message("csv", cell(1)), "a quotation mark is not closed");
  // A character may stand where a part that is read ends.
  const line = json(TIME, "1", { unit: "é".repeat(200_000) });
  assert.equal((await read("jsonl", line.repeat(2)))[0].length, 2);
  assert.equal(
    await message("jsonl", Uint8Array.of(0x7b, 0xff)),
    "this row, or one soon after it, is not UTF-8",
  );
  assert.equal(
    await message("jsonl", Uint8Array.of(0x7b, 0xe2, 0x82)),
    "this row, or one soon after it, is not UTF-8",
  );
});

Deno.test("65,536 series and metrics are remembered, and of more all are defined again", () => {
  const rows = new Rows();
  const texts = seriesTexts({
    ...{ metric: "0", unit: "W", resource_kind: "cpu", resource_id: "0", consumer_kind: "process" },
    ...{ consumer_id: "7", relay_client: "", attributes: "{}" },
  }, "f64");
  // A series that is not defined under a key takes no place.
  rows.define(null, texts);
  const first = rows.define("0", texts);
  assert.equal(rows.series("0"), first);
  for (let n = 1; n < 65_536; n++) rows.define(String(n), { ...texts, metric: String(n) });
  assert.equal(rows.series("0"), first);
  assert.equal(rows.define(null, texts).metric, first.metric);
  rows.define("new", { ...texts, metric: "new" });
  assert.deepEqual([rows.series("0"), rows.series("65535")], [undefined, undefined]);
  assert.ok(rows.series("new"));
  const again = rows.define(null, texts).metric;
  assert.notEqual(again, first.metric);
  assert.equal(rows.define("x", texts).metric, again);
  assert.equal(rows.define("y", { ...texts, unit: "J" }).metric.unit.base, "J");
  assert.equal(rows.define("z", { ...texts, type: "u64" }).metric.type, "u64");
});

Deno.test("times are read from the first second of 1970 to the last one of 9999", () => {
  const times = new Times();
  const rows = new Rows();
  const series = rows.define(null, {
    ...{
      metric: "m",
      unit: "",
      resourceKind: "",
      resourceId: "",
      consumerKind: "",
      consumerId: "",
      client: "",
    },
    ...{ type: "f64", attributes: [] },
  });
  const add = (text: string) => {
    times.read(text);
    rows.add(series, times.seconds, times.nanos, 1);
    return [times.seconds, times.nanos];
  };
  assert.deepEqual(add("1970-01-01T00:00:00.000000001Z"), [0, 1]);
  assert.deepEqual(add("9999-12-31T23:59:59.9Z"), [253_402_300_799, 900_000_000]);
  assert.deepEqual(add("9999-12-31T23:59:59Z"), [253_402_300_799, 0]);
  assert.equal(rows.count, 3);
  assert.throws(() => rows.add(series, 253_402_300_800, 0, 1), RowError);
  assert.throws(() => rows.add(series, NaN, 0, 1), RowError);
  assert.throws(() => rows.add(series, -1, 0, 1), RowError);
  assert.deepEqual([rows.count, rows.rest().length, rows.rest().length], [3, 3, 0]);
  assert.deepEqual([readU64("0"), readU64("18446744073709551615")], [0n, 2n ** 64n - 1n]);
});

Deno.test("what cannot be read is named", async () => {
  await using dir = new TempDir();
  const problem = async (path: string) => {
    const error = await Array.fromAsync(readPoints(path, "csv", () => {})).then(() => null, (error) => error);
    assert.ok(error instanceof ExitError && error.exitCode === 69, String(error));
    return error.message;
  };
  assert.equal(await problem(dir.path), `Cannot read ${dir.path}: it is not a file`);
  assert.match(await problem(dir.file("none")), /^Cannot read .*none: No such file/);
});
