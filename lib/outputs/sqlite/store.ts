/** A database that is open for writing. All of it is synchronous: it belongs into a thread of its own. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { RetentionClock } from "../../base/retention_clock.ts";
import { Compaction, type CompactionOptions } from "./compaction.ts";
import { Hosts } from "./hosts.ts";
import { Housekeeping } from "./housekeeping.ts";
import { Identities } from "./identities.ts";
import type { PointColumns } from "../threads/point_columns.ts";
import type { Limits, PointGroup, RefusedRow, StoreOptions, StoreStats } from "./messages.ts";
import { LAST_PART } from "./parts.ts";
import { Packs, type PacksOptions } from "./packs.ts";
import { Place } from "./place.ts";
import { PointInserter } from "./point_inserter.ts";
import { Rollups } from "./rollups.ts";
import { type PartPlan, RowOrder, SECONDS_PER_DAY } from "./row_order.ts";
import { checkSchema, ensureSchema } from "./schema.ts";
import { openingError, StoreError, storeError } from "./store_error.ts";

/** How long SQLite waits for another writer by itself, in ms. */
const BUSY_MS = 250;
/** Memory for pages, in KiB. */
const CACHE_KIB = 8192;
/** Pages in the write-ahead log that make SQLite move them to the database: 16 MiB. */
const CHECKPOINT_PAGES = 4096;
/** What a write-ahead log that had to grow is cut to, in bytes. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/** A day, in days since the Unix epoch, as text. */
function dayText(day: number): string {
  return new Date(day * SECONDS_PER_DAY * 1000).toISOString().slice(0, 10);
}

export class Store implements Disposable {
  readonly #db: DatabaseSync;
  readonly #options: StoreOptions;
  readonly #place: Place;
  readonly #identities: Identities;
  readonly #hosts: Hosts;
  readonly #inserter: PointInserter;
  readonly #packs: Packs;
  readonly #rollups: Rollups | null;
  readonly #housekeeping: Housekeeping;
  readonly #order = new RowOrder();
  readonly #statements: Readonly<
    Record<
      | "begin"
      | "commit"
      | "rollback"
      | "lastPart"
      | "addPart"
      | "position"
      | "setPosition"
      | "sequence"
      | "setSequence"
      | "noteClient",
      StatementSync
    >
  >;
  #retention: RetentionClock | null = null;
  #clockAheadMs = 0;

  /** @throws {StoreError} */
  constructor(options: StoreOptions & CompactionOptions & PacksOptions) {
    this.#options = options;
    this.#db = open(options.path);
    let place: Place | null = null;
    try {
      setUp(this.#db, options);
      this.#place = place = new Place(options.path);
      const db = this.#db;
      const prepare = (sql: string) => db.prepare(sql);
      this.#statements = {
        begin: prepare("BEGIN IMMEDIATE"),
        commit: prepare("COMMIT"),
        rollback: prepare("ROLLBACK"),
        lastPart: prepare(`SELECT ${LAST_PART} AS id`),
        addPart: prepare(
          "INSERT INTO parts (id, day, start, first, last, points, repeats, written, rolled, stored) " +
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ),
        position: prepare("SELECT position FROM journal_positions WHERE journal = ?"),
        setPosition: prepare(
          "INSERT INTO journal_positions (journal, position) VALUES (?, ?) " +
            "ON CONFLICT DO UPDATE SET position = excluded.position",
        ),
        sequence: prepare("SELECT max(sequence) AS sequence FROM clients WHERE instance = ?"),
        setSequence: prepare(
          "INSERT INTO clients (instance, name, sequence, seen) VALUES (?, ?, ?, ?) " +
            "ON CONFLICT DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen",
        ),
        noteClient: prepare(
          "INSERT INTO clients (instance, name, sequence, seen) VALUES (?, ?, 0, ?) " +
            "ON CONFLICT DO UPDATE SET seen = excluded.seen WHERE seen < excluded.seen",
        ),
      };
      this.#identities = new Identities(db);
      this.#hosts = new Hosts(db);
      this.#inserter = new PointInserter(db);
      this.#packs = new Packs(db, options);
      this.#packs.compactAfterMs = options.limits.compactAfterMs;
      const transaction = (work: () => void) => this.#transaction(work);
      this.#rollups = options.rollups.length > 0 ? new Rollups(db, transaction, options) : null;
      // Sums that nobody makes any more need no points.
      if (!this.#rollups) prepare("UPDATE parts SET rolled = 1 WHERE rolled = 0").run();
      this.#housekeeping = new Housekeeping(
        db,
        options.path,
        transaction,
        options.limits,
        this.#rollups,
        new Compaction(db, transaction, this.#packs, options),
      );
    } catch (error) {
      this.#db.close();
      place?.[Symbol.dispose]();
      throw storeError(error);
    }
  }

  /** Number of the last batch of a journal that is stored, or -1. */
  position(journal: string): number {
    const row = this.#statements.position.get(journal) as { position: number } | undefined;
    return row?.position ?? -1;
  }

  /** Number of the last batch of an instance that is stored, under whatever name, or 0. */
  sequence(instance: string): number {
    const row = this.#statements.sequence.get(instance) as { sequence: number | null };
    return row.sequence ?? 0;
  }

  /**
   * Stores a group, all of it or nothing.
   *
   * @throws {StoreError} `refused` with the rows that the owner's constraints do not let in; `forgotten` where the group
   *   has to come again with all its series, as after a change by another process; `moved` where the path leads to
   *   another file.
   * @param monotonicMs A clock that is never set.
   */
  write(group: PointGroup, monotonicMs = performance.now()): void {
    this.#place.check();
    let stored!: { plans: PartPlan[]; firstPart: number };
    try {
      this.#transaction(() => stored = this.#insert(group));
    } catch (error) {
      if (!(error instanceof StoreError) || error.problem !== "refused") throw error;
      throw this.#refusal(group, error);
    }
    if (this.#place.isRemoved) throw this.#place.error();
    const { plans, firstPart } = stored;
    this.#housekeeping.noticeParts(plans.length);
    this.#rollups?.add(
      plans,
      firstPart,
      this.#order.order,
      group.columns,
      this.#identities.ids,
      monotonicMs,
    );
  }

  /** @returns the parts, whose ids follow each other. */
  #insert(group: PointGroup): { plans: PartPlan[]; firstPart: number } {
    const { columns } = group;
    const { lastPart, addPart, setPosition } = this.#statements;
    this.#identities.begin();
    this.#identities.learn(group);
    const { ids } = this.#identities;
    const rows = this.#newRows(group);
    this.#checkSeries(columns, rows);
    const plans = this.#order.arrange(columns, ids, rows);
    const { order } = this.#order;
    const exact = group.exact.length > 0 ? new Map(group.exact) : null;
    let { id } = lastPart.get() as { id: number };
    const firstPart = id + 1;
    const rolled = this.#rollups ? 0 : 1;
    for (const plan of plans) {
      const { from, to, start, first, last, repeats } = plan;
      addPart.run(
        ++id,
        dayText(plan.day),
        start,
        first,
        last,
        to - from,
        Number(repeats),
        group.day,
        rolled,
        group.second,
      );
      this.#inserter.insert(id, plan, order, columns, ids, exact);
      this.#packs.add(id, plan, order, columns, ids, exact);
      this.#hosts.note(plan, order, columns, this.#identities);
    }
    this.#hosts.save(this.#identities, Math.floor(Date.now() / 1000));
    if (group.position) setPosition.run(group.position.journal, group.position.number);
    return { plans, firstPart };
  }

