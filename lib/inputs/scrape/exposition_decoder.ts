/**
 * A page of Prometheus' text format or of OpenMetrics to columns. A sample is known by the bytes before its value, which
 * are compared with those that followed last time: an exporter writes in the same order every time.
 */
import type { Timestamp } from "../../base/clock.ts";
import { grown, nextLength } from "../../base/growing.ts";
import type { BatchBuilder } from "../../points/batch_builder.ts";
import { MAX_SECONDS } from "../../points/measurement.ts";
import { KnownTexts, NONE } from "../decoding/known_texts.ts";
import { type Naming, NamingError } from "../decoding/naming.ts";
import { NumberReader } from "../decoding/numbers.ts";
import type { LineProblems } from "../decoding/problems.ts";
import {
  ExpositionError,
  factsOf,
  type Family,
  readComment,
  readSeries,
  type SampleFacts,
  scanSeries,
} from "./exposition_text.ts";

const MAX_TEXTS = 1_048_576;
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

const LF = 10;
const CR = 13;
const SPACE = 32;
const HASH = 35;

/** What is known of a text, in {@linkcode ExpositionDecoder}'s column `kinds`. */
const KIND = { unknown: 0, gauge: 1, counter: 2, skipped: 3 } as const;

export interface ExpositionOptions {
  readonly naming: Naming;
  readonly out: BatchBuilder;
  /** Counters are handed over as their differences. */
  readonly differences: boolean;
  /** The attribute `instance` of its points. */
  readonly instance: string;
  readonly problems: LineProblems;
  readonly stats: { points: number };
  /** Texts of one page that are remembered: of more, all are learned again at each scrape. @default a million */
  readonly maxTexts?: number;
}

/** The pages of one exporter, one after the other. */
export class ExpositionDecoder {
  readonly #options: ExpositionOptions;
  readonly #known: KnownTexts;
  readonly #numbers = new NumberReader();
  readonly #families = new Map<string, Family>();
  /** By the name of a sample, until the next comment. */
  readonly #facts = new Map<string, SampleFacts>();
  /** What was learned last. */
  #parsed: { text: number; parsed: ReturnType<typeof readSeries> } | null = null;
  /** By the number of a text: what it is, and the last value of a counter, NaN where there is none. */
  #kinds = new Uint8Array(1024);
  #before = new Float64Array(1024).fill(NaN);
  #last = NONE;
  #line = 0;
  #time: Timestamp = { seconds: 0, nanos: 0 };
  #isOpenMetrics = false;
  /** The page has said that it is complete. */
  hasEnded = false;
  /** Points of the page. */
  points = 0;

  constructor(options: ExpositionOptions) {
    this.#options = options;
    this.#known = new KnownTexts(options.maxTexts ?? MAX_TEXTS, MAX_TEXT_BYTES);
  }

  /** A page begins. @param time Of samples without one. */
  begin(time: Timestamp, isOpenMetrics: boolean): void {
    this.#time = time;
    this.#isOpenMetrics = isOpenMetrics;
    this.#line = 0;
    this.#last = NONE;
    this.#families.clear();
    this.#facts.clear();
    this.hasEnded = false;
    this.points = 0;
  }

  /** A line is longer than what is kept of one. */
  skipped(reason: string): void {
    this.#options.problems.badLine(++this.#line, reason);
  }

  /** Decodes whole lines. @param end Behind a line break, or at the end of the page. */
  decode(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const { naming, instance, out } = this.#options;
    const { newBytes } = naming.store;
    naming.sender = instance;
    this.#decodeLines(bytes, view, start, end);
    if (naming.store.newBytes > newBytes) out.charge(naming.store.newBytes - newBytes);
  }

  #decodeLines(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    for (let at = start; at < end;) {
      const byte = bytes[at];
      if (byte === LF) {
        this.#line++;
        at++;
        continue;
      }
      if (byte === SPACE || byte === CR || byte === 9) {
        at++;
        continue;
      }
      try {
        if (byte === HASH) {
          const next = endOfLine(bytes, at, end);
          if (readComment(bytes.subarray(at, next), this.#families)) this.hasEnded = true;
          this.#facts.clear();
          at = next;
        } else at = this.#decodeSample(bytes, view, at, end);
      } catch (error) {
        if (!(error instanceof ExpositionError)) throw error;
        this.#options.problems.badLine(this.#line + 1, error.message);
        at = endOfLine(bytes, at, end);
      }
    }
  }

