/**
 * A dead letter as a line of JSON: a point that the target of an output permanently refused, without rounding, with the
 * reason and the time.
 *
 *     {"refused_at":"2026-11-23T21:34:08.737Z","reason":"…","metric":"power","type":"f64",
 *      "unit":{"base":"W","prefix":""},"description":"","time":"2023-11-14T22:13:20.000000005Z","value":12.5,
 *      "resource_kind":"gpu","resource_id":"0","consumer_kind":"local_machine","consumer_id":"",
 *      "attributes":[["node","str","a"]]}
 *
 * Numbers that JSON does not have or that readers may round (NaN, infinities, -0, u64 above 2^53) are texts.
 */
import { parseIsoMs } from "../base/iso_time.ts";
import type {
  Attribute,
  AttributeValue,
  Batch,
  Metric,
  SeriesDefinition,
  Unit,
} from "../points/measurement.ts";

/** One dead letter. */
export interface DeadLetter {
  /** In ms since the epoch. */
  readonly refusedAtMs: number;
  readonly reason: string;
  readonly series: SeriesDefinition;
  readonly seconds: number;
  readonly nanos: number;
  /** A `bigint` for a metric of type u64. */
  readonly value: number | bigint;
}

const MAX_U64 = 0xffff_ffff_ffff_ffffn;
/** The last second of the year 9999. */
const MAX_CALENDAR_SECONDS = 253_402_300_799;

function f64ToJson(value: number): number | string {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return Object.is(value, -0) ? "-0" : String(value);
}

function u64ToJson(value: bigint): number | string {
  return value <= 9007199254740992n ? Number(value) : value.toString();
}

/** RFC 3339 with nine digits; after the year 9999, nanoseconds since the epoch. */
export function timeToJson(seconds: number, nanos: number): string {
  const fraction = String(nanos).padStart(9, "0");
  if (seconds < 0 || seconds > MAX_CALENDAR_SECONDS) return `${seconds}${fraction}`;
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

function attributeToJson([name, value]: Attribute): [string, string, unknown] {
  switch (typeof value) {
    case "number":
      return [name, "f64", f64ToJson(value)];
    case "bigint":
      return [name, "u64", u64ToJson(value)];
    case "boolean":
      return [name, "bool", value];
    case "string":
      return [name, "str", value];
    default:
      return [name, "list_u64", value.map(u64ToJson)];
  }
}

/** Some points are dead letters because their value is not of the type of their metric. */
function isU64(batch: Batch, row: number): boolean {
  const value = batch.values[row];
  return batch.exact?.has(row) === true || Number.isInteger(value) && value >= 0 && value < 2 ** 64;
}

/** Row `row` of a batch for JSON, without rounding; numbers that JSON does not have are texts. */
export function pointToJson(batch: Batch, row: number): Record<string, unknown> {
  const series = batch.seriesAt(row);
  const { metric } = series;
  return {
    metric: metric.name,
    type: metric.type,
    unit: metric.unit,
    description: metric.description,
    time: timeToJson(batch.seconds[row], batch.nanos[row]),
    value: metric.type === "u64" && isU64(batch, row)
      ? u64ToJson(batch.exactValue(row))
      : f64ToJson(batch.values[row]),
    resource_kind: series.resourceKind,
    resource_id: series.resourceId,
    consumer_kind: series.consumerKind,
    consumer_id: series.consumerId,
    attributes: series.attributes.map(attributeToJson),
  };
}

/** Row `row` of a batch as a line, without the line break. */
export function encodeLetter(batch: Batch, row: number, reason: string, refusedAtMs: number): string {
  const letter = { refused_at: new Date(refusedAtMs).toISOString(), reason };
  return JSON.stringify({ ...letter, ...pointToJson(batch, row) });
}

class Damaged extends Error {}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Damaged(what);
}

function textFrom(value: unknown, what: string): string {
  check(typeof value === "string", `${what} is not a text`);
  return value;
}

