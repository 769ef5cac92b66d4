/** Rows of metrics and series, found by their content or made, by the numbers that they have in this process. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MetricRow, PointGroup, SeriesRow } from "./messages.ts";

const INITIAL_SERIES = 4096;

export class Identities {
  /** Ids of series, by their numbers. */
  ids = new Float64Array(INITIAL_SERIES);
  readonly #metrics: number[] = [];
  readonly #findMetric: StatementSync;
  readonly #addMetric: StatementSync;
  readonly #describe: StatementSync;
  readonly #findSeries: StatementSync;
  readonly #addSeries: StatementSync;
  readonly #touchSeries: StatementSync;

  constructor(db: DatabaseSync) {
    this.#findMetric = db.prepare(
      "SELECT id, description FROM metrics WHERE name = ? AND type = ? AND unit_base = ? AND unit_prefix = ?",
    );
    this.#addMetric = db.prepare(
      "INSERT INTO metrics (name, type, unit_base, unit_prefix, unit, description) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#describe = db.prepare("UPDATE metrics SET description = ? WHERE id = ?");
    const columns =
      "metric, relay_client, hash, resource_kind, resource_id, consumer_kind, consumer_id, attributes";
    this.#findSeries = db.prepare(
      `SELECT id, seen FROM series WHERE (${columns}) = (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#addSeries = db.prepare(
      `INSERT INTO series (${columns}, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#touchSeries = db.prepare("UPDATE series SET seen = ? WHERE id = ?");
  }

  /**
   * Learns what the group brings. Within the group's transaction: where that fails, the same group comes again, and what
   * was learnt from it is replaced.
   */
  learn(group: PointGroup): void {
    for (const metric of group.metrics) this.#metrics[metric.number] = this.#metric(metric);
    for (const series of group.series) {
      if (series.number >= this.ids.length) {
        const larger = new Float64Array(Math.max(series.number + 1, this.ids.length * 2));
        larger.set(this.ids);
        this.ids = larger;
      }
      this.ids[series.number] = this.#series(series, group.day);
    }
  }

  #metric({ name, type, unitBase, unitPrefix, unit, description }: MetricRow): number {
    const known = this.#findMetric.get(name, type, unitBase, unitPrefix) as
      | { id: number; description: string }
      | undefined;
    if (!known) {
      return Number(this.#addMetric.run(name, type, unitBase, unitPrefix, unit, description).lastInsertRowid);
    }
    if (description !== "" && description !== known.description) this.#describe.run(description, known.id);
    return known.id;
  }

  #series(series: SeriesRow, day: number): number {
    const { relayClient, resourceKind, resourceId, consumerKind, consumerId, attributes } = series;
    const metric = this.#metrics[series.metric];
    const content = [resourceKind, resourceId, consumerKind, consumerId, attributes] as const;
    const hash = hashOf(content);
    const known = this.#findSeries.get(metric, relayClient, hash, ...content) as
      | { id: number; seen: number }
      | undefined;
    if (known) {
      if (known.seen < day) this.#touchSeries.run(day, known.id);
      return known.id;
    }
    const { lastInsertRowid } = this.#addSeries.run(metric, relayClient, hash, ...content, day);
    return Number(lastInsertRowid);
  }
}

/**
 * 48 bits, of which an index is much smaller than one of the texts. Where two texts have the same, both are looked at.
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
