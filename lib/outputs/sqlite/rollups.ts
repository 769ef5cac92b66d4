/**
 * Sums of points by series and interval, each point counted once.
 *
 * Points are added up in memory when they have been stored; what an interval adds up to is stored when the interval is
 * over, in steps. A part of the database whose points are all in stored sums is marked `rolled`; the table `rolled` says
 * which intervals of the other parts are. So after a crash the sums that were only in memory are made again from the
 * points, and only they. Points that come after their interval was stored are an interval of their own, which is added
 * to what is stored.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { usableMemoryBytes } from "../../base/memory.ts";
import { floorTo, type RollupOptions } from "../rollups/levels.ts";
import { IntervalSums, type Sums } from "../rollups/sums.ts";
import type { PointColumns } from "../threads/point_columns.ts";
import { PartDeletion } from "./part_deletion.ts";
import type { Transaction } from "./parts.ts";
import { RollupTables } from "./rollup_tables.ts";
import type { PartPlan } from "./row_order.ts";
import { secondOf } from "./schema.ts";

/** An interval is stored when that has passed since its end, in seconds. */
const GRACE_S = 20;
/** While points still come, as in what was measured long ago, an interval waits for more; at most so long, in ms. */
const QUIET_MS = 5000;
const MAX_OPEN_MS = 120_000;
/** An interval of the future, as of a host whose clock is wrong, is stored when nothing has come for so long. */
const FUTURE_QUIET_MS = 120_000;
/** Bytes of a series in an interval, and the share of memory for all of them: beyond it, the oldest is stored early. */
const SERIES_BYTES = 76;
const MEMORY_SHARE = 1 / 32;
const MAX_SERIES = 4_000_000;
/** Series that are stored in one transaction. */
const STORE_SERIES = 4096;
/** How often to look for sums that are too old, in ms. */
const EXPIRY_INTERVAL_MS = 60_000;

export interface RollupsOptions {
  readonly rollups: readonly RollupOptions[];
  /** For tests: how much is done in one step. */
  readonly storeSeries?: number;
  readonly maxSeries?: number;
  readonly moveSeries?: number;
}

/** What is stored of an interval: points in parts up to `part`, of series below `below` (`null`: of all). */
interface Rolled {
  readonly every: number;
  readonly start: number;
  readonly part: number;
  readonly below: number | null;
}

/** An interval that is being stored. */
interface Storing {
  readonly sums: IntervalSums;
  readonly ids: Uint32Array;
  /** The last part with points of it. */
  readonly part: number;
  done: number;
}

