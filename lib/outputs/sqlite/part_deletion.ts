/** Deletes parts with their points, in steps that take a moment each. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Transaction } from "./parts.ts";

/** Points that are deleted in one transaction. */
const DELETE_POINTS = 32_768;

export interface DoomedPart {
  readonly id: number;
  readonly points: number;
  /** Its points are in blocks. */
  readonly compacted?: number;
}

export class PartDeletion {
  #queue: DoomedPart[] = [];
  readonly #statements: Readonly<
    Record<"cut" | "deletePoints" | "deleteRest" | "deletePart" | "deleteBlocks", StatementSync>
  >;
  /** Of sums there are none. */
  readonly #deletePacks: StatementSync | null;

  /** @param rows The table of what is in the parts. @param parts The table of the parts. */
  constructor(db: DatabaseSync, rows = "points", parts = "parts") {
    const prepare = (sql: string) => db.prepare(sql);
    this.#statements = {
      cut: prepare(
        `SELECT series FROM ${rows} WHERE part = ? ORDER BY series LIMIT 1 OFFSET ${DELETE_POINTS}`,
      ),
      deletePoints: prepare(`DELETE FROM ${rows} WHERE part = ? AND series < ?`),
      deleteRest: prepare(`DELETE FROM ${rows} WHERE part = ?`),
      deleteBlocks: prepare("DELETE FROM blocks WHERE part = ?"),
      deletePart: prepare(`DELETE FROM ${parts} WHERE id = ?`),
    };
    this.#deletePacks = rows === "points" ? prepare("DELETE FROM packs WHERE part = ?") : null;
  }

  /** What is left to delete. */
  get queue(): readonly DoomedPart[] {
    return this.#queue;
  }

  get isDone(): boolean {
    return this.#queue.length === 0;
  }

  add(parts: readonly DoomedPart[]): void {
    this.#queue.push(...parts);
  }

  /** Deletes some of what was added. @throws what the transaction throws; then nothing was deleted. */
  step(transaction: Transaction): { parts: number; points: number } {
    const { cut, deletePoints, deleteRest, deletePart, deleteBlocks } = this.#statements;
    let parts = 0;
    let points = 0;
    transaction(() => {
      parts = points = 0;
      while (points < DELETE_POINTS && parts < this.#queue.length) {
        const part = this.#queue[parts];
        if (part.compacted) {
          deleteBlocks.run(part.id);
          deletePart.run(part.id);
          points += part.points;
          parts++;
          continue;
        }
        this.#deletePacks?.run(part.id);
        const end = part.points > DELETE_POINTS
          ? cut.get(part.id) as { series: number } | undefined
          : undefined;
        const some = end ? Number(deletePoints.run(part.id, end.series).changes) : 0;
        if (some > 0) {
          points += some;
          break;
        }
        points += Number(deleteRest.run(part.id).changes);
        deletePart.run(part.id);
        parts++;
      }
    });
    this.#queue.splice(0, parts);
    return { parts, points };
  }
}
