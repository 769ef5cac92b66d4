/** Makes the sums of intervals out of the points that are stored, or out of the sums of shorter intervals. */
import { floorTo, type RollupOptions } from "../../rollups/levels.ts";
import { lockOf } from "../changes.ts";
import type { Session } from "../session.ts";
import { partsOfSum, sumOfParts } from "./floats.ts";
import { merged, pieces, type Ranges } from "./ranges.ts";
import { SUMS, tableOf } from "./tables.ts";

/** How long after its end the sums of an interval are made, in seconds: of the shortest, and of the others. */
const GRACE_S = [20, 120];
/** While points still come, sums wait for more; at most so long. In seconds. */
const QUIET_S = 5;
const MAX_WAIT_S = 120;
/** Series of one statement, and rows that one statement deletes. */
const STEP_SERIES = 1000;
const STEP_ROWS = 10_000;
/** Marks that are worked on together. */
const MARKS = 4096;
const DAY_S = 86_400;

interface Level {
  readonly every: number;
  /** Seconds since the Unix epoch. */
  readonly completeFrom: number;
}

interface Mark {
  readonly id: string;
  readonly every: number;
  readonly start: number;
  readonly series: Ranges;
}

/** What a session needs for {@linkcode sumUp}: an index is the only good way here, whatever the statistics say. */
export const SUMMING_SETTINGS = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off";

async function levelsOf(session: Session, schema: string): Promise<Level[]> {
  const { rows } = await session.query<Level>(
    `SELECT every, extract(epoch FROM complete_from)::float8 AS "completeFrom"
     FROM ${schema}.rollup_levels ORDER BY every`,
  );
  return rows;
}

/** Intervals that are over, as SQL. @param now An expression. */
const isOver = (now: string) => `
  (start + every * interval '1 second' + CASE every WHEN (SELECT min(every) FROM levels) THEN ${GRACE_S[0]}
     ELSE ${GRACE_S[1]} END * interval '1 second' <= ${now}
   AND (max(made_at) <= ${now} - interval '${QUIET_S} s' OR min(made_at) <= ${now} - interval '${MAX_WAIT_S} s'))
  OR max(made_at) <= ${now} - (every + ${MAX_WAIT_S}) * interval '1 second'`;

/**
 * Makes the sums of all intervals that are over, the shortest first.
 *
 * @param schema Quoted. @param now The time, as an expression of SQL.
 * @param isEnough Whether the rest can wait.
 * @returns how many marks were worked on.
 */
export function sumUp(
  session: Session,
  schema: string,
  now = "now()",
  isEnough: () => boolean = () => false,
): Promise<number> {
  return sumWhere(session, schema, isOver(now), isEnough);
}

async function sumWhere(
  session: Session,
  schema: string,
  having: string,
  isEnough: () => boolean = () => false,
): Promise<number> {
  let count = 0;
  while (!isEnough()) {
    const levels = await levelsOf(session, schema);
    const { rows } = await session.query<Mark>(
      `WITH levels AS (SELECT every FROM ${schema}.rollup_levels WHERE every > 0),
         due AS (SELECT every, start FROM ${schema}.rollup_marks GROUP BY every, start HAVING ${having}
           ORDER BY every, start LIMIT 64)
       SELECT id, every, extract(epoch FROM start)::float8 AS start, series
       FROM ${schema}.rollup_marks JOIN due USING (every, start) ORDER BY every, start, id LIMIT ${MARKS}`,
    );
    if (rows.length === 0) break;
    for (const group of Map.groupBy(rows, ({ every, start }) => `${every} ${start}`).values()) {
      await sumInterval(session, schema, levels, group);
      if (isEnough()) break;
    }
    count += rows.length;
  }
  return count;
}

/** Makes the sums of an interval, and marks the one of the next level that it is in. */
async function sumInterval(
  session: Session,
  schema: string,
  levels: readonly Level[],
  marks: readonly Mark[],
): Promise<void> {
  const [{ every, start }] = marks;
  const at = levels.findIndex((level) => level.every === every);
  const ranges = merged(marks.flatMap(({ series }) => series));
  if (at > 0) {
    const statement = statementOf(schema, every, sourceOf(levels, at, start), start);
    for (const piece of pieces(ranges, STEP_SERIES)) {
      const [first, last] = [0, 1].map((side) => piece.filter((_, i) => i % 2 === side));
      await session.query(statement, [first, last]);
    }
  }
  const next = at > 0 ? levels[at + 1]?.every : undefined;
  const cascade = next === undefined ? "" : `INSERT INTO ${schema}.rollup_marks (every, start, series) ` +
    `VALUES (${next}, to_timestamp(${floorTo(start, next)}), '{${ranges.join(",")}}');\n`;
  // In one transaction. What came meanwhile has marks of its own.
  await session.query(
    `${cascade}DELETE FROM ${schema}.rollup_marks WHERE id IN (${marks.map(({ id }) => id).join(",")})`,
  );
}