  /** @returns where its line ends: at the line break */
  #decodeSample(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const known = this.#known;
    const { store } = this.#options.naming;
    let at = start;
    let text = known.following[this.#last];
    if (text !== NONE && known.matches(text, bytes, view, at, end)) at += known.lengths[text];
    else {
      const next = scanSeries(bytes, at, end);
      if (next < 0) throw new ExpositionError("it has no value");
      text = known.find(bytes, view, at, next - at, NONE);
      if (text === NONE) text = this.#learn(bytes, view, at, next);
      known.following[this.#last] = text;
      at = next;
    }
    this.#last = text;
    while (at < end && bytes[at] === SPACE) at++;
    let value = this.#numbers.float(bytes, at, end);
    if (value === value) at = this.#numbers.offset;
    else {
      const next = endOfWord(bytes, at, end);
      value = specialValue(bytes, at, next);
      at = next;
    }
    if (at < end && bytes[at] > SPACE) throw new ExpositionError("its value is not a number");
    while (at < end && bytes[at] === SPACE) at++;
    let time = this.#time;
    if (at < end && bytes[at] > SPACE && bytes[at] !== HASH) {
      time = this.#readTime(bytes, at, end);
      at = endOfWord(bytes, at, end);
    }
    const kind = this.#kinds[text];
    if (kind !== KIND.skipped) {
      let series = known.series[text];
      if (series === NONE || store.generations[series] !== known.generations[text]) {
        series = this.#resolve(text);
      }
      if (series !== NONE) this.#add(text, series, value, time);
    }
    // An exemplar may follow.
    return at < end && bytes[at] === LF ? at : endOfLine(bytes, at, end);
  }

  #learn(bytes: Uint8Array, view: DataView, at: number, next: number): number {
    const known = this.#known;
    const parsed = readSeries(bytes.subarray(at, next));
    const text = known.add(bytes, view, at, next - at, NONE);
    this.#parsed = { text, parsed };
    if (text >= this.#kinds.length) {
      const length = nextLength(text);
      this.#kinds = grown(this.#kinds, length);
      this.#before = grown(this.#before, length);
    }
    this.#kinds[text] = KIND.unknown;
    this.#before[text] = NaN;
    return text;
  }

  /** The series of a text; {@linkcode NONE} if it is refused, or not measured. */
  #resolve(text: number): number {
    const known = this.#known;
    const { naming, instance, problems } = this.#options;
    const start = known.starts[text];
    const { name, labels } = this.#parsed?.text === text
      ? this.#parsed.parsed
      : readSeries(known.bytes.subarray(start, start + known.lengths[text]));
    const { isCounter, isCreated, unit, help } = this.#factsOf(name);
    if (isCreated) {
      this.#kinds[text] = KIND.skipped;
      return NONE;
    }
    this.#kinds[text] = isCounter ? KIND.counter : KIND.gauge;
    try {
      const tags = labels.some(([label]) => label === "instance")
        ? labels
        : [...labels, ["instance", instance] as const];
      const series = naming.find(name, tags, { unit, description: help });
      known.setSeries(text, series, naming.store);
      return series;
    } catch (error) {
      if (!(error instanceof NamingError)) throw error;
      problems.refusedPoint(this.#line + 1, error.message);
      return NONE;
    }
  }

  #factsOf(name: string): SampleFacts {
    let facts = this.#facts.get(name);
    if (!facts) this.#facts.set(name, facts = factsOf(name, this.#families));
    return facts;
  }

  #add(text: number, series: number, value: number, { seconds, nanos }: Timestamp): void {
    const { differences, out, stats } = this.#options;
    if (differences && this.#kinds[text] === KIND.counter) {
      const before = this.#before[text];
      this.#before[text] = value;
      // The first one, and one that has begun again, are baselines.
      if (!(value >= before)) return;
      value -= before;
    }
    // There is no value at present, or none that a database could keep.
    if (value - value !== 0) return;
    const batch = out.current.length < out.current.seconds.length ? out.current : out.rotate();
    batch.pushNumber(series, seconds, nanos, value);
    stats.points++;
    this.points++;
  }

  /** Milliseconds in the text format, seconds in OpenMetrics. */
  #readTime(bytes: Uint8Array, at: number, end: number): Timestamp {
    const given = this.#numbers.float(bytes, at, end);
    const ms = this.#isOpenMetrics ? given * 1000 : given;
    const isWhole = this.#numbers.offset >= end || bytes[this.#numbers.offset] <= SPACE;
    if (!(isWhole && ms >= 0 && ms < MAX_SECONDS * 1000)) throw new ExpositionError("its time is not valid");
    const seconds = Math.floor(ms / 1000);
    return { seconds, nanos: Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6)) };
  }
}

function endOfLine(bytes: Uint8Array, at: number, end: number): number {
  const found = bytes.subarray(at, end).indexOf(LF);
  return found < 0 ? end : at + found;
}

function endOfWord(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] > SPACE) at++;
  return at;
}

/** `NaN`, `+Inf`, `-Inf`. */
function specialValue(bytes: Uint8Array, at: number, end: number): number {
  const word = String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 10))).toLowerCase();
  if (word === "nan") return NaN;
  if (/^\+?inf(inity)?$/.test(word)) return Infinity;
  if (/^-inf(inity)?$/.test(word)) return -Infinity;
  throw new ExpositionError("its value is not a number");
}
