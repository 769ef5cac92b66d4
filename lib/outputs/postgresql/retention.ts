/** Deletes what is older than is to be kept: whole days, and series that have no points any more. */
import { onAbort } from "../../base/waiting.ts";
import type { Logger } from "../../base/log.ts";
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { RetentionClock } from "../../base/retention_clock.ts";
import { partitionName, partitionsOf } from "./partitions.ts";
import { Session } from "./session.ts";
import type { Settings } from "./settings.ts";
import { describe } from "./sqlstate.ts";
import { quoteLiteral } from "./names.ts";
import type { Tables } from "./tables.ts";

const INTERVAL_MS = 3_600_000;
/** After a failure. */
const RETRY_MS = 300_000;
/** For one statement; dropping a day waits for readers for at most {@linkcode LOCK_MS}, and writers wait behind it. */
const TIMEOUT_MS = 600_000;
const LOCK_MS = 2000;
const DAY_MS = 86_400_000;
/** Series that are deleted by one statement. */
const SERIES_CHUNK = 10_000;
/**
 * A server looks up each series that it writes once a day, which marks it as used. What nobody has marked for so many
 * days more than points are kept is in no server's memory.
 */
const SPARE_DAYS = 2;

export interface RetentionOptions {
  readonly settings: Settings;
  readonly keepMs: number;
  readonly log: Logger;
  readonly clock: Clock;
}

/** What was deleted. */
export interface Deleted {
  days: number;
  /** Of points that are in no day's partition. */
  points: number;
  series: number;
}

/** Deletes once. @throws what the database says. */
export async function deleteOld(
  session: Session,
  tables: Tables,
  keepMs: number,
  nowMs = Date.now(),
): Promise<Deleted> {
  const { schema, hypertable } = tables;
  const before = nowMs - keepMs;
  // The last day that ends before.
  const firstKept = Math.floor(before / DAY_MS);
  const cutoff = `'${new Date(firstKept * DAY_MS).toISOString()}'::timestamptz`;
  const deleted: Deleted = { days: 0, points: 0, series: 0 };
  await session.query(`SET statement_timeout = ${TIMEOUT_MS}; SET lock_timeout = ${LOCK_MS}`);
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
           AND NOT EXISTS (SELECT FROM ${schema}.points p WHERE p.series_id = s.id)
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

/** The time now, in ms since the epoch: of two clocks, that of this host and that of the database, the one behind. */
async function earlierClock(session: Session): Promise<number> {
  const { rows: [{ ms }] } = await session.query<{ ms: string }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms",
  );
  return Math.min(Date.now(), Number(ms));
}

/** Deletes now and then, in a connection of its own, until the signal is aborted. */
export async function keepDeleting(
  tables: Tables,
  { settings, keepMs, log, clock }: RetentionOptions,
  signal: AbortSignal,
): Promise<void> {
  const retention = new RetentionClock(Date.now(), clock.monotonicMs());
  const jump = new Complaint(clock);
  while (!signal.aborted) {
    let waitMs = INTERVAL_MS;
    try {
      await using session = await Session.open(settings, TIMEOUT_MS, signal);
      using _cutting = onAbort(signal, () => session.destroy());
      const nowMs = retention.now(await earlierClock(session), clock.monotonicMs(), keepMs);
      if (retention.aheadMs > 0) {
        jump.add(() =>
          log.warn("The clock has jumped ahead, nothing is deleted by it for a day", {
            ahead_s: Math.round(retention.aheadMs / 1000),
          })
        );
      }
      const deleted = await deleteOld(session, tables, keepMs, nowMs);
      if (deleted.days + deleted.points + deleted.series > 0) {
        log.info("Deleted what is older than keep", { ...deleted });
      }
    } catch (error) {
      if (signal.aborted) return;
      waitMs = RETRY_MS;
      log.warn("Cannot delete what is older than keep, trying again later", { reason: describe(error) });
    }
    await clock.sleep(waitMs, signal);
  }
}
