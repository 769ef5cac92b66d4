/**
 * Packs: the points of a part once more, a few thousand in each piece, so that compaction reads them without a call for each
 * row. The rows are what counts: packs are read while nobody but this connection can have changed the rows, and are deleted
 * with them.
 *
 *     compressed with zstd, in the byte order of the machine:
 *     points (f64), differences between offsets (f64 each), values (f64 each), and between ids of series (u32 each),
 *     integers of more than 53 bits (JSON: place, digits)
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { PointColumns } from "../threads/point_columns.ts";
import type { RowTaker } from "./blocks/rows.ts";
import { numberOf } from "./number_of.ts";
import { LAST_PART, LASTING_MS, SMALL_POINTS } from "./parts.ts";
import type { PartPlan } from "./row_order.ts";

/** Points of a piece, about: it ends with a series. */
const PIECE_POINTS = 4096;
/** Points of pieces in memory, about. */
const MOST_KEPT = 524_288;
/** The fastest one: what it makes is deleted in hours. */
const LEVEL = 1;
const HEAD_BYTES = 8;
const POINT_BYTES = 20;
const MAX_ID = 2 ** 32 - 1;
/** From here on integers come as bigints. */
const LARGE = 2 ** 53;

/** Points of some series of a part, sorted by series and time. */
export interface Piece {
  /** It has all points of the part with series from `first` to `last`, and may have others before. */
  readonly first: number;
  readonly last: number;
  readonly series: Uint32Array;
  /** Nanoseconds from the start of the part. */
  readonly offsets: Float64Array;
  readonly values: Float64Array;
  /** Integers that stand rounded in `values`, by their place there. */
  readonly exact: ReadonlyMap<number, bigint> | null;
}

export interface PacksOptions {
  /** For tests: the fewest points of a part that is packed, how many of them are in a piece, and of pieces in memory. */
  readonly packedPoints?: number;
  readonly piecePoints?: number;
  readonly keptPoints?: number;
}

export class Packs {
  readonly #least: number;
  readonly #piecePoints: number;
  readonly #mostKept: number;
  #isOn = false;
  /** Parts up to this one may have been changed by others. */
  #distrusted = Infinity;
  #version = NaN;
  /** The owner has a trigger: what is stored may not be what was given. */
  #hasTrigger = false;
  #buffer = new ArrayBuffer(0);
  /** By part: the piece that was read last; `null` where there is none. */
  readonly #pieces = new Map<number, Piece | null>();
  /** How many points these have. */
  #kept = 0;
  readonly #statements: Readonly<
    Record<"add" | "find" | "any" | "version" | "lastPart" | "triggers", StatementSync>
  >;

