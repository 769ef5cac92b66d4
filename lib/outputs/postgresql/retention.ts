/** Deletes what is older than is to be kept: whole days, and series that have no points any more. */
import { selectSumTables } from "./changes.ts";
import { partitionName, partitionsOf } from "./partitions.ts";
import { settle } from "./rollups/summing.ts";
import type { Session } from "./session.ts";
import { quoteLiteral } from "./names.ts";
import type { Tables } from "./tables.ts";

/** For one statement; dropping a day waits for readers for at most {@linkcode LOCK_MS}, and writers wait behind it. */
export const TIMEOUT_MS = 600_000;
const LOCK_MS = 2000;
const DAY_MS = 86_400_000;
/** Series that are deleted by one statement. */
const SERIES_CHUNK = 10_000;
/**
 * A server looks up each series that it writes once a day, which marks it as used. What nobody has marked for so many
 * days more than points are kept is in no server's memory.
 */
const SPARE_DAYS = 2;

/** What was deleted. */
export interface Deleted {
  days: number;
  /** Of points that are in no day's partition. */
  points: number;
  series: number;
}

/**
 * Deletes once.
 *
 * @param hasRollups Whether there are sums, which must have what is deleted.
 * @throws what the database says.
 */
export async function deleteOld(
  session: Session,
  tables: Tables,
  keepMs: number,
  nowMs = Date.now(),
  hasRollups = false,
): Promise<Deleted> {
  const { schema, hypertable } = tables;
  const before = nowMs - keepMs;
  // The last day that ends before.
  const firstKept = Math.floor(before / DAY_MS);
  const cutoff = `'${new Date(firstKept * DAY_MS).toISOString()}'::timestamptz`;
  const deleted: Deleted = { days: 0, points: 0, series: 0 };
  await session.query(`SET statement_timeout = ${TIMEOUT_MS}; SET lock_timeout = ${LOCK_MS}`);
  if (hasRollups) await settle(session, schema, firstKept * (DAY_MS / 1000));
  const { rows: sums } = await session.query<{ name: string }>(selectSumTables(schema));
  if (hypertable) {
    const { rows: [{ extension }] } = await session.query<{ extension: string }>(
      `SELECT quote_ident(n.nspname) AS extension FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
       WHERE e.extname = 'timescaledb'`,
    );
    const { rows } = await session.query(
      `SELECT ${extension}.drop_chunks(${quoteLiteral(`${schema}.points`)}::regclass, ${cutoff})`,
    );
    deleted.days = rows.length;
  } else {
    for (const day of await partitionsOf(session, tables)) {
      if (day >= firstKept) break;
      await session.query(`DROP TABLE IF EXISTS ${schema}.${partitionName(day)}`);
      deleted.days++;
    }
    const { rowCount } = await session.query(
      `DELETE FROM ${schema}.points_default WHERE time < ${cutoff}`,
    );
    deleted.points = rowCount ?? 0;
  }
  while (true) {
    const { rowCount } = await session.query(
      `DELETE FROM ${schema}.series WHERE id IN (
         SELECT id FROM ${schema}.series s
         WHERE used_on < (${cutoff} AT TIME ZONE 'UTC')::date - ${SPARE_DAYS}
           AND NOT EXISTS (SELECT FROM ${schema}.points p WHERE p.series_id = s.id)${
        sums.map(({ name }) => ` AND NOT EXISTS (SELECT FROM ${name} r WHERE r.series_id = s.id)`).join("")
      }
         LIMIT ${SERIES_CHUNK} FOR UPDATE SKIP LOCKED)`,
    );
    deleted.series += rowCount ?? 0;
    if ((rowCount ?? 0) < SERIES_CHUNK) break;
  }
  await session.query(
    `DELETE FROM ${schema}.host_times h WHERE last < ${cutoff}
       AND NOT EXISTS (SELECT FROM ${schema}.series s WHERE s.relay_client = h.name)`,
  );
  return deleted;
}
