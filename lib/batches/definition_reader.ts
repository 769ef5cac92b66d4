/** Reads definitions of series (./dictionary.ts) and makes of each the bytes that a store takes. */
import type { Metric } from "../points/measurement.ts";
import type { RawSeries } from "../points/series_store.ts";
import { isClientKey, skipValue, VALUE } from "../points/tail.ts";
import { checkUtf8, decodeUtf8, PostcardError, type PostcardReader, putVarint } from "../postcard.ts";
import { ALL_DIFFER, DIFFERS, TAIL_TEXTS, TAKES_PLACE, TYPES } from "./dictionary.ts";
import { TextTable } from "./text_table.ts";

/** This many bytes behind a tail may be read. */
const SLACK = 64;
const MAX_VARINT_BYTES = 10;
const RESOURCE_KIND = 0;
const CONSUMER_KIND = 2;

/** A number that refers to nothing. */
export class UnknownReference extends Error {}

/** Bytes of one part of a tail. */
class Part {
  bytes = new Uint8Array(32);
  length = 0;

  reserve(count: number): void {
    const needed = this.length + count + MAX_VARINT_BYTES;
    if (needed > this.bytes.length) this.bytes = new Uint8Array(this.bytes.buffer.transfer(2 * needed));
  }

  /** Appends a text with its length before it. */
  putText(bytes: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    this.length = putVarint(this.bytes, this.length, end - start);
    this.put(bytes, start, end);
  }

  put(bytes: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    let at = this.length;
    for (let i = start; i < end; i++) this.bytes[at++] = bytes[i];
    this.length = at;
  }
}

