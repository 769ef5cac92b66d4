/** What passes between the output and the thread that writes its database. */
import type { RollupOptions } from "../rollups/levels.ts";
import type { PointColumns } from "../threads/point_columns.ts";

/** A metric, as the database knows it. */
export interface MetricRow {
  /** Its number in the store of this process. */
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly unitBase: string;
  readonly unitPrefix: string;
  /** The unit as people read it. */
  readonly unit: string;
  readonly description: string;
}

/** A series, as the database knows it. */
export interface SeriesRow {
  /** Its number in the store of this process, which may have been another one's before. */
  readonly number: number;
  /** The number of its metric. */
  readonly metric: number;
  readonly relayClient: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly consumerKind: string;
  readonly consumerId: string;
  /** JSON. */
  readonly attributes: string;
}

/** Rows of a client's batch, which has that number. */
export interface ClientRows {
  readonly name: string;
  readonly instance: string;
  readonly sequence: number;
  readonly start: number;
  readonly end: number;
}

/** What one transaction stores. */
export interface PointGroup {
  readonly columns: PointColumns;
  /** Exact values of the u64 above 2^53, by row. */
  readonly exact: readonly (readonly [row: number, value: bigint])[];
  /** What the thread is told before the points: metrics first. */
  readonly metrics: readonly MetricRow[];
  readonly series: readonly SeriesRow[];
  /** Series that the thread knows since yesterday, and that are used today: their numbers. */
  readonly used: readonly number[];
  /** Today, in days since the Unix epoch. */
  readonly day: number;
  /** Now, in seconds since the Unix epoch. */
  readonly second: number;
  readonly clients: readonly ClientRows[];
  /** The journal's id and the number of the last batch, or `null`. */
  readonly position: { readonly journal: string; readonly number: number } | null;
  /** Rows that the database refuses, in ascending order: they are left out. */
  readonly leftOut?: Uint32Array<ArrayBuffer>;
  /** More is waiting: housekeeping is put off. */
  readonly busy: boolean;
}

/** A row that the database does not take, whatever is tried. */
export interface RefusedRow {
  readonly row: number;
  readonly reason: string;
}

/** What is kept. */
export interface Limits {
  /** Points that are older are deleted, in ms; `Infinity`: none. */
  readonly keepMs: number;
  /** What the file may take; `undefined`: a share of the file system. */
  readonly maxBytes: number | undefined;
  /** Points that are older are compacted, in ms; `Infinity`: none. */
  readonly compactAfterMs: number;
}

export interface StoreOptions {
  readonly path: string;
  readonly synchronous: "full" | "normal";
  readonly limits: Limits;
  /** Each interval a multiple of the one before. */
  readonly rollups: readonly RollupOptions[];
}

/** What a transaction did, and what the file is like. */
export interface StoreStats {
  /** Of the file and its write-ahead log. */
  bytes: number;
  /** What the points may take. */
  roomBytes: number;
  /** Parts that the points are in. */
  parts: number;
  /** Points that retention has deleted since the start. */
  expiredPoints: number;
  /** Points that were deleted since the start because there was no room for new ones. */
  evictedPoints: number;
  /** Series that nothing refers to any more and that were deleted since the start. */
  expiredSeries: number;
  /** Points that were compacted since the start, and what they took before and after that, in bytes. */
  compactedPoints: number;
  bytesBeforeCompaction: number;
  bytesAfterCompaction: number;
  /** How far the wall clock is ahead of the one that retention believes, in ms; 0 where it believes it. */
  clockAheadMs: number;
}

export type Request =
  | { readonly type: "open"; readonly options: StoreOptions }
  | { readonly type: "position"; readonly journal: string }
  | { readonly type: "sequence"; readonly instance: string }
  | { readonly type: "write"; readonly group: PointGroup }
  /** What is kept from now on. */
  | { readonly type: "limits"; readonly limits: Limits }
  | { readonly type: "close" };

/** What goes wrong, by what must be done about it. */
export type StoreProblem =
  /** It may pass by itself: another process writes, the disk is full, the disk fails. */
  | "later"
  /** A constraint or a trigger of the owner's refuses rows. */
  | "refused"
  /** A table or a column is missing. */
  | "schema"
  /** The path does not lead to this file any more. */
  | "moved"
  /** The database does not have all series of a group: it has to come again with all of them. */
  | "forgotten"
  /** Somebody must act: it is not a database, or not ours, or damaged, or cannot be written to. */
  | "fatal"
  /** An error in this program. */
  | "defect";

export interface Failure {
  readonly problem: StoreProblem;
  readonly message: string;
  /** Where the problem is `refused`: the rows. */
  readonly refused?: readonly RefusedRow[];
}

export interface Answer {
  readonly result?: unknown;
  readonly failure?: Failure;
  /** The columns of a write, to be filled again. */
  readonly columns?: PointColumns;
}