export class Rollups {
  readonly #transaction: Transaction;
  readonly #tables: RollupTables;
  readonly #every: number;
  readonly #storeSeries: number;
  readonly #maxSeries: number;
  readonly #open = new Map<number, IntervalSums>();
  readonly #spare: IntervalSums[] = [];
  #storing: Storing | null = null;
  /** Parts with points whose sums may have been lost with the process before. */
  #unread: number[];
  readonly #rolled = new Map<string, Rolled[]>();
  readonly #lengths: readonly number[];
  #lastPart = 0;
  #rolledBefore = 0;
  readonly #deletions: readonly PartDeletion[];
  #nextExpiryMs = 0;
  readonly #sums: Sums = {
    points: 0,
    sum: 0,
    min: 0,
    max: 0,
    first: 0,
    last: 0,
    firstTime: 0,
    lastTime: 0,
  };
  readonly #statements: Readonly<Record<"points" | "setRolled" | "forget" | "markRolled", StatementSync>>;

  constructor(db: DatabaseSync, transaction: Transaction, options: RollupsOptions) {
    const { rollups, storeSeries = STORE_SERIES, maxSeries = seriesInMemory(), moveSeries } = options;
    this.#transaction = transaction;
    this.#storeSeries = storeSeries;
    this.#maxSeries = maxSeries;
    this.#tables = new RollupTables(db, rollups, moveSeries);
    this.#every = rollups[0].every;
    this.#deletions = this.#tables.levels.map(({ table }) => new PartDeletion(db, table, "rollup_parts"));
    const prepare = (sql: string) => db.prepare(sql);
    this.#statements = {
      points: prepare(
        `SELECT p.series, ${
          secondOf("d.start", "p.offset")
        } AS second, d.start, p.offset, CAST(p.value AS REAL) AS value ` +
          "FROM parts d CROSS JOIN points p ON p.part = d.id WHERE d.id = ?",
      ),
      setRolled: prepare(
        "INSERT INTO rolled (every, start, part, below) VALUES (?, ?, ?, ?) " +
          "ON CONFLICT DO UPDATE SET below = excluded.below",
      ),
      forget: prepare(
        "DELETE FROM rolled WHERE part < (SELECT coalesce(min(id), 9e15) FROM parts WHERE rolled = 0)",
      ),
      markRolled: prepare("UPDATE parts SET rolled = 1 WHERE rolled = 0 AND id < ?"),
    };
    const unread = prepare("SELECT id FROM parts WHERE rolled = 0 ORDER BY id DESC").all() as {
      id: number;
    }[];
    this.#unread = unread.map(({ id }) => id);
    const rolled = prepare("SELECT every, start, part, below FROM rolled").all() as unknown as Rolled[];
    for (const row of rolled) {
      const key = `${row.every} ${row.start}`;
      this.#rolled.set(key, [...this.#rolled.get(key) ?? [], row]);
    }
    this.#lengths = [...new Set(rolled.map(({ every }) => every))];
    this.#lastPart = this.#unread[0] ?? 0;
  }

  /**
   * Adds points that were stored, as parts whose ids follow each other.
   *
   * @param order The numbers of rows, of which each plan names a range. @param ids Of series, by number.
   */
  add(
    plans: readonly PartPlan[],
    firstPart: number,
    order: Uint32Array,
    { series, seconds, nanos, values }: PointColumns,
    ids: Float64Array,
    nowMs: number,
  ): void {
    const every = this.#every;
    let sums: IntervalSums | undefined;
    let part = firstPart;
    for (const { from, to } of plans) {
      for (let k = from; k < to; k++) {
        const row = order[k];
        const second = seconds[row];
        if (!sums || second < sums.start || second >= sums.start + every) {
          sums = this.#interval(floorTo(second, every), part, nowMs);
        }
        sums.add(ids[series[row]], (second - sums.start) * 1e9 + nanos[row], values[row]);
      }
      sums = undefined;
      this.#lastPart = part++;
    }
    this.#bound();
  }

  #interval(start: number, part: number, nowMs: number): IntervalSums {
    let sums = this.#open.get(start);
    if (!sums) {
      sums = this.#spare.pop() ?? new IntervalSums();
      sums.begin(start, nowMs);
      this.#open.set(start, sums);
    }
    if (part < sums.firstPart) sums.firstPart = part;
    sums.changedMs = nowMs;
    return sums;
  }

  /** Where there are too many series, the oldest interval does not wait for its end, and the next points wait for it. */
  #bound(): void {
    // While lost sums are made again, nothing may be stored.
    if (this.#unread.length > 0) return;
    let count = this.#storing?.sums.length ?? 0;
    for (const { length } of this.#open.values()) count += length;
    if (count <= this.#maxSeries) return;
    while (this.#storing) this.#storeSome(this.#storing);
    if (count > this.#maxSeries && this.#open.size > 0) this.#store(this.#oldest()!);
    while (this.#storing) this.#storeSome(this.#storing);
  }

  #oldest(): IntervalSums | undefined {
    let oldest: IntervalSums | undefined;
    for (const sums of this.#open.values()) if (!oldest || sums.start < oldest.start) oldest = sums;
    return oldest;
  }

  /**
   * One step: makes lost sums again, or stores some of an interval that is over, or merges.
   *
   * @param nowS Seconds since the Unix epoch. @param monotonicMs By a clock that is never set.
   * @returns whether there is more to do at once.
   */
  step(nowS: number, monotonicMs: number, busy: boolean): boolean {
    if (this.#unread.length > 0) return this.#read(this.#unread.pop()!, monotonicMs);
    if (!this.#storing) this.#look(nowS, monotonicMs);
    if (this.#storing) return this.#storeSome(this.#storing);
    this.#finish();
    return !busy && this.#tables.merge(nowS, this.#transaction);
  }

  /** Deletes some of what is too old. @returns whether there is more to do at once. */
  expire(nowMs: number): boolean {
    for (let number = 0; number < this.#deletions.length; number++) {
      const deletion = this.#deletions[number];
      const { keepMs } = this.#tables.levels[number];
      if (deletion.isDone && nowMs >= this.#nextExpiryMs) {
        this.#delete(number, this.#tables.endedBefore(number, Math.floor((nowMs - keepMs) / 1000)));
      }
      if (deletion.isDone) continue;
      deletion.step(this.#transaction);
      return true;
    }
    this.#nextExpiryMs = nowMs + EXPIRY_INTERVAL_MS;
    return false;
  }

  /** Deletes the oldest sums of the shortest interval, because there is no room. @returns whether there were any. */
  giveUp(): boolean {
    const [oldest] = this.#tables.endedBefore(0, Number.MAX_SAFE_INTEGER);
    if (oldest === undefined) return false;
    this.#delete(0, [oldest]);
    this.#deletions[0].step(this.#transaction);
    return true;
  }

  #delete(number: number, parts: readonly number[]): void {
    this.#deletions[number].add(parts.map((id) => ({ id, points: Infinity })));
  }

  /** Adds the points of a part whose sums are not stored. */
  #read(part: number, nowMs: number): true {
    const every = this.#every;
    let sums: IntervalSums | undefined;
    const rows = this.#statements.points.iterate(part) as unknown as Iterable<
      { series: number; second: number; start: number; offset: number; value: number | null }
    >;
    for (const { series, second, start, offset, value } of rows) {
      if (value === null || this.#isRolled(part, series, second)) continue;
      if (!sums || second < sums.start || second >= sums.start + every) {
        sums = this.#interval(floorTo(second, every), part, nowMs);
      }
      sums.add(series, (start - sums.start) * 1e9 + offset, value);
    }
    return true;
  }

  #isRolled(part: number, series: number, second: number): boolean {
    for (const every of this.#lengths) {
      for (const rolled of this.#rolled.get(`${every} ${floorTo(second, every)}`) ?? []) {
        if (part <= rolled.part && (rolled.below === null || series < rolled.below)) return true;
      }
    }
    return false;
  }

  /** Looks for an interval that is over. */
  #look(nowS: number, monotonicMs: number): void {
    for (const sums of this.#open.values()) {
      const quietMs = monotonicMs - sums.changedMs;
      const isOver = sums.start + this.#every + GRACE_S <= nowS &&
        (quietMs >= QUIET_MS || monotonicMs - sums.beganMs >= MAX_OPEN_MS);
      if (isOver || quietMs >= this.#every * 1000 + FUTURE_QUIET_MS) return this.#store(sums);
    }
  }

  #store(sums: IntervalSums): void {
    this.#open.delete(sums.start);
    this.#storing = { sums, ids: sums.ids(), part: this.#lastPart, done: 0 };
  }

  #storeSome(storing: Storing): true {
    const { sums, ids, part } = storing;
    const to = Math.min(ids.length, storing.done + this.#storeSeries);
    const every = this.#every;
    this.#transaction(() => {
      this.#tables.begin();
      for (let k = storing.done; k < to; k++) {
        sums.read(sums.placeOf(ids[k]), this.#sums);
        this.#tables.add(0, sums.start, ids[k], this.#sums);
      }
      this.#tables.flush();
      this.#statements.setRolled.run(every, sums.start, part, to < ids.length ? ids[to] : null);
    });
    storing.done = to;
    if (to === ids.length) {
      this.#storing = null;
      if (this.#spare.length < 2) this.#spare.push(sums);
    }
    return true;
  }

  /** Marks the parts whose points are all in stored sums. */
  #finish(): void {
    let before = this.#lastPart + 1;
    for (const { firstPart } of this.#open.values()) if (firstPart < before) before = firstPart;
    if (before <= this.#rolledBefore) return;
    this.#transaction(() => {
      this.#statements.markRolled.run(before);
      this.#statements.forget.run();
    });
    this.#rolledBefore = before;
  }
}

function seriesInMemory(): number {
  return Math.min(MAX_SERIES, Math.floor(usableMemoryBytes() * MEMORY_SHARE / SERIES_BYTES));
}