/** Throws {@linkcode PostcardError}, {@linkcode UnknownReference}, and what `makeMetric` throws. */
export class DefinitionReader {
  readonly #texts = new TextTable();
  readonly #metrics: Metric[] = [];
  readonly #makeMetric: (metric: Metric) => Metric;
  /** The number whose place the series takes that was read last; -1 where it has a new one. */
  place = -1;
  #metric: Metric | null = null;
  /** The four texts of the tail, and the attributes without their count. */
  readonly #parts: readonly Part[] = Array.from({ length: TAIL_TEXTS + 1 }, () => new Part());
  #count = 0;
  /** The name of the client, if the last attribute is that, and its number among the texts. */
  #client: string | null = null;
  #clientText = -1;
  #clientName = "";
  #namesClient = false;
  #longestKey = 0;
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);

  constructor(makeMetric: (metric: Metric) => Metric) {
    this.#makeMetric = makeMetric;
  }

  clear(): void {
    this.#texts.clear();
    this.#metrics.length = 0;
    this.#metric = null;
    this.#clientText = -1;
  }

  /** @param bytes What the reader reads. @returns the series; its bytes are valid until the next one. */
  read(reader: PostcardReader, bytes: Uint8Array): RawSeries {
    let flags = reader.u8();
    this.place = -1;
    if ((flags & TAKES_PLACE) !== 0) {
      flags -= TAKES_PLACE;
      this.place = reader.u32();
    }
    if (flags > ALL_DIFFER) {
      throw new PostcardError("bad_discriminant", reader.offset - 1, `a series has the flags ${flags}`);
    }
    if (this.#metric === null && flags !== ALL_DIFFER) {
      throw new UnknownReference("the series before the first one");
    }
    if (flags & DIFFERS.metric) this.#metric = this.#readMetric(reader, bytes);
    for (let i = 0; i < TAIL_TEXTS; i++) {
      if ((flags & (DIFFERS.firstText << i)) === 0) continue;
      const part = this.#parts[i];
      part.length = 0;
      this.#putText(part, this.#text(reader, bytes));
    }
    if (flags & DIFFERS.attributes) this.#readAttributes(reader, bytes);
    return this.#compose(this.#metric!);
  }

  #compose(metric: Metric): RawSeries {
    let length = MAX_VARINT_BYTES + SLACK;
    for (const part of this.#parts) length += part.length;
    if (length > this.#bytes.length) {
      this.#bytes = new Uint8Array(2 * length);
      this.#view = new DataView(this.#bytes.buffer);
    }
    const bytes = this.#bytes;
    let at = 0;
    for (let n = 0; n <= TAIL_TEXTS; n++) {
      if (n === TAIL_TEXTS) at = putVarint(bytes, at, this.#count);
      const part = this.#parts[n];
      for (let i = 0; i < part.length; i++) bytes[at++] = part.bytes[i];
    }
    return {
      metric,
      bytes,
      view: this.#view,
      length: at,
      client: this.#client,
      namesClient: this.#namesClient,
      longestName: Math.max(
        this.#longestKey,
        this.#textLength(RESOURCE_KIND),
        this.#textLength(CONSUMER_KIND),
      ),
    };
  }

  /** The bytes of a text that is a part, without its length (which has few). */
  #textLength(part: number): number {
    const { length } = this.#parts[part];
    let head = 1;
    while (length - head >= 2 ** (7 * head)) head++;
    return length - head;
  }

  #readAttributes(reader: PostcardReader, bytes: Uint8Array): void {
    const texts = this.#texts;
    const part = this.#parts[TAIL_TEXTS];
    part.length = 0;
    const count = reader.length();
    this.#count = count;
    this.#client = null;
    this.#namesClient = false;
    this.#longestKey = 0;
    for (let n = 0; n < count; n++) {
      const key = this.#text(reader, bytes);
      const [start, end] = [texts.starts[key], texts.starts[key + 1]];
      const isClient = isClientKey(texts.bytes, start, end - start);
      const value = reader.offset;
      const isText = reader.discriminant(5) === VALUE.str;
      if (isClient && isText && n === count - 1) {
        this.#count = count - 1;
        this.#client = this.#clientOf(this.#text(reader, bytes));
        return;
      }
      if (isClient) this.#namesClient = true;
      else this.#longestKey = Math.max(this.#longestKey, end - start);
      part.putText(texts.bytes, start, end);
      if (isText) {
        const text = this.#text(reader, bytes);
        part.reserve(1);
        part.bytes[part.length++] = VALUE.str;
        this.#putText(part, text);
      } else {
        reader.offset = value;
        skipValue(bytes, reader);
        part.put(bytes, value, reader.offset);
      }
    }
  }

  #clientOf(text: number): string {
    if (text !== this.#clientText) {
      this.#clientText = text;
      this.#clientName = this.#decoded(text);
    }
    return this.#clientName;
  }

  #putText(part: Part, text: number): void {
    const { bytes, starts } = this.#texts;
    part.putText(bytes, starts[text], starts[text + 1]);
  }

  #readMetric(reader: PostcardReader, bytes: Uint8Array): Metric {
    const reference = reader.u32();
    if (reference > this.#metrics.length) throw new UnknownReference(`metric ${reference - 1}`);
    if (reference > 0) return this.#metrics[reference - 1];
    const text = () => this.#decoded(this.#text(reader, bytes));
    const name = text();
    const type = TYPES[reader.discriminant(2)];
    const unit = { base: text(), prefix: text() };
    const metric = this.#makeMetric({ name, type, unit, description: text() });
    this.#metrics.push(metric);
    return metric;
  }

  /** The number of the text that comes. */
  #text(reader: PostcardReader, bytes: Uint8Array): number {
    const reference = reader.u32();
    if (reference > this.#texts.size) throw new UnknownReference(`text ${reference - 1}`);
    if (reference > 0) return reference - 1;
    const length = reader.length();
    const start = reader.offset;
    reader.skip(length);
    checkUtf8(bytes, start, reader.offset);
    return this.#texts.add(bytes, start, length);
  }

  #decoded(text: number): string {
    const { bytes, starts } = this.#texts;
    return decodeUtf8(bytes, starts[text], starts[text + 1]);
  }
}
