/**
 * The sums in the database. What one interval adds up to is stored as a part of its own, with a row for each series; when
 * the span that it belongs to is over, all intervals of the span become one part, sorted by series, and each series'
 * sums over the span go to the next level. Late points are added to wherever the sums of their interval are by then.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ADDED_UNITS, floorTo, type RollupOptions } from "../rollups/levels.ts";
import type { Sums } from "../rollups/sums.ts";
import type { Transaction } from "./parts.ts";
import { HELD_BACK } from "./point_inserter.ts";
import { type Level, levelsOf } from "./rollup_levels.ts";
import { COLUMNS, RollupRows, sumsOf } from "./rollup_rows.ts";

/** Series of each interval that are moved in one transaction. */
const MOVE_SERIES = 256;
/** A span is over when that has passed since its end, in seconds. */
const SPAN_GRACE_S = 120;

interface RollupPart {
  readonly id: number;
  readonly start: number;
  /** Series below this are in it; `null`: all. */
  below: number | null;
}

interface LevelTable extends Level {
  readonly table: string;
  readonly rows: RollupRows;
  readonly statements: Readonly<Record<"cut" | "move" | "remove" | "spanSums", StatementSync>>;
  /** Parts of the present transaction by their start: of one interval, and of a whole span. */
  readonly parts: Map<number, RollupPart | null>;
  readonly wholes: Map<number, RollupPart | null>;
}

/** Tables of the levels, in the order in which they are created. */
export function rollupTables(rollups: readonly RollupOptions[]): string[] {
  return levelsOf(rollups).map(({ name }) =>
    `CREATE TABLE rollup_${name} (
  part INTEGER NOT NULL,
  series INTEGER NOT NULL,
  interval INTEGER NOT NULL,   -- number of the interval in its part
  points INTEGER NOT NULL,
  sum REAL NOT NULL,
  min REAL NOT NULL,
  max REAL NOT NULL,
  first REAL NOT NULL,
  last REAL NOT NULL,
  first_time INTEGER NOT NULL, -- nanoseconds from the start of the interval
  last_time INTEGER NOT NULL,
  PRIMARY KEY (part, series, interval)
) WITHOUT ROWID`
  );
}

const ADDED = ADDED_UNITS.map((unit) => `'${unit}'`).join(", ");

export function rollupViews(rollups: readonly RollupOptions[]): string[] {
  return levelsOf(rollups).map((level) => viewOf(level, sumsOf("r", level.every)));
}

/** The same views as earlier versions made them, when each row had all values. */
export function formerRollupViews(rollups: readonly RollupOptions[]): string[] {
  return levelsOf(rollups).flatMap((level) => {
    const view = viewOf(level, {
      points: "r.points",
      sum: "r.sum",
      min: "r.min",
      max: "r.max",
      first: "r.first",
      last: "r.last",
    })
      .replaceAll(/ AS (min|max|last)\b/g, "");
    return [view, view.replace(/\nWHERE .*$/, "")];
  });
}

function viewOf(
  { name, every }: Level,
  { points, sum, min, max, first, last }: Readonly<
    Record<Exclude<keyof Sums, "firstTime" | "lastTime">, string>
  >,
): string {
  return `CREATE VIEW measurements_${name} AS
SELECT
  m.name AS metric,
  strftime('%Y-%m-%dT%H:%M:%SZ', d.start + r.interval * ${every}, 'unixepoch') AS timestamp,
  CASE WHEN m.unit_base IN (${ADDED}) THEN ${sum} ELSE ${sum} / ${points} END AS value,
  ${points},
  ${sum},
  ${min} AS min,
  ${max} AS max,
  ${first},
  ${last} AS last,
  s.resource_kind,
  s.resource_id,
  s.consumer_kind,
  s.consumer_id,
  s.relay_client,
  s.attributes,
  m.unit,
  d.day,
  (d.start + r.interval * ${every}) * 1000000000 AS time,
  r.series AS series_id
FROM rollup_${name} r
JOIN rollup_parts d ON d.id = r.part
JOIN series s ON s.id = r.series
JOIN metrics m ON m.id = s.metric
WHERE d.every = ${every}`;
}

