/** Reads points out of a database, in the order in which they were stored, in little memory. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { FileSeries } from "../../outputs/files/file_series.ts";
import { BlockReader } from "../../outputs/sqlite/blocks/reader.ts";
import { arrayRows, rowsOf } from "../query_database.ts";

/** What all points of a series have in common. */
export interface ExportedSeries extends FileSeries {
  readonly isFloat: boolean;
}

export interface Range {
  readonly metric: string | undefined;
  readonly host: string | undefined;
  /** Nanoseconds since the Unix epoch: points from here on, and before that. */
  readonly from: bigint | undefined;
  readonly to: bigint | undefined;
}

/** Rows `0 … length-1` of columns; used again. */
export interface PointBlock {
  length: number;
  readonly series: ExportedSeries[];
  /** Nanoseconds since the Unix epoch: up to the year 9999, so they may need more than 64 bits. */
  readonly times: bigint[];
  /** NaN also where the value is NaN. */
  readonly values: Float64Array;
  /** Values of integer metrics, to the last digit; `null` for floats. */
  readonly integers: (bigint | null)[];
}

interface Part {
  readonly id: number;
  readonly start: number;
  readonly points: number;
  readonly compacted: number;
}

interface BlockRow {
  readonly id: number;
  readonly firstSeries: number;
  readonly lastSeries: number;
}

const NS_PER_SECOND = 1_000_000_000n;
/** Most rows of a block. */
const BLOCK_ROWS = 65_536;
/** With fewer series, only their rows are read. */
const FEW_SERIES = 1000;

const second = (ns: bigint | undefined, otherwise: number) =>
  ns === undefined ? otherwise : Number(ns / NS_PER_SECOND);

type PointRow = [series: number, offset: number, integer: string | null, value: number | null];

export class PointReader {
  readonly #db: DatabaseSync;
  readonly #range: Range;
  readonly #series = new Map<number, ExportedSeries>();
  /** Ids of these series, ascending. */
  readonly #ids: Float64Array;
  readonly #isAll: boolean;
  /** How many points the parts have that are still to be read, those of other series included. */
  readonly totalPoints: number;
  readPoints = 0;
  readonly #parts: readonly Part[];
  readonly #blocks: BlockReader | null;

