/** Answers questions about the past from a database, within a limited time. */
import type { DatabaseSync } from "node:sqlite";
import type { PastHost, PastPower, PastSeries } from "../../../plugin.ts";
import { hostPower, type Meter, powerKindOf, type PowerRole } from "../../../points/power.ts";
import { formatAttribute } from "../../rendering/numbers.ts";
import type { Axis, Buckets } from "./buckets.ts";
import type { Past, Question } from "./messages.ts";
import { HistoryReader, type StoredSeries } from "./reader.ts";

/** Reading takes no longer, in ms: what has not been read by then is left out. */
const MAX_MS = 5000;
/** Series of one metric that are given, those with the largest values; and of all metrics. */
const MOST_OF_METRIC = 10;
const MOST_SERIES = 500;
/** Hosts whose power is given one by one. */
const MOST_HOSTS = 20;
/** A power is that of the samples that follow without a value, for so long, in seconds: as on the live page. */
const STALE_SECONDS = 60;

/** @param nowMs A clock that is never set. */
export function answer(db: DatabaseSync, question: Question, nowMs = () => performance.now()): Past {
  const { about, spanSeconds, nowSeconds } = question;
  const reader = new HistoryReader(db, spanSeconds, nowSeconds);
  const endMs = nowMs() + MAX_MS;
  const isLate = () => nowMs() > endMs;
  return about.kind === "host" ? host(reader, about.name, isLate) : power(reader, isLate);
}

const axisFields = ({ from, stepSeconds, count }: Axis) => ({
  newest: from + (count - 1) * stepSeconds,
  stepSeconds,
});

/** The values of a series: power in watts, also that of energies; everything else in its unit. */
function valuesOf(series: StoredSeries, buckets: Buckets): Float64Array {
  const kind = powerKindOf(series);
  if (!kind) return buckets.means();
  const values = kind.isEnergy ? buckets.rates() : buckets.means();
  return values.map((value) => value * kind.factor);
}

/** JSON has no NaN; six digits are more than a plot shows. */
const plain = (values: Float64Array) =>
  Array.from(values, (value) => Number.isFinite(value) ? Number(value.toPrecision(6)) : null);

function host(reader: HistoryReader, name: string, isLate: () => boolean): PastHost {
  const { series, others } = reader.ofHost(name);
  const { axis, read } = reader.source(series.length);
  const found = new Map<string, { series: StoredSeries; values: Float64Array; size: number }[]>();
  let isWhole = true;
  for (const one of series) {
    if (isLate()) {
      isWhole = false;
      break;
    }
    const buckets = read(one.id);
    if (buckets.isEmpty) continue;
    const values = valuesOf(one, buckets);
    const size = values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
    const { metric } = one;
    const key = JSON.stringify([metric.name, metric.unit]);
    const list = found.get(key) ?? [];
    list.push({ series: one, values, size });
    found.set(key, list);
  }
  const all = [...found.values()];
  const shown = all.flatMap((list) => list.sort((a, b) => b.size - a.size).slice(0, MOST_OF_METRIC))
    .slice(0, MOST_SERIES);
  return {
    ...axisFields(axis),
    isWhole,
    others: others + all.reduce((sum, { length }) => sum + length, 0) - shown.length,
    series: shown.map(({ series, values }) => pastSeries(series, values)),
  };
}

function pastSeries(series: StoredSeries, values: Float64Array): PastSeries {
  const { metric, unit, attributes, resourceKind, resourceId, consumerKind, consumerId } = series;
  return {
    metric: metric.name,
    description: metric.description,
    unit: powerKindOf(series) ? "W" : unit,
    resource: `${resourceKind} ${resourceId}`.trim(),
    consumer: `${consumerKind} ${consumerId}`.trim(),
    attributes: Object.fromEntries(attributes.map(([name, value]) => [name, formatAttribute(value)])),
    values: plain(values),
  };
}

/** Meters of one metric of a host, added up, by role and metric. */
type Meters = Map<string, { role: PowerRole; metric: string; watts: Float64Array }>;

function power(reader: HistoryReader, isLate: () => boolean): PastPower {
  const meters = [...reader.ofPower()].flatMap((series) => {
    const kind = powerKindOf(series);
    return kind && kind.role !== "inside" && kind.role !== "consumer" ? [{ series, role: kind.role }] : [];
  });
  const { axis, read } = reader.source(meters.length);
  const hosts = new Map<string, Meters>();
  let isWhole = true;
  for (const { series, role } of meters) {
    if (isLate()) {
      isWhole = false;
      break;
    }
    const buckets = read(series.id);
    if (buckets.isEmpty) continue;
    const host = hosts.get(series.client) ?? new Map() as Meters;
    hosts.set(series.client, host);
    const { name } = series.metric;
    const values = carried(valuesOf(series, buckets), axis);
    const known = host.get(`${role} ${name}`);
    if (!known) {
      host.set(`${role} ${name}`, { role, metric: name, watts: values });
    } else values.forEach((value, i) => known.watts[i] = sum(known.watts[i], value));
  }
  return { ...axisFields(axis), isWhole, hosts: largest(hosts, axis) };
}

const sum = (a: number, b: number) => Number.isNaN(a) ? b : Number.isNaN(b) ? a : a + b;

/** Values that stay for a while, as those of a meter that is read more rarely than there are samples. */
function carried(values: Float64Array, { stepSeconds }: Axis): Float64Array {
  const most = Math.floor(STALE_SECONDS / stepSeconds);
  let [last, since] = [NaN, 0];
  return values.map((value) => {
    if (!Number.isNaN(value)) [last, since] = [value, 0];
    else if (++since > most) last = NaN;
    return last;
  });
}

/** The hosts with the most power, and all others together. */
function largest(hosts: ReadonlyMap<string, Meters>, { count }: Axis): PastPower["hosts"] {
  const all = [...hosts].map(([name, meters]) => {
    const list = [...meters.values()];
    const watts = Float64Array.from({ length: count }, (_, i) =>
      hostPower(
        list.filter(({ watts }) => !Number.isNaN(watts[i]))
          .map(({ role, metric, watts }): Meter => ({ role, metric, watts: watts[i] })),
      ));
    return { name, watts, sum: watts.reduce((all, value) => all + (value || 0), 0) };
  }).sort((a, b) => b.sum - a.sum);
  const shown = all.slice(0, MOST_HOSTS).map(({ name, watts }) => ({
    name,
    watts: plain(watts),
    rest: false,
  }));
  const others = all.slice(MOST_HOSTS);
  if (others.length === 0) return shown;
  const rest = new Float64Array(count).fill(NaN);
  for (const { watts } of others) watts.forEach((value, i) => rest[i] = sum(rest[i], value));
  return [...shown, { name: `${others.length} others`, watts: plain(rest), rest: true }];
}
