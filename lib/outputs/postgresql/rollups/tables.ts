/**
 * The tables of sums: one for each interval, with a view; which intervals have points that are not summed yet; and which
 * intervals there are. They are not needed to store points: a role that may not create them goes on without.
 */
import type { Logger } from "../../../base/log.ts";
import { ADDED_UNITS, intervalName, type RollupOptions } from "../../rollups/levels.ts";
import { parseUnit, unitUniqueName } from "../../../points/units.ts";
import { lockOf, protectingFunction } from "../changes.ts";
import { quoteIdentifier, quoteLiteral } from "../names.ts";
import type { Session } from "../session.ts";
import { describe, INSUFFICIENT_PRIVILEGE, sqlstateOf } from "../sqlstate.ts";
import { mean } from "./floats.ts";

/** Columns of a table of sums beside `series_id` and `start`. */
export const SUMS = ["points", "sum", "min", "max", "first", "last", "first_time", "last_time"] as const;

/** The table of an interval. */
export const tableOf = (every: number) => `rollup_${intervalName(every)}`;
const viewOf = (every: number) => `measurements_${intervalName(every)}`;

/** Eight-byte columns first. */
const sumsTable = (schema: string, every: number) => `
CREATE TABLE IF NOT EXISTS ${schema}.${tableOf(every)} (
  start timestamptz NOT NULL,
  points bigint NOT NULL,
  sum double precision NOT NULL,
  min double precision NOT NULL,
  max double precision NOT NULL,
  first double precision NOT NULL,
  last double precision NOT NULL,
  first_time timestamptz NOT NULL,
  last_time timestamptz NOT NULL,
  series_id integer NOT NULL,
  PRIMARY KEY (series_id, start)
);
CREATE INDEX IF NOT EXISTS ${tableOf(every)}_start ON ${schema}.${tableOf(every)} (start);
`;

/**
 * rollup_levels: the intervals in seconds, and since when their sums have all points; 0 stands for the points themselves.
 * rollup_marks: intervals that have points which are not summed yet, with ranges of series: pairs of first and last.
 */
const commonTables = (schema: string) => `
CREATE TABLE IF NOT EXISTS ${schema}.rollup_levels (
  every integer PRIMARY KEY,
  complete_from timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS ${schema}.rollup_marks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  every integer NOT NULL,
  start timestamptz NOT NULL,
  series integer[] NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now()
);
`;
const COMMON = ["rollup_levels", "rollup_marks"];

/** The units whose values are added up, by their unique names. */
const ADDED = ["", "nano", "micro", "milli", "kilo", "mega", "giga"]
  .flatMap((prefix) => ADDED_UNITS.map((base) => parseUnit(prefix + base)!))
  .map((unit) => quoteLiteral(unitUniqueName(unit))).join(", ");

const sumsView = (schema: string, every: number) => `
CREATE OR REPLACE VIEW ${schema}.${viewOf(every)} AS
SELECT m.name AS metric, m.unit, r.start AS time,
  CASE WHEN m.unit_name IN (${ADDED}) THEN r.sum ELSE ${mean("r.sum", "r.points")} END AS value,
  r.points, r.sum, r.min, r.max, r.first, r.last, s.relay_client,
  s.resource_kind, s.resource_id, s.consumer_kind, s.consumer_id, s.attributes, r.series_id
FROM ${schema}.${tableOf(every)} r
JOIN ${schema}.series s ON s.id = r.series_id
JOIN ${schema}.metrics m ON m.id = s.metric_id;
`;

