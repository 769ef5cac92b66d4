/**
 * For how long new series hold up everything else: `deno run -A bench/new_series.ts [COUNT]`, four million by default. Looks
 * at the CPU time of each 256 of them, once where they are found and numbered, once where they are encoded and decoded.
 */
import { KnownTexts } from "../lib/inputs/decoding/known_texts.ts";
import { BatchDecoder } from "../lib/batches/decoder.ts";
import { BatchEncoder } from "../lib/batches/encoder.ts";
import { Batch, type Metric } from "../lib/points/measurement.ts";
import { SeriesColumn } from "../lib/points/series_column.ts";
import { SeriesStore } from "../lib/points/series_store.ts";
import { threadMs } from "./thread_cpu.ts";

const STEP = 256;
const TAIL_BYTES = 44;
const LIMIT_BYTES = 2 ** 33;
const METRIC: Metric = { name: "power", type: "f64", unit: { base: "W", prefix: "" }, description: "" };

/** A tail that is another one for each number: four texts, and an attribute with a text. */
const tail = new Uint8Array(TAIL_BYTES + 32);
const view = new DataView(tail.buffer);
tail.set([0, 0, 0, 0, 1, 1, 97, 3, TAIL_BYTES - 9]);
tail.fill(48, 9, TAIL_BYTES);

function tailOf(n: number): void {
  for (let at = 12; at < 20; at++, n = Math.floor(n / 10)) tail[at] = 48 + n % 10;
}

function report(what: string, count: number, step: (from: number) => void): void {
  const began = threadMs();
  const longest: { ms: number; at: number }[] = [];
  for (let from = 0; from < count; from += STEP) {
    const start = threadMs();
    step(from);
    longest.push({ ms: threadMs() - start, at: from });
  }
  longest.sort((a, b) => b.ms - a.ms);
  const [first, second] = longest;
  console.log(
    `${what}: ${((threadMs() - began) / count * 1000).toFixed(2)} µs each; the longest ${STEP} took ` +
      `${first.ms.toFixed(1)} ms (from number ${first.at}), ${second.ms.toFixed(1)} ms (from ${second.at})`,
  );
}

const count = Number(Deno.args[0] ?? 4_000_000);

const store = new SeriesStore({ limitBytes: LIMIT_BYTES });
const columns = Array.from({ length: 3 }, () => new SeriesColumn(store));
const metric = store.metricNumber(METRIC);
report(`${count} series with ${columns.length} columns of outputs`, count, (from) => {
  for (let n = from; n < from + STEP; n++) {
    tailOf(n);
    store.intern(metric, 0, 0, tail, view, 0, TAIL_BYTES, false);
  }
});

const texts = new KnownTexts(count + STEP, LIMIT_BYTES);
report(`${count} texts of an input`, count, (from) => {
  for (let n = from; n < from + STEP; n++) {
    tailOf(n);
    texts.add(tail, view, 0, TAIL_BYTES, 0);
  }
});

const limits = { maxSeries: 2 * count, maxDictionaryBytes: LIMIT_BYTES };
const other = new SeriesStore({ limitBytes: LIMIT_BYTES });
const [encoder, decoder] = [
  new BatchEncoder(limits, store),
  new BatchDecoder({ ...limits, store: other, intern: (series) => other.internRaw(series) }),
];
const batch = new Batch(STEP, null, store);
const into = new Batch(STEP, null, other);
const first = store.find(metric, 0, (tailOf(0), view), 0, TAIL_BYTES);
report(`${count} series, encoded and decoded`, count, (from) => {
  batch.clear();
  into.clear();
  for (let n = from; n < from + STEP; n++) batch.pushNumber(first + n, 1_795_608_000, 0, n);
  const bytes = encoder.encode(batch);
  decoder.decode(bytes, 0, bytes.length, () => into);
});
