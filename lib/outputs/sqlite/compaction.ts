/**
 * Compaction: points that are old enough are moved from rows to blocks (blocks/block.ts), some series of some parts at a
 * time. Some steps read rows and make blocks of them; another one is a transaction that writes these blocks, deletes their
 * rows, and counts the points in the parts anew: so whoever reads sees each point once, and whatever is killed, each point
 * is stored once. Where somebody else has changed the file meanwhile, the transaction reads the rows again. Nothing says
 * how far compaction has come; what is still in rows is found again.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { BlockWriter } from "./blocks/block.ts";
import { MAX_OFFSET, RowTaker } from "./blocks/rows.ts";
import { numberOf } from "./number_of.ts";
import type { Packs } from "./packs.ts";
import { LAST_PART, type Part, type Transaction } from "./parts.ts";

/** Most parts that become one, and most of their points. */
const UNIT_PARTS = 64;
const UNIT_POINTS = 4 * 1024 * 1024;
/** From so many points on, a span of this length is enough, in seconds: longer ones have fewer series in a block. */
const ENOUGH_POINTS = 262_144;
const UNIT_SECONDS = 900;
/** With fewer points, parts wait for others, for so long at most, in seconds. */
const LEAST_POINTS = 16_384;
const LEFTOVER_SECONDS = 86_400;
/** Points that one step reads, about, and how many times that are stored at once: that costs less, but takes longer. */
const STEP_POINTS = 40_960;
const STORED_STEPS = 2;
/** By how much the range of series grows at most from one step to the next. */
const MOST_GROWTH = 4;
/** How often to look for parts that are old enough, in ms. */
const LOOK_INTERVAL_MS = 30_000;
/** Parts to look at. */
const LOOK_PARTS = 2048;
/** Above all ids of series. */
const NO_SERIES = Number.MAX_SAFE_INTEGER;

/** What a number cannot hold exactly comes as its digits. Without that, such a value is an error, and taking a row costs less. */
const EXACT_VALUE = "CASE WHEN value BETWEEN -9007199254740991 AND 9007199254740991 THEN value " +
  "WHEN typeof(value) = 'integer' THEN CAST(value AS TEXT) ELSE value END";
/** What somebody else has stored outside of the day of a part is not touched. */
const IN_DAY = `offset BETWEEN -${MAX_OFFSET} AND ${MAX_OFFSET}`;

/** Parts that become one, and how far that has come. */
interface Unit {
  readonly parts: readonly Part[];
  /** A JSON array of their ids. */
  readonly ids: string;
  /** The part with blocks, from the first block on. */
  target: number | null;
  /** Series below this are stored, are read, and are all there are. */
  from: number;
  readTo: number;
  readonly end: number;
  /** What is read and not stored yet, whether it is to be stored now, and the version of the file that was read. */
  read: ReadBlock[];
  isFull: boolean;
  version: number;
  /** How many ids of series the next step tries. */
  width: number;
  /** Integers of more than 53 bits were found. */
  hasLarge: boolean;
  /** Some rows of a series are stored: what is left is not what packs have. */
  isCut: boolean;
  /** Rows outside of the day were found, which stay. */
  hasLeft: boolean;
  points: number;
  bytesBefore: number;
  bytesAfter: number;
}

/** A block, the points of which are still rows. */
interface ReadBlock {
  readonly data: Uint8Array;
  readonly points: number;
  readonly firstSeries: number;
  readonly lastSeries: number;
  /** Its first and its last second. */
  readonly first: number;
  readonly last: number;
  readonly only: Range["only"];
}

/** Rows that become a block: of all parts, or of one series of one part up to an offset. */
interface Range {
  readonly to: number;
  readonly only?: { readonly part: number; readonly offset: number };
}

export interface CompactionOptions {
  /** For tests: how much is done in one step, and how few points are enough. */
  readonly stepPoints?: number;
  readonly leastPoints?: number;
  /** Most points of a block. */
  readonly blockPoints?: number;
}

