/**
 * Reads samples of series over a span: from points where the span is short, else from the sums by interval that suit it.
 * It looks up each series in each part, so it reads what it needs and little else, and sees often how late it is.
 */
import type { DatabaseSync } from "node:sqlite";
import type { SeriesDefinition } from "../../../points/measurement.ts";
import type { Block } from "../blocks/block.ts";
import { BlockReader } from "../blocks/reader.ts";
import { levelsOf } from "../rollup_levels.ts";
import { sumsOf } from "../rollup_rows.ts";
import { type Axis, Buckets } from "./buckets.ts";

/** Samples of a plot, at most, and as many as it should have at least. */
const MAX_SAMPLES = 360;
const GOOD_SAMPLES = 100;
/** Points are read of spans up to this, in seconds. */
const MAX_RAW_SECONDS = 2 * 3600;
/** Look-ups and rows that are worth it: beyond, longer intervals are read. */
const MAX_COST = 3_000_000;
/** Blocks that are kept while series are read one after the other: each has up to 65,536 points. */
const MAX_BLOCKS = 8;

/** A series of the database. */
export interface StoredSeries extends SeriesDefinition {
  readonly id: number;
  /** The unit as people read it. */
  readonly unit: string;
  readonly client: string;
}

/** A part of the database, and where its numbers count from. */
interface Part {
  readonly id: number;
  readonly start: number;
  /** Its points are in blocks. */
  readonly compacted?: number;
}

interface Source {
  /** Seconds of an interval; 0 for points. */
  readonly every: number;
  readonly parts: readonly Part[];
  /** Adds what a part has of a series. */
  read(part: Part, series: number, buckets: Buckets): void;
}

const COLUMNS =
  "s.id, s.relay_client AS client, s.resource_kind AS resourceKind, s.resource_id AS resourceId, " +
  "s.consumer_kind AS consumerKind, s.consumer_id AS consumerId, s.attributes, m.name, m.type, m.unit, " +
  "m.unit_base AS base, m.unit_prefix AS prefix, m.description";

/** Series of a metric that are read, those that appeared last. */
const MOST_OF_METRIC = 200;

type SeriesRow =
  & Record<
    | "client"
    | "resourceKind"
    | "resourceId"
    | "consumerKind"
    | "consumerId"
    | "attributes"
    | "name"
    | "unit"
    | "base"
    | "prefix"
    | "description",
    string
  >
  & { id: number; type: "u64" | "f64" };

function seriesOf(row: SeriesRow): StoredSeries {
  const { id, client, unit, name, type, base, prefix, description, attributes, ...rest } = row;
  return {
    ...rest,
    ...{ id, client, unit },
    metric: { name, type, unit: { base, prefix }, description },
    attributes: Object.entries(JSON.parse(attributes)),
  } as StoredSeries;
}

export class HistoryReader {
  readonly #db: DatabaseSync;
  readonly #spanSeconds: number;
  readonly #nowSeconds: number;

  constructor(db: DatabaseSync, spanSeconds: number, nowSeconds: number) {
    this.#db = db;
    this.#spanSeconds = spanSeconds;
    this.#nowSeconds = nowSeconds;
  }

