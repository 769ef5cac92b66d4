/**
 * What keeps the file in shape, in steps that take a moment each: points that are too old, or for which there is no room,
 * are deleted, part by part, and small parts of a day are merged, so that a series is looked for in few places.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Compaction } from "./compaction.ts";
import { HELD_BACK } from "./point_inserter.ts";
import type { Limits } from "./messages.ts";
import { numberOf } from "./number_of.ts";
import { type DoomedPart, PartDeletion } from "./part_deletion.ts";
import { LAST_PART, LASTING_MS, type Part, SMALL_POINTS, type Transaction } from "./parts.ts";
import { roomFor } from "./room.ts";
import type { Rollups } from "./rollups.ts";
import { middleOf, SECONDS_PER_DAY } from "./row_order.ts";
import { secondOf, tablesOfRollups, writeStatistics } from "./schema.ts";

/** What is merged where points stay in rows for long: then there are more parts to look into. */
const SMALL_LASTING_POINTS = 16_384;
/** Small parts of one day that are merged at once, and of a day that is over. */
const MERGE_PARTS = 64;
const MERGE_OLD_PARTS = 8;
/** While there is more to write, merging waits for this many parts. */
const MERGE_BUSY_PARTS = 4096;
/** Most points of a merged part, and most parts that go into one. */
const MERGE_POINTS = 65_536;
const MERGE_MOST_PARTS = 1024;
/** Points that cannot be in one part, because series and times repeat, are merged with their like this many times. */
const MERGE_REPEATS = 3;
/** Series that are looked at in one transaction. */
const SERIES_STEP = 16_384;
/** How often to look for what is too old, as a share of how long it is kept, and its limits, in ms. */
const EXPIRY_SHARE = 1 / 50;
const MIN_EXPIRY_MS = 1000;
const MAX_EXPIRY_MS = 60_000;
/** How often to look whether the file has room, in ms, and the share of the room that is made at once. */
const ROOM_INTERVAL_MS = 1000;
const ROOM_SHARE = 0.02;
/** Most points of parts that are chosen at once. */
const EVICT_POINTS = 1_000_000;
/** Points of this time give way last, in ms. */
const NEWEST_MS = 3_600_000;
/** How often series that nothing refers to are looked for, in ms. */
const SERIES_INTERVAL_MS = 3_600_000;
/** Clients that have not been here for so long are forgotten: what they send then is new, even if it was stored once. */
const CLIENT_DAYS = 400;
/** How often the planner's statistics are brought up to date, in ms. */
const STATISTICS_INTERVAL_MS = 900_000;
/** Of these intervals, the first is this share. */
const FIRST_SHARE = 1 / 60;

export class Housekeeping {
  /** Parts in the database. */
  parts: number;
  expiredPoints = 0;
  /** Points that were deleted because there was no room. */
  evictedPoints = 0;
  expiredSeries = 0;
  /** What the points may take, and do. */
  roomBytes = Infinity;
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #transaction: Transaction;
  readonly #rollups: Rollups | null;
  /** Of parts that are too old. */
  readonly #expiry: PartDeletion;
  /** Of parts for which there is no room. */
  readonly #eviction: PartDeletion;
  #nextExpiryMs = 0;
  #nextRoomMs = 0;
  #isEvicting = false;
  readonly #pageBytes: number;
  #nextSeriesMs = NaN;
  #nextStatisticsMs = NaN;
  /** Series up to this id have been looked at; `null`: not under way. */
  #seriesFrom: number | null = null;
  /** New parts since merging was last considered. */
  #unconsidered = MERGE_PARTS;
  readonly #statements: Readonly<
    Record<
      | (
        | "count"
        | "expired"
        | "oldest"
        | "pages"
        | "freePages"
        | "deleteRest"
        | "deletePacks"
        | "deletePart"
        | "crowded"
        | "small"
      )
      | ("nextPart" | "gather" | "mergeMost" | "mergeRest" | "mergeRepeats" | "addParts" | "empty")
      | (
        | "oldestWritten"
        | "future"
        | "futureRollups"
        | "oldestRollup"
        | "deleteSeries"
        | "lastSeries"
        | "deleteClients"
        | "deleteHosts"
      ),
      StatementSync
    >
  >;

