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

/** Texts of their own store, and what puts a text of so many bytes there for another series each time. */
function emptyTexts(limitBytes?: number) {
  const store = new SeriesStore();
  const texts = new SeriesTexts(store, limitBytes);
  const batch = new Batch(1, null, store);
  const number = (id: string) => {
    const one = seriesOf(POWER, { resourceId: id });
    batch.push(one, 1, 0, 1);
    return one.number;
  };
  let count = 0;
  const put = (bytes: number, series = number(`${count++}`), keep?: boolean) => {
    const at = texts.begin(bytes);
    texts.bytes.fill(series, at, at + bytes);
    return texts.end(series, at + bytes, 1, keep);
  };
  return { store, texts, number, put };
}

Deno.test("texts stand close behind each other, each at a multiple of eight bytes", () => {
  const { put } = emptyTexts();
  const places = [0, 1, 8, 9, 24, 25].map((bytes) => put(bytes));
  assert.deepEqual(places, [16, 24, 40, 56, 80, 112]);
});

Deno.test("behind a text there is room to copy it by words, and the array grows only where there is none", () => {
  for (const missing of [0, 1]) {
    const { texts } = emptyTexts();
    texts.begin(0);
    const { length } = texts.bytes;
    const at = texts.begin(length - 16 - 8 + missing);
    assert.equal(at, 16);
    assert.equal(texts.bytes.length > length, missing === 1);
    assert.equal(texts.view.buffer, texts.bytes.buffer);
    const [needed] = [3 * texts.bytes.length];
    assert.ok(texts.begin(needed) + needed + 8 <= texts.bytes.length);
  }
});

Deno.test("texts may take an eighth of what series may take, but not less than 16 MiB", () => {
  const mib = 2 ** 20;
  for (const [seriesBytes, limit] of [[8 * 24 * mib, 24 * mib], [8 * 8 * mib, 16 * mib]]) {
    const { store, texts, number } = emptyTexts();
    store.limit({ limitBytes: seriesBytes });
    const series = number("x");
    const put = (bytes: number) => {
      const at = texts.begin(bytes);
      return texts.end(series, at + bytes, 1);
    };
    const place = put(limit - 16);
    assert.deepEqual([texts.isFull, texts.places[series]], [false, place]);
    texts.clear();
    put(limit - 15);
    assert.ok(texts.isFull);
  }
});

Deno.test("where the array is full a text is there up to the next one, unless it must be kept", () => {
  const { texts, number, put } = emptyTexts(63);
  const first = put(48);
  assert.ok(texts.isFull);
  const [second, third] = [number("second"), number("third")];
  const at = put(9, second);
  assert.deepEqual([at > first, texts.lengthAt(at), texts.places[second]], [true, 9, 0]);
  assert.equal(put(9, third, true), at);
  assert.deepEqual([texts.places[second], texts.places[third]], [0, at]);
  // What has a place is rendered again into one that is free.
  assert.equal(put(48, third, true) > at, true);
  assert.equal(put(9, second), at);
  assert.equal(texts.places[second], at);
});

Deno.test("a full array is begun again when more than a quarter of it is free", () => {
  /** A text of so many bytes gives way to a shorter one. @returns whether the array was begun again. */
  const isBegunAgain = (
    texts: SeriesTexts,
    put: ReturnType<typeof emptyTexts>["put"],
    one: number,
    bytes: number,
  ) => {
    put(bytes, one);
    put(88);
    put(32, one, true);
    texts.tidy();
    return texts.places[one] === 0;
  };
  // With their heads and what is before all, 48 of 192 bytes are free, or 56 of 200.
  for (const [bytes, expected] of [[40, false], [41, true]] as const) {
    const { texts, number, put } = emptyTexts(128);
    const one = number("one");
    assert.equal(isBegunAgain(texts, put, one, bytes), expected);
    texts.clear();
    assert.equal(isBegunAgain(texts, put, one, bytes), expected);
  }
  const roomy = emptyTexts(1000);
  assert.equal(isBegunAgain(roomy.texts, roomy.put, roomy.number("one"), 80), false);
  // What was free and is taken again is of use.
  const { texts, number, put } = emptyTexts(128);
  const one = number("one");
  put(41, one);
  put(88);
  put(32, one, true);
  put(41, number("two"), true);
  texts.tidy();
  assert.notEqual(texts.places[one], 0);
});
