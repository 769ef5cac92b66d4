/**
 * InfluxDB's line protocol to columns: the hot path of the input. Nothing is allocated per point. What stands before the
 * fields of a line, and the name of each field, is compared with what followed last time; text is decoded once.
 *
 *     MEASUREMENT,TAG=TEXT,TAG=TEXT FIELD=1.5,FIELD=2i,FIELD=3u,FIELD=true,FIELD="text" TIME
 *
 * A line that begins with `{` is JSON: see {@linkcode ./json_line.ts}.
 */
import type { Timestamp } from "../../base/clock.ts";
import { MAX_SECONDS } from "../../points/measurement.ts";
import type { BatchBuilder } from "../../points/batch_builder.ts";
import { SERIES_FLAGS, type SeriesStore } from "../../points/series_store.ts";
import { KnownTexts, NONE } from "../decoding/known_texts.ts";
import { type Naming, NamingError } from "../decoding/naming.ts";
import { NumberReader, TimeReader, type TimeUnit } from "../decoding/numbers.ts";
import type { LineProblems, LineStats } from "../decoding/problems.ts";
import { LineError, metricName, readHead, readKey, scanHead, scanKey, skipString } from "./line_text.ts";
import { JsonLines } from "./json_line.ts";

/** Fields of one line, at most. */
const MAX_FIELDS = 1024;
const MAX_TEXTS = 1_048_576;
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
const MAX_EXACT = 2 ** 53;

const LF = 10;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const COMMA = 44;
const BRACE = 123;

/** What the decoder keeps of one stream of lines. */
export class LinePosition {
  /** Lines that have begun. */
  line = 0;
  /** The text of the last head, a guess. */
  last = NONE;
  /** The rest of the current line is skipped. */
  isSkipping = false;
}

export interface DecodeOptions {
  /** The unit of times. @default nanoseconds; seconds in JSON */
  readonly scale?: TimeUnit | undefined;
  /** The time of lines without one. */
  readonly now: Timestamp;
  /** The end of the bytes ends a line. */
  readonly isFinal: boolean;
  readonly problems: LineProblems;
  /** Whose share of memory new series take. @default that of the input */
  readonly sender?: string | undefined;
}

export class LineDecoder {
  readonly #naming: Naming;
  readonly #store: SeriesStore;
  readonly #out: BatchBuilder;
  readonly #stats: LineStats;
  readonly #known: KnownTexts;
  readonly #numbers = new NumberReader();
  readonly #time = new TimeReader();
  readonly #json: JsonLines;
  /** The points of the current line, which are kept together. */
  #count = 0;
  readonly #series = new Uint32Array(MAX_FIELDS);
  readonly #values = new Float64Array(MAX_FIELDS);
  readonly #exact: (bigint | undefined)[] = [];
  #hasExact = false;
  /** Why points of the current line are refused, and how many of its values are texts: said once it is complete. */
  readonly #refusals: string[] = [];
  #texts = 0;
  /** Lines without a time in these bytes: each is a nanosecond later, so that no point replaces another one. */
  #untimed = 0;

  /** @param maxTexts Texts that are remembered: more cost time, because all are learned again. */
  constructor(naming: Naming, out: BatchBuilder, stats: LineStats, maxTexts = MAX_TEXTS) {
    this.#known = new KnownTexts(maxTexts, MAX_TEXT_BYTES);
    this.#naming = naming;
    this.#store = naming.store;
    this.#out = out;
    this.#stats = stats;
    this.#json = new JsonLines(naming);
  }

  /**
   * Decodes the whole lines in `bytes[start … end-1]` and appends their points to the builder. A bad line costs itself.
   *
   * @returns where the line begins that is not complete; `end` if there is none.
   */
  decode(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    position: LinePosition,
    options: DecodeOptions,
  ): number {
    const { newBytes } = this.#store;
    this.#naming.sender = options.sender;
    const next = this.#decodeLines(bytes, view, start, end, position, options);
    if (this.#store.newBytes > newBytes) this.#out.charge(this.#store.newBytes - newBytes);
    return next;
  }

  #decodeLines(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    position: LinePosition,
    options: DecodeOptions,
  ): number {
    let at = start;
    this.#untimed = 0;
    if (position.isSkipping) {
      at = endOfLine(bytes, at, end);
      if (at < 0) return end;
      position.isSkipping = false;
    }
    while (at < end) {
      const byte = bytes[at];
      if (byte === LF) {
        position.line++;
        at++;
      } else if (byte === SPACE || byte === CR || byte === 9) at++;
      else if (byte === HASH || byte === BRACE) {
        let next = endOfLine(bytes, at, end);
        if (next < 0 && !options.isFinal) return at;
        if (next < 0) next = end;
        position.line++;
        if (byte === BRACE) this.#decodeJson(bytes, at, next, position, options);
        at = next;
      } else {
        const next = this.#decodeLine(bytes, view, at, end, position, options);
        if (next < 0) return at;
        at = next;
      }
    }
    return end;
  }

