/**
 * What is done beside writing, in a connection of its own: the sums of intervals that are over, and the deletion of what
 * is older than it is to be kept. Of several servers that write to one database, one does it at a time.
 */
import type { Clock } from "../../base/clock.ts";
import { ClockJumpWarning } from "../../base/clock_jump.ts";
import { Complaint } from "../../base/complaint.ts";
import type { Logger } from "../../base/log.ts";
import { RetentionClock } from "../../base/retention_clock.ts";
import { onAbort } from "../../base/waiting.ts";
import type { RollupOptions } from "../rollups/levels.ts";
import { quoteLiteral } from "./names.ts";
import { deleteOld, TIMEOUT_MS } from "./retention.ts";
import { deleteOldSums, SUMMING_SETTINGS, sumUp } from "./rollups/summing.ts";
import { Session } from "./session.ts";
import type { Settings } from "./settings.ts";
import { describe, judge } from "./sqlstate.ts";
import type { Tables } from "./tables.ts";

/** Between two looks for intervals that are over. */
const SUMS_INTERVAL_MS = 10_000;
/** Then others have their turn. */
const SUMS_TURN_MS = 30_000;
const DELETION_INTERVAL_MS = 3_600_000;
/** After a failure. */
const RETRY_MS = 300_000;

export interface UpkeepOptions {
  readonly settings: Settings;
  /** Points that are older are deleted; `undefined`: none. */
  readonly keepMs: number | undefined;
  readonly rollups: readonly RollupOptions[];
  /** Whether the database has tables of sums that may be written. */
  readonly hasRollups: () => boolean;
  /** When points were last stored before this process, in ms since the Unix epoch; `undefined`: never. */
  readonly storedMs: number | undefined;
  /** Makes the tables of sums again that somebody has dropped. */
  readonly repair: (session: Session) => Promise<unknown>;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Works now and then until the signal is aborted. */
export async function keepUp(tables: Tables, options: UpkeepOptions, signal: AbortSignal): Promise<void> {
  await using upkeep = new Upkeep(tables, options, signal);
  while (!signal.aborted) {
    await upkeep.round();
    await options.clock.sleep(upkeep.waitMs, signal);
  }
}

class Upkeep implements AsyncDisposable {
  readonly #tables: Tables;
  readonly #options: UpkeepOptions;
  readonly #signal: AbortSignal;
  readonly #retention: RetentionClock;
  readonly #jumpWarning: ClockJumpWarning;
  readonly #trouble: Complaint;
  #session: Session | null = null;
  /** A table is not there any more, or not as it was. */
  #isBroken = false;
  #nextSumsMs: number;
  #nextDeletionMs: number;

  constructor(tables: Tables, options: UpkeepOptions, signal: AbortSignal) {
    const { clock, keepMs } = options;
    this.#tables = tables;
    this.#options = options;
    this.#signal = signal;
    const nowMs = clock.monotonicMs();
    this.#retention = new RetentionClock(Date.now(), nowMs, options.storedMs);
    this.#jumpWarning = new ClockJumpWarning(options.log, clock);
    this.#trouble = new Complaint(clock);
    this.#nextSumsMs = options.rollups.length > 0 ? nowMs + SUMS_INTERVAL_MS : Infinity;
    // Of sums there is nothing to delete at the start that cannot wait.
    this.#nextDeletionMs = nowMs + (keepMs === undefined ? SUMS_INTERVAL_MS : 0);
  }