  constructor(db: DatabaseSync, options: PacksOptions = {}) {
    this.#least = options.packedPoints ?? SMALL_POINTS;
    this.#piecePoints = options.piecePoints ?? PIECE_POINTS;
    this.#mostKept = options.keptPoints ?? MOST_KEPT;
    const prepare = (sql: string) => db.prepare(sql);
    this.#statements = {
      add: prepare("INSERT INTO packs (part, last_series, data) VALUES (?, ?, ?)"),
      find: prepare(
        "SELECT last_series, data FROM packs WHERE part = ? AND last_series >= ? ORDER BY last_series LIMIT 1",
      ),
      any: prepare("SELECT EXISTS (SELECT 1 FROM packs WHERE part = ?) AS n"),
      // Changes with what others store, not with what this connection does.
      version: prepare("PRAGMA data_version"),
      lastPart: prepare(`SELECT max(${LAST_PART}, (SELECT coalesce(max(part), 0) FROM packs)) AS id`),
      triggers: prepare(
        "SELECT count(*) AS n FROM sqlite_schema WHERE type = 'trigger'",
      ),
    };
    this.version();
  }

  /** After how many ms points are compacted: packs are of no use where that is long. */
  set compactAfterMs(ms: number) {
    this.#isOn = ms <= LASTING_MS;
  }

  /** @returns the version of the file. Where somebody else has changed it, all that is stored now is read from rows. */
  version(): number {
    const version = numberOf(this.#statements.version);
    if (version !== this.#version) {
      this.#version = version;
      this.distrust();
    }
    return version;
  }

  /** Reads no pack of the parts that are there now. */
  distrust(): void {
    this.forget();
    // Stays so where SQLite has an error.
    this.#distrusted = Infinity;
    this.#hasTrigger = numberOf(this.#statements.triggers) > 0;
    this.#distrusted = numberOf(this.#statements.lastPart);
  }

  /** Keeps no pieces in memory. */
  forget(): void {
    this.#pieces.clear();
    this.#kept = 0;
  }

  /**
   * Packs the points of a part that has just been stored, unless it has too few.
   *
   * @param order The numbers of the rows, of which the plan names a range.
   */
  add(
    part: number,
    plan: PartPlan,
    order: Uint32Array,
    columns: PointColumns,
    ids: Float64Array,
    exact: ReadonlyMap<number, bigint> | null,
  ): void {
    const { from, to } = plan;
    if (!this.#isOn || this.#hasTrigger || to - from < this.#least) return;
    const seriesAt = (k: number) => ids[columns.series[order[k]]];
    // An id that the owner has made.
    if (seriesAt(to - 1) > MAX_ID) return;
    for (let k = from; k < to;) {
      let end = Math.min(k + this.#piecePoints, to);
      while (end < to && seriesAt(end) === seriesAt(end - 1)) end++;
      const bytes = this.#pack(order.subarray(k, end), plan.start, columns, ids, exact);
      const data = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
      this.#statements.add.run(part, seriesAt(end - 1), data);
      k = end;
    }
  }

  #pack(
    rows: Uint32Array,
    start: number,
    columns: PointColumns,
    ids: Float64Array,
    exact: ReadonlyMap<number, bigint> | null,
  ): Uint8Array {
    const count = rows.length;
    const length = HEAD_BYTES + count * POINT_BYTES;
    if (this.#buffer.byteLength < length) this.#buffer = new ArrayBuffer(length);
    const { series, offsets, values } = viewsOf(this.#buffer, count);
    const large: [place: number, digits: string][] = [];
    for (let k = 0, lastId = 0, lastOffset = 0; k < count; k++) {
      const row = rows[k];
      const id = ids[columns.series[row]];
      series[k] = id - lastId;
      lastId = id;
      const offset = (columns.seconds[row] - start) * 1e9 + columns.nanos[row];
      offsets[k] = offset - lastOffset;
      lastOffset = offset;
      const value = values[k] = columns.values[row];
      // The rows of these are integers.
      if (Math.abs(value) >= LARGE && (exact?.has(row) || Math.abs(value) === LARGE)) {
        large.push([k, String(exact?.get(row) ?? BigInt(value))]);
      }
    }
    new Float64Array(this.#buffer, 0, 1)[0] = count;
    const bytes = new Uint8Array(this.#buffer, 0, length);
    if (large.length === 0) return bytes;
    const digits = new TextEncoder().encode(JSON.stringify(large));
    const all = new Uint8Array(length + digits.length);
    all.set(bytes);
    all.set(digits, length);
    return all;
  }

  /**
   * Lets the taker take the points of a part with series `from … to-1`.
   *
   * @returns whether it did; otherwise the rows have to be read.
   */
  take(part: number, from: number, to: number, taker: RowTaker): boolean {
    if (part <= this.#distrusted) return false;
    const pieces: Piece[] = [];
    for (let series = from; series < to;) {
      const piece = this.#find(part, series);
      if (!piece) return false;
      pieces.push(piece);
      series = piece.last + 1;
    }
    for (const piece of pieces) {
      taker.takeAll(piece, placeOf(piece.series, from), placeOf(piece.series, to));
    }
    return true;
  }

  /** The piece with a series, or what follows where the part does not have it. */
  #find(part: number, series: number): Piece | null {
    const known = this.#pieces.get(part);
    if (known === null || known && series >= known.first && series <= known.last) return known;
    const { find, any } = this.#statements;
    const row = find.get(part, series) as { last_series: number; data: Uint8Array } | undefined;
    let piece: Piece | null = null;
    if (row) piece = pieceOf(row.data, series, row.last_series);
    else if (numberOf(any, part) > 0) piece = nothingFrom(series);
    const points = piece?.series.length ?? 0;
    this.#kept += points - (known?.series.length ?? 0);
    if (this.#kept > this.#mostKept) {
      this.forget();
      this.#kept = points;
    }
    this.#pieces.set(part, piece);
    return piece;
  }
}

/** What a part has from a series on, where it has nothing. */
const nothingFrom = (first: number): Piece => ({
  first,
  last: Infinity,
  series: new Uint32Array(),
  offsets: new Float64Array(),
  values: new Float64Array(),
  exact: null,
});

/** @returns `null` where it is damaged. */
function pieceOf(data: Uint8Array, first: number, last: number): Piece | null {
  try {
    // Numbers of eight bytes stand at multiples of eight, which a buffer of its own has.
    const bytes = new Uint8Array(zstdDecompressSync(data));
    const count = new Float64Array(bytes.buffer, 0, 1)[0];
    const columns = viewsOf(bytes.buffer, count);
    const { series, offsets } = columns;
    for (let k = 1; k < count; k++) {
      series[k] += series[k - 1];
      offsets[k] += offsets[k - 1];
    }
    const length = HEAD_BYTES + count * POINT_BYTES;
    if (bytes.length === length) return { first, last, ...columns, exact: null };
    const digits = JSON.parse(new TextDecoder().decode(bytes.subarray(length))) as [number, string][];
    return { first, last, ...columns, exact: new Map(digits.map(([place, text]) => [place, BigInt(text)])) };
  } catch {
    return null;
  }
}

function viewsOf(buffer: ArrayBuffer, count: number) {
  const offsets = new Float64Array(buffer, HEAD_BYTES, count);
  const values = new Float64Array(buffer, HEAD_BYTES + 8 * count, count);
  return { offsets, values, series: new Uint32Array(buffer, HEAD_BYTES + 16 * count, count) };
}

/** How many of the ids, which ascend, are below one. */
function placeOf(ids: Uint32Array, id: number): number {
  let [from, to] = [0, ids.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (ids[middle] < id) from = middle + 1;
    else to = middle;
  }
  return from;
}
