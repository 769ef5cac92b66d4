/** Rows of metrics and series, found by their content or created, by the numbers that they have in this process. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MetricRow, PointGroup, SeriesRow } from "./messages.ts";

const INITIAL_SERIES = 4096;

export class Identities {
  /** Ids of series, by their numbers; 0 where none is known. */
  ids = new Float64Array(INITIAL_SERIES);
  /** Hosts of series, by their numbers: places in {@linkcode hostNames}. */
  hosts = new Uint32Array(INITIAL_SERIES);
  readonly hostNames: string[] = [];
  readonly #hostNumbers = new Map<string, number>();
  readonly #metrics: number[] = [];
  /** The highest ids that something refers to: the id of a row that was deleted is not given to another one. */
  #highestMetric = 0;
  #highestSeries: number;
  #version = -1;
  readonly #readVersion: StatementSync;
  readonly #readHighest: StatementSync;
  readonly #findMetric: StatementSync;
  readonly #addMetric: StatementSync;
  readonly #describe: StatementSync;
  readonly #findSeries: StatementSync;
  readonly #addSeries: StatementSync;
  readonly #touchSeries: StatementSync;

  constructor(db: DatabaseSync) {
    this.#readVersion = db.prepare("PRAGMA data_version");
    this.#readHighest = db.prepare(
      "SELECT max((SELECT coalesce(max(id), 0) FROM metrics), (SELECT coalesce(max(metric), 0) FROM series)) AS metric, " +
        "(SELECT coalesce(max(id), 0) FROM series) AS series",
    );
    this.#findMetric = db.prepare(
      "SELECT id, description FROM metrics WHERE name = ? AND type = ? AND unit_base = ? AND unit_prefix = ?",
    );
    this.#addMetric = db.prepare(
      "INSERT INTO metrics (id, name, type, unit_base, unit_prefix, unit, description) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#describe = db.prepare("UPDATE metrics SET description = ? WHERE id = ?");
    const columns =
      "metric, relay_client, hash, resource_kind, resource_id, consumer_kind, consumer_id, attributes";
    this.#findSeries = db.prepare(
      `SELECT id, seen FROM series WHERE (${columns}) = (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#addSeries = db.prepare(
      `INSERT INTO series (id, ${columns}, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#touchSeries = db.prepare("UPDATE series SET seen = ? WHERE id = ?");
    const { id } = db.prepare(
      "SELECT max(coalesce(max((SELECT max(series) FROM points p WHERE p.part = d.id)), 0), " +
        "(SELECT coalesce(max(last_series), 0) FROM blocks)) AS id FROM parts d",
    ).get() as { id: number };
    this.#highestSeries = id;
  }

  /** Nothing is known any more. */
  forget(): void {
    this.ids.fill(0);
    this.#metrics.length = 0;
  }

  /** To be called in a transaction: forgets what another process may have changed since the last one. */
  begin(): void {
    const { data_version: version } = this.#readVersion.get() as { data_version: number };
    if (version === this.#version) return;
    this.#version = version;
    this.forget();
    const { metric, series } = this.#readHighest.get() as { metric: number; series: number };
    this.#highestMetric = Math.max(this.#highestMetric, metric);
    this.#highestSeries = Math.max(this.#highestSeries, series);
  }

  /**
   * Learns what the group brings. Within the group's transaction: where that fails, the same group comes again, and what
   * was learnt from it is replaced.
   *
   * @param refuse Told of a series that the database does not take. @default its error is thrown
   */
  learn(group: PointGroup, refuse?: (series: SeriesRow, error: unknown) => void): void {
    const failed = new Map<number, unknown>();
    for (const metric of group.metrics) {
      try {
        this.#metrics[metric.number] = this.#metric(metric);
      } catch (error) {
        if (!refuse) throw error;
        failed.set(metric.number, error);
      }
    }
    for (const series of group.series) {
      this.#reserve(series.number);
      this.hosts[series.number] = this.#host(series.relayClient);
      try {
        if (failed.has(series.metric)) throw failed.get(series.metric);
        // A series whose metric is not known comes again with it.
        const metric = this.#metrics[series.metric];
        this.ids[series.number] = metric === undefined ? 0 : this.#series(series, metric, group.day);
      } catch (error) {
        this.ids[series.number] = 0;
        if (!refuse) throw error;
        refuse(series, error);
      }
    }
    // One that was forgotten comes again, with all that the group needs.
    for (const number of group.used) {
      if (this.ids[number] > 0) this.#touchSeries.run(group.day, this.ids[number]);
    }
  }

  #reserve(number: number): void {
    if (number < this.ids.length) return;
    const length = Math.max(number + 1, this.ids.length * 2);
    const [ids, hosts] = [new Float64Array(length), new Uint32Array(length)];
    ids.set(this.ids);
    hosts.set(this.hosts);
    this.ids = ids;
    this.hosts = hosts;
  }

  #host(name: string): number {
    let number = this.#hostNumbers.get(name);
    if (number === undefined) {
      this.#hostNumbers.set(name, number = this.hostNames.length);
      this.hostNames.push(name);
    }
    return number;
  }

  #metric({ name, type, unitBase, unitPrefix, unit, description }: MetricRow): number {
    const known = this.#findMetric.get(name, type, unitBase, unitPrefix) as
      | { id: number; description: string }
      | undefined;
    if (!known) {
      const id = ++this.#highestMetric;
      this.#addMetric.run(id, name, type, unitBase, unitPrefix, unit, description);
      return id;
    }
    if (description !== "" && description !== known.description) this.#describe.run(description, known.id);
    return known.id;
  }

  #series(series: SeriesRow, metric: number, day: number): number {
    const { relayClient, resourceKind, resourceId, consumerKind, consumerId, attributes } = series;
    const content = [resourceKind, resourceId, consumerKind, consumerId, attributes] as const;
    const hash = hashOf(content);
    const known = this.#findSeries.get(metric, relayClient, hash, ...content) as
      | { id: number; seen: number }
      | undefined;
    if (known) {
      if (known.seen < day) this.#touchSeries.run(day, known.id);
      return known.id;
    }
    const id = ++this.#highestSeries;
    this.#addSeries.run(id, metric, relayClient, hash, ...content, day);
    return id;
  }
}

/**
 * 48 bits, of which an index is much smaller than one of the texts. Where two texts have the same hash, both are compared.
 * The mixing is that of MurmurHash 3.
 */
export function hashOf(texts: readonly string[]): number {
  let [a, b] = [0x9747b28c, 0x5bd1e995];
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, 0x85ebca6b);
      a = (a << 13) | (a >>> 19);
      b = Math.imul(b ^ code, 0xc2b2ae35);
      b = (b << 15) | (b >>> 17);
    }
    a ^= text.length;
    b = Math.imul(b ^ a, 0x27d4eb2f);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  b = Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  return ((a ^ (a >>> 16)) >>> 8) * 2 ** 24 + ((b ^ (b >>> 16)) >>> 8);
}