async function missingTables(session: Session, name: string, wanted: readonly number[]): Promise<string[]> {
  const needed = [...COMMON, ...wanted.flatMap((every) => [tableOf(every), viewOf(every)])];
  const { rows } = await session.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY($2)`,
    [name, needed],
  );
  const there = new Set(rows.map(({ name }) => name));
  return needed.filter((table) => !there.has(table));
}

/** The intervals that are summed up now, behind 0 for the points themselves. */
async function levelsNow(session: Session, schema: string): Promise<number[]> {
  const { rows } = await session.query<{ every: number }>(
    `SELECT every FROM ${schema}.rollup_levels ORDER BY every`,
  );
  return rows.map(({ every }) => every);
}

const isSame = (one: readonly number[], other: readonly number[]) => one.join() === other.join();

/**
 * Creates what is missing, and sees to it that the intervals of the configuration are the ones that are summed up.
 *
 * @param name Of the schema.
 * @returns whether the database has tables of sums that this role may write.
 * @throws what the database says, unless it is that we may not.
 */
export async function prepareRollups(
  session: Session,
  name: string,
  rollups: readonly RollupOptions[],
  log: Logger,
): Promise<boolean> {
  const schema = quoteIdentifier(name);
  const wanted = rollups.map(({ every }) => every);
  try {
    const missing = await missingTables(session, name, wanted);
    // Nobody has ever wanted sums.
    if (wanted.length === 0 && missing.length === COMMON.length) return false;
    const denied = missing.length === 0 ? await deniedTables(session, schema, wanted) : [];
    if (denied.length === 0) {
      if (missing.length > 0 || !isSame(await levelsNow(session, schema), [0, ...wanted])) {
        await change(session, name, wanted, log);
      }
      return true;
    }
    log.warn(
      "Points of this process are not in the sums by interval: grant SELECT, INSERT, UPDATE and DELETE on their tables",
      { schema: name, tables: denied.join(",") },
    );
  } catch (error) {
    if (session.lost || sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    log.warn(
      "Points of this process are not in the sums by interval, because their tables cannot be made: grant CREATE on the " +
        "schema, let its owner run alumet-relay once, or set rollups = []",
      { schema: name, reason: describe(error) },
    );
  }
  return false;
}

/** Tables of sums that this role may not read and write. */
async function deniedTables(session: Session, schema: string, every: readonly number[]): Promise<string[]> {
  const tables = [...COMMON, ...every.map(tableOf)].map((table) => `${schema}.${table}`);
  const { rows } = await session.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) name WHERE NOT (has_table_privilege(name, 'SELECT')
       AND has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'UPDATE')
       AND has_table_privilege(name, 'DELETE'))`,
    [tables],
  );
  return rows.map(({ name }) => name);
}

async function change(
  session: Session,
  name: string,
  wanted: readonly number[],
  log: Logger,
): Promise<void> {
  const schema = quoteIdentifier(name);
  // Until the end of the transaction nobody else creates or changes anything here.
  await session.query(
    `BEGIN; SELECT pg_advisory_xact_lock(hashtext('alumet-relay'), hashtext(${quoteLiteral(name)}));
     SELECT ${lockOf(schema, "exclusive")}`,
  );
  try {
    const missing = await missingTables(session, name, wanted);
    const every = missing.includes("rollup_levels") ? [] : await levelsNow(session, schema);
    if (missing.length > 0) {
      const level = wanted.map((every) => sumsTable(schema, every) + sumsView(schema, every)).join("");
      await session.query(commonTables(schema) + level + protectingFunction(schema));
    }
    // A table that was dropped has lost its sums.
    const kept = every.filter((every) => !missing.includes(tableOf(every)));
    const isChanged = missing.length > 0 || !isSame(kept, [0, ...wanted]);
    if (isChanged) await session.query(setLevels(schema, kept, wanted));
    await session.query("COMMIT");
    if (isChanged) {
      log.info("Sums by interval are kept", { schema: name, every: wanted.map(intervalName).join(",") });
    }
  } catch (error) {
    if (!session.lost) await session.query("ROLLBACK");
    throw error;
  }
}

/**
 * What makes these the intervals that are summed up. A new one has all points from the day after tomorrow on: points of
 * clocks that are ahead, which were stored before, are none of it. Marks of an interval that is gone become marks of the
 * next longer one.
 */
function setLevels(schema: string, kept: readonly number[], wanted: readonly number[]): string {
  const from = `CASE WHEN EXISTS (SELECT FROM ${schema}.points)
    THEN (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '2 days') AT TIME ZONE 'UTC' ELSE '-infinity' END`;
  const added = wanted.filter((every) => !kept.includes(every));
  const list = [0, ...wanted].join(", ");
  const longer =
    `(SELECT min(l.every) FROM ${schema}.rollup_levels l WHERE l.every > m.every AND l.every IN (${list}))`;
  return [
    `INSERT INTO ${schema}.rollup_levels (every, complete_from) VALUES (0, '-infinity') ON CONFLICT (every) DO NOTHING`,
    ...added.map((every) =>
      `INSERT INTO ${schema}.rollup_levels AS l (every, complete_from) VALUES (${every}, ${from}) ` +
      "ON CONFLICT (every) DO UPDATE SET complete_from = greatest(l.complete_from, excluded.complete_from)"
    ),
    `UPDATE ${schema}.rollup_marks m SET every = ${longer}, ` +
    `start = to_timestamp(floor(extract(epoch FROM start) / ${longer}) * ${longer}) ` +
    `WHERE every NOT IN (${list}) AND ${longer} IS NOT NULL`,
    `DELETE FROM ${schema}.rollup_marks WHERE every NOT IN (${list})`,
    `DELETE FROM ${schema}.rollup_levels WHERE every NOT IN (${list})`,
  ].join(";\n");
}