  /** The series of a host, and how many more it has of metrics with very many. */
  ofHost(client: string): { series: StoredSeries[]; others: number } {
    const find = this.#db.prepare(
      `SELECT ${COLUMNS} FROM metrics m CROSS JOIN series s ON s.metric = m.id AND s.relay_client = ? ` +
        `WHERE m.id = ? ORDER BY s.id DESC LIMIT ${MOST_OF_METRIC}`,
    );
    const count = this.#db.prepare(
      "SELECT count(*) AS count FROM series WHERE metric = ? AND relay_client = ?",
    );
    const series: StoredSeries[] = [];
    let others = 0;
    for (const { id } of this.#db.prepare("SELECT id FROM metrics ORDER BY name").all() as { id: number }[]) {
      const rows = find.all(client, id) as unknown as SeriesRow[];
      series.push(...rows.map(seriesOf));
      if (rows.length < MOST_OF_METRIC) continue;
      others += (count.get(id, client) as { count: number }).count - rows.length;
    }
    return { series, others };
  }

  /** The series of all hosts that are a power or an energy. */
  *ofPower(): Generator<StoredSeries> {
    const rows = this.#db.prepare(
      `SELECT ${COLUMNS} FROM metrics m CROSS JOIN series s ON s.metric = m.id WHERE m.unit_base IN ('W', 'J')`,
    ).iterate() as unknown as Iterable<SeriesRow>;
    for (const row of rows) yield seriesOf(row);
  }

  /** Chooses what to read for so many series. */
  source(series: number): { axis: Axis; read: (id: number) => Buckets } {
    const span = this.#spanSeconds;
    const levels = this.#levels();
    const enough = levels.findLast(({ every }) => span / every >= GOOD_SAMPLES);
    let wanted: number[] = levels.filter(({ every }) => every >= (enough?.every ?? 0)).map(({ every }) =>
      every
    );
    if (!enough && (span <= MAX_RAW_SECONDS || levels.length === 0)) wanted = [0, ...wanted];
    for (const [i, every] of wanted.entries()) {
      const axis = axisOf(span, this.#nowSeconds, every);
      const source = every === 0
        ? this.#points(axis)
        : this.#sums(axis, levels.find((level) => level.every === every)!);
      const cost = series * (source.parts.length + (every === 0 ? 0 : span / every));
      if (cost > MAX_COST && i + 1 < wanted.length) continue;
      return {
        axis,
        read: (id) => {
          const buckets = new Buckets(axis);
          for (const part of source.parts) source.read(part, id, buckets);
          return buckets;
        },
      };
    }
    throw new Error("unreachable: there is always something to read");
  }

  /** The intervals that the database has sums of, the shortest first. */
  #levels() {
    const isThere = this.#db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'rollup_parts'").get();
    const rows = isThere
      ? this.#db.prepare("SELECT DISTINCT every FROM rollup_parts ORDER BY every").all()
      : [];
    return levelsOf((rows as { every: number }[]).map(({ every }) => ({ every, keepMs: Infinity })));
  }

  #points(axis: Axis): Source {
    const to = axis.from + axis.count * axis.stepSeconds;
    const blocks = BlockReader.of(this.#db);
    const parts = this.#db.prepare(
      `SELECT id, start, ${blocks ? "compacted" : "0 AS compacted"} FROM parts ` +
        "WHERE day BETWEEN date(?, 'unixepoch') AND date(?, 'unixepoch') AND last >= ? AND first < ?",
    ).all(axis.from, to, axis.from, to) as unknown as Part[];
    const find = this.#db.prepare(
      "SELECT offset, value FROM points WHERE part = ? AND series = ? AND offset BETWEEN ? AND ?",
    );
    const readBlocks = blocks && this.#blocksOf(blocks, axis.from, to);
    return {
      every: 0,
      parts,
      read({ id, start, compacted }, series, buckets) {
        if (compacted) return readBlocks?.(id, start, series, buckets);
        const rows = find.all(id, series, (axis.from - start) * 1e9, (to - start) * 1e9) as unknown as {
          offset: number;
          value: number | string | null;
        }[];
        for (const { offset, value } of rows) {
          if (value === null) continue;
          const time = start + offset / 1e9;
          buckets.add(1, Number(value), time, time);
        }
      },
    };
  }

  /** What reads the points of a series in the compacted parts. @param from Seconds since the epoch, as `to` */
  #blocksOf(blocks: BlockReader, from: number, to: number) {
    const find = this.#db.prepare(
      "SELECT id FROM blocks WHERE part = ? AND last_series >= ? AND first_series <= ? AND last >= ? AND first < ?",
    );
    const kept = new Map<number, Block>();
    return (part: number, start: number, series: number, buckets: Buckets): void => {
      for (const { id } of find.all(part, series, series, from, to) as { id: number }[]) {
        const block = kept.get(id) ?? blocks.read(id);
        kept.set(id, block);
        for (const old of kept.keys()) if (kept.size > MAX_BLOCKS) kept.delete(old);
        const points = block.points(series);
        points?.offsets.forEach((offset, i) => {
          const value = points.numbers[i];
          const time = start + offset / 1e9;
          if (!Number.isNaN(value)) buckets.add(1, value, time, time);
        });
      }
    };
  }

  #sums(axis: Axis, { every, name }: { every: number; name: string }): Source {
    const to = axis.from + axis.count * axis.stepSeconds;
    const parts = this.#db.prepare(
      "SELECT id, start FROM rollup_parts WHERE every = ? AND start < ? AND start + seconds > ? ORDER BY start",
    ).all(every, to, axis.from) as unknown as Part[];
    const { sum, lastTime } = sumsOf("r", every);
    const find = this.#db.prepare(
      `SELECT interval, points, ${sum} AS sum, first_time AS first, ${lastTime} AS last FROM rollup_${name} r ` +
        "WHERE part = ? AND series = ? AND interval BETWEEN ? AND ?",
    );
    return {
      every,
      parts,
      read({ id, start }, series, buckets) {
        const rows = find.all(
          ...[id, series, Math.ceil((axis.from - start) / every), Math.ceil((to - start) / every) - 1],
        ) as unknown as { interval: number; points: number; sum: number; first: number; last: number }[];
        for (const { interval, points, sum, first, last } of rows) {
          const begin = start + interval * every;
          buckets.add(points, sum, begin + first / 1e9, begin + last / 1e9);
        }
      },
    };
  }
}

/** @param every Seconds of an interval, of which a sample is a multiple; 0: any whole second. */
function axisOf(spanSeconds: number, nowSeconds: number, every: number): Axis {
  const unit = every || 1;
  const stepSeconds = unit * Math.max(1, Math.ceil(spanSeconds / unit / MAX_SAMPLES));
  const count = Math.max(1, Math.ceil(spanSeconds / stepSeconds));
  const newest = Math.floor(nowSeconds / stepSeconds) * stepSeconds;
  return { from: newest - (count - 1) * stepSeconds, stepSeconds, count };
}