  /** Begins a transaction, so that all that is read is of one moment, whatever is merged or compacted meanwhile. */
  constructor(db: DatabaseSync, range: Range) {
    this.#db = db;
    this.#range = range;
    db.exec("BEGIN");
    this.#blocks = BlockReader.of(db);
    const { metric, host, from, to } = range;
    this.#isAll = metric === undefined && host === undefined;
    const rows = db.prepare(
      "SELECT s.id, m.name, m.unit, m.type, s.resource_kind, s.resource_id, s.consumer_kind, s.consumer_id, " +
        "s.relay_client, s.attributes FROM series s JOIN metrics m ON m.id = s.metric " +
        "WHERE (?1 IS NULL OR m.name GLOB ?1) AND (?2 IS NULL OR s.relay_client GLOB ?2)",
    ).all(metric ?? null, host ?? null) as unknown as Record<string, string & number>[];
    for (const row of rows) {
      this.#series.set(row.id, {
        metric: row.name,
        unit: row.unit,
        isFloat: row.type === "f64",
        resourceKind: row.resource_kind,
        resourceId: row.resource_id,
        consumerKind: row.consumer_kind,
        consumerId: row.consumer_id,
        client: row.relay_client,
        attributes: row.attributes,
      });
    }
    this.#ids = Float64Array.from(this.#series.keys()).sort();
    this.#parts = db.prepare(
      `SELECT id, start, points, ${
        this.#blocks ? "compacted" : "0 AS compacted"
      } FROM parts WHERE last >= ? AND first <= ? ORDER BY first, id`,
    ).all(second(from, -1), second(to, Number.MAX_SAFE_INTEGER)) as unknown as Part[];
    this.totalPoints = this.#parts.reduce((sum, { points }) => sum + points, 0);
  }

  /** The points, in blocks. The same block is used again for the next ones. */
  *blocks(): Generator<PointBlock> {
    const block: PointBlock = {
      length: 0,
      series: new Array(BLOCK_ROWS),
      times: new Array(BLOCK_ROWS),
      values: new Float64Array(BLOCK_ROWS),
      integers: new Array(BLOCK_ROWS),
    };
    const { from, to } = this.#range;
    const statement = this.#statement();
    const chosen = JSON.stringify([...this.#series.keys()]);
    for (const part of this.#parts) {
      if (part.compacted) {
        yield* this.#compacted(part, block);
        continue;
      }
      const { id, start, points } = part;
      const base = BigInt(start) * NS_PER_SECOND;
      const rows = rowsOf<PointRow>(this.#db, statement, id, ...this.#hasFew ? [chosen] : []);
      for (const [number, offset, integer, value] of rows) {
        const series = this.#series.get(number);
        if (series === undefined) continue;
        const time = base + BigInt(offset);
        if (from !== undefined && time < from || to !== undefined && time >= to) continue;
        const row = block.length++;
        block.series[row] = series;
        block.times[row] = time;
        if (series.isFloat) {
          block.values[row] = value ?? NaN;
          block.integers[row] = null;
        } else {
          block.integers[row] = BigInt(integer ?? 0);
          block.values[row] = Number(block.integers[row]);
        }
        if (block.length < BLOCK_ROWS) continue;
        yield block;
        block.length = 0;
      }
      this.readPoints += points;
    }
    if (block.length > 0) yield block;
  }

  /** The points of blocks; what is in the last block that is not full yet stays there. */
  *#compacted({ id, start, points }: Part, block: PointBlock): Generator<PointBlock> {
    const base = BigInt(start) * NS_PER_SECOND;
    const { from = -Infinity, to = Infinity } = this.#range;
    const ids = this.#db.prepare(
      "SELECT id, first_series AS firstSeries, last_series AS lastSeries FROM blocks " +
        "WHERE part = ? AND last >= ? AND first <= ? ORDER BY last_series, id",
    ).all(id, second(this.#range.from, -1), second(this.#range.to, Number.MAX_SAFE_INTEGER));
    for (const { id: number, firstSeries, lastSeries } of ids as unknown as BlockRow[]) {
      if (!this.#hasBetween(firstSeries, lastSeries)) continue;
      const stored = this.#blocks!.read(number);
      for (const seriesId of stored.series) {
        const series = this.#series.get(seriesId);
        if (series === undefined) continue;
        const { length, offsets, numbers, exact } = stored.points(seriesId)!;
        for (let k = 0; k < length; k++) {
          const time = base + BigInt(offsets[k]);
          if (time < from || time >= to) continue;
          const row = block.length++;
          block.series[row] = series;
          block.times[row] = time;
          block.values[row] = numbers[k];
          block.integers[row] = series.isFloat ? null : exact ? exact[k] ?? 0n : BigInt(numbers[k] || 0);
          if (block.length < BLOCK_ROWS) continue;
          yield block;
          block.length = 0;
        }
      }
    }
    this.readPoints += points;
  }

  /** Whether a series with such an id is to be read. */
  #hasBetween(first: number, last: number): boolean {
    let [low, high] = [0, this.#ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ids[middle] < first) low = middle + 1;
      else high = middle;
    }
    return this.#ids[low] <= last;
  }

  get #hasFew(): boolean {
    return !this.#isAll && this.#series.size < FEW_SERIES;
  }

  #statement(): StatementSync {
    // Integers as text: their digits, and those of a u64 that SQLite has no integer for.
    const columns = "p.series, p.offset, " +
      "CASE typeof(p.value) WHEN 'integer' THEN CAST(p.value AS TEXT) WHEN 'text' THEN p.value END, " +
      "CAST(p.value AS REAL)";
    return arrayRows(this.#db.prepare(
      this.#hasFew
        ? `SELECT ${columns} FROM json_each(?2) j CROSS JOIN points p ON p.part = ?1 AND p.series = j.value`
        : `SELECT ${columns} FROM points p WHERE p.part = ?`,
    ));
  }
}
