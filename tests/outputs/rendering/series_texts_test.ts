import assert from "node:assert/strict";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { SeriesTexts } from "../../../lib/outputs/rendering/series_texts.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";

const POWER = metricOf("power", "f64", { base: "W", prefix: "" });
/** Ticks after which a series that is not seen is given back, with some to spare for the sweep. */
const TICKS = 400;

Deno.test("texts of series that come and go take no more room than those that are there at once", () => {
  const store = new SeriesStore();
  const texts = new SeriesTexts(store);
  const mark = SeriesTexts.newMark();
  const chance = new Chance(1);
  let number = 0;
  let roomAfterFirst = 0;
  for (let generation = 0; generation < 8; generation++) {
    const batch = new Batch(500, null, store);
    const expected = new Map<number, string>();
    for (let i = 0; i < 500; i++) {
      const one = seriesOf(POWER, { consumerId: `${number++}` });
      batch.push(one, 1, 0, 1);
      const text = `${generation} ${i} ${"x".repeat(chance.int(40))}`;
      expected.set(one.number, text);
      const at = texts.begin(100);
      const { written } = new TextEncoder().encodeInto(text, texts.bytes.subarray(at));
      texts.end(one.number, at + written, mark);
    }
    for (const [series, text] of expected) {
      const place = texts.places[series];
      const bytes = texts.bytes.subarray(place, place + texts.lengthAt(place));
      assert.equal(new TextDecoder().decode(bytes), text);
      assert.equal(texts.markAt(place), mark);
    }
    batch.release();
    for (let tick = 0; tick < TICKS; tick++) store.tick();
    assert.equal(store.size, 0);
    if (generation === 1) roomAfterFirst = texts.bytes.length;
  }
  assert.equal(texts.bytes.length, roomAfterFirst);
});

Deno.test("a text that is rendered again leaves its place to others", () => {
  const store = new SeriesStore();
  const texts = new SeriesTexts(store);
  const batch = new Batch(1, null, store);
  const one = seriesOf(POWER);
  batch.push(one, 1, 0, 1);
  const places = Array.from({ length: 6 }, () => {
    const at = texts.begin(10);
    return texts.end(one.number, at + 10, SeriesTexts.newMark());
  });
  assert.equal(new Set(places).size, 2);
});
