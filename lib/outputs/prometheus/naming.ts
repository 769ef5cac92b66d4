/**
 * Names of Prometheus from those of Alumet: prefix + metric + suffix + `_` + unit in words, and labels. The names are
 * those of Alumet's prometheus-exporter.
 */
import type { Metric, SeriesDefinition, Unit } from "../../points/measurement.ts";
import { formatAttribute } from "../rendering/numbers.ts";

/** What decides names and labels. */
export interface NamingOptions {
  readonly prefix: string;
  readonly suffix: string;
  readonly add_attributes_to_labels: boolean;
}

/** The label that tells metrics apart whose names are the same in Prometheus. */
export const METRIC_LABEL = "alumet_metric";

const UNIT_WORDS: Readonly<Record<string, string>> = {
  "1": "",
  "s": "seconds",
  "W": "watts",
  "J": "joules",
  "V": "volts",
  "A": "amperes",
  "Hz": "hertz",
  "Cel": "celsius",
  "[degF]": "fahrenheit",
  "W.h": "watt_hours",
  "By": "bytes",
  // Alumet's word, though its percent go to 100.
  "%": "ratio",
};

/** A name of letters, digits and underscores that begins with a letter or an underscore; one `_` for any other character. */
export function sanitizeName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9]/gu, "_").replace(/^[0-9]/, "_");
  return plain === "" ? "_" : plain;
}

/** The unit as it ends a name: `watts`, `millijoules`, `kilowatt_hours`; empty for the unit 1. */
export function unitWords({ base, prefix }: Unit): string {
  const words = prefix + (UNIT_WORDS[base] ?? base);
  return words === "" ? "" : sanitizeName(words);
}

/** The name of a metric, its unit included. */
export function exposedName({ name, unit }: Metric, { prefix, suffix }: NamingOptions): string {
  const words = unitWords(unit);
  return sanitizeName(prefix + name + suffix) + (words === "" ? "" : `_${words}`);
}

const RESERVED: ReadonlySet<string> = new Set([
  METRIC_LABEL,
  "resource_kind",
  "resource_id",
  "resource_consumer_kind",
  "resource_consumer_id",
]);

/**
 * The labels of a series, `a="1",b="2"`, sorted by name. Of attributes with one name the last counts. An attribute
 * whose name is taken is called `NAME_2`, `NAME_3` …: names that are right as they are come first, then the others in
 * the order of their names, so that it does not matter in which order they arrive.
 */
export function labelsOf(series: SeriesDefinition, { add_attributes_to_labels }: NamingOptions): string {
  const labels: [name: string, value: string][] = [
    ["resource_kind", series.resourceKind],
    ["resource_id", series.resourceId],
    ["resource_consumer_kind", series.consumerKind],
    ["resource_consumer_id", series.consumerId],
  ];
  if (add_attributes_to_labels && series.attributes.length > 0) {
    const attributes = [...new Map(series.attributes)]
      .map(([name, value]) => ({ name, label: labelName(name), value }))
      .sort((a, b) => Number(a.label !== a.name) - Number(b.label !== b.name) || compare(a.name, b.name));
    const taken = new Set(RESERVED);
    for (const { label, value } of attributes) {
      let unique = label;
      for (let n = 2; taken.has(unique); n++) unique = `${label}_${n}`;
      taken.add(unique);
      labels.push([unique, formatAttribute(value)]);
    }
  }
  labels.sort(([a], [b]) => compare(a, b));
  return labels.map(([name, value]) => `${name}="${escapeLabelValue(value)}"`).join(",");
}

/** Names that begin with two underscores are Prometheus's own: `__name__` would be another metric. */
function labelName(name: string): string {
  return sanitizeName(name).replace(/^__/, "attribute__");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The same in the text format and in OpenMetrics. */
export function escapeLabelValue(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
    : value;
}
