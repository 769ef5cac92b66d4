import assert from "node:assert/strict";
import { contextWith } from "../../kit/context.ts";
import { ExitError } from "../../../lib/base/errors.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { type Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { csv } from "../../../lib/outputs/csv.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { attributeColumns, CsvRenderer } from "../../../lib/outputs/csv/format.ts";
import { formatAttribute, formatF64, putInteger, RowBuffer } from "../../../lib/outputs/rendering/numbers.ts";
import { cases, Chance, testdataText } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf, numbered, series } from "../../kit/points.ts";
import { pause } from "../../kit/waiting.ts";

type Config = Parameters<typeof CsvOutput.open>[0];
const FORMAT = { delimiter: ";", lateDelimiter: ",", appendUnit: true, unitDisplayName: true };
const POWER = metricOf("power", "f64", { base: "W", prefix: "milli" });
const COUNT = metricOf("count");

function text(batch: Batch, columns: string[] = [], format = FORMAT, capacity = 100_000): string {
  const renderer = new CsvRenderer(columns, format);
  const decoder = new TextDecoder();
  let result = "";
  for (let row = 0; row < batch.length;) {
    const out = new RowBuffer(capacity);
    row = renderer.render(batch, row, out);
    result += decoder.decode(out.bytes.subarray(0, out.length));
  }
  return result;
}

/** Writes batches through a whole output, and returns its log. */
async function write(path: string, batches: Batch[], config: Partial<Config> = {}): Promise<string[]> {
  const lines: string[] = [];
  const log = createLogger("csv", { write: (line) => lines.push(line.slice(25)) });
  const journal = new MemoryJournal({ limitBytes: 1e9 });
  await using output = await CsvOutput.open(
    { ...csv.config.defaultValue(), ...config, output_path: path },
    contextWith({ log }),
  );
  const running = output.run(journal.reader(), new AbortController().signal);
  for (const batch of batches) await journal.append(batch);
  journal.end();
  await running;
  assert.equal(journal.pendingPoints, 0);
  return lines;
}

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("f64 are in plain decimal, as short as reads back the same", () => {
  const { primitives } = JSON.parse(testdataText("postcard.json"));
  let checked = 0;
  for (const { type, f64, text } of primitives) {
    if (type !== "f64") continue;
    assert.equal(
      formatF64(new DataView(BigUint64Array.of(BigInt("0x" + f64)).buffer).getFloat64(0, true)),
      text,
    );
    checked++;
  }
  assert.equal(checked, 7);
  const chance = new Chance(5);
  for (let n = 0; n < cases(2000); n++) {
    const value = (chance.next() - 0.5) * 10 ** (chance.int(600) - 300);
    const written = formatF64(value);
    assert.match(written, /^-?\d+(\.\d+)?$/);
    assert.equal(Number(written), value);
  }
});

Deno.test("whole numbers are written digit by digit as they are", () => {
  const bytes = new Uint8Array(20);
  const chance = new Chance(6);
  const values = [
    0,
    1,
    9,
    10,
    99,
    100,
    999_999_999,
    1e9,
    1e9 + 1,
    2 ** 31,
    2 ** 32,
    1e15,
    2 ** 53 - 1,
    2 ** 53,
  ];
  for (let n = 0; n < 2000; n++) values.push(Math.floor(chance.next() * 2 ** (1 + chance.int(53))));
  for (const value of values) {
    assert.equal(new TextDecoder().decode(bytes.subarray(0, putInteger(bytes, 0, value))), String(value));
  }
});

Deno.test("times are RFC 3339 in UTC without the trailing zeros of the fraction", () => {
  const one = series(COUNT);
  const times: [number, number, string][] = [
    [0, 0, "1970-01-01T00:00:00Z"],
    [1_700_000_000, 5, "2023-11-14T22:13:20.000000005Z"],
    [1_700_000_000, 100_000_000, "2023-11-14T22:13:20.1Z"],
    [1_700_000_000, 10, "2023-11-14T22:13:20.00000001Z"],
    [951_782_399, 999_999_999, "2000-02-28T23:59:59.999999999Z"],
    [951_782_400, 0, "2000-02-29T00:00:00Z"],
    [253_402_300_799, 0, "9999-12-31T23:59:59Z"],
    [1_700_000_001, 0, "2023-11-14T22:13:21Z"],
  ];
  const rows = text(batchOf(times.map(([seconds, nanos]) => [one, 1, seconds, nanos]))).trim().split("\n");
  assert.deepEqual(rows.map((row) => row.split(";")[1]), times.map(([, , text]) => text));
});

