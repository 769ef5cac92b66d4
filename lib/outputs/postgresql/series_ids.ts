/** The ids that series have in the database: found by their keys, or created. */
import type { Batch, Metric, SeriesDefinition } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";
import { unitDisplayName, unitUniqueName } from "../../points/units.ts";
import { attributesJson, clientAndOthers, metricKey, seriesKey, storable } from "./identity.ts";
import type { Session } from "./session.ts";
import { describe, judge } from "./sqlstate.ts";

/** Series and bytes of text in one statement, about. */
const CHUNK_SERIES = 1000;
const CHUNK_BYTES = 1024 * 1024;
/** Instead of the id of a series that the database refuses. */
const REFUSED = 0xffffffff;

/** A series that has no id yet. */
interface Unknown {
  readonly key: string;
  readonly series: SeriesDefinition;
  /** Its number in the store; more than one where attributes come in several orders. */
  readonly numbers: number[];
  /** 0: not known yet; {@linkcode REFUSED}: the database refuses it. */
  id: number;
  reason?: string;
}

export class SeriesIds {
  /** By number: the id, or {@linkcode REFUSED}. */
  readonly #ids: SeriesColumn;
  /** Why, by number. */
  readonly #reasons = new Map<number, string>();
  readonly #metrics = new Map<string, number>();

  constructor(readonly schema: string, store: SeriesStore = seriesStore) {
    this.#ids = new SeriesColumn(store, (number) => this.#reasons.delete(number));
  }

  /** Nothing is known any more: the database may be another one. */
  forget(): void {
    this.#ids.clear();
    this.#reasons.clear();
    this.#metrics.clear();
  }

  /** The number of a row's series, which is {@linkcode resolve}d; 0 where the database refuses it. */
  readonly idOf = (batch: Batch, row: number): number => {
    const id = this.#ids.values[batch.series[row]];
    return id === REFUSED ? 0 : id;
  };

  /** Why the database refuses a row's series, if it does. */
  reasonOf(batch: Batch, row: number): string | undefined {
    return this.#reasons.get(batch.series[row]);
  }

  /** Gives all series of the batches their ids. @throws what the database says, unless it is of a series. */
  async resolve(session: Session, batches: readonly Batch[]): Promise<void> {
    const unknown = new Map<string, Unknown>();
    const seen = new Set<number>();
    for (const batch of batches) {
      const { values } = this.#ids;
      for (let row = 0; row < batch.length; row++) {
        const number = batch.series[row];
        if (values[number] !== 0 || seen.has(number)) continue;
        seen.add(number);
        const series = batch.seriesAt(row);
        const key = seriesKey(series);
        const known = unknown.get(key);
        if (known) known.numbers.push(number);
        else unknown.set(key, { key, series, numbers: [number], id: 0 });
      }
    }
    if (unknown.size === 0) return;
    const list = [...unknown.values()];
    for (let from = 0; from < list.length; from += CHUNK_SERIES) {
      await this.#find(session, list.slice(from, from + CHUNK_SERIES));
    }
    const missing = list.filter(({ id }) => id === 0);
    if (missing.length > 0) await this.#make(session, missing);
    for (const { numbers, id, reason } of list) {
      for (const number of numbers) {
        this.#ids.values[number] = id;
        if (reason !== undefined) this.#reasons.set(number, reason);
      }
    }
  }

  /** Those that are in the database are marked as used today: nobody deletes them then. */
  async #find(session: Session, list: readonly Unknown[]): Promise<void> {
    // A series whose metric was deleted is created again, with its id.
    const { rows } = await session.query<{ id: number; key: string; stale: boolean }>(
      `SELECT s.id, s.key::text AS key, s.used_on < (now() AT TIME ZONE 'UTC')::date AS stale
       FROM ${this.schema}.series s JOIN ${this.schema}.metrics m ON m.id = s.metric_id
       WHERE s.key = ANY($1::uuid[])`,
      [list.map(({ key }) => key)],
    );
    const found = new Map(rows.map(({ id, key }) => [key.replaceAll("-", ""), id]));
    const stale = rows.filter(({ stale }) => stale).map(({ id }) => id);
    if (stale.length > 0) {
      // Somebody may have deleted some meanwhile: those are created again.
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
      if (id !== undefined) unknown.id = id;
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
      else refuse(unknown, reason);
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
    const column = (value: (series: SeriesDefinition) => unknown) => list.map(({ series }) => value(series));
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
         ON CONFLICT (key) DO UPDATE SET metric_id = excluded.metric_id,
           used_on = greatest(series.used_on, excluded.used_on)
         RETURNING id, key::text AS key`,
        values,
      );
      const ids = new Map(rows.map(({ id, key }) => [key.replaceAll("-", ""), id]));
      return (unknown) => void (unknown.id = ids.get(unknown.key)!);
    }, refuse);
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

function refuse(unknown: Unknown, reason: string): void {
  unknown.id = REFUSED;
  unknown.reason = reason;
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
