/** What a program that knows blocks reads in a database: its views with all points, compacted or not. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { completeViews, hasBlocks } from "../schema.ts";
import { Block, type SeriesPoints } from "./block.ts";
import { messageOf } from "../../../base/errors.ts";

/** What decoded blocks may take in memory, in bytes. */
const MAX_BYTES = 32 * 1024 * 1024;

export class BlockReader {
  readonly #find: StatementSync;
  /** Blocks that were read last, the latest one at the end. */
  readonly #blocks = new Map<number, Block>();
  #bytes = 0;
  #id = -1;
  #series = -1;
  #points: SeriesPoints | undefined;
  /** What was wrong with the last block that could not be read. */
  problem: string | null = null;

  private constructor(db: DatabaseSync) {
    this.#find = db.prepare("SELECT part, data FROM blocks WHERE id = ?");
  }

  /** `null` if the database cannot have blocks, as one of an older version, or of another program. */
  static of(db: DatabaseSync): BlockReader | null {
    return hasBlocks(db) ? new BlockReader(db) : null;
  }

  /**
   * Adds functions that statements of this connection read blocks with, and temporary views in place of those that show
   * only what is not compacted yet.
   */
  static extend(db: DatabaseSync): BlockReader | null {
    const reader = BlockReader.of(db);
    if (!reader) return null;
    // SQLite calls these, so they must not throw: Deno would not return.
    const times = (id: number, series: number) => reader.#times(id, series);
    const value = (id: number, series: number, place: number) => reader.#value(id, series, place);
    db.function("block_times", times as never);
    db.function("block_value", value as never);
    for (const view of completeViews()) db.exec(view);
    return reader;
  }

  /** @throws {Error} if the block is damaged; the message says which one. */
  read(id: number): Block {
    let block = this.#blocks.get(id);
    if (block) this.#blocks.delete(id);
    else {
      const row = this.#find.get(id) as { part: number; data: Uint8Array } | undefined;
      try {
        block = new Block(row?.data ?? new Uint8Array());
      } catch (error) {
        throw new Error(`block ${id} of part ${row?.part} is damaged: ${messageOf(error)}`, { cause: error });
      }
      this.#bytes += block.bytes;
    }
    this.#blocks.set(id, block);
    for (const [oldest, { bytes }] of this.#blocks) {
      if (this.#bytes <= MAX_BYTES || oldest === id) break;
      this.#blocks.delete(oldest);
      this.#bytes -= bytes;
    }
    return block;
  }

  /** Offsets of a series, as a JSON array. */
  #times(id: number, series: number): string {
    try {
      const points = this.#pointsOf(id, series);
      return points ? `[${points.offsets.join(",")}]` : "[]";
    } catch (error) {
      this.problem = messageOf(error);
      // Not JSON: the statement fails.
      return this.problem;
    }
  }

  /** A value by its place in the array of offsets. */
  #value(id: number, series: number, place: number): number | bigint | string | null {
    let points: SeriesPoints | undefined;
    try {
      points = this.#pointsOf(id, series);
    } catch { /* as block_times has said */ }
    if (!points) return null;
    const number = points.numbers[place];
    if (points.exact) {
      const exact = points.exact[place];
      return exact === null || BigInt.asIntN(64, exact) === exact ? exact : String(exact);
    }
    if (Number.isNaN(number)) return null;
    return points.isInteger && Number.isSafeInteger(number) ? BigInt(number) : number;
  }

  #pointsOf(id: number, series: number): SeriesPoints | undefined {
    if (id !== this.#id || series !== this.#series) {
      this.#id = -1;
      this.#points = this.read(id).points(series);
      this.#id = id;
      this.#series = series;
    }
    return this.#points;
  }
}
