/** Writes definitions of series (./dictionary.ts), from the bytes that the store has of them. */
import { NO_CLIENT } from "../points/client_names.ts";
import { CLIENT_ATTRIBUTE, type Metric } from "../points/measurement.ts";
import type { SeriesStore } from "../points/series_store.ts";
import { skipValue, VALUE } from "../points/tail.ts";
import { PostcardReader, type PostcardWriter } from "../postcard.ts";
import { DIFFERS, TAIL_TEXTS, TAKES_PLACE, TYPES } from "./dictionary.ts";
import { TextTable } from "./text_table.ts";

const encoder = new TextEncoder();

/** A text that is not part of a tail, as bytes that can be looked up. */
interface Text {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

function textOf(text: string): Text {
  const bytes = encoder.encode(text);
  return { text, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

const CLIENT_KEY = textOf(CLIENT_ATTRIBUTE);
/** Places of texts: those of tails, where places of long lists of attributes share one, and others. */
const PLACES = 32;
const CLIENT_KEY_PLACE = PLACES;
const CLIENT_PLACE = PLACES + 1;
const METRIC_PLACE = PLACES + 2;

export class DefinitionWriter {
  readonly #store: SeriesStore;
  readonly #texts = new TextTable();
  readonly #metrics = new Map<Metric, number>();
  /** The series before: its metric, its tail, where the parts of that begin and end, and the name of its client. */
  #metric: Metric | null = null;
  #tail = new Uint8Array(256);
  #bounds = new Uint32Array(TAIL_TEXTS + 2);
  #client = textOf("");
  /** By its place: the number of the text that was there last, or -1. */
  readonly #last = new Int32Array(METRIC_PLACE + 1).fill(-1);
  /** The same of the one that is being written, whose tail is in the arena. */
  #newBounds = new Uint32Array(TAIL_TEXTS + 2);

  constructor(store: SeriesStore) {
    this.#store = store;
  }

  clear(): void {
    this.#texts.clear();
    this.#metrics.clear();
    this.#metric = null;
  }

  /** @param place The number of a series that will not come again, whose place this one takes; -1 for a new number. */
  write(writer: PostcardWriter, series: number, place = -1): void {
    const store = this.#store;
    const { arena: { bytes, view } } = store;
    const start = store.tailStart[series];
    const end = start + store.tailLength[series];
    const reader = new PostcardReader(bytes, start, end);
    const bounds = this.#newBounds;
    for (let i = 0; i < TAIL_TEXTS; i++) {
      bounds[i] = reader.offset;
      reader.skip(reader.length());
    }
    bounds[TAIL_TEXTS] = reader.offset;
    bounds[TAIL_TEXTS + 1] = end;

    const metric = store.metricOf(series);
    const client = store.names.nameOf(store.clients[series]);
    const isFirst = this.#metric === null;
    let flags = metric === this.#metric ? 0 : DIFFERS.metric;
    for (let i = 0; i <= TAIL_TEXTS; i++) {
      if (isFirst || !this.#isSame(i, bytes)) flags |= DIFFERS.firstText << i;
    }
    if (client !== this.#client.text) flags |= DIFFERS.attributes;
    if (place < 0) writer.u8(flags);
    else writer.u8(flags | TAKES_PLACE).u32(place);
    if (flags & DIFFERS.metric) this.#putMetric(writer, metric);
    for (let i = 0; i < TAIL_TEXTS; i++) {
      if ((flags & (DIFFERS.firstText << i)) === 0) continue;
      reader.offset = bounds[i];
      this.#putNext(writer, bytes, view, reader, i);
    }
    if (client !== this.#client.text) this.#client = textOf(client);
    if (flags & DIFFERS.attributes) {
      reader.offset = bounds[TAIL_TEXTS];
      this.#putAttributes(writer, bytes, view, reader, store.clients[series] !== NO_CLIENT);
    }
    this.#keep(metric, bytes, start, end);
  }

  /** Whether part `i` is that of the series before. */
  #isSame(i: number, bytes: Uint8Array): boolean {
    const [before, bounds, start] = [this.#bounds, this.#newBounds, this.#newBounds[i]];
    const length = bounds[i + 1] - start;
    if (before[i + 1] - before[i] !== length) return false;
    const tail = this.#tail;
    for (let n = 0, at = before[i]; n < length; n++) if (tail[at + n] !== bytes[start + n]) return false;
    return true;
  }

  #keep(metric: Metric, bytes: Uint8Array, start: number, end: number): void {
    this.#metric = metric;
    if (this.#tail.length < end - start) this.#tail = new Uint8Array(2 * (end - start));
    for (let i = start; i < end; i++) this.#tail[i - start] = bytes[i];
    const bounds = this.#newBounds;
    for (let i = 0; i < bounds.length; i++) this.#bounds[i] = bounds[i] - start;
  }

  #putAttributes(
    writer: PostcardWriter,
    bytes: Uint8Array,
    view: DataView,
    reader: PostcardReader,
    hasClient: boolean,
  ): void {
    const count = reader.length(3);
    writer.u64(count + (hasClient ? 1 : 0));
    for (let n = 0; n < count; n++) {
      const place = TAIL_TEXTS + 2 * n;
      this.#putNext(writer, bytes, view, reader, place);
      const value = reader.offset;
      if (reader.u8() === VALUE.str) {
        writer.u8(VALUE.str);
        this.#putNext(writer, bytes, view, reader, place + 1);
      } else {
        reader.offset = value;
        skipValue(bytes, reader);
        writer.raw(bytes.subarray(value, reader.offset));
      }
    }
    if (!hasClient) return;
    this.#putText(writer, CLIENT_KEY, CLIENT_KEY_PLACE);
    writer.u8(VALUE.str);
    this.#putText(writer, this.#client, CLIENT_PLACE);
  }

  /** Writes the text that the reader comes to, in that place of a tail. */
  #putNext(
    writer: PostcardWriter,
    bytes: Uint8Array,
    view: DataView,
    reader: PostcardReader,
    place: number,
  ): void {
    const length = reader.length();
    this.#put(writer, bytes, view, reader.offset, length, place % PLACES);
    reader.skip(length);
  }

  #putText(writer: PostcardWriter, { bytes, view }: Text, place: number): void {
    this.#put(writer, bytes, view, 0, bytes.length, place);
  }

  #put(
    writer: PostcardWriter,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    length: number,
    place: number,
  ): void {
    const last = this.#last;
    let number = this.#texts.findAfter(last[place], view, start, length);
    if (number >= 0) writer.u32(number + 1);
    else {
      number = this.#texts.add(bytes, start, length);
      writer.u8(0).bytes(bytes.subarray(start, start + length));
    }
    last[place] = number;
  }

  #putMetric(writer: PostcardWriter, metric: Metric): void {
    const known = this.#metrics.get(metric);
    if (known !== undefined) return void writer.u32(known + 1);
    this.#metrics.set(metric, this.#metrics.size);
    writer.u8(0);
    this.#putText(writer, textOf(metric.name), METRIC_PLACE);
    writer.u8(TYPES.indexOf(metric.type));
    for (const text of [metric.unit.base, metric.unit.prefix, metric.description]) {
      this.#putText(writer, textOf(text), METRIC_PLACE);
    }
  }
}