  get waitMs(): number {
    return Math.min(this.#nextSumsMs, this.#nextDeletionMs) - this.#options.clock.monotonicMs();
  }

  async round(): Promise<void> {
    const { clock } = this.#options;
    if (this.waitMs > 0) return;
    try {
      const session = this.#session ??= await this.#connect();
      using _cutting = onAbort(this.#signal, () => session.destroy());
      if (await this.#takeTurn(session)) {
        if (clock.monotonicMs() >= this.#nextSumsMs) await this.#sumUp(session);
        if (clock.monotonicMs() >= this.#nextDeletionMs) await this.#delete(session);
        await session.query("SELECT pg_advisory_unlock_all()");
      } else {
        this.#nextSumsMs = Math.max(this.#nextSumsMs, clock.monotonicMs() + SUMS_INTERVAL_MS);
        this.#nextDeletionMs = Math.max(this.#nextDeletionMs, clock.monotonicMs() + SUMS_INTERVAL_MS);
      }
    } catch (error) {
      await this.#failed(error);
    }
    // Where sums are seldom made, no connection waits for it.
    if (this.waitMs > 2 * SUMS_INTERVAL_MS) await this.#leave();
  }

  async #connect(): Promise<Session> {
    const session = await Session.open(this.#options.settings, TIMEOUT_MS, this.#signal);
    try {
      await session.query(`SET client_min_messages = warning; ${SUMMING_SETTINGS}`);
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #takeTurn(session: Session): Promise<boolean> {
    const { rows: [{ ours }] } = await session.query<{ ours: boolean }>(
      `SELECT pg_try_advisory_lock(hashtext('alumet-relay upkeep'), hashtext(${
        quoteLiteral(this.#tables.schema)
      })) AS ours`,
    );
    return ours;
  }

  async #sumUp(session: Session): Promise<void> {
    const { clock, hasRollups, repair } = this.#options;
    const nowMs = clock.monotonicMs();
    if (hasRollups()) {
      if (this.#isBroken) await repair(session);
      this.#isBroken = false;
      const isEnough = () => clock.monotonicMs() - nowMs > SUMS_TURN_MS;
      await sumUp(session, this.#tables.schema, "now()", isEnough);
      this.#trouble.end(() => this.#options.log.info("Sums by interval are made again"));
    }
    this.#nextSumsMs = clock.monotonicMs() + SUMS_INTERVAL_MS;
  }

  async #delete(session: Session): Promise<void> {
    const { keepMs, rollups, hasRollups, log, clock } = this.#options;
    const shortestMs = Math.min(keepMs ?? Infinity, ...rollups.map(({ keepMs }) => keepMs));
    const nowMs = this.#retention.now(await earlierClock(session), clock.monotonicMs(), shortestMs);
    this.#jumpWarning.notice(shortestMs === Infinity ? 0 : this.#retention.aheadMs);
    const sums = hasRollups() ? await deleteOldSums(session, this.#tables.schema, rollups, nowMs) : 0;
    if (keepMs !== undefined) {
      const deleted = await deleteOld(session, this.#tables, keepMs, nowMs, hasRollups());
      if (deleted.days + deleted.points + deleted.series > 0) {
        log.info("Deleted what is older than keep", { ...deleted });
      }
    }
    if (sums > 0) log.info("Deleted sums that are older than their keep", { sums });
    this.#nextDeletionMs = clock.monotonicMs() + DELETION_INTERVAL_MS;
  }

  async #failed(error: unknown): Promise<void> {
    await this.#leave();
    if (this.#signal.aborted) return;
    const { log, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#isBroken ||= judge(error) === "schema";
    if (nowMs >= this.#nextDeletionMs) {
      this.#nextDeletionMs = nowMs + RETRY_MS;
      log.warn("Cannot delete what is older than keep, trying again later", { reason: describe(error) });
    } else {
      this.#trouble.add(() =>
        log.warn("Cannot make sums by interval, trying again", { reason: describe(error) })
      );
    }
    this.#nextSumsMs = Math.max(this.#nextSumsMs, nowMs + SUMS_INTERVAL_MS);
  }

  async #leave(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave();
  }
}

/** The time now, in ms since the epoch: of two clocks, that of this host and that of the database, the one behind. */
async function earlierClock(session: Session): Promise<number> {
  const { rows: [{ ms }] } = await session.query<{ ms: string }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms",
  );
  return Math.min(Date.now(), Number(ms));
}