  /** @param rollups `null`: there are none. */
  constructor(
    db: DatabaseSync,
    path: string,
    transaction: Transaction,
    public limits: Limits,
    rollups: Rollups | null,
    readonly compaction: Compaction,
  ) {
    this.#db = db;
    this.#path = path;
    this.#rollups = rollups;
    this.#expiry = new PartDeletion(db);
    this.#eviction = new PartDeletion(db);
    this.#transaction = transaction;
    this.#pageBytes = numberOf(db.prepare("PRAGMA page_size"));
    db.prepare(
      "CREATE TEMP TABLE merging (id INTEGER PRIMARY KEY, rank INTEGER, series INTEGER, offset INTEGER, second INTEGER, value)",
    ).run();
    const prepare = (sql: string) => db.prepare(sql);
    const rollupTables = tablesOfRollups(db);
    const numbered = "SELECT ? + rank, series, offset, value FROM merging WHERE rank";
    this.#statements = {
      expired: prepare("SELECT id, points, compacted FROM parts WHERE last < ? AND rolled LIMIT 256"),
      oldest: prepare(
        "SELECT id, points, compacted FROM parts WHERE day = (SELECT min(day) FROM parts WHERE rolled) AND rolled " +
          "AND last < ? ORDER BY last LIMIT 16",
      ),
      count: prepare("SELECT count(*) AS n FROM parts"),
      pages: prepare("PRAGMA page_count"),
      freePages: prepare("PRAGMA freelist_count"),
      deleteRest: prepare("DELETE FROM points WHERE part = ?"),
      deletePacks: prepare("DELETE FROM packs WHERE part = ?"),
      deletePart: prepare("DELETE FROM parts WHERE id = ?"),
      crowded: prepare(
        `SELECT day, repeats FROM parts WHERE points < ? AND repeats < ${MERGE_REPEATS} AND rolled ` +
          "AND NOT compacted " +
          "GROUP BY day, repeats HAVING count(*) >= CASE WHEN day < ? THEN ? ELSE ? END ORDER BY count(*) DESC LIMIT 1",
      ),
      small: prepare(
        "SELECT * FROM parts WHERE day = ? AND repeats = ? AND points < ? AND rolled AND NOT compacted " +
          `ORDER BY first LIMIT ${MERGE_MOST_PARTS}`,
      ),
      // Parameters that are numbers are floats, and divided as such.
      gather: prepare(
        "INSERT INTO merging (rank, series, offset, second, value) " +
          `SELECT row_number() OVER (PARTITION BY series, moved ORDER BY part) - 1, series, moved, ` +
          `${secondOf("CAST(? AS INTEGER)", "moved")}, value ` +
          "FROM (SELECT p.part, p.series, p.offset + (d.start - CAST(? AS INTEGER)) * 1000000000 AS moved, p.value " +
          "FROM json_each(?) j CROSS JOIN parts d ON d.id = j.value CROSS JOIN points p ON p.part = d.id) " +
          "ORDER BY series, moved, part",
      ),
      mergeMost: prepare(`INSERT INTO points ${numbered} = 0 AND id % ${HELD_BACK} <> 0 ORDER BY id`),
      mergeRest: prepare(`INSERT INTO points ${numbered} = 0 AND id % ${HELD_BACK} = 0 ORDER BY id`),
      mergeRepeats: prepare(`INSERT INTO points ${numbered} > 0 ORDER BY rank, id`),
      nextPart: prepare(`SELECT 1 + ${LAST_PART} AS id`),
      // Parts for what has the same series and time as something in the merged part.
      addParts: prepare(
        "INSERT INTO parts (id, day, start, first, last, points, repeats, written, stored) " +
          "SELECT ? + rank, ?, ?, min(second), max(second), count(*), ? + (rank > 0), ?, ? FROM merging GROUP BY rank",
      ),
      empty: prepare("DELETE FROM merging"),
      oldestWritten: prepare("SELECT min(written) AS day FROM parts WHERE last < ?"),
      deleteSeries: prepare(
        "DELETE FROM series WHERE id > ?3 AND id <= ?4 AND seen < ?5 AND NOT EXISTS " +
          "(SELECT 1 FROM json_each(?1) j CROSS JOIN points p ON p.part = j.value AND p.series = series.id) " +
          "AND NOT EXISTS (SELECT 1 FROM json_each(?1) j CROSS JOIN blocks b ON b.part = j.value " +
          "AND b.last_series >= series.id AND b.first_series <= series.id)" +
          rollupTables.map((table) =>
            ` AND NOT EXISTS (SELECT 1 FROM json_each(?2) j CROSS JOIN ${table} p ON p.part = j.value AND p.series = series.id)`
          ).join(""),
      ),
      future: prepare("SELECT json_group_array(id) AS ids FROM parts WHERE last >= ?"),
      futureRollups: prepare(
        "SELECT json_group_array(id) AS ids FROM rollup_parts WHERE start + seconds > ?",
      ),
      oldestRollup: prepare("SELECT min(day) AS day FROM rollup_parts"),
      lastSeries: prepare("SELECT max(id) AS id FROM series"),
      deleteClients: prepare("DELETE FROM clients WHERE seen < ?"),
      deleteHosts: prepare("DELETE FROM host_times WHERE name NOT IN (SELECT relay_client FROM series)"),
    };
    this.parts = this.#countParts();
  }

  /** The latest time at which something can have been written, in ms since the Unix epoch; `undefined`: nothing was. */
  get latestMs(): number | undefined {
    const { day } = this.#db.prepare("SELECT max(written) AS day FROM parts").get() as { day: number | null };
    return day === null ? undefined : (day + 1) * SECONDS_PER_DAY * 1000;
  }

  /** A transaction has added parts. */
  noticeParts(count: number): void {
    this.parts += count;
    this.#unconsidered += count;
  }

  /**
   * @param nowMs What is kept is counted from, in ms since the Unix epoch. @param wallMs What the clock says.
   * @param monotonicMs A clock that is never set.
   * @returns whether there is more to do at once.
   */
  step(nowMs: number, wallMs: number, monotonicMs: number, busy: boolean): boolean {
    // Soon after the start, and not never again after the clock is set back.
    const soonest = (next: number, intervalMs: number) =>
      next - nowMs <= intervalMs ? next : nowMs + intervalMs * FIRST_SHARE;
    this.#nextExpiryMs = soonest(this.#nextExpiryMs, MAX_EXPIRY_MS);
    this.#nextRoomMs = soonest(this.#nextRoomMs, ROOM_INTERVAL_MS);
    this.#nextSeriesMs = soonest(this.#nextSeriesMs, SERIES_INTERVAL_MS);
    this.#nextStatisticsMs = soonest(this.#nextStatisticsMs, STATISTICS_INTERVAL_MS);
    if (this.#expire(nowMs) || this.#makeRoom(nowMs)) return true;
    if (this.#rollups?.step(wallMs / 1000, monotonicMs, busy)) return true;
    if (this.#rollups?.expire(nowMs)) return true;
    // Parts that are being compacted are not merged.
    if (!busy && this.compaction.isUnderWay) return this.#compact(nowMs);
    if (this.#unconsidered >= (busy ? MERGE_BUSY_PARTS : MERGE_PARTS)) {
      if (this.#merge(nowMs)) return true;
      this.#unconsidered = 0;
    }
    if (busy) return false;
    if (this.#compact(nowMs)) return true;
    if (this.#sweepSeries(nowMs)) return true;
    if (nowMs >= this.#nextStatisticsMs) {
      this.#nextStatisticsMs = nowMs + STATISTICS_INTERVAL_MS;
      this.#transaction(() => writeStatistics(this.#db));
    }
    return false;
  }

  /** Deletes some of what is too old. */
  #expire(nowMs: number): boolean {
    const { keepMs } = this.limits;
    if (keepMs === Infinity) return false;
    if (this.#expiry.isDone) {
      if (nowMs < this.#nextExpiryMs) return false;
      const cutoff = Math.floor((nowMs - keepMs) / 1000);
      this.#expiry.add(this.#statements.expired.all(cutoff) as unknown as DoomedPart[]);
      if (this.#expiry.isDone) {
        this.#nextExpiryMs = nowMs + Math.min(MAX_EXPIRY_MS, Math.max(MIN_EXPIRY_MS, keepMs * EXPIRY_SHARE));
        return false;
      }
    }
    this.expiredPoints += this.#delete(this.#expiry);
    return true;
  }

  /** Deletes some of the oldest points where there is no room for new ones. */
  #makeRoom(nowMs: number): boolean {
    if (this.#eviction.isDone) {
      if (nowMs < this.#nextRoomMs) return false;
      const { usedBytes, fileBytes } = this.size();
      this.roomBytes = roomFor(this.#path, this.limits.maxBytes, fileBytes);
      // Once begun, a little more than is needed.
      const enough = this.#isEvicting ? this.roomBytes * (1 - ROOM_SHARE) : this.roomBytes;
      this.#isEvicting = usedBytes > enough;
      if (this.#isEvicting && this.#evict(nowMs)) return true;
      if (this.#eviction.isDone) {
        this.#nextRoomMs = nowMs + ROOM_INTERVAL_MS;
        return false;
      }
    }
    this.evictedPoints += this.#delete(this.#eviction);
    return true;
  }

  /** Chooses what gives way: points of the last hour after all sums. @returns whether sums were deleted. */
  #evict(nowMs: number): boolean {
    const choose = (before: number) => {
      const oldest = this.#statements.oldest.all(before) as unknown as DoomedPart[];
      // A compacted part may have as many points as all others.
      let points = 0;
      this.#eviction.add(oldest.filter((part, i) => {
        points += part.points;
        return i === 0 || points <= EVICT_POINTS;
      }));
    };
    choose(Math.floor((nowMs - NEWEST_MS) / 1000));
    if (!this.#eviction.isDone) return false;
    if (this.#rollups?.giveUp()) return true;
    choose(Number.MAX_SAFE_INTEGER);
    return false;
  }

  /** @returns how many points were deleted. */
  #delete(deletion: PartDeletion): number {
    this.compaction.leave(deletion.queue);
    const { parts, points } = deletion.step(this.#transaction);
    this.parts -= parts;
    return points;
  }

  #compact(nowMs: number): boolean {
    const more = this.compaction.step(nowMs, this.limits.compactAfterMs);
    if (more && !this.compaction.isUnderWay) this.parts = this.#countParts();
    return more;
  }

  #countParts(): number {
    return (this.#statements.count.get() as { n: number }).n;
  }

  /** What the file takes, and what is used of it, in bytes. */
  size(): { fileBytes: number; usedBytes: number } {
    const pages = numberOf(this.#statements.pages);
    const free = numberOf(this.#statements.freePages);
    return { fileBytes: pages * this.#pageBytes, usedBytes: (pages - free) * this.#pageBytes };
  }

  /** Merges the small parts of the day that has most of them. */
  #merge(nowMs: number): boolean {
    const { crowded, small, nextPart, gather, mergeMost, mergeRest, mergeRepeats } = this.#statements;
    const { addParts, empty, deleteRest, deletePacks, deletePart } = this.#statements;
    const today = new Date(nowMs).toISOString().slice(0, 10);
    const smaller = this.limits.compactAfterMs > LASTING_MS ? SMALL_LASTING_POINTS : SMALL_POINTS;
    const found = crowded.get(smaller, today, MERGE_OLD_PARTS, MERGE_PARTS) as
      | { day: string; repeats: number }
      | undefined;
    if (!found) return false;
    const { day, repeats } = found;
    const parts = small.all(day, repeats, smaller) as unknown as Part[];
    let count = 0;
    for (let points = 0; count < parts.length && points + parts[count].points <= MERGE_POINTS; count++) {
      points += parts[count].points;
    }
    const merged = parts.slice(0, count);
    this.compaction.leave(merged);
    const first = Math.min(...merged.map((part) => part.first));
    const last = Math.max(...merged.map((part) => part.last));
    const written = Math.min(...merged.map((part) => part.written));
    const stored = Math.max(...merged.map((part) => part.stored));
    const start = middleOf(first, last);
    let added = 0;
    this.#transaction(() => {
      const { id } = nextPart.get() as { id: number };
      empty.run();
      gather.run(start, start, JSON.stringify(merged.map((part) => part.id)));
      // First, so that their pages are used again.
      for (const part of merged) {
        deleteRest.run(part.id);
        deletePacks.run(part.id);
        deletePart.run(part.id);
      }
      mergeMost.run(id);
      mergeRest.run(id);
      mergeRepeats.run(id);
      added = Number(addParts.run(id, day, start, repeats, written, stored).changes);
      empty.run();
    });
    this.parts += added - merged.length;
    return true;
  }

  /**
   * Deletes series that have no points any more. A part holds only series that were seen on the day when it was written,
   * or later: what was last seen before the oldest part was written is in none. Parts with times in the future, which
   * nothing deletes, are looked into.
   */
  #sweepSeries(nowMs: number): boolean {
    if (this.limits.keepMs === Infinity && this.evictedPoints === 0) return false;
    if (this.#seriesFrom === null) {
      if (nowMs < this.#nextSeriesMs) return false;
      this.#nextSeriesMs = nowMs + SERIES_INTERVAL_MS;
      this.#seriesFrom = 0;
    }
    const today = Math.floor(nowMs / 1000 / SECONDS_PER_DAY);
    const endOfTomorrow = (today + 2) * SECONDS_PER_DAY;
    const {
      oldestWritten,
      future,
      futureRollups,
      oldestRollup,
      deleteSeries,
      lastSeries,
      deleteClients,
      deleteHosts,
    } = this.#statements;
    let more = false;
    let deleted = 0;
    const from = this.#seriesFrom;
    this.#transaction(() => {
      const { day } = oldestWritten.get(endOfTomorrow) as { day: number | null };
      // What another process has in its memory was seen yesterday at the earliest.
      const { day: rolled } = oldestRollup.get() as { day: string | null };
      const rolledDay = rolled === null ? Infinity : Date.parse(rolled) / 1000 / SECONDS_PER_DAY;
      const before = Math.min(day ?? Infinity, rolledDay, today - 1);
      const ids = (statement: StatementSync) => (statement.get(endOfTomorrow) as { ids: string }).ids;
      deleted = Number(
        deleteSeries.run(ids(future), ids(futureRollups), from, from + SERIES_STEP, before).changes,
      );
      if (from === 0) deleteClients.run(today - CLIENT_DAYS);
      const { id } = lastSeries.get() as { id: number | null };
      more = from + SERIES_STEP < (id ?? 0);
      if (!more) deleteHosts.run();
    });
    this.expiredSeries += deleted;
    this.#seriesFrom = more ? from + SERIES_STEP : null;
    return more;
  }
}