  /** A line is longer than a stream keeps: the rest of it is skipped. */
  skip(position: LinePosition, reason: string, problems: LineProblems): void {
    position.line++;
    position.isSkipping = true;
    problems.badLine(position.line, reason);
  }

  /** Nothing is known of the current line: the one before it may not have been complete, or may have been bad. */
  #beginLine(): void {
    this.#count = 0;
    this.#refusals.length = 0;
    this.#texts = 0;
    if (!this.#hasExact) return;
    this.#exact.length = 0;
    this.#hasExact = false;
  }

  /** @returns the offset behind the line, or -1 if it is not complete. */
  #decodeLine(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    position: LinePosition,
    options: DecodeOptions,
  ): number {
    this.#beginLine();
    try {
      const next = this.#read(bytes, view, start, end, position, options);
      if (next < 0) return next;
      position.line++;
      return next;
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      position.line++;
      options.problems.badLine(position.line, error.message);
      const next = endOfLine(bytes, start, end);
      if (next >= 0) return next;
      position.isSkipping = !options.isFinal;
      return end;
    }
  }

  #read(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    position: LinePosition,
    { isFinal, scale = 1_000_000_000, now, problems }: DecodeOptions,
  ): number {
    const known = this.#known;
    const store = this.#store;
    const numbers = this.#numbers;
    let at = start;

    // The head, with the space behind it.
    let head = known.following[position.last];
    if (head !== NONE && known.parents[head] === NONE && known.matches(head, bytes, view, at, end)) {
      at += known.lengths[head];
    } else {
      const next = scanHead(bytes, at, end);
      if (next < 0) return incomplete(isFinal, "it has no fields");
      head = known.find(bytes, view, at, next - at, NONE);
      if (head === NONE) {
        readHead(bytes.subarray(at, next));
        head = known.add(bytes, view, at, next - at, NONE);
      }
      known.following[position.last] = head;
      at = next;
    }
    while (at < end && bytes[at] === SPACE) at++;

    // The fields.
    let before = NONE;
    let time: Timestamp | null = null;
    for (let field = known.firsts[head];;) {
      if (field !== NONE && known.parents[field] === head && known.matches(field, bytes, view, at, end)) {
        at += known.lengths[field];
      } else {
        const next = scanKey(bytes, at, end);
        if (next < 0) return incomplete(isFinal, "a field has no value");
        field = known.find(bytes, view, at, next - at, head);
        if (field === NONE) field = known.add(bytes, view, at, next - at, head);
        // Everything was forgotten: the line is read again.
        if (field === NONE) {
          position.last = NONE;
          this.#beginLine();
          return this.#read(bytes, view, start, end, position, { isFinal, scale, now, problems });
        }
        if (before === NONE) known.firsts[head] = field;
        else known.following[before] = field;
        at = next;
      }
      before = field;

      // The value.
      if (at >= end) return incomplete(isFinal, "a field has no value");
      let value: number;
      let exact: bigint | undefined;
      let isUnsigned = false;
      let byte = bytes[at];
      if (byte === QUOTE) {
        at = skipString(bytes, at, end);
        if (at < 0) return incomplete(isFinal, "a text has no end");
        this.#texts++;
        value = NaN;
      } else if (byte <= 57) {
        value = numbers.float(bytes, at, end);
        const after = numbers.offset;
        if (after >= end && !isFinal) return -1;
        if (value !== value) throw new LineError(`the value of a field is not a number`);
        byte = after < end ? bytes[after] : LF;
        if (byte === 105 || byte === 117) {
          isUnsigned = byte === 117;
          if (after - at > 15) {
            value = numbers.integer(bytes, at, after);
            exact = numbers.exact;
          }
          if (!Number.isInteger(value)) throw new LineError(`the value of a field is not a valid integer`);
          if (isUnsigned && value < 0) throw new LineError(`an unsigned value is negative`);
          at = after + 1;
        } else at = after;
        if (value - value !== 0) throw new LineError("the value of a field is not finite");
      } else {
        const length = booleanLength(bytes, at, end);
        if (length === 0) {
          if (!isFinal && end - at < 6) return -1;
          throw new LineError("the value of a field is not a number, true, false or a text in quotes");
        }
        value = byte === 116 || byte === 84 ? 1 : 0;
        at += length;
      }
      if (at >= end && !isFinal) return -1;

      if (value === value) {
        let series = known.series[field];
        let refusal = "";
        if (series === NONE || store.generations[series] !== known.generations[field]) {
          const found = this.#resolve(head, field, isUnsigned);
          if (typeof found === "number") series = found;
          else refusal = found;
        }
        if (refusal !== "") this.#refusals.push(refusal);
        else if (
          (store.flags[series] & SERIES_FLAGS.u64) !== 0 && exact === undefined &&
          !(value >= 0 && value <= MAX_EXACT && Number.isInteger(value))
        ) {
          this.#refusals.push(
            `${value} is not a whole number from 0 on, as values of ${store.metricOf(series).name} are (u64)`,
          );
        } else {
          const row = this.#count++;
          if (row >= MAX_FIELDS) throw new LineError(`it has more than ${MAX_FIELDS} fields`);
          this.#series[row] = series;
          this.#values[row] = value;
          if (exact !== undefined && (store.flags[series] & SERIES_FLAGS.u64) !== 0) {
            this.#exact[row] = exact;
            this.#hasExact = true;
          }
        }
      }

      if (at >= end) break;
      byte = bytes[at];
      if (byte === COMMA) {
        at++;
        field = known.following[field];
        continue;
      }
      break;
    }

    // The time.
    while (at < end && bytes[at] === SPACE) at++;
    if (at < end && bytes[at] !== LF && bytes[at] !== CR) {
      const first = at;
      while (at < end && bytes[at] > SPACE) at++;
      if (at >= end && !isFinal) return -1;
      if (!this.#time.read(bytes, first, at, scale) || this.#time.seconds > MAX_SECONDS) {
        throw new LineError("its time is not a whole number after 1970 and before 10000");
      }
      time = this.#time;
    }
    while (at < end && (bytes[at] === SPACE || bytes[at] === CR)) at++;
    if (at < end && bytes[at] !== LF) throw new LineError("there is more behind its time");
    if (at >= end && !isFinal) return -1;
    position.last = head;
    for (const refusal of this.#refusals) problems.refusedPoint(position.line + 1, refusal);
    this.#stats.skippedTexts += this.#texts;
    this.#emit(time, now);
    return at < end ? at + 1 : end;
  }

  /** Learns which series a field is. @returns its number, or why its points are refused. */
  #resolve(head: number, field: number, isUnsigned: boolean): number | string {
    const known = this.#known;
    const textAt = (text: number) =>
      known.bytes.subarray(known.starts[text], known.starts[text] + known.lengths[text]);
    try {
      const { measurement, tags } = readHead(textAt(head));
      const name = metricName(measurement, readKey(textAt(field)));
      const series = this.#naming.find(name, tags, { type: isUnsigned ? "u64" : undefined });
      known.setSeries(field, series, this.#store);
      return series;
    } catch (error) {
      if (!(error instanceof NamingError)) throw error;
      return error.message;
    }
  }

  /** The line is good: its points go into the builder. */
  #emit(time: Timestamp | null, now: Timestamp): void {
    let { seconds, nanos } = time ?? now;
    if (time === null) {
      nanos += this.#untimed++;
      if (nanos >= 1e9) {
        nanos -= 1e9;
        seconds++;
      }
    }
    const out = this.#out;
    const store = this.#store;
    let batch = out.current;
    const count = this.#count;
    for (let i = 0; i < count; i++) {
      let row = batch.length;
      if (row === batch.seconds.length) {
        batch = out.rotate();
        row = 0;
      }
      if (row === 0) batch.begin();
      const series = this.#series[i];
      store.seen[series] = store.epoch;
      batch.series[row] = series;
      batch.seconds[row] = seconds;
      batch.nanos[row] = nanos;
      batch.values[row] = this.#values[i];
      batch.length = row + 1;
      if (this.#hasExact && this.#exact[i] !== undefined) {
        (batch.exact ??= new Map()).set(row, this.#exact[i]!);
      }
    }
    this.#stats.points += count;
  }

  #decodeJson(
    bytes: Uint8Array,
    start: number,
    end: number,
    position: LinePosition,
    { problems, now, scale = 1 }: DecodeOptions,
  ): void {
    this.#beginLine();
    try {
      const { time, values } = this.#json.read(bytes.subarray(start, end), scale);
      for (const { series, value, reason } of values) {
        if (reason !== undefined) this.#refusals.push(reason);
        else {
          const row = this.#count++;
          if (row >= MAX_FIELDS) throw new LineError(`it has more than ${MAX_FIELDS} fields`);
          this.#series[row] = series;
          this.#values[row] = value;
        }
      }
      for (const refusal of this.#refusals) problems.refusedPoint(position.line, refusal);
      this.#emit(time, now);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      problems.badLine(position.line, error.message);
    }
  }
}

/** @returns -1 if more may come. @throws {LineError} if nothing comes. */
function incomplete(isFinal: boolean, reason: string): -1 {
  if (isFinal) throw new LineError(reason);
  return -1;
}

/** Behind the next line break; -1 if there is none. */
function endOfLine(bytes: Uint8Array, at: number, end: number): number {
  const found = bytes.subarray(at, end).indexOf(LF);
  return found < 0 ? -1 : at + found + 1;
}

/** The length of `t`, `true`, `True`, `TRUE`, `f`, …; 0 if it is something else. */
function booleanLength(bytes: Uint8Array, at: number, end: number): number {
  let to = at;
  while (to < end && bytes[to] > SPACE && bytes[to] !== COMMA && to - at < 6) to++;
  const text = String.fromCharCode(...bytes.subarray(at, to));
  return /^(t|T|true|True|TRUE|f|F|false|False|FALSE)$/.test(text) ? to - at : 0;
}