export class Compaction {
  /** Points that were moved since the start, and what they took and take, in bytes. */
  points = 0;
  bytesBefore = 0;
  bytesAfter = 0;
  readonly #db: DatabaseSync;
  readonly #transaction: Transaction;
  readonly #packs: Packs;
  readonly #stepPoints: number;
  readonly #leastPoints: number;
  readonly #writer = new BlockWriter();
  readonly #taker: RowTaker;
  readonly #pageBytes: number;
  #unit: Unit | null = null;
  /** Parts with something that no block can hold. */
  readonly #left = new Set<number>();
  #nextLookMs = 0;
  readonly #statements: Readonly<
    Record<
      | (
        | "old"
        | "lowest"
        | "highest"
        | "take"
        | "takeExactly"
        | "takeSome"
        | "deleteRange"
        | "deleteInDay"
        | "deleteSome"
        | "addBlock"
      )
      | (
        | "nextPart"
        | "addPart"
        | "growPart"
        | "shrinkPart"
        | "deleteEmpty"
        | "deletePacks"
        | "pages"
        | "freePages"
      ),
      StatementSync
    >
  >;

  constructor(db: DatabaseSync, transaction: Transaction, packs: Packs, options: CompactionOptions = {}) {
    this.#db = db;
    this.#transaction = transaction;
    this.#packs = packs;
    this.#stepPoints = options.stepPoints ?? STEP_POINTS;
    this.#leastPoints = options.leastPoints ?? LEAST_POINTS;
    this.#taker = new RowTaker(options.blockPoints);
    db.function("take_point", { deterministic: false }, this.#taker.take as never);
    const prepare = (sql: string) => db.prepare(sql);
    // The function returns nothing, so there is no row to hand over.
    const take = (value: string) =>
      `SELECT 1 FROM points WHERE part = ? AND series >= ? AND series < ? AND take_point(series, offset, ${value})`;
    this.#pageBytes = numberOf(prepare("PRAGMA page_size"));
    this.#statements = {
      old: prepare(
        "SELECT id, day, start, first, last, points, written, stored FROM parts " +
          `WHERE compacted = 0 AND rolled AND last < ?1 AND stored < ?1 ORDER BY day, first LIMIT ${LOOK_PARTS}`,
      ),
      lowest: prepare(
        "SELECT min((SELECT min(series) FROM points WHERE part = j.value AND series >= ?)) AS series FROM json_each(?) j",
      ),
      highest: prepare(
        `SELECT max((SELECT max(series) FROM points WHERE part = j.value AND series < ${NO_SERIES})) AS series ` +
          "FROM json_each(?) j",
      ),
      take: prepare(take("value")),
      takeExactly: prepare(take(EXACT_VALUE)),
      takeSome: prepare(
        `SELECT count(take_point(series, offset, ${EXACT_VALUE})) FROM (SELECT series, offset, value FROM points WHERE part = ? AND series = ? AND ${IN_DAY} ` +
          "ORDER BY offset LIMIT ?)",
      ),
      deleteRange: prepare("DELETE FROM points WHERE part = ? AND series >= ? AND series < ?"),
      deleteInDay: prepare(`DELETE FROM points WHERE part = ? AND series >= ? AND series < ? AND ${IN_DAY}`),
      deleteSome: prepare(
        `DELETE FROM points WHERE part = ? AND series = ? AND offset BETWEEN -${MAX_OFFSET} AND ?`,
      ),
      addBlock: prepare(
        "INSERT INTO blocks (part, first_series, last_series, first, last, points, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ),
      nextPart: prepare(`SELECT 1 + ${LAST_PART} AS id`),
      addPart: prepare(
        "INSERT INTO parts (id, day, start, first, last, points, repeats, written, stored, compacted) " +
          "VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, 1)",
      ),
      growPart: prepare(
        "UPDATE parts SET points = points + ?1, first = min(first, ?2), last = max(last, ?3) WHERE id = ?4 AND compacted",
      ),
      shrinkPart: prepare("UPDATE parts SET points = max(0, points - ?) WHERE id = ?"),
      deleteEmpty: prepare(
        "DELETE FROM parts WHERE id IN (SELECT value FROM json_each(?)) AND NOT compacted " +
          "AND NOT EXISTS (SELECT 1 FROM points WHERE part = parts.id)",
      ),
      deletePacks: prepare("DELETE FROM packs WHERE part IN (SELECT value FROM json_each(?))"),
      pages: prepare("PRAGMA page_count"),
      freePages: prepare("PRAGMA freelist_count"),
    };
  }

  /** Parts are being moved: whoever else would change them should wait. */
  get isUnderWay(): boolean {
    return this.#unit !== null;
  }

  /**
   * Moves some points that are older than `afterMs`.
   *
   * @returns whether there is more to do at once.
   * @throws what the transaction throws; then nothing was moved, and the next try is later.
   */
  step(nowMs: number, afterMs: number): boolean {
    if (afterMs === Infinity) this.#giveUp();
    else if (!this.#unit) {
      // Also after the clock is set back.
      if (nowMs < this.#nextLookMs && this.#nextLookMs - nowMs <= LOOK_INTERVAL_MS) return false;
      this.#unit = this.#choose(Math.floor((nowMs - afterMs) / 1000));
      if (!this.#unit) this.#nextLookMs = nowMs + LOOK_INTERVAL_MS;
    }
    if (!this.#unit) return false;
    try {
      this.#move(this.#unit);
    } catch (error) {
      this.#giveUp();
      this.#nextLookMs = nowMs + LOOK_INTERVAL_MS;
      throw error;
    }
    return true;
  }

  /** Gives up where these parts are being moved, which are about to be deleted: what was read of them is not stored. */
  leave(parts: readonly { readonly id: number }[]): void {
    if (parts.some(({ id }) => this.#unit?.parts.some((part) => part.id === id))) this.#giveUp();
  }

  /** Leaves parts some of which may be stored: the rows say what is left, and packs do not. */
  #giveUp(): void {
    if (!this.#unit) return;
    this.#unit = null;
    this.#packs.distrust();
  }

  /** @param before The second before which points are old enough. */
  #choose(before: number): Unit | null {
    const all = (this.#statements.old.all(before) as unknown as Part[]).filter(({ id }) =>
      !this.#left.has(id)
    );
    for (let k = 0; k < all.length;) {
      const parts: Part[] = [];
      let points = 0;
      for (const [first] = [all[k]]; k < all.length; k++) {
        const part = all[k];
        const isLong = points >= ENOUGH_POINTS && part.first >= first.first + UNIT_SECONDS;
        const isFull = parts.length === UNIT_PARTS || points + part.points > UNIT_POINTS && parts.length > 0;
        if (part.day !== first.day || isLong || isFull) break;
        parts.push(part);
        points += part.points;
      }
      const last = Math.max(...parts.map((part) => Math.max(part.last, part.stored)));
      const isComplete = k < all.length || last < before - UNIT_SECONDS;
      if (points >= this.#leastPoints && isComplete || last < before - LEFTOVER_SECONDS) {
        return this.#unitOf(parts, points);
      }
    }
    return null;
  }

  #unitOf(parts: readonly Part[], points: number): Unit {
    const { lowest, highest } = this.#statements;
    const ids = JSON.stringify(parts.map(({ id }) => id));
    const from = seriesOf(lowest.get(0, ids)) ?? 0;
    const end = (seriesOf(highest.get(ids)) ?? 0) + 1;
    const width = Math.ceil((end - from) * this.#stepPoints / Math.max(1, points));
    const nothing = {
      read: [],
      isFull: false,
      version: 0,
      target: null,
      hasLarge: false,
      isCut: false,
      hasLeft: false,
    };
    return {
      parts,
      ids,
      from,
      readTo: from,
      end,
      width,
      ...nothing,
      points: 0,
      bytesBefore: 0,
      bytesAfter: 0,
    };
  }

  #move(unit: Unit): void {
    const points = pointsOf(unit.read);
    if (unit.isFull || unit.readTo === NO_SERIES || points >= STORED_STEPS * this.#stepPoints) {
      this.#store(unit);
    } else {
      if (points === 0) unit.version = this.#packs.version();
      this.#readBlock(unit);
    }
    if (this.#taker.isOdd) {
      for (const { id } of unit.parts) this.#left.add(id);
      this.#giveUp();
    } else if (unit.from === NO_SERIES) {
      this.points += unit.points;
      this.bytesAfter += unit.bytesAfter;
      this.bytesBefore += Math.max(unit.bytesAfter, unit.bytesBefore);
      this.#unit = null;
      this.#packs.forget();
    }
  }

  #readBlock(unit: Unit): void {
    const range = this.#read(unit);
    unit.hasLeft ||= this.#taker.hasLeft;
    // Its rows are deleted in a way of their own.
    unit.isFull = range.only !== undefined;
    if (unit.isFull && unit.read.length > 0) return;
    const block = this.#encode(unit, range);
    if (block) unit.read.push(block);
    unit.readTo = range.to;
  }

  /** Takes the rows of the next block: of as many series as should have enough, by how many the step before found. */
  #read(unit: Unit): Range {
    const taker = this.#taker;
    while (true) {
      const { readTo: from, end, width } = unit;
      const to = from + width >= end ? NO_SERIES : from + width;
      const share = this.#take(unit, to);
      if (share < 1) {
        if (width === 1) return this.#takeSome(unit, from);
        // So many rows are in this share of the parts alone.
        const fitting = width * share * this.#stepPoints / taker.limit;
        unit.width = Math.max(1, Math.floor(Math.min(fitting, width / 2)));
        continue;
      }
      unit.width = Math.ceil(width * Math.min(MOST_GROWTH, this.#stepPoints / Math.max(1, taker.length)));
      if (taker.length > 0 || to === NO_SERIES) return { to };
      return { to: seriesOf(this.#statements.lowest.get(to, unit.ids)) ?? NO_SERIES };
    }
  }

  /** @returns 1, or the share of the parts that were looked at until there were too many rows. */
  #take(unit: Unit, to: number): number {
    const { take, takeExactly } = this.#statements;
    if (!unit.hasLarge) {
      try {
        return this.#takeWith(take, unit, to);
      } catch {
        // A large integer; any other error comes again.
        unit.hasLarge = true;
      }
    }
    return this.#takeWith(takeExactly, unit, to);
  }

  #takeWith(statement: StatementSync, { parts, readTo, isCut }: Unit, to: number): number {
    const taker = this.#taker;
    taker.clear();
    for (const [k, { id, start }] of parts.entries()) {
      taker.shift = (start - parts[0].start) * 1e9;
      if (isCut || !this.#packs.take(id, readTo, to, taker)) statement.get(id, readTo, to);
      if (taker.isFull) return (k + 1) / (parts.length + 1);
    }
    return 1;
  }

  /** Where a single series has too many points, some of one part. */
  #takeSome(unit: Unit, series: number): Range {
    const taker = this.#taker;
    taker.clear();
    unit.isCut = true;
    for (const { id, start } of unit.parts) {
      taker.shift = (start - unit.parts[0].start) * 1e9;
      this.#statements.takeSome.get(id, series, taker.limit);
      if (taker.length > 0) return { to: series, only: { part: id, offset: taker.lastOffset } };
    }
    return { to: series + 1 };
  }

  /** Makes a block of what was taken. */
  #encode(unit: Unit, { only }: Range): ReadBlock | null {
    const rows = this.#taker.sort();
    const { length: points, series, offsets } = rows;
    if (points === 0 || this.#taker.isOdd) return null;
    const data = this.#writer.write(rows);
    if (!data) {
      this.#taker.isOdd = true;
      return null;
    }
    let [earliest, latest] = [Infinity, -Infinity];
    for (let row = 0; row < points; row++) {
      const offset = offsets[row];
      if (offset < earliest) earliest = offset;
      if (offset > latest) latest = offset;
    }
    const second = (offset: number) => unit.parts[0].start + Math.floor(offset / 1e9);
    const [firstSeries, lastSeries] = [series[0], series[points - 1]];
    return { data, points, firstSeries, lastSeries, first: second(earliest), last: second(latest), only };
  }

  /** Stores what was read, and deletes the rows. */
  #store(unit: Unit): void {
    const { deleteEmpty, deletePacks } = this.#statements;
    let { target } = unit;
    let saved = 0;
    this.#transaction(() => {
      const pages = this.#usedPages();
      if (this.#packs.version() !== unit.version) {
        Object.assign(unit, { read: [], readTo: unit.from });
        this.#readBlock(unit);
        if (this.#taker.isOdd) return;
      }
      if (unit.read.length > 0) target = this.#insert(unit);
      this.#delete(unit);
      if (unit.readTo === NO_SERIES) {
        deleteEmpty.run(unit.ids);
        deletePacks.run(unit.ids);
      }
      saved = (pages - this.#usedPages()) * this.#pageBytes;
    });
    const bytes = unit.read.reduce((sum, { data }) => sum + data.length, 0);
    unit.points += pointsOf(unit.read);
    unit.bytesAfter += bytes;
    unit.bytesBefore += bytes + saved;
    Object.assign(unit, { target, from: unit.readTo, read: [], isFull: false });
  }

  /** @returns the part with the blocks. */
  #insert({ parts, read, target }: Unit): number {
    const { nextPart, addPart, growPart, addBlock } = this.#statements;
    const points = pointsOf(read);
    const first = Math.min(...read.map((block) => block.first));
    const last = Math.max(...read.map((block) => block.last));
    if (target === null || growPart.run(points, first, last, target).changes === 0) {
      target = (nextPart.get() as { id: number }).id;
      const written = Math.min(...parts.map((part) => part.written));
      const stored = Math.max(...parts.map((part) => part.stored));
      addPart.run(target, parts[0].day, parts[0].start, first, last, points, written, stored);
    }
    for (const block of read) {
      const { firstSeries, lastSeries, data } = block;
      addBlock.run(target, firstSeries, lastSeries, block.first, block.last, block.points, data);
    }
    return target;
  }

  /** Deletes the rows of what was read. */
  #delete({ parts, from, readTo, read, hasLeft }: Unit): void {
    const { deleteRange, deleteInDay, deleteSome, shrinkPart } = this.#statements;
    const only = read[0]?.only;
    const deleteAll = hasLeft ? deleteInDay : deleteRange;
    let deleted = 0;
    for (const { id } of parts) {
      if (only && only.part !== id) continue;
      const result = only ? deleteSome.run(id, readTo, only.offset) : deleteAll.run(id, from, readTo);
      const count = Number(result.changes);
      if (count === 0) continue;
      deleted += count;
      shrinkPart.run(count, id);
    }
    const points = pointsOf(read);
    if (deleted !== points) {
      throw new Error(`${points} points are in blocks, and ${deleted} rows were deleted`);
    }
  }

  #usedPages(): number {
    return numberOf(this.#statements.pages) - numberOf(this.#statements.freePages);
  }
}

const pointsOf = (blocks: readonly ReadBlock[]) => blocks.reduce((sum, { points }) => sum + points, 0);
const seriesOf = (row: unknown) => (row as { series: number | null }).series;
