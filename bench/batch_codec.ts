/**
 * The codec of the journal on the recorded real-agent session: bytes a point, and time a point in the steady state,
 * which is the session sent again and again with values that go on changing.
 */
import { BatchDecoder, BatchEncoder } from "../lib/batches/codec.ts";
import { BatchPool } from "../lib/points/measurement.ts";
import { sessionBatches } from "../tests/kit/session.ts";

const ROUNDS = Number(Deno.args[0] ?? 200);
const batches = sessionBatches();
const points = batches.reduce((sum, batch) => sum + batch.length, 0);

function encodeAll(encoder: BatchEncoder): Uint8Array<ArrayBuffer>[] {
  return batches.map((batch) => encoder.encode(batch).slice());
}

const encoder = new BatchEncoder();
const once = encodeAll(encoder).reduce((sum, record) => sum + record.length, 0);
console.log(`session: ${points} points, ${batches.length} batches, ${encoder.seriesCount} series`);
console.log(`whole session with dictionary: ${(once / points).toFixed(2)} bytes a point`);
const again = encodeAll(encoder);
const bytes = again.reduce((sum, record) => sum + record.length, 0);
console.log(`the same once more: ${(bytes / points).toFixed(2)} bytes a point`);

const best = (run: () => void) => {
  let least = Infinity;
  for (let part = 0; part < 5; part++) {
    const began = performance.now();
    for (let round = 0; round < ROUNDS / 5; round++) run();
    least = Math.min(least, (performance.now() - began) * 1000 / (ROUNDS / 5) / points);
  }
  return least.toFixed(3);
};
console.log(`encode: ${best(() => batches.forEach((batch) => encoder.encode(batch)))} µs a point`);

const fresh = new BatchEncoder();
const decoder = new BatchDecoder({ pool: new BatchPool(256, 4) });
encodeAll(fresh).forEach((record) => decoder.decode(record).release());
// Series stay the same, and differences are taken modulo nothing: the records can be decoded again and again.
const records = encodeAll(fresh);
console.log(
  `decode: ${best(() => records.forEach((record) => decoder.decode(record).release()))} µs a point`,
);