function f64From(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  check(["NaN", "Infinity", "-Infinity", "-0"].includes(value as string), `${what} is not an f64`);
  return Number(value);
}

function u64From(value: unknown, what: string): bigint {
  if (typeof value === "number") {
    check(Number.isInteger(value) && value >= 0 && value <= 2 ** 53, `${what} is not a u64`);
    return BigInt(value);
  }
  check(
    typeof value === "string" && /^[0-9]{1,20}$/.test(value) && BigInt(value) <= MAX_U64,
    `${what} is not a u64`,
  );
  return BigInt(value);
}

function timeFrom(value: unknown): { seconds: number; nanos: number } {
  const text = textFrom(value, "time");
  const [, whole, nanos] = /^(.+?)\.?([0-9]{9})Z?$/.exec(text) ?? [];
  check(whole !== undefined, "time is not a time");
  const seconds = whole.includes("T") ? parseIsoMs(`${whole}Z`) / 1000 : Number(whole);
  check(Number.isSafeInteger(seconds), "time is not a time");
  return { seconds, nanos: Number(nanos) };
}

function attributeFrom(value: unknown): Attribute {
  check(Array.isArray(value) && value.length === 3, "an attribute is not [name, type, value]");
  const name = textFrom(value[0], "an attribute's name");
  const read = (): AttributeValue => {
    const what = `attribute ${name}`;
    switch (value[1]) {
      case "f64":
        return f64From(value[2], what);
      case "u64":
        return u64From(value[2], what);
      case "bool":
        check(typeof value[2] === "boolean", `${what} is neither true nor false`);
        return value[2];
      case "str":
        return textFrom(value[2], what);
      case "list_u64":
        check(Array.isArray(value[2]), `${what} is not a list`);
        return value[2].map((item) => u64From(item, what));
      default:
        throw new Damaged(`${what} has an unknown type`);
    }
  };
  return [name, read()];
}

/** A u64, or what an input made of one, for which the point was refused. */
function valueOfU64(value: unknown): bigint | number {
  const isOther = typeof value === "number"
    ? !Number.isInteger(value) || value < 0 || value > 2 ** 53
    : !/^[0-9]+$/.test(String(value));
  return isOther ? f64From(value, "value") : u64From(value, "value");
}

/**
 * Reads a line.
 *
 * @returns The letter, or what is wrong with the line.
 */
export function decodeLetter(line: string): DeadLetter | string {
  try {
    const letter = JSON.parse(line) as Record<string, unknown>;
    check(typeof letter === "object" && letter !== null, "it is not an object");
    const text = (key: string) => textFrom(letter[key], key);
    const { type, unit } = letter;
    check(type === "f64" || type === "u64", "type is neither f64 nor u64");
    check(typeof unit === "object" && unit !== null, "unit is not an object");
    const { base, prefix } = unit as Partial<Unit>;
    const metric: Metric = {
      name: text("metric"),
      type,
      unit: { base: textFrom(base, "unit.base"), prefix: textFrom(prefix, "unit.prefix") },
      description: text("description"),
    };
    const refusedAtMs = Date.parse(text("refused_at"));
    check(Number.isFinite(refusedAtMs), "refused_at is not a time");
    check(Array.isArray(letter.attributes), "attributes is not a list");
    return {
      refusedAtMs,
      reason: text("reason"),
      ...timeFrom(letter.time),
      value: type === "u64" ? valueOfU64(letter.value) : f64From(letter.value, "value"),
      series: {
        metric,
        resourceKind: text("resource_kind"),
        resourceId: text("resource_id"),
        consumerKind: text("consumer_kind"),
        consumerId: text("consumer_id"),
        attributes: letter.attributes.map(attributeFrom),
      },
    };
  } catch (error) {
    if (error instanceof Damaged) return error.message;
    if (error instanceof SyntaxError) return "it is not JSON";
    throw error;
  }
}
