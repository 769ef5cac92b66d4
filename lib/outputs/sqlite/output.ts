/** The `sqlite` output: gathers points into transactions, and hands them to the thread that writes. */
import type { Clock } from "../../base/clock.ts";
import { ClockJumpWarning } from "../../base/clock_jump.ts";
import { Complaint } from "../../base/complaint.ts";
import { EXIT, ExitError } from "../../base/errors.ts";
import type { BatchReader } from "../../journal.ts";
import type { Logger } from "../../base/log.ts";
import { EitherSignal, untilAborted } from "../../base/waiting.ts";
import type { DeadLetters, Output, PluginContext } from "../../plugin.ts";
import type { Batch } from "../../points/measurement.ts";
import type { SqliteConfig } from "./config.ts";
import { backoffMs, DEFAULT_BACKOFF } from "../../base/backoff.ts";
import { rollupsOf } from "../rollups/config.ts";
import { newColumns, type PointColumns } from "../threads/point_columns.ts";
import { Gathering, Known } from "./gather.ts";
import type { Limits, PointGroup, RefusedRow, StoreStats } from "./messages.ts";
import { SqliteHistory } from "./history.ts";
import { StoreError } from "./store_error.ts";
import { Writer } from "./writer.ts";

/** Points of one transaction; a batch that is larger is not divided. */
const GROUP_POINTS = 32_768;
/** Groups that wait for the thread or are being written; one more is being gathered. */
const MAX_QUEUED = 3;

/** How often the log says what was compacted, in ms. */
const COMPACTION_LOG_MS = 3_600_000;

export interface SqliteStats extends Record<string, number> {
  points: number;
  transactions: number;
  bytes: number;
  parts: number;
  expiredPoints: number;
  evictedPoints: number;
  expiredSeries: number;
  /** Points that were compacted, and what they took before and after that. */
  compactedPoints: number;
  bytesBeforeCompaction: number;
  bytesAfterCompaction: number;
  /** Points that a constraint or a trigger of the database's owner refuses. */
  refusedPoints: number;
}

type SqliteContext = Pick<PluginContext, "log" | "clock" | "clients" | "deadLetters">;

interface Queued {
  group: PointGroup;
  readonly batches: readonly Batch[];
}

export class SqliteOutput implements Output {
  readonly onlyDurable = true;
  readonly gauges = ["bytes", "parts"];
  readonly stats: SqliteStats = {
    points: 0,
    transactions: 0,
    bytes: 0,
    parts: 0,
    expiredPoints: 0,
    evictedPoints: 0,
    expiredSeries: 0,
    compactedPoints: 0,
    bytesBeforeCompaction: 0,
    bytesAfterCompaction: 0,
    refusedPoints: 0,
  };
  #config: SqliteConfig;
  readonly #path: string;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #deadLetters: DeadLetters;
  readonly #writer = new Writer();
  readonly history: SqliteHistory;
  readonly #known = new Known();
  readonly #spare: PointColumns[] = [];
  #isOpen = false;
  #gathering: Gathering | null = null;
  /** When the first row of what is gathered came. */
  #beganMs = 0;
  readonly #queue: Promise<void>[] = [];
  #failures = 0;
  /** It waits before it tries again. */
  isTargetAway = false;
  readonly #complaint: Complaint;
  readonly #jumpWarning: ClockJumpWarning;
  readonly #changes: Complaint;
  readonly #evictions: Complaint;
  /** What the log has said of compaction, and when. */
  #compacted = { atMs: -Infinity, points: 0, bytesBefore: 0, bytesAfter: 0 };

