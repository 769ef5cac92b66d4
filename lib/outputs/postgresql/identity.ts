/**
 * What metrics, series and clients are known by in the database: a key that is made of their content, so that servers
 * that know nothing of each other come to the same one. The keys are stored: what they are made of must never change.
 */
import { createHash } from "node:crypto";
import type { ClientIdentity } from "../../points/origins.ts";
import {
  type Attribute,
  type AttributeValue,
  CLIENT_ATTRIBUTE,
  type Metric,
  type SeriesDefinition,
} from "../../points/measurement.ts";

/** The first 16 bytes of a SHA-256, in hexadecimal. */
function keyOf(...parts: unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

function f64Text(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function attributeParts([name, value]: Attribute): [name: string, type: string, text: string] {
  switch (typeof value) {
    case "number":
      return [name, "f64", f64Text(value)];
    case "bigint":
      return [name, "u64", String(value)];
    case "boolean":
      return [name, "bool", String(value)];
    case "string":
      return [name, "str", value];
    default:
      return [name, "list", value.join(",")];
  }
}

const metricKeys = new WeakMap<Metric, string>();

export function metricKey(metric: Metric): string {
  let key = metricKeys.get(metric);
  if (key === undefined) {
    const { name, type, unit } = metric;
    metricKeys.set(metric, key = keyOf("metric", name, type, unit.base, unit.prefix));
  }
  return key;
}

/** Two series that differ in the order of their attributes alone are one. */
export function seriesKey(series: SeriesDefinition): string {
  const { metric, resourceKind, resourceId, consumerKind, consumerId } = series;
  const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return keyOf("series", metricKey(metric), resourceKind, resourceId, consumerKind, consumerId, attributes);
}

export function clientKey({ name, instance }: ClientIdentity): string {
  return keyOf("client", instance, name);
}

/** A text as the database can hold it: it has no NUL; what stands there for it is the picture of it, ␀. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u2400");
}

/**
 * A value as JSON. Numbers are exact: a f64 has a point or an exponent, a u64 has neither. JSON has no NaN and no
 * infinities: they are texts that PostgreSQL reads as numbers.
 */
function attributeJson(value: AttributeValue): string {
  switch (typeof value) {
    case "number": {
      if (!Number.isFinite(value)) return `"${value}"`;
      const text = f64Text(value);
      return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
    }
    case "bigint":
    case "boolean":
      return String(value);
    case "string":
      return JSON.stringify(storable(value));
    default:
      return `[${value.join(",")}]`;
  }
}

/** The client that a series came from, which has a column of its own, and the other attributes. */
export function clientAndOthers(
  attributes: readonly Attribute[],
): { client: string; others: readonly Attribute[] } {
  const at = attributes.findIndex(([name, value]) => name === CLIENT_ATTRIBUTE && typeof value === "string");
  if (at < 0) return { client: "", others: attributes };
  return { client: attributes[at][1] as string, others: attributes.filter((_, i) => i !== at) };
}

/** Attributes as a JSON object, made by hand: no name means anything else than itself. */
export function attributesJson(attributes: readonly Attribute[]): string {
  const members = attributes.map(([name, value]) =>
    `${JSON.stringify(storable(name))}:${attributeJson(value)}`
  );
  return `{${members.join(",")}}`;
}