/** What has all points of an interval: the longest level below, or the points themselves. */
function sourceOf(levels: readonly Level[], at: number, start: number): number {
  for (let below = at - 1; below >= 0; below--) {
    if (levels[below].completeFrom <= start) return levels[below].every;
  }
  return levels[at - 1].every;
}

/** @param source The interval of the level that the sums are made of; 0: the points. */
function statementOf(schema: string, every: number, source: number, start: number): string {
  const [from, to] = [start, start + every].map((time) => `to_timestamp(${time})`);
  const [ordinary, huge] = partsOfSum(source === 0 ? "p.value" : "p.sum");
  const inner = source === 0
    ? `SELECT count(*) AS points, count(*)::integer AS rows, ${ordinary} AS ordinary, ${huge} AS huge,
         min(p.value) AS min, max(p.value) AS max, array_agg(p.value) AS firsts, array_agg(p.value) AS lasts,
         min(p.time) AS first_time, max(p.time) AS last_time
       FROM (SELECT time, value FROM ${schema}.points WHERE series_id = s.id AND time >= ${from} AND time < ${to}
         AND value <> 'NaN' ORDER BY time, nanos) p`
    : `SELECT sum(p.points)::bigint AS points, count(*)::integer AS rows, ${ordinary} AS ordinary, ${huge} AS huge,
         min(p.min) AS min, max(p.max) AS max, array_agg(p.first) AS firsts, array_agg(p.last) AS lasts,
         min(p.first_time) AS first_time, max(p.last_time) AS last_time
       FROM (SELECT * FROM ${schema}.${
      tableOf(source)
    } WHERE series_id = s.id AND start >= ${from} AND start < ${to}
         ORDER BY start) p`;
  return `INSERT INTO ${schema}.${tableOf(every)} AS r (series_id, start, ${SUMS.join(", ")})
    SELECT s.id, ${from}, a.points, ${sumOfParts("a.ordinary", "a.huge")}, a.min, a.max,
      a.firsts[1], a.lasts[a.rows], a.first_time, a.last_time
    FROM unnest($1::integer[], $2::integer[]) g (first, last) CROSS JOIN generate_series(g.first, g.last) s (id)
    CROSS JOIN LATERAL (${inner}) a
    WHERE a.points > 0
    ON CONFLICT (series_id, start) DO UPDATE SET (${SUMS.join(", ")}) = (${
    SUMS.map((name) => `excluded.${name}`).join(", ")
  })
    WHERE excluded.points > r.points`;
}

/**
 * To be called before points of a time are deleted: their sums are made, and from then on points of that time are added
 * at once.
 *
 * @param beforeS Seconds since the Unix epoch: the start of a day.
 */
export async function settle(session: Session, schema: string, beforeS: number): Promise<void> {
  const [points] = await levelsOf(session, schema);
  if (!points || points.completeFrom >= beforeS) return;
  const isOlder = `start < to_timestamp(${beforeS})`;
  await sumWhere(session, schema, isOlder);
  // Transactions that store points come to an end first.
  await session.query(`BEGIN; SELECT ${lockOf(schema, "exclusive")}`);
  try {
    await sumWhere(session, schema, isOlder);
    await session.query(
      `UPDATE ${schema}.rollup_levels SET complete_from = to_timestamp(${beforeS}) WHERE every = 0; COMMIT`,
    );
  } catch (error) {
    if (!session.lost) await session.query("ROLLBACK");
    throw error;
  }
}

/** Deletes sums that are older than they are to be kept. @returns how many rows. */
export async function deleteOldSums(
  session: Session,
  schema: string,
  rollups: readonly RollupOptions[],
  nowMs: number,
): Promise<number> {
  let deleted = 0;
  for (const { every, keepMs } of rollups) {
    // Whole intervals of all levels, for what is made of them.
    const before = floorTo((nowMs - keepMs) / 1000, Math.max(DAY_S, rollups.at(-1)!.every));
    await sumWhere(session, schema, `start < to_timestamp(${before})`);
    await session.query(
      `UPDATE ${schema}.rollup_levels SET complete_from = to_timestamp(${before})
       WHERE every = ${every} AND complete_from < to_timestamp(${before})`,
    );
    const table = `${schema}.${tableOf(every)}`;
    while (true) {
      const { rowCount } = await session.query(
        `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM ${table} WHERE start < to_timestamp(${before}) LIMIT ${STEP_ROWS}))`,
      );
      deleted += rowCount ?? 0;
      if ((rowCount ?? 0) < STEP_ROWS) break;
    }
  }
  return deleted;
}
