/**
 * Names, labels and metadata of Prometheus' text format and of OpenMetrics.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
 */
import type { Unit } from "../../points/measurement.ts";
import { unitOf } from "../../points/units.ts";
import type { Tag } from "../decoding/naming.ts";

/** A line is bad; the message says why. */
export class ExpositionError extends Error {
  override readonly name = "ExpositionError";
}

/** What the comments of a page say of a family of metrics. */
export interface Family {
  type?: string;
  unit?: string;
  help?: string;
}

const SPACE = 32;
const TAB = 9;
const LF = 10;
const QUOTE = 34;
const OPEN = 123;
const CLOSE = 125;
const BACKSLASH = 92;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Behind the name and labels of a sample that begins at `start`, and the space behind them; -1 if the bytes end before.
 *
 * @throws {ExpositionError} at a line break.
 */
export function scanSeries(bytes: Uint8Array, start: number, end: number): number {
  let isInBraces = false;
  let isQuoted = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (isQuoted) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isQuoted = false;
    } else if (byte === QUOTE) isQuoted = true;
    else if (byte === OPEN) isInBraces = true;
    else if (byte === CLOSE) isInBraces = false;
    else if (byte === LF) throw new ExpositionError("it has no value");
    else if (!isInBraces && (byte === SPACE || byte === TAB)) return at + 1;
    // A value may follow the brace at once.
    else if (!isInBraces && at > start && bytes[at - 1] === CLOSE) return at;
  }
  return -1;
}

/** The name and the labels of a sample. @throws {ExpositionError} if they are malformed */
export function readSeries(bytes: Uint8Array): { name: string; labels: Tag[] } {
  let text: string;
  try {
    text = utf8.decode(bytes).trimEnd();
  } catch {
    throw new ExpositionError("it is not UTF-8");
  }
  const brace = text.indexOf("{");
  let name = brace < 0 ? text : text.slice(0, brace).trimEnd();
  const labels: Tag[] = [];
  if (brace >= 0) {
    if (!text.endsWith("}")) throw new ExpositionError("its labels have no end");
    const part = /\s*(?:(?:("(?:[^"\\]|\\.)*")|([^\s="{},]+))\s*=\s*)?"((?:[^"\\]|\\.)*)"\s*(,|$)/gy;
    const inner = text.slice(brace + 1, -1);
    for (let at = 0; inner.slice(at).trim() !== "";) {
      part.lastIndex = at;
      const match = part.exec(inner);
      if (!match) throw new ExpositionError('a label is not NAME="VALUE"');
      const [, quoted, bare, value] = match;
      const key = quoted === undefined ? bare : unescape(quoted.slice(1, -1));
      // A name that is not of the usual characters stands as the first label.
      if (key === undefined && name === "") name = unescape(value);
      else if (key === undefined) throw new ExpositionError('a label is not NAME="VALUE"');
      else if (value !== "") labels.push([key, unescape(value)]);
      at = part.lastIndex;
    }
  }
  if (name === "") throw new ExpositionError("it has no name");
  return { name, labels };
}

function unescape(text: string): string {
  return text.includes("\\") ? text.replace(/\\(.)/gs, (_, c) => c === "n" ? "\n" : c) : text;
}

/** Takes a comment (`# TYPE …`, `# HELP …`, `# UNIT …`) into the families. @returns whether it is the end of the page */
export function readComment(bytes: Uint8Array, families: Map<string, Family>): boolean {
  const text = new TextDecoder().decode(bytes).trim();
  if (text === "# EOF") return true;
  const match = /^#\s+(TYPE|HELP|UNIT)\s+("(?:[^"\\]|\\.)*"|\S+)\s*(.*)$/s.exec(text);
  if (!match) return false;
  const [, what, given, rest] = match;
  const name = given.startsWith('"') ? unescape(given.slice(1, -1)) : given;
  let family = families.get(name);
  if (!family) families.set(name, family = {});
  if (what === "TYPE") family.type = rest.trim().toLowerCase();
  else if (what === "UNIT") family.unit = rest.trim();
  else family.help = unescape(rest);
  return false;
}

/** What a sample is, by the family that it belongs to. */
export interface SampleFacts {
  /** It only grows, as long as its process lives. */
  readonly isCounter: boolean;
  /** It says when something began, and is not measured. */
  readonly isCreated: boolean;
  readonly unit: Unit | undefined;
  readonly help: string | undefined;
}

/** Units in names, and what they are called here. */
const UNITS: Readonly<Record<string, string>> = {
  joules: "J",
  watts: "W",
  bytes: "By",
  seconds: "s",
  celsius: "Cel",
  volts: "V",
  amperes: "A",
  hertz: "Hz",
  percent: "%",
};

const SUFFIX = /_(total|bucket|sum|count|created|info|gsum|gcount)$/;

export function factsOf(name: string, families: ReadonlyMap<string, Family>): SampleFacts {
  const suffix = SUFFIX.exec(name)?.[1];
  const base = suffix === undefined ? name : name.slice(0, -suffix.length - 1);
  const family = families.get(name) ?? families.get(base) ?? {};
  const isOfBase = !families.has(name) && families.has(base);
  const type = family.type;
  const isCounter = type === "counter" ||
    isOfBase && (type === "histogram" || type === "summary") && /^(bucket|sum|count)$/.test(suffix ?? "");
  // A count of seconds has no unit.
  const isCount = isOfBase && (suffix === "bucket" || suffix === "count");
  const word = family.unit ?? /_([a-z]+)$/.exec(base)?.[1] ?? "";
  const unit = Object.hasOwn(UNITS, word) ? UNITS[word] : family.unit;
  return {
    isCounter,
    isCreated: isOfBase && suffix === "created",
    unit: unit === undefined || unit === "" || isCount ? undefined : unitOf(unit),
    help: family.help,
  };
}
