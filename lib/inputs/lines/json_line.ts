/**
 * Lines of JSON, one object each:
 *
 *     {"metric": "room_temperature", "value": 21.5, "unit": "°C", "time": "2026-11-25T12:00:00Z", "tags": {"room": "lab"}}
 *     {"name": "cpu", "fields": {"user": 1.5, "idle": 98.5}, "tags": {"host": "a"}, "timestamp": 1795608000}
 *
 * The second form is what Telegraf writes as `json`.
 */
import type { Timestamp } from "../../base/clock.ts";
import { parseIsoMs } from "../../base/iso_time.ts";
import { MAX_SECONDS } from "../../points/measurement.ts";
import { unitOf } from "../../points/units.ts";
import type { Unit } from "../../points/measurement.ts";
import { SERIES_FLAGS } from "../../points/series_store.ts";
import { type Naming, NamingError, type Tag } from "../decoding/naming.ts";
import { TimeReader, type TimeUnit } from "../decoding/numbers.ts";
import { shown } from "../decoding/problems.ts";
import { LineError, metricName } from "./line_text.ts";

/** One value of a line: its series, or the reason why it is refused. */
export interface JsonValue {
  readonly series: number;
  readonly value: number;
  readonly reason?: string;
}

export interface JsonPoint {
  /** `null` where the line has none. */
  readonly time: Timestamp | null;
  readonly values: readonly JsonValue[];
}

/** Series that are remembered; of more, all are learned again. */
const MAX_SERIES = 65_536;
const KEYS = [
  "metric",
  "name",
  "value",
  "fields",
  "unit",
  "time",
  "timestamp",
  "tags",
  "attributes",
  "resource",
  "consumer",
];

const utf8 = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

export class JsonLines {
  readonly #naming: Naming;
  readonly #series = new Map<string, { number: number; generation: number }>();
  readonly #time = new TimeReader();

  constructor(naming: Naming) {
    this.#naming = naming;
  }

  /** Reads one line, which begins with a brace. @throws {LineError} if it is not an object of this form. */
  read(bytes: Uint8Array, scale: TimeUnit): JsonPoint {
    const line = parse(bytes);
    const name = line.metric ?? line.name;
    if (typeof name !== "string" || name === "") throw new LineError('it has no "metric"');
    const unknown = Object.keys(line).find((key) => !KEYS.includes(key));
    if (unknown !== undefined) throw new LineError(`it has an unknown key ${shown(unknown)}`);
    const unit = line.unit;
    if (unit !== undefined && typeof unit !== "string") throw new LineError('"unit" is not a text');
    const tags = tagsOf(line);
    const time = this.#timeOf(line.time ?? line.timestamp, scale);
    const fields = line.fields === undefined ? { value: line.value } : objectOf(line.fields, "fields");
    const values: JsonValue[] = [];
    for (const [field, given] of Object.entries(fields)) {
      const value = typeof given === "boolean" ? Number(given) : given;
      if (typeof value === "string" && line.fields !== undefined) continue;
      if (typeof value !== "number" || !Number.isFinite(value)) {
        throw new LineError(`the value of ${shown(field)} is not a number`);
      }
      values.push(this.#valueOf(metricName(name, field), value, tags, unit));
    }
    return { time, values };
  }

  #valueOf(name: string, value: number, tags: readonly Tag[], unitName: string | undefined): JsonValue {
    try {
      const { store } = this.#naming;
      const key = JSON.stringify([name, tags]);
      let known = this.#series.get(key);
      if (!known || store.generations[known.number] !== known.generation) {
        const unit: Unit | undefined = unitName === undefined ? undefined : unitOf(unitName);
        const number = this.#naming.find(name, tags, { unit });
        if (this.#series.size >= MAX_SERIES) this.#series.clear();
        this.#series.set(key, known = { number, generation: store.generations[number] });
      }
      const series = known.number;
      const isWhole = value >= 0 && value <= Number.MAX_SAFE_INTEGER && Number.isInteger(value);
      if ((store.flags[series] & SERIES_FLAGS.u64) !== 0 && !isWhole) {
        return {
          series,
          value,
          reason: `${value} is not a whole number from 0 on, as values of ${name} are (u64)`,
        };
      }
      return { series, value };
    } catch (error) {
      if (!(error instanceof NamingError)) throw error;
      return { series: 0, value, reason: error.message };
    }
  }

  #timeOf(time: unknown, scale: TimeUnit): Timestamp | null {
    if (time === undefined || time === null) return null;
    if (typeof time === "string" && !/^[0-9]+$/.test(time)) return rfc3339(time);
    if (typeof time === "number" && !Number.isInteger(time)) return fractional(time, scale);
    const digits = encoder.encode(String(time));
    if (!this.#time.read(digits, 0, digits.length, scale) || this.#time.seconds > MAX_SECONDS) {
      throw new LineError("its time is not a whole number after 1970 and before 10000");
    }
    const { seconds, nanos } = this.#time;
    return { seconds, nanos };
  }
}

/** Reads an object, whose brace is the first byte. */
function parse(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new LineError("it is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new LineError("it is not JSON");
  }
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new LineError(`${what} is not an object`);
}

/** The tags, and resource and consumer under the names that tags have for them. */
function tagsOf(line: Record<string, unknown>): Tag[] {
  const tags: Tag[] = [];
  for (const key of ["tags", "attributes"]) {
    if (line[key] === undefined) continue;
    for (const [name, value] of Object.entries(objectOf(line[key], key))) {
      if (!["string", "number", "boolean"].includes(typeof value)) {
        throw new LineError(`the tag ${shown(name)} is not a text`);
      }
      if (String(value) !== "") tags.push([name, String(value)]);
    }
  }
  for (const place of ["resource", "consumer"]) {
    const given = line[place];
    if (given === undefined) continue;
    if (typeof given !== "string") throw new LineError(`${place} is not a text KIND or KIND/ID`);
    const slash = given.indexOf("/");
    tags.push([`${place}_kind`, slash < 0 ? given : given.slice(0, slash)]);
    if (slash >= 0) tags.push([`${place}_id`, given.slice(slash + 1)]);
  }
  return tags;
}

/** A time with a zone, to the nanosecond. */
function rfc3339(text: string): Timestamp {
  const match = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  const ms = match ? parseIsoMs(`${match[1]}T${match[2]}${match[4].toUpperCase()}`) : NaN;
  if (!(ms >= 0)) throw new LineError(`its time ${shown(text)} is not one of RFC 3339`);
  return { seconds: ms / 1000, nanos: Number((match![3] ?? "").padEnd(9, "0")) };
}

/** A number such as 1795608000.25, in any unit. */
function fractional(time: number, scale: TimeUnit): Timestamp {
  const seconds = scale === "m" ? time * 60 : scale === "h" ? time * 3600 : time / scale;
  if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
    throw new LineError("its time is not after 1970 and before 10000");
  }
  const whole = Math.floor(seconds);
  return { seconds: whole, nanos: Math.min(999_999_999, Math.round((seconds - whole) * 1e9)) };
}