Deno.test("lists are [1, 2, 3], and exact values are written in full", () => {
  assert.equal(formatAttribute([1n, 2n, 3n]), "[1, 2, 3]");
  assert.equal(formatAttribute([]), "[]");
  assert.equal(formatAttribute(true), "true");
  assert.equal(formatAttribute(18446744073709551615n), "18446744073709551615");
  assert.match(text(batchOf([[series(COUNT), 2n ** 64n - 1n]])), /;18446744073709551615;/);
});

Deno.test("cells are quoted as RFC 4180 says, and late attributes escape their delimiter", () => {
  const odd = seriesOf(metricOf('a"b;c'), {
    resourceId: "x\ny",
    consumerId: "1\r2",
    attributes: [["known", "k;"], ["late", "a,b"], ["other", 'q"']],
  });
  assert.equal(
    text(batchOf([[odd, 1, 0, 0]]), ["absent", "known"]),
    '"a""b;c";1970-01-01T00:00:00Z;1;local_machine;"x\ny";local_machine;"1\r2";;"k;";"late=a\\,b,other=q"""\n',
  );
});

Deno.test("delimiters and units are as configured", () => {
  const batch = batchOf([[series(POWER, [["a", "x,y"], ["b", 1n]]), 0.5, 0, 0]]);
  const rest = "1970-01-01T00:00:00Z";
  const format = { delimiter: ",", lateDelimiter: "|", appendUnit: true, unitDisplayName: false };
  assert.equal(
    text(batch, [], format),
    `power_milliW,${rest},0.5,local_machine,,local_machine,,"a=x,y|b=1"\n`,
  );
  assert.match(text(batch, [], { ...format, appendUnit: false }), /^power,/);
  assert.match(text(batch, [], { ...format, delimiter: "→" }), /^power_milliW→1970/);
  assert.match(text(batch, [], { ...format, delimiter: "]" }), /^power_milliW\]1970/);
});

Deno.test("columns are sorted by their bytes", () => {
  const batch = batchOf([[
    series(COUNT, [["\u{1f50b}", 1n], ["\uffee", 1n], ["b", 1n], ["B", 1n], ["a b", 1n]]),
    1,
  ]]);
  assert.deepEqual(attributeColumns(batch), ["B", "a b", "b", "\uffee", "\u{1f50b}"]);
});

Deno.test("rows are the same however small the buffer is, and however many series there are", () => {
  const chance = new Chance(7);
  const all = Array.from(
    { length: 300 },
    (_, i) => series(POWER, [["n", `${i}-${"x".repeat(chance.int(3000))}`]]),
  );
  const batch = batchOf(
    Array.from({ length: 2000 }, () => [chance.pick(all), chance.next() * 1000] as [typeof all[0], number]),
  );
  const expected = text(batch, ["n"], FORMAT, 10_000_000);
  assert.equal(text(batch, ["n"], FORMAT, 1), expected);
  assert.equal(text(batch, ["n"], FORMAT, 5000), expected);
  assert.equal(expected.split("\n").length, 2001);
});

Deno.test("rendered series are forgotten when they take too much, and the rows are right", () => {
  const renderer = new CsvRenderer(["n"], FORMAT);
  const out = new RowBuffer(1 << 20);
  const decoder = new TextDecoder();
  const first = series(COUNT, [["n", "first"]]);
  for (let n = 0; n < 200; n++) {
    const batch = batchOf([[first, n], [series(COUNT, [["n", `${n}:${"y".repeat(200_000)}`]]), n], [
      first,
      n,
    ]]);
    out.length = 0;
    assert.equal(renderer.render(batch, 0, out), 3);
    const rows = decoder.decode(out.bytes.subarray(0, out.length)).split("\n");
    assert.ok(rows[0].endsWith(";first;") && rows[2].endsWith(";first;") && rows[1].includes(`;${n}:yyy`));
  }
});

