/** What the API of Kwollect answers, and the units of its metrics. */
import { parseIsoMs } from "../../base/iso_time.ts";
import type { Timestamp } from "../../base/clock.ts";
import type { MetricDefinition } from "../../points/registry.ts";

/** A value of a metric. */
export interface Value {
  readonly metric: string;
  readonly device: string;
  /** The device that it is about, where Kwollect derives it from another one's; else empty. */
  readonly origin: string;
  readonly time: Timestamp;
  readonly value: number;
}

/** By the last part of a metric's name, in lower case: base and prefix. */
const UNITS: Readonly<Record<string, readonly [base: string, prefix?: string]>> = {
  watt: ["W"],
  kilowatt: ["W", "kilo"],
  watthour: ["W.h"],
  celsius: ["Cel"],
  percent: ["%"],
  amp: ["A"],
  ampere: ["A"],
  volt: ["V"],
  hertz: ["Hz"],
  va: ["V.A"],
  var: ["V.A_r"],
  lux: ["lx"],
  deg: ["°"],
  cfm: ["[cft_i]/min"],
  bytes: ["By"],
  packets: ["1"],
};

/** The unit that a metric's name says: `wattmetre_power_watt` is in watts, `network_in_bytes_total` in bytes. */
export function unitOf(metric: string): MetricDefinition["unit"] {
  const parts = metric.split("_");
  if (parts.at(-1) === "total") parts.pop();
  const last = parts.at(-1)!.toLowerCase();
  const [base, prefix = ""] = Object.hasOwn(UNITS, last) ? UNITS[last] : [last || "1"];
  return { base, prefix } as MetricDefinition["unit"];
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)$/;

/** The time of a text as in RFC 3339; `undefined` where it is not one. */
export function timeOf(text: unknown): Timestamp | undefined {
  const match = typeof text === "string" ? TIME.exec(text) : null;
  if (!match) return undefined;
  const [, second, fraction = "", offset] = match;
  const seconds = parseIsoMs(second + offset.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2")) / 1000;
  if (!Number.isInteger(seconds)) return undefined;
  return { seconds, nanos: Number(fraction.padEnd(9, "0")) };
}

/** The values of an answer, oldest first; what is not a value is left out. @throws if it is not a list */
export function valuesOf(answer: unknown): Value[] {
  if (!Array.isArray(answer)) throw new Error("the answer is not a list");
  const values = answer.flatMap((entry): Value[] => {
    if (typeof entry !== "object" || entry === null) return [];
    const { timestamp, device_id: device, metric_id: metric, value, labels } = entry;
    const time = timeOf(timestamp);
    if (typeof metric !== "string" || !isName(device) || typeof value !== "number" || !time) return [];
    const origin = labels?._device_orig;
    return [{ metric, device, origin: isName(origin) ? origin : "", time, value }];
  });
  return values.sort((a, b) => compare(a.time, b.time));
}

const isName = (text: unknown): text is string =>
  typeof text === "string" && /^[\x21-\x7e]{1,200}$/.test(text);

/** Negative where `a` is before `b`. */
export function compare(a: Timestamp, b: Timestamp): number {
  return a.seconds - b.seconds || a.nanos - b.nanos;
}
