/** Rows of metrics and series, found by their content or made, and numbered as the output numbers them. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MetricRow, PointGroup, SeriesRow } from "./messages.ts";

/** Series that a group may bring beyond the limit of a generation make the table grow. */
const INITIAL_SERIES = 4096;

export class Identities {
  /** Ids of series, by their numbers in the generation. */
  ids = new Float64Array(INITIAL_SERIES);
  #metrics: number[] = [];
  #generation = -1;
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
      "metric, relay_client, resource_kind, resource_id, consumer_kind, consumer_id, attributes";
    this.#findSeries = db.prepare(
      `SELECT id, seen FROM series WHERE (${columns}) = (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#addSeries = db.prepare(
      `INSERT INTO series (${columns}, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#touchSeries = db.prepare("UPDATE series SET seen = ? WHERE id = ?");
  }

  /**
   * Learns what the group brings. Within the group's transaction: where that fails, the same group comes again, and what
   * was learnt from it is replaced.
   */
  learn(group: PointGroup): void {
    if (group.generation !== this.#generation) {
      this.#generation = group.generation;
      this.#metrics = [];
    }
    group.metrics.forEach((metric, i) => this.#metrics[group.firstMetric + i] = this.#metric(metric));
    const needed = group.firstSeries + group.series.length;
    if (this.ids.length < needed) {
      const larger = new Float64Array(Math.max(needed, this.ids.length * 2));
      larger.set(this.ids);
      this.ids = larger;
    }
    group.series.forEach((series, i) => this.ids[group.firstSeries + i] = this.#series(series, group.day));
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
    const known = this.#findSeries.get(
      metric,
      relayClient,
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes,
    ) as { id: number; seen: number } | undefined;
    if (known) {
      if (known.seen < day) this.#touchSeries.run(day, known.id);
      return known.id;
    }
    const { lastInsertRowid } = this.#addSeries.run(
      metric,
      relayClient,
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes,
      day,
    );
    return Number(lastInsertRowid);
  }
}