export class RollupTables {
  readonly levels: readonly LevelTable[];
  readonly #moveSeries: number;
  readonly #find: StatementSync;
  readonly #create: StatementSync;
  readonly #setBelow: StatementSync;
  readonly #fresh: StatementSync;
  readonly #begun: StatementSync;
  readonly #oldest: StatementSync;
  readonly #forget: StatementSync;
  readonly #outdated: StatementSync;

  constructor(db: DatabaseSync, rollups: readonly RollupOptions[], moveSeries = MOVE_SERIES) {
    this.#moveSeries = moveSeries;
    const prepare = (sql: string) => db.prepare(sql);
    this.levels = levelsOf(rollups).map((level) => {
      const table = `rollup_${level.name}`;
      return {
        ...level,
        table,
        rows: new RollupRows(db, table, level.every),
        statements: statementsOf(table, level.every, prepare),
        parts: new Map(),
        wholes: new Map(),
      };
    });
    this.#find = prepare(
      "SELECT id, start, below FROM rollup_parts WHERE (every, start, seconds) = (?, ?, ?)",
    );
    this.#create = prepare(
      "INSERT INTO rollup_parts (every, day, start, seconds, below) VALUES (?, date(?, 'unixepoch'), ?, ?, ?)",
    );
    this.#setBelow = prepare("UPDATE rollup_parts SET below = ? WHERE id = ?");
    this.#fresh = prepare(
      "SELECT id, start, below FROM rollup_parts WHERE every = ? AND seconds = ? AND start >= ? AND start < ? ORDER BY start",
    );
    this.#begun = prepare(
      "SELECT id, start, below FROM rollup_parts WHERE every = ? AND below IS NOT NULL LIMIT 1",
    );
    this.#oldest = prepare(
      "SELECT min(start) AS start FROM rollup_parts WHERE every = ? AND seconds = ? AND start < ?",
    );
    this.#forget = prepare("DELETE FROM rollup_parts WHERE id = ?");
    this.#outdated = prepare(
      "SELECT id FROM rollup_parts WHERE every = ? AND start + seconds <= ? AND below IS NULL ORDER BY start LIMIT 16",
    );
  }

  /** Parts of a level that ended before that time, the oldest first; some of them. */
  endedBefore(number: number, second: number): number[] {
    const rows = this.#outdated.all(this.levels[number].every, second) as { id: number }[];
    return rows.map(({ id }) => id);
  }

  /** To be called at the start of each transaction. */
  begin(): void {
    for (const level of this.levels) {
      level.rows.begin();
      this.#forgetParts(level);
    }
  }

  #forgetParts({ parts, wholes }: LevelTable): void {
    parts.clear();
    wholes.clear();
  }

  /**
   * Adds sums of an interval to the level, and to those above that have already had the interval. They are written by
   * {@linkcode flush}.
   */
  add(number: number, start: number, series: number, sums: Readonly<Sums>): void {
    const level = this.levels[number];
    const { every, span } = level;
    const whole = span === every ? null : this.#part(level, floorTo(start, span), span);
    const isWhole = whole !== null && (whole.below === null || series < whole.below);
    const part = isWhole ? whole : this.#part(level, start, every, true)!;
    level.rows.add(part.id, series, (start - part.start) / every, sums);
    // Where spans are never merged, each interval goes on at once.
    if (isWhole || span === every) this.#addAbove(number, start, series, sums);
  }

  /** To be called at the end of each transaction. */
  flush(): void {
    for (const { rows } of this.levels) rows.flush();
  }

  #addAbove(number: number, start: number, series: number, sums: Readonly<Sums>): void {
    const above = this.levels[number + 1];
    if (!above) return;
    const aboveStart = floorTo(start, above.every);
    const shift = (start - aboveStart) * 1e9;
    this.add(number + 1, aboveStart, series, {
      ...sums,
      firstTime: sums.firstTime + shift,
      lastTime: sums.lastTime + shift,
    });
  }

  #part(level: LevelTable, start: number, seconds: number, create = false): RollupPart | null {
    const { every } = level;
    const known = seconds === every ? level.parts : level.wholes;
    let part = known.get(start);
    if (part === undefined) {
      part = (this.#find.get(every, start, seconds) as unknown as RollupPart | undefined) ?? null;
      known.set(start, part);
    }
    if (part === null && create) {
      const { lastInsertRowid } = this.#create.run(every, start, start, seconds, null);
      part = { id: Number(lastInsertRowid), start, below: null };
      known.set(start, part);
    }
    return part;
  }

  /** Makes one part of some series of a span that is over. @returns whether there is more to do at once. */
  merge(nowS: number, transaction: Transaction): boolean {
    for (let number = 0; number < this.levels.length; number++) {
      const { every, span } = this.levels[number];
      if (span === every) continue;
      const begun = this.#begun.get(every) as unknown as RollupPart | undefined;
      const { start: oldest } = this.#oldest.get(every, every, floorTo(nowS - SPAN_GRACE_S, span)) as {
        start: number | null;
      };
      if (!begun && oldest === null) continue;
      transaction(() => this.#mergeSome(number, begun?.start ?? floorTo(oldest!, span)));
      return true;
    }
    return false;
  }

  #mergeSome(number: number, start: number): void {
    this.begin();
    const level = this.levels[number];
    const { every, span, statements: { cut, move, remove, spanSums } } = level;
    let whole = this.#part(level, start, span);
    if (!whole) {
      this.#create.run(every, start, start, span, 0);
      level.wholes.clear();
      whole = this.#part(level, start, span)!;
    }
    const fresh = this.#fresh.all(every, every, start, start + span) as unknown as RollupPart[];
    const from = whole.below ?? 0;
    let end: number | null = null;
    for (const { id } of fresh) {
      const found = cut.get(id, from, this.#moveSeries) as { series: number } | undefined;
      if (found && (end === null || found.series < end)) end = found.series;
    }
    const last = end === null ? Number.MAX_SAFE_INTEGER : end - 1;
    move.run(whole.id, start, every, JSON.stringify(fresh.map(({ id }) => id)), from, last);
    for (const { id } of fresh) {
      remove.run(id, from, last);
      if (end === null) this.#forget.run(id);
    }
    this.#setBelow.run(end, whole.id);
    if (number + 1 === this.levels.length) return;
    const nanos = every * 1e9;
    for (
      const row of spanSums.all(
        nanos,
        whole.id,
        from,
        last,
      ) as unknown as (Sums & { series: number })[]
    ) {
      this.#addAbove(number, start, row.series, row);
    }
    this.flush();
  }
}