  private constructor(
    config: SqliteConfig,
    path: string,
    { log, clock, clients, deadLetters }: SqliteContext,
  ) {
    this.#config = config;
    this.#path = path;
    this.history = new SqliteHistory(path);
    this.#log = log;
    this.#clock = clock;
    this.#deadLetters = deadLetters;
    this.#complaint = new Complaint(clock);
    this.#jumpWarning = new ClockJumpWarning(log, clock);
    this.#changes = new Complaint(clock);
    this.#evictions = new Complaint(clock);
    clients.sources.push(({ instance }) => this.#writer.sequence(instance));
  }

  /** @throws {ExitError} when the file cannot be used and somebody must act; what may pass is waited for later. */
  static async open(config: SqliteConfig, path: string, context: SqliteContext): Promise<SqliteOutput> {
    const output = new SqliteOutput(config, path, context);
    try {
      await output.#open();
    } catch (error) {
      if (error instanceof StoreError && error.problem === "later") {
        output.#complain(error);
        return output;
      }
      await output[Symbol.asyncDispose]();
      if (!(error instanceof StoreError) || error.problem === "defect") throw error;
      throw new ExitError(
        EXIT.unavailable,
        `Cannot use the database ${path} (plugins.sqlite.path): ${error.message}`,
        { cause: error },
      );
    }
    return output;
  }

  async #open(): Promise<void> {
    const { synchronous } = this.#config;
    const limits = limitsOf(this.#config);
    this.#takeStats(
      await this.#writer.open({
        path: this.#path,
        synchronous,
        limits,
        rollups: rollupsOf(this.#config.rollups),
      }),
    );
    this.#isOpen = true;
    this.#log.info("Writing to a database", { file: this.#path, bytes: this.stats.bytes });
  }

  get stalledSince(): number | undefined {
    return this.#writer.waitingSince;
  }

  reconfigure(config: SqliteConfig): void {
    this.#config = config;
    this.#writer.limit(limitsOf(config));
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const failure = new AbortController();
    using stop = new EitherSignal(signal, failure.signal);
    const working = this.#work(reader, stop.signal, (error) => failure.abort(error));
    // What the thread is doing cannot be interrupted, but need not be waited for.
    await Promise.race([working, untilAborted(stop.signal)]);
    if (failure.signal.aborted) throw failure.signal.reason;
  }

  async #work(reader: BatchReader, stop: AbortSignal, fail: (error: unknown) => void): Promise<void> {
    if (!await this.#resume(reader, stop)) return;
    while (true) {
      const state = await reader.wait(this.#waitMs(), stop);
      while (state === "ready" && !stop.aborted && this.#hasRoom) {
        const batch = reader.next();
        if (!batch) break;
        const { position } = reader;
        if (this.#gathering?.hasRoomFor(batch) === false) this.#close(reader, stop, fail, true);
        const gathering = this.#gathering ?? this.#begin();
        gathering.add(batch, position);
        if (gathering.isFull) this.#close(reader, stop, fail, true);
      }
      if (stop.aborted) return;
      if (this.#gathering && this.#hasRoom && (state === "ended" || this.#waitMs() <= 0)) {
        this.#close(reader, stop, fail, false);
      }
      if (state === "ended" && !this.#gathering && this.#queue.length === 0) return;
      if (state === "ended" || !this.#hasRoom) await this.#queue[0];
    }
  }

  /** Opens the database, if it was not possible before, and passes over what is stored. */
  async #resume(reader: BatchReader, signal: AbortSignal): Promise<boolean> {
    const { journalId } = reader;
    while (!signal.aborted) {
      try {
        if (!this.#isOpen) await this.#open();
        const position = journalId === null ? -1 : await this.#writer.position(journalId);
        if (signal.aborted) return false;
        if (position >= 0) reader.resumeAfter(position);
        this.#recovered();
        return true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        await this.#failed(error, signal);
      }
    }
    return false;
  }

  #waitMs(): number {
    if (!this.#gathering) return Infinity;
    return Math.max(0, this.#beganMs + this.#config.flush_interval - performance.now());
  }

  get #hasRoom(): boolean {
    return this.#queue.length < MAX_QUEUED;
  }

  #begin(): Gathering {
    this.#known.begin(Date.now());
    this.#beganMs = performance.now();
    return this.#gathering = new Gathering(this.#known, this.#spare.pop() ?? newColumns(GROUP_POINTS));
  }

  /** What was gathered goes into the queue. */
  #close(reader: BatchReader, stop: AbortSignal, fail: (error: unknown) => void, busy: boolean): void {
    const gathering = this.#gathering!;
    this.#gathering = null;
    const queued: Queued = { group: gathering.group(reader.journalId, busy), batches: gathering.batches };
    const { problems } = gathering;
    const before = this.#queue.at(-1) ?? Promise.resolve();
    const store = async () => {
      if (problems.length > 0) await this.#setAside(queued, problems);
      await this.#store(queued, reader, stop);
    };
    const storing = before.then(store).catch(fail).finally(() => {
      this.#queue.shift();
    });
    this.#queue.push(storing);
  }

  async #store(queued: Queued, reader: BatchReader, stop: AbortSignal): Promise<void> {
    let isComplete = false;
    while (!stop.aborted) {
      const { columns, ...rest } = await this.#writer.write(queued.group);
      if (stop.aborted) return;
      if (rest.error === undefined) {
        const refused = queued.group.leftOut?.length ?? 0;
        this.stats.points += columns.length - refused;
        this.stats.refusedPoints += refused;
        this.stats.transactions++;
        this.#takeStats(rest.stats);
        this.#recovered();
        if (columns.series.length === GROUP_POINTS) this.#spare.push(columns);
        reader.commit(queued.batches.length);
        return;
      }
      queued.group = { ...queued.group, columns };
      const { problem } = rest.error;
      if (problem === "forgotten" && !isComplete) {
        // What the thread is told once more counts for this group alone: the next ones come here as well.
        isComplete = true;
        if (rest.error.message !== "") this.#noticeChange(rest.error);
        queued.group = this.#complete(queued.group);
      } else if (problem === "refused") {
        isComplete = false;
        await this.#setAside(queued, rest.error.refused);
      } else {
        isComplete = false;
        await this.#failed(rest.error, stop);
      }
    }
  }

  /** Says that somebody has changed the file, and that writing continues. */
  #noticeChange({ message }: StoreError): void {
    this.#changes.add(() => {
      this.#log.error("Somebody else changed the database, writing continues", {
        file: this.#path,
        reason: message,
      });
    });
  }

  /** Makes dead letters of rows that the database refuses, and leaves them out of the group. */
  async #setAside(queued: Queued, refused: readonly RefusedRow[]): Promise<void> {
    const before = [...queued.group.leftOut ?? []];
    let batch = 0;
    let start = 0;
    for (const { row, reason } of refused) {
      while (row >= start + queued.batches[batch].length) start += queued.batches[batch++].length;
      this.#deadLetters.add(queued.batches[batch], row - start, reason);
    }
    await this.#deadLetters.sync();
    const leftOut = Uint32Array.from([...before, ...refused.map(({ row }) => row)]).sort();
    queued.group = this.#complete({ ...queued.group, leftOut });
  }

  /** The group with all its series, for a thread that may know none of them; without those that no row is left of. */
  #complete(group: PointGroup): PointGroup {
    const { columns: { series, length }, leftOut } = group;
    const used = new Set<number>();
    for (let row = 0, left = 0; row < length; row++) {
      if (leftOut?.[left] === row) left++;
      else used.add(series[row]);
    }
    return { ...group, ...this.#known.describe(used) };
  }

  #takeStats({ roomBytes, clockAheadMs, ...stats }: StoreStats): void {
    this.#noticeCompaction(stats);
    if (stats.evictedPoints > this.stats.evictedPoints) this.#noticeEviction(stats, roomBytes);
    Object.assign(this.stats, stats);
    this.#jumpWarning.notice(clockAheadMs);
  }

  /** Says once an hour what was compacted since the last time. */
  #noticeCompaction(stats: Omit<StoreStats, "roomBytes" | "clockAheadMs">): void {
    const said = this.#compacted;
    const nowMs = performance.now();
    if (stats.compactedPoints === said.points || nowMs < said.atMs + COMPACTION_LOG_MS) return;
    this.#log.info("Points were compacted", {
      file: this.#path,
      points: stats.compactedPoints - said.points,
      bytes_before: stats.bytesBeforeCompaction - said.bytesBefore,
      bytes_after: stats.bytesAfterCompaction - said.bytesAfter,
    });
    this.#compacted = {
      atMs: nowMs,
      points: stats.compactedPoints,
      bytesBefore: stats.bytesBeforeCompaction,
      bytesAfter: stats.bytesAfterCompaction,
    };
  }

  #noticeEviction({ evictedPoints }: Pick<StoreStats, "evictedPoints">, roomBytes: number): void {
    this.#evictions.add(() => {
      this.#log.warn("The database has its largest size, the oldest points give way", {
        file: this.#path,
        room: roomBytes,
        points: evictedPoints,
      });
    });
  }

  /** Waits before the next try; what no try can mend is thrown. */
  async #failed(error: StoreError, signal: AbortSignal): Promise<void> {
    if (error.problem === "defect") throw error;
    this.#complain(error);
    this.isTargetAway = true;
    await this.#clock.sleep(backoffMs(DEFAULT_BACKOFF, ++this.#failures), signal);
    this.isTargetAway = false;
  }

  #complain(error: StoreError): void {
    this.#complaint.add(() => {
      this.#log.error("Cannot write to the database, trying again", {
        file: this.#path,
        reason: error.message,
      });
    });
  }

  #recovered(): void {
    this.#failures = 0;
    this.#complaint.end(() => this.#log.info("Writing to the database again", { file: this.#path }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.history[Symbol.dispose]();
    await this.#writer[Symbol.asyncDispose]();
  }
}

function limitsOf({ keep = Infinity, max_size, compact_after }: SqliteConfig): Limits {
  return { keepMs: keep, maxBytes: max_size, compactAfterMs: compact_after === 0 ? Infinity : compact_after };
}
