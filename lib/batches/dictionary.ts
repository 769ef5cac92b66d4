/**
 * Definitions of series in a stream of batches (see {@linkcode ./codec.ts}): each text, metric and series stands
 * in a stream once. What a series shares with the one defined before it is not written, so a new process on a machine
 * costs a few bytes per metric.
 */
import type {
  Attribute,
  AttributeValue,
  Metric,
  SeriesDefinition,
  ValueType,
} from "../points/measurement.ts";
import { PostcardError, type PostcardReader, type PostcardWriter } from "../postcard.ts";
import { readValue, VALUE, writeValue } from "../points/tail.ts";

/** Bits of a definition's first byte: which parts differ from those of the definition before. */
const DIFFERS = {
  metric: 1,
  resourceKind: 2,
  resourceId: 4,
  consumerKind: 8,
  consumerId: 16,
  attributes: 32,
} as const;
const ALL_DIFFER = 63;
/** Another bit: behind the flags is the number whose place the series takes. */
const TAKES_PLACE = 64;
const TYPES: readonly ValueType[] = ["f64", "u64"];

function sameValue(a: AttributeValue, b: AttributeValue): boolean {
  if (typeof a !== "object" || typeof b !== "object") return Object.is(a, b);
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function sameAttributes(a: readonly Attribute[], b: readonly Attribute[]): boolean {
  return a === b ||
    a.length === b.length && a.every(([name, value], i) => name === b[i][0] && sameValue(value, b[i][1]));
}

/** Writes definitions; the mirror of {@linkcode DefinitionReader}. */
export class DefinitionWriter {
  readonly #texts = new Map<string, number>();
  readonly #metrics = new Map<Metric, number>();
  #before: SeriesDefinition | null = null;

  clear(): void {
    this.#texts.clear();
    this.#metrics.clear();
    this.#before = null;
  }

  /** @param place The number of a series that will not come again, whose place this one takes; -1 for a new number. */
  write(writer: PostcardWriter, series: SeriesDefinition, place = -1): void {
    const before = this.#before;
    const flags = before === null ? ALL_DIFFER : (series.metric === before.metric ? 0 : DIFFERS.metric) |
      (series.resourceKind === before.resourceKind ? 0 : DIFFERS.resourceKind) |
      (series.resourceId === before.resourceId ? 0 : DIFFERS.resourceId) |
      (series.consumerKind === before.consumerKind ? 0 : DIFFERS.consumerKind) |
      (series.consumerId === before.consumerId ? 0 : DIFFERS.consumerId) |
      (sameAttributes(series.attributes, before.attributes) ? 0 : DIFFERS.attributes);
    this.#before = series;
    if (place < 0) writer.u8(flags);
    else writer.u8(flags | TAKES_PLACE).u32(place);
    if (flags & DIFFERS.metric) this.#metric(writer, series.metric);
    if (flags & DIFFERS.resourceKind) this.#text(writer, series.resourceKind);
    if (flags & DIFFERS.resourceId) this.#text(writer, series.resourceId);
    if (flags & DIFFERS.consumerKind) this.#text(writer, series.consumerKind);
    if (flags & DIFFERS.consumerId) this.#text(writer, series.consumerId);
    if (flags & DIFFERS.attributes) {
      writer.sequence(series.attributes, (w, [name, value]) => {
        this.#text(w, name);
        if (typeof value === "string") this.#text(w.u8(VALUE.str), value);
        else writeValue(w, value);
      });
    }
  }

  #metric(writer: PostcardWriter, metric: Metric): void {
    const known = this.#metrics.get(metric);
    if (known !== undefined) return void writer.u32(known + 1);
    this.#metrics.set(metric, this.#metrics.size);
    writer.u8(0);
    this.#text(writer, metric.name);
    writer.u8(TYPES.indexOf(metric.type));
    for (const text of [metric.unit.base, metric.unit.prefix, metric.description]) this.#text(writer, text);
  }

  #text(writer: PostcardWriter, text: string): void {
    const known = this.#texts.get(text);
    if (known !== undefined) return void writer.u32(known + 1);
    this.#texts.set(text, this.#texts.size);
    writer.u8(0).string(text);
  }
}

/** A number that refers to nothing. */
export class UnknownReference extends Error {}

/** Reads definitions. Throws {@linkcode PostcardError}, {@linkcode UnknownReference}, and what `makeMetric` throws. */
export class DefinitionReader {
  readonly #texts: string[] = [];
  readonly #metrics: Metric[] = [];
  #before: SeriesDefinition | null = null;
  readonly #makeMetric: (metric: Metric) => Metric;
  /** The number whose place the series takes that was read last; -1 where it has a new one. */
  place = -1;

  constructor(makeMetric: (metric: Metric) => Metric) {
    this.#makeMetric = makeMetric;
  }

  clear(): void {
    this.#texts.length = 0;
    this.#metrics.length = 0;
    this.#before = null;
  }

  read(reader: PostcardReader): SeriesDefinition {
    let flags = reader.u8();
    this.place = -1;
    if ((flags & TAKES_PLACE) !== 0) {
      flags -= TAKES_PLACE;
      this.place = reader.u32();
    }
    if (flags > ALL_DIFFER) {
      throw new PostcardError("bad_discriminant", reader.offset - 1, `a series has the flags ${flags}`);
    }
    const before = this.#before;
    if (before === null && flags !== ALL_DIFFER) {
      throw new UnknownReference("the series before the first one");
    }
    const text = (flag: number, known: string) => flags & flag ? this.#text(reader) : known;
    const metric = flags & DIFFERS.metric ? this.#metric(reader) : before!.metric;
    const resourceKind = text(DIFFERS.resourceKind, before?.resourceKind ?? "");
    const resourceId = text(DIFFERS.resourceId, before?.resourceId ?? "");
    const consumerKind = text(DIFFERS.consumerKind, before?.consumerKind ?? "");
    const consumerId = text(DIFFERS.consumerId, before?.consumerId ?? "");
    const attributes = flags & DIFFERS.attributes
      ? reader.sequence((r): Attribute => {
        const name = this.#text(r);
        const start = r.offset;
        if (r.discriminant(5) === VALUE.str) return [name, this.#text(r)];
        r.offset = start;
        return [name, readValue(r)];
      })
      : before!.attributes;
    return this.#before = { metric, resourceKind, resourceId, consumerKind, consumerId, attributes };
  }

  #metric(reader: PostcardReader): Metric {
    const reference = reader.u32();
    if (reference > this.#metrics.length) throw new UnknownReference(`metric ${reference - 1}`);
    if (reference > 0) return this.#metrics[reference - 1];
    const name = this.#text(reader);
    const type = TYPES[reader.discriminant(2)];
    const unit = { base: this.#text(reader), prefix: this.#text(reader) };
    const metric = this.#makeMetric({ name, type, unit, description: this.#text(reader) });
    this.#metrics.push(metric);
    return metric;
  }

  #text(reader: PostcardReader): string {
    const reference = reader.u32();
    if (reference > this.#texts.length) throw new UnknownReference(`text ${reference - 1}`);
    if (reference > 0) return this.#texts[reference - 1];
    const text = reader.string();
    this.#texts.push(text);
    return text;
  }
}
