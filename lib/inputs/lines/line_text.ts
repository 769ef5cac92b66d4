/**
 * The texts of InfluxDB's line protocol. A backslash stands before a comma, a space and an equals sign that belong to a
 * text; before anything else it is a backslash.
 *
 * https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
 */
import type { Tag } from "../decoding/naming.ts";

/** A line is bad; the message says why. */
export class LineError extends Error {
  override readonly name = "LineError";
}

const LF = 10;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const BACKSLASH = 92;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Behind the space that ends the measurement and the tags; -1 if it is not there. @throws {LineError} at a line break */
export function scanHead(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at++;
    else if (byte === SPACE) return at + 1;
    else if (byte === LF) throw new LineError("it has no fields");
  }
  return -1;
}

/** Behind the `=` that ends the name of a field; -1 if it is not there. @throws {LineError} if something else is */
export function scanKey(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at++;
    else if (byte === EQUALS) {
      if (at === start) throw new LineError("a field has no name");
      return at + 1;
    } else if (byte === LF || byte === SPACE || byte === COMMA) throw new LineError("a field has no value");
  }
  return -1;
}

/** Behind the quote that ends a text, which may have line breaks; -1 if it is not there. */
export function skipString(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) return at + 1;
  }
  return -1;
}

/**
 * Reads the measurement and the tags of a head, which ends with a space.
 *
 * @throws {LineError} if it is malformed.
 */
export function readHead(bytes: Uint8Array): { measurement: string; tags: Tag[] } {
  const text = decode(bytes.subarray(0, bytes.length - 1));
  const [measurement, ...parts] = splitAt(text, ",");
  if (measurement === "") throw new LineError("it has no measurement");
  const tags = parts.map((part): Tag => {
    const [key, value, ...more] = splitAt(part, "=");
    if (!key || value === undefined || value === "" || more.length > 0) {
      throw new LineError("a tag is not NAME=VALUE");
    }
    return [unescape(key), unescape(value)];
  });
  return { measurement: unescape(measurement), tags };
}

/** Reads the name of a field, with the `=` behind it. @throws {LineError} if it is not UTF-8 */
export function readKey(bytes: Uint8Array): string {
  return unescape(decode(bytes.subarray(0, bytes.length - 1)));
}

/** The name of a metric: the measurement and the field, or the measurement alone for the field `value`. */
export function metricName(measurement: string, field: string): string {
  return field === "value" ? measurement : `${measurement}_${field}`;
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new LineError("it is not UTF-8");
  }
}

/** The parts between separators that have no backslash before them. */
function splitAt(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unescape(text: string): string {
  return text.includes("\\") ? text.replace(/\\([, =])/g, "$1") : text;
}