function statementsOf(
  table: string,
  every: number,
  prepare: (sql: string) => StatementSync,
): LevelTable["statements"] {
  const sums = sumsOf("r", every);
  return {
    cut: prepare(
      `SELECT series FROM ${table} WHERE part = ? AND series >= ? ORDER BY series LIMIT 1 OFFSET ?`,
    ),
    move: prepare(
      `INSERT INTO ${table} (part, series, interval, ${COLUMNS}) ` +
        `SELECT ?, r.series, (d.start - CAST(? AS INTEGER)) / CAST(? AS INTEGER) AS i, ${COLUMNS} ` +
        `FROM json_each(?) j CROSS JOIN rollup_parts d ON d.id = j.value CROSS JOIN ${table} r ` +
        "ON r.part = d.id AND r.series BETWEEN ? AND ? " +
        // Rows that are held back fill the pages.
        `ORDER BY (r.series + i) % ${HELD_BACK} = 0, r.series, i`,
    ),
    remove: prepare(`DELETE FROM ${table} WHERE part = ? AND series BETWEEN ? AND ?`),
    // In the order of time within each series: the first interval has the first value.
    spanSums: prepare(
      "SELECT g.series, g.points, g.sum, g.min, g.max, f.first, " +
        `${sumsOf("l", every).last} AS last, f.first_time + f.interval * ?1 AS firstTime, ` +
        `${sumsOf("l", every).lastTime} + l.interval * ?1 AS lastTime ` +
        `FROM (SELECT part, series, sum(points) AS points, sum(${sums.sum}) AS sum, min(${sums.min}) AS min, ` +
        `max(${sums.max}) AS max, min(interval) AS f, max(interval) AS l ` +
        `FROM ${table} r WHERE part = ?2 AND series BETWEEN ?3 AND ?4 ` +
        `GROUP BY part, series) g CROSS JOIN ${table} f ON (f.part, f.series, f.interval) = (g.part, g.series, g.f) ` +
        `CROSS JOIN ${table} l ON (l.part, l.series, l.interval) = (g.part, g.series, g.l)`,
    ),
  };
}
