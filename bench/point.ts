/**
 * What a point and a series cost in each stage from the wire to CSV: `deno run -A bench/point.ts [HOSTS]`, 1,000 by default,
 * with 740 series each. CPU time of the thread, a point.
 */
import { BatchDecoder } from "../lib/batches/decoder.ts";
import { BatchEncoder } from "../lib/batches/encoder.ts";
import { CsvRenderer } from "../lib/outputs/csv/format.ts";
import { RowBuffer } from "../lib/outputs/rendering/numbers.ts";
import { SeriesTexts } from "../lib/outputs/rendering/series_texts.ts";
import { BatchBuilder } from "../lib/points/batch_builder.ts";
import { type Batch, BatchPool, type Metric } from "../lib/points/measurement.ts";
import { SeriesStore } from "../lib/points/series_store.ts";
import { PostcardWriter } from "../lib/postcard.ts";
import { PointDecoder } from "../lib/wire/point_decoder.ts";
import { threadMs } from "./thread_cpu.ts";

const SERIES = 740;
const LIMIT_BYTES = 2 ** 32;
const NO_LIMITS = { maxSeries: 1e8, maxDictionaryBytes: LIMIT_BYTES };
const METRICS: readonly Metric[] = Array.from({ length: 10 }, (_, n) => ({
  name: `metric_${n}`,
  type: n % 2 === 0 ? "f64" : "u64",
  unit: { base: "J", prefix: "" },
  description: "",
}));

/** A message of a host as those of bench/many_hosts.py: 74 processes with ten metrics each. */
function message(): PostcardWriter {
  const writer = new PostcardWriter();
  writer.u64(SERIES);
  for (let n = 0; n < SERIES; n++) {
    const [process, metric] = [1000 + Math.floor(n / 10), n % 10];
    writer.u64(metric).u64(1_795_608_000).u32(metric);
    if (METRICS[metric].type === "f64") writer.u8(0).f64((process % 977 + metric) * 1.5);
    else writer.u8(1).u64(process % 977 + metric);
    writer.string("local_machine").string("").string("process").string(String(process));
    writer.u64(1).string("kind").u8(3).string(["user", "system", "resident", "shared"][metric % 4]);
  }
  return writer;
}

const hosts = Number(Deno.args[0] ?? 1000);
const store = new SeriesStore({ limitBytes: 2 * LIMIT_BYTES });
const writer = message();
const { length } = writer;
// Words behind the end may be looked at.
const bytes = new Uint8Array([...writer.written, ...new Uint8Array(64)]);
const view = new DataView(bytes.buffer);
const decoders = Array.from({ length: hosts }, (_, n) => {
  const decoder = new PointDecoder({ store, owner: `node-${n}` });
  METRICS.forEach((metric, id) => decoder.setMetric(id, metric));
  return decoder;
});
const pool = new BatchPool(4096, Infinity, store);
let batches: Batch[] = [];
let records: Uint8Array[] = [];

function measure(what: string, work: () => void): void {
  const began = threadMs();
  work();
  const ns = (threadMs() - began) / (hosts * SERIES) * 1e6;
  console.log(`${what.padEnd(40)} ${ns.toFixed(0).padStart(5)} ns`);
}

function take(): void {
  for (const batch of batches) batch.release();
  const builder = new BatchBuilder(pool);
  decoders.forEach((decoder, n) => decoder.decode(bytes, view, 0, length, `node-${n}`, builder));
  batches = builder.take();
}

const texts = new SeriesTexts(store, LIMIT_BYTES);
const format = { delimiter: ";", lateDelimiter: ",", appendUnit: true, unitDisplayName: true };
const renderer = new CsvRenderer(["kind", "relay_client"], format, texts);
const rows = new RowBuffer(1024 * 1024);

function render(): void {
  for (const batch of batches) {
    for (let row = 0; row < batch.length;) {
      rows.length = 0;
      row = renderer.render(batch, row, rows);
    }
  }
}

measure("taken, series that are new", take);
for (let n = 0; n < 2; n++) measure("taken again", take);
for (let segment = 1; segment <= 3; segment++) {
  const encoder = new BatchEncoder(NO_LIMITS, store);
  const makeMetric = ({ name }: Metric) => METRICS.find((metric) => metric.name === name)!;
  const decoder = new BatchDecoder({ ...NO_LIMITS, store, makeMetric, pool: new BatchPool(4096, 8, store) });
  const encode = () => void (records = batches.map((batch) => encoder.encode(batch).slice()));
  const decode = () => records.forEach((record) => decoder.decode(record).release());
  measure(`encoded, all defined, segment ${segment}`, encode);
  measure(`decoded, all defined, segment ${segment}`, decode);
  measure("encoded again", encode);
  measure("decoded again", decode);
  decoder.close();
}
measure("rendered, series that are new", render);
for (let n = 0; n < 2; n++) measure("rendered again", render);