  /** @throws {StoreError} where the database does not have the series of a row. */
  #checkSeries({ series, length }: PointColumns, rows: Uint32Array | undefined): void {
    const { ids } = this.#identities;
    const count = rows?.length ?? length;
    for (let k = 0; k < count; k++) {
      const number = series[rows ? rows[k] : k];
      if (!(ids[number] > 0)) throw new StoreError("forgotten", "");
    }
  }

  /** Finds the rows because of which a group is refused. */
  #refusal(group: PointGroup, error: StoreError): StoreError {
    const { columns } = group;
    const refused: RefusedRow[] = [];
    const { begin, rollback, lastPart } = this.#statements;
    const continueTransaction = () => {
      // A trigger may have ended it.
      try {
        begin.run();
      } catch { /* it has not */ }
    };
    try {
      begin.run();
      const reasons = new Map<number, string>();
      this.#identities.learn(group, ({ number }, error) => {
        const { problem, message } = storeError(error);
        if (problem !== "refused") throw error;
        reasons.set(number, message);
        continueTransaction();
      });
      const rows = this.#newRows(group);
      const { id } = lastPart.get() as { id: number };
      const exact = group.exact.length > 0 ? new Map(group.exact) : null;
      const count = rows?.length ?? columns.length;
      for (let k = 0; k < count; k++) {
        const row = rows ? rows[k] : k;
        const reason = reasons.get(columns.series[row]);
        if (reason !== undefined) {
          refused.push({ row, reason });
          continue;
        }
        try {
          // Each in a part of its own: what is refused is not its place.
          this.#inserter.insertOne(id + 1 + k, row, columns, this.#identities.ids, exact);
        } catch (error) {
          const { problem, message } = storeError(error);
          if (problem !== "refused") throw error;
          refused.push({ row, reason: message });
          continueTransaction();
        }
      }
    } catch (error) {
      return storeError(error);
    } finally {
      try {
        rollback.run();
      } catch { /* it has ended */ }
      this.#identities.forget();
    }
    if (refused.length > 0) return new StoreError("refused", error.message, { cause: error }, refused);
    return new StoreError(
      "fatal",
      `${error.message}; remove your constraint or trigger of that table, or name another file`,
      { cause: error },
    );
  }

  /** The rows that are not stored yet, and notes what is stored from now on; `undefined` for all rows. */
  #newRows({ clients, columns, day, leftOut }: PointGroup): Uint32Array | undefined {
    const { setSequence, noteClient } = this.#statements;
    const known = new Map<string, { name: string; instance: string; sequence: number; stored: number }>();
    const again: { start: number; end: number }[] = [];
    for (const { name, instance, sequence, start, end } of clients) {
      if (sequence === 0) {
        noteClient.run(instance, name, day);
        continue;
      }
      const key = `${instance}/${name}`;
      let client = known.get(key);
      if (!client) {
        const stored = this.sequence(instance);
        known.set(key, client = { name, instance, sequence: stored, stored });
      }
      if (sequence <= client.sequence) again.push({ start, end });
      else client.sequence = sequence;
    }
    for (const { name, instance, sequence, stored } of known.values()) {
      if (sequence > stored) setSequence.run(instance, name, sequence, day);
    }
    if (again.length === 0 && !leftOut) return undefined;
    const rows = new Uint32Array(columns.length);
    let count = 0;
    let next = 0;
    let left = 0;
    for (let row = 0; row < columns.length; row++) {
      while (next < again.length && again[next].end <= row) next++;
      if (next < again.length && row >= again[next].start) continue;
      while (leftOut && leftOut[left] < row) left++;
      if (leftOut?.[left] === row) continue;
      rows[count++] = row;
    }
    return rows.subarray(0, count);
  }

  #transaction(work: () => void): void {
    const { begin, commit, rollback } = this.#statements;
    try {
      begin.run();
      work();
      commit.run();
    } catch (error) {
      // Some errors have ended the transaction already.
      try {
        rollback.run();
      } catch { /* as they have */ }
      this.#hosts.forget();
      throw storeError(error);
    }
  }

  /** What is kept from now on. */
  set limits(limits: Limits) {
    this.#housekeeping.limits = limits;
    this.#packs.compactAfterMs = limits.compactAfterMs;
  }

  /**
   * One step of what keeps the file in shape: deletes what is too old, merges small parts.
   *
   * @param busy Only what cannot wait.
   * @param monotonicMs A clock that is never set, by which a jump of the wall clock is seen. @default none is seen
   * @returns whether there is more to do at once.
   */
  keepHouse(nowMs: number, busy: boolean, monotonicMs?: number): boolean {
    if (monotonicMs === undefined) return this.#housekeeping.step(nowMs, nowMs, nowMs, busy);
    return this.#housekeeping.step(this.#believed(nowMs, monotonicMs), nowMs, monotonicMs, busy);
  }

  #believed(nowMs: number, monotonicMs: number): number {
    // Sums are kept for a time of their own.
    const keepMs = Math.min(
      this.#housekeeping.limits.keepMs,
      ...this.#options.rollups.map((rollup) => rollup.keepMs),
    );
    this.#clockAheadMs = 0;
    if (keepMs === Infinity) return nowMs;
    this.#retention ??= new RetentionClock(nowMs, monotonicMs, this.#housekeeping.latestMs);
    const believedMs = this.#retention.now(nowMs, monotonicMs, keepMs);
    this.#clockAheadMs = this.#retention.aheadMs;
    return believedMs;
  }

  get stats(): StoreStats {
    const { expiredPoints, evictedPoints, expiredSeries, parts, roomBytes, compaction } = this.#housekeeping;
    const clockAheadMs = this.#clockAheadMs;
    return {
      bytes: this.#bytes(),
      roomBytes,
      parts,
      expiredPoints,
      evictedPoints,
      expiredSeries,
      compactedPoints: compaction.points,
      bytesBeforeCompaction: compaction.bytesBefore,
      bytesAfterCompaction: compaction.bytesAfter,
      clockAheadMs,
    };
  }

  #bytes(): number {
    let log = 0;
    try {
      log = Deno.statSync(`${this.#options.path}-wal`).size;
    } catch { /* there is none */ }
    return this.#housekeeping.size().fileBytes + log;
  }

  /**
   * Closes a database that the path does not lead to any more: all that it has goes into its file, so that nothing is
   * left in the write-ahead log, which stands beside the new file.
   */
  leave(): void {
    try {
      this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    } catch { /* it is as good as it gets */ }
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (!this.#db.isOpen) return;
    this.#db.close();
    this.#place[Symbol.dispose]();
  }
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { enableForeignKeyConstraints: false });
  } catch (error) {
    throw openingError(error);
  }
}

/** @throws {StoreError} or what SQLite throws. */
function setUp(db: DatabaseSync, { synchronous, rollups }: StoreOptions): void {
  const run = (sql: string) => db.prepare(sql).get();
  run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  // Before anything is changed: the file may belong to another program.
  checkSchema(db);
  run("PRAGMA journal_mode = WAL");
  run(`PRAGMA synchronous = ${synchronous}`);
  run(`PRAGMA cache_size = -${CACHE_KIB}`);
  run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  run(`PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES}`);
  // If nothing has to be created, this shows at least that the file can be written to.
  run("BEGIN IMMEDIATE");
  try {
    checkSchema(db);
    ensureSchema(db, rollups);
    run("COMMIT");
  } catch (error) {
    try {
      run("ROLLBACK");
    } catch { /* the error has ended it */ }
    throw error;
  }
}
