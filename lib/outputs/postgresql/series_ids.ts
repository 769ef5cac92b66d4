/** The numbers that series have in the database: found by their keys, made where there is none yet. */
import { type Batch, type Metric, reserveCacheSlots, type Series } from "../../points/measurement.ts";
import { unitDisplayName, unitUniqueName } from "../../points/units.ts";
import { attributesJson, clientAndOthers, metricKey, seriesKey, storable } from "./identity.ts";
import type { Session } from "./session.ts";
import { describe, judge } from "./sqlstate.ts";

/** Series that are known; when there are more, all are forgotten. About 300 bytes each. */
const MAX_KNOWN = 100_000;
/** Series and bytes of text in one statement, about. */
const CHUNK_SERIES = 1000;
const CHUNK_BYTES = 1024 * 1024;

/** One series of the database, whatever objects stand for it here. */
export interface Entry {
  /** 0: the database refuses it. */
  readonly id: number;
  /** Of {@linkcode SeriesIds}; another one means that it must be looked up again. */
  readonly generation: number;
  /** Why the database refuses it. */
  readonly reason?: string;
}

interface Unknown {
  readonly key: string;
  readonly series: Series;
  /** Objects that stand for it. */
  readonly objects: Series[];
  entry?: Entry;
}

const metricNumbers = new WeakMap<Metric, number>();
let nextMetric = 0;

/** A text that no other series has, quickly made. It means nothing outside of this process. */
function textOf({ metric, resourceKind, resourceId, consumerKind, consumerId, attributes }: Series): string {
  let number = metricNumbers.get(metric);
  if (number === undefined) metricNumbers.set(metric, number = nextMetric++);
  let text = `${number},${resourceKind.length},${resourceId.length},${consumerKind.length},` +
    `${consumerId.length}:${resourceKind}${resourceId}${consumerKind}${consumerId}`;
  for (const [name, value] of attributes) {
    if (typeof value === "string") text += `s${name.length},${value.length}:${name}${value}`;
    else {
      const shown = Object.is(value, -0) ? "-0" : String(value);
      text += `${typeof value}${name.length},${shown.length}:${name}${shown}`;
    }
  }
  return text;
}

export class SeriesIds {
  readonly #slot = reserveCacheSlots();
  /** By what {@linkcode textOf} makes of the series: a key costs more than all else that is done for one. */
  readonly #byText = new Map<string, Entry>();
  readonly #metrics = new Map<string, number>();
  #generation = 0;

  constructor(readonly schema: string) {}

  /** Nothing is known any more: the database may be another one. */
  forget(): void {
    this.#generation++;
    this.#byText.clear();
    this.#metrics.clear();
  }

