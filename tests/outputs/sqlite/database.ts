/** Databases of the sqlite output, written to and read by a test itself. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Batch } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { Gathering, Known } from "../../../lib/outputs/sqlite/gather.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import type { CompactionOptions } from "../../../lib/outputs/sqlite/compaction.ts";
import type { PacksOptions } from "../../../lib/outputs/sqlite/packs.ts";
import type { RollupsOptions } from "../../../lib/outputs/sqlite/rollups.ts";
import { Store } from "../../../lib/outputs/sqlite/store.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** 2023-11-14T22:13:20Z, what the points of the kit begin with. */
export const START_MS = 1_700_000_000_000;

/** A database that is written to in this thread, one transaction for each call. */
export class Database implements Disposable {
  readonly store: Store;
  readonly known: Known;
  #position = 0;

  constructor(
    readonly path: string,
    keepMs = Infinity,
    series = seriesStore,
    maxBytes?: number,
    rollups: RollupsOptions & CompactionOptions & PacksOptions = { rollups: [] },
    compactAfterMs = Infinity,
  ) {
    this.known = new Known(series);
    this.store = new Store({
      path,
      synchronous: "normal",
      limits: { keepMs, maxBytes, compactAfterMs },
      ...rollups,
    });
  }

  write(batches: readonly Batch[], nowMs = START_MS, monotonicMs = nowMs): void {
    this.known.begin(nowMs);
    const gathering = new Gathering(this.known, newColumns(batches.reduce((n, b) => n + b.length, 1)));
    for (const batch of batches) gathering.add(batch, this.#position++);
    this.store.write(gathering.group(null, false), monotonicMs);
  }

  /** Keeps house until there is nothing more to do. */
  tidy(nowMs = START_MS): number {
    let steps = 0;
    while (this.store.keepHouse(nowMs, false)) assert.ok(++steps < 10_000, "housekeeping ends");
    return steps;
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
  }
}

export type Row = Record<string, string | number | bigint | null>;

/** Reads with another connection. Integers are bigints. */
export function rowsOf(path: string, sql: string): Row[] {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 60_000 });
  try {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all() as Row[];
  } finally {
    db.close();
  }
}

/** The one value of a row. */
export const valueOf = (path: string, sql: string) => Object.values(rowsOf(path, sql)[0])[0];