Deno.test("the first batch decides the columns; attributes that come later are late", () =>
  inDirectory(async (dir) => {
    const path = `${dir}/out.csv`;
    await write(path, [
      batchOf([[series(COUNT, [["b", 1n], ["a", 2n]]), 1, 0]]),
      batchOf([[series(COUNT, [["c", 3n]]), 2, 0]]),
    ]);
    assert.equal(
      await Deno.readTextFile(path),
      "metric;timestamp;value;resource_kind;resource_id;consumer_kind;consumer_id;a;b;__late_attributes\n" +
        "count;1970-01-01T00:00:00Z;1;local_machine;;local_machine;;2;1;\n" +
        "count;1970-01-01T00:00:00Z;2;local_machine;;local_machine;;;;c=3\n",
    );
  }));

Deno.test("a file of ours is appended to with its columns, any other is left as it is", () =>
  inDirectory(async (dir) => {
    const path = `${dir}/out.csv`;
    await Deno.writeTextFile(path, "my own notes\n");
    const a = batchOf([[series(COUNT, [["a", 1n]]), 1, 0]]);
    const b = batchOf([[series(COUNT, [["b", 1n]]), 1, 0]]);

    const lines = await write(path, [a]);
    assert.ok(
      lines.some((line) => line.includes("another header") && line.includes("out-1.csv")),
      lines.join(""),
    );
    assert.equal(await Deno.readTextFile(path), "my own notes\n");
    await write(path, [a]);
    assert.equal((await Deno.readTextFile(`${dir}/out-1.csv`)).trim().split("\n").length, 3);
    await write(path, [b]);
    assert.deepEqual((await Deno.readTextFile(`${dir}/out-1.csv`)).trim().split("\n").slice(2), [
      "count;1970-01-01T00:00:00Z;1;local_machine;;local_machine;;1;",
      "count;1970-01-01T00:00:00Z;1;local_machine;;local_machine;;;b=1",
    ]);
    assert.equal(await Deno.readTextFile(path), "my own notes\n");
  }));

Deno.test("a half row at the end of a file is not glued to the next one", () =>
  inDirectory(async (dir) => {
    const path = `${dir}/out.csv`;
    await write(path, [numbered(1)]);
    const whole = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, whole + "numbers;2023");
    await write(path, [numbered(1, 1)]);
    assert.deepEqual((await Deno.readTextFile(path)).split("\n").slice(1, 4).map((row) => row.slice(0, 12)), [
      "numbers;2023",
      "numbers;2023",
      "numbers;2023",
    ]);
    assert.equal((await Deno.readTextFile(path)).split("\n").length, 5);
  }));

Deno.test("many batches are written whole and in order, flushed at once or not", () =>
  inDirectory(async (dir) => {
    for (const force_flush of [true, false]) {
      const path = `${dir}/${force_flush}.csv`;
      await write(path, Array.from({ length: 60 }, (_, n) => numbered(500, n * 500)), { force_flush });
      const values = (await Deno.readTextFile(path)).trim().split("\n").slice(1).map((row) =>
        Number(row.split(";")[2])
      );
      assert.deepEqual(values, Array.from({ length: 30_000 }, (_, i) => i));
    }
  }));

Deno.test("without force_flush rows are on the disk after a second, though nothing more comes", () =>
  inDirectory(async (dir) => {
    const path = `${dir}/out.csv`;
    const journal = new MemoryJournal({ limitBytes: 1e9 });
    const context = contextWith({});
    await using output = await CsvOutput.open({
      ...csv.config.defaultValue(),
      output_path: path,
      force_flush: false,
    }, context);
    const running = output.run(journal.reader(), new AbortController().signal);
    await journal.append(numbered(3));
    while (output.stats.points < 3) await pause(20);
    assert.equal((await Deno.readTextFile(path)).split("\n").length, 5);
    journal.end();
    await running;
  }));

Deno.test("a file that cannot be opened is an error with its name and key", async () => {
  const context = contextWith({});
  const open = CsvOutput.open({ ...csv.config.defaultValue(), output_path: "/nowhere/at/all.csv" }, context);
  await assert.rejects(open, (error) => {
    return error instanceof ExitError && error.exitCode === 69 &&
      /\/nowhere\/at\/all\.csv.*plugins\.csv\.output_path/.test(error.message);
  });
});