  /** The number of a row's series, which is {@linkcode resolve}d; 0 where the database refuses it. */
  readonly idOf = (batch: Batch, row: number): number => {
    return (batch.series[row].cache[this.#slot] as Entry).id;
  };

  /** Why the database refuses a row's series, if it does. */
  reasonOf(batch: Batch, row: number): string | undefined {
    return (batch.series[row].cache[this.#slot] as Entry).reason;
  }

  #isKnown(series: Series): boolean {
    const entry = series.cache[this.#slot] as Entry | undefined;
    return entry !== undefined && entry.generation === this.#generation;
  }

  /** Sees to it that all series of the batches have numbers. @throws what the database says, unless it is of a series. */
  async resolve(session: Session, batches: readonly Batch[]): Promise<void> {
    const unknown = new Map<string, Unknown>();
    for (const batch of batches) {
      let before: Series | undefined;
      for (let row = 0; row < batch.length; row++) {
        const series = batch.series[row];
        if (series === before || this.#isKnown(series)) continue;
        before = series;
        const text = textOf(series);
        const entry = this.#byText.get(text);
        if (entry) series.cache[this.#slot] = entry;
        else {
          const others = unknown.get(text);
          if (!others) unknown.set(text, { key: seriesKey(series), series, objects: [series] });
          else if (others.objects.at(-1) !== series) others.objects.push(series);
        }
      }
    }
    if (unknown.size === 0) return;
    // The same series may have several texts, by the order of its attributes.
    const list = [...new Map([...unknown.values()].map((unknown) => [unknown.key, unknown])).values()];
    for (let from = 0; from < list.length; from += CHUNK_SERIES) {
      await this.#find(session, list.slice(from, from + CHUNK_SERIES));
    }
    const missing = list.filter(({ entry }) => !entry);
    if (missing.length > 0) await this.#make(session, missing);
    const entries = new Map(list.map(({ key, entry }) => [key, entry!]));
    if (this.#byText.size + unknown.size > MAX_KNOWN) this.#byText.clear();
    for (const [text, { key, objects }] of unknown) {
      const entry = entries.get(key)!;
      this.#byText.set(text, entry);
      for (const series of objects) series.cache[this.#slot] = entry;
    }
  }

  #entry(id: number): Entry {
    return { id, generation: this.#generation };
  }

  /** Those that are in the database are marked as used today: nobody deletes them then. */
  async #find(session: Session, list: readonly Unknown[]): Promise<void> {
    const { rows } = await session.query<{ id: number; key: string; stale: boolean }>(
      `SELECT id, key::text AS key, used_on < (now() AT TIME ZONE 'UTC')::date AS stale
       FROM ${this.schema}.series WHERE key = ANY($1::uuid[])`,
      [list.map(({ key }) => key)],
    );
    const found = new Map(rows.map(({ id, key }) => [key.replaceAll("-", ""), id]));
    const stale = rows.filter(({ stale }) => stale).map(({ id }) => id);
    if (stale.length > 0) {
      // Somebody may have deleted some meanwhile: those are made anew.
      const { rows: used } = await session.query<{ id: number }>(
        `UPDATE ${this.schema}.series SET used_on = (now() AT TIME ZONE 'UTC')::date
         WHERE id IN (SELECT id FROM ${this.schema}.series WHERE id = ANY($1) ORDER BY key FOR UPDATE) RETURNING id`,
        [stale],
      );
      const kept = new Set(used.map(({ id }) => id));
      for (const [key, id] of found) if (stale.includes(id) && !kept.has(id)) found.delete(key);
    }
    for (const unknown of list) {
      const id = found.get(unknown.key);
      if (id !== undefined) unknown.entry = this.#entry(id);
    }
  }

  /** Makes series, and the metrics that they need. */
  async #make(session: Session, list: Unknown[]): Promise<void> {
    const metrics = new Map<string, Metric>();
    for (const { series: { metric } } of list) {
      const key = metricKey(metric);
      if (!this.#metrics.has(key)) metrics.set(key, metric);
    }
    const refused = new Map<string, string>();
    await this.#makeMetrics(session, [...metrics], refused);
    const makeable: Unknown[] = [];
    for (const unknown of list) {
      const reason = refused.get(metricKey(unknown.series.metric));
      if (reason === undefined) makeable.push(unknown);
      else unknown.entry = { ...this.#entry(0), reason };
    }
    // Two servers that make the same ones do not wait for each other in a circle.
    makeable.sort((a, b) => a.key < b.key ? -1 : 1);
    let chunk: Unknown[] = [];
    let bytes = 0;
    for (const unknown of makeable) {
      const { resourceId, consumerId, attributes } = unknown.series;
      chunk.push(unknown);
      bytes += 100 + resourceId.length + consumerId.length;
      for (const [name, value] of attributes) {
        bytes += 20 + name.length +
          (typeof value === "string" ? value.length : typeof value === "object" ? 20 * value.length : 0);
      }
      if (chunk.length === CHUNK_SERIES || bytes > CHUNK_BYTES) {
        await this.#makeSeries(session, chunk);
        chunk = [];
        bytes = 0;
      }
    }
    if (chunk.length > 0) await this.#makeSeries(session, chunk);
  }

  async #makeSeries(session: Session, list: readonly Unknown[]): Promise<void> {
    const column = (value: (series: Series) => unknown) => list.map(({ series }) => value(series));
    const values = [
      list.map(({ key }) => key),
      column(({ metric }) => this.#metrics.get(metricKey(metric))),
      column(({ resourceKind }) => storable(resourceKind)),
      column(({ resourceId }) => storable(resourceId)),
      column(({ consumerKind }) => storable(consumerKind)),
      column(({ consumerId }) => storable(consumerId)),
      column(({ attributes }) => storable(clientAndOthers(attributes).client)),
      column(({ attributes }) => attributesJson(clientAndOthers(attributes).others)),
    ];
    await halving(list, values, async (values) => {
      const { rows } = await session.query<{ id: number; key: string }>(
        `INSERT INTO ${this.schema}.series
           (key, metric_id, resource_kind, resource_id, consumer_kind, consumer_id, relay_client, attributes, used_on)
         SELECT u.*, (now() AT TIME ZONE 'UTC')::date FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[],
           $5::text[], $6::text[], $7::text[], $8::text[]::jsonb[]) u
         ON CONFLICT (key) DO UPDATE SET used_on = greatest(series.used_on, excluded.used_on)
         RETURNING id, key::text AS key`,
        values,
      );
      const ids = new Map(rows.map(({ id, key }) => [key.replaceAll("-", ""), id]));
      return (unknown) => void (unknown.entry = this.#entry(ids.get(unknown.key)!));
    }, (unknown, reason) => void (unknown.entry = { ...this.#entry(0), reason }));
  }

  async #makeMetrics(
    session: Session,
    list: [key: string, metric: Metric][],
    refused: Map<string, string>,
  ): Promise<void> {
    if (list.length === 0) return;
    list.sort(([a], [b]) => a < b ? -1 : 1);
    const { rows } = await session.query<{ id: number; key: string }>(
      `SELECT id, key::text AS key FROM ${this.schema}.metrics WHERE key = ANY($1::uuid[])`,
      [list.map(([key]) => key)],
    );
    for (const { id, key } of rows) this.#metrics.set(key.replaceAll("-", ""), id);
    const missing = list.filter(([key]) => !this.#metrics.has(key));
    if (missing.length === 0) return;
    const column = (value: (metric: Metric) => string) =>
      missing.map(([, metric]) => storable(value(metric)));
    const values = [
      missing.map(([key]) => key),
      column(({ name }) => name),
      column(({ type }) => type),
      column(({ unit }) => unitDisplayName(unit)),
      column(({ unit }) => unitUniqueName(unit)),
      column(({ description }) => description),
    ];
    await halving(missing, values, async (values) => {
      const { rows } = await session.query<{ id: number; key: string }>(
        `INSERT INTO ${this.schema}.metrics (key, name, type, unit, unit_name, description)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
         ON CONFLICT (key) DO UPDATE SET name = excluded.name RETURNING id, key::text AS key`,
        values,
      );
      const ids = new Map(rows.map(({ id, key }) => [key.replaceAll("-", ""), id]));
      return ([key]) => void this.#metrics.set(key, ids.get(key)!);
    }, ([key], reason) => void refused.set(key, reason));
  }
}

/**
 * Makes rows out of columns, each row of an item, with one statement; where the database refuses some of them, finds
 * out which.
 */
async function halving<T>(
  items: readonly T[],
  columns: readonly unknown[][],
  make: (columns: readonly unknown[][]) => Promise<(item: T) => void>,
  refuse: (item: T, reason: string) => void,
): Promise<void> {
  try {
    items.forEach(await make(columns));
  } catch (error) {
    if (judge(error) !== "refused") throw error;
    if (items.length === 1) return refuse(items[0], describe(error));
    const half = items.length >> 1;
    for (const [from, to] of [[0, half], [half, items.length]]) {
      await halving(items.slice(from, to), columns.map((column) => column.slice(from, to)), make, refuse);
    }
  }
}
