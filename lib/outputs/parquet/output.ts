/** The `parquet` output: gathers points into rounds of files, see {@linkcode ./rounds.ts}. */
import { backoffMs, DEFAULT_BACKOFF } from "../../base/backoff.ts";
import { Complaint } from "../../base/complaint.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import type { BatchReader } from "../../journal.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import type { Batch } from "../../points/measurement.ts";
import { PathPattern } from "../files/path.ts";
import { type Position, PositionFile, PositionInUse } from "../files/position.ts";
import type { ParquetConfig } from "./config.ts";
import { Encoder } from "./encoder.ts";
import { Rounds } from "./rounds.ts";
import { Sorting } from "./sorting.ts";

/** Of a journal in memory only this number of points is kept back: it has not much more room. */
const MEMORY_POINTS = 32_768;
/** How often to look whether the journal has become full, in ms. */
const LOOK_MS = 1000;
/** What a place for a point takes in a batch, and what all of a round may take for each point that may wait, in bytes. */
const PLACE_BYTES = 20;
const BYTES_PER_POINT = 64;
/** Beside the files, in the folder that everything is in. */
const POSITION_FILE = ".parquet.position";

const NOTHING_STORED: Position = { journal: "", position: -1, clean: false, files: [] };

type ParquetContext = Pick<PluginContext, "log" | "clock" | "deadLetters">;

export interface ParquetStats extends Record<string, number> {
  points: number;
  files: number;
  bytes: number;
  refusedPoints: number;
  /** Points that the next files will have. */
  waitingPoints: number;
}

export class ParquetOutput implements Output {
  readonly onlyDurable = true;
  readonly gauges = ["waitingPoints"];
  readonly stats: ParquetStats = { points: 0, files: 0, bytes: 0, refusedPoints: 0, waitingPoints: 0 };
  isTargetAway = false;
  #config: ParquetConfig;
  readonly #context: ParquetContext;
  readonly #pattern: PathPattern;
  readonly #root: string;
  readonly #complaint: Complaint;
  readonly #encoder = new Encoder();
  #positions: PositionFile | null = null;
  #rounds: Rounds | null = null;
  /** What the position says of the last round whose files have all their names. */
  #stored: Position | null = null;
  /** Of the round that is being gathered. */
  #batches: Batch[] = [];
  #position = -1;
  /** What they take in memory: batches that come from disk have more room than points. */
  #bytes = 0;
  /** When it is to be written, in `performance.now()` ms. */
  #dueMs = Infinity;

  private constructor(config: ParquetConfig, path: string, context: ParquetContext) {
    this.#config = config;
    this.#context = context;
    this.#pattern = new PathPattern(path);
    const { folder } = this.#pattern.root;
    // A metric may be in the path before anything else that changes.
    const metric = folder.indexOf("{metric}");
    this.#root = metric < 0 ? folder : folder.slice(0, folder.lastIndexOf("/", metric) + 1);
    this.#complaint = new Complaint(context.clock);
  }

  /** @throws {ExitError} when the folder cannot be used and somebody must act; what may pass is waited for later. */
  static async open(config: ParquetConfig, path: string, context: ParquetContext): Promise<ParquetOutput> {
    const output = new ParquetOutput(config, path, context);
    try {
      await output.#open();
    } catch (error) {
      const { PermissionDenied, NotADirectory, AlreadyExists } = Deno.errors;
      const mustAct = [PositionInUse, PermissionDenied, NotADirectory, AlreadyExists].some((type) =>
        error instanceof type
      );
      if (mustAct) {
        await output[Symbol.asyncDispose]();
        throw new ExitError(
          EXIT.unavailable,
          `Cannot write to ${output.#root || "this directory"} (plugins.parquet.path): ${messageOf(error)}`,
          { cause: error },
        );
      }
      output.#complain(error);
    }
    return output;
  }

  async #open(): Promise<Rounds> {
    if (this.#rounds) return this.#rounds;
    await Deno.mkdir(this.#root || ".", { recursive: true });
    this.#positions ??= await PositionFile.open(`${this.#root}${POSITION_FILE}`);
    this.#rounds = await Rounds.open(this.#positions, this.#root, this.#encoder);
    // What the files of a folder before have must not come again after a crash.
    if (this.#stored) await this.#positions.write({ ...this.#stored, files: [] });
    else this.#stored = this.#positions.latest;
    this.#context.log.info("Writing Parquet files", { path: this.#pattern.text });
    return this.#rounds;
  }

  /** Begins in a new folder where somebody has moved or removed the one before: its files are no concern any more. */
  async #roundsThere(): Promise<Rounds> {
    const before = this.#positions;
    if (before && !await before.isThere()) {
      this.#context.log.warn("The folder of the Parquet files was moved or removed, another one is begun", {
        path: this.#root,
      });
      // Whoever opens that folder must not give names to files that are written again here.
      await before.write({ ...this.#stored ?? NOTHING_STORED, files: [] }).catch(() => {});
      before.close();
      this.#positions = this.#rounds = null;
    }
    return await this.#open();
  }

  get stalledSince(): number | undefined {
    return this.#encoder.waitingSince;
  }

  reconfigure(config: ParquetConfig): void {
    this.#config = config;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const journal = reader.journalId ?? "";
    const rounds = await this.#trying(() => this.#open(), signal);
    if (!rounds) return;
    const position = journal === "" ? -1 : rounds.positionIn(journal);
    if (position >= 0) reader.resumeAfter(position);
    while (!signal.aborted) {
      const waitMs = this.#batches.length > 0 ? Math.min(LOOK_MS, this.#dueMs - performance.now()) : Infinity;
      const state = await reader.wait(waitMs, signal);
      if (state === "ready") {
        for (let batch; !this.#isFull(journal) && (batch = reader.next());) this.#add(batch, reader.position);
      }
      if (signal.aborted) return;
      const isAll = reader.isFull && reader.position === reader.lastPosition;
      const isDue = state === "ended" || isAll || this.#isFull(journal) || performance.now() >= this.#dueMs;
      if (isDue && this.#batches.length > 0) await this.#write(journal, reader, signal);
      if (state === "ended") return;
    }
  }

  #isFull(journal: string): boolean {
    const { max_points } = this.#config;
    if (this.#bytes >= max_points * BYTES_PER_POINT) return true;
    return this.stats.waitingPoints >= (journal === "" ? Math.min(MEMORY_POINTS, max_points) : max_points);
  }

  #add(batch: Batch, position: number): void {
    if (this.#batches.length === 0) {
      const { seconds, nanos } = this.#context.clock.now();
      const { interval } = this.#config;
      this.#dueMs = performance.now() + interval - (seconds * 1000 + nanos / 1e6) % interval;
    }
    this.#batches.push(batch);
    this.#position = position;
    this.#bytes += batch.series.length * PLACE_BYTES + batch.newSeriesBytes;
    this.stats.waitingPoints += batch.length;
  }

  async #write(journal: string, reader: BatchReader, signal: AbortSignal): Promise<void> {
    const { clock, deadLetters, log } = this.#context;
    const sorting = await Sorting.of(this.#pattern, this.#batches);
    const { refused, files } = sorting;
    for (const { batch, row, reason } of refused) deadLetters.add(batch, row, reason);
    if (refused.length > 0) await deadLetters.sync();
    let bytes = 0;
    let left = files;
    do {
      const round = { sorting, files: left, journal, position: this.#position };
      let rounds!: Rounds;
      const prepare = async () => {
        rounds = await this.#roundsThere();
        return await rounds.prepare(round, clock.now().seconds * 1000, signal);
      };
      const prepared = await this.#trying(prepare, signal);
      if (!prepared) return;
      const counts = await this.#trying(() => rounds.settle(prepared), signal);
      if (counts === undefined) return;
      if (!counts) continue;
      // From here on the next process gives the files their names, if need be.
      const missing = await this.#trying(() => rounds.publish(prepared.files), signal);
      if (!missing) return;
      left = left.filter((_, i) => missing.has(prepared.files[i].path));
      for (const { path, size } of prepared.files) if (!missing.has(path)) bytes += size;
    } while (left.length > 0);
    this.#stored = this.#positions!.latest;
    const points = this.stats.waitingPoints - refused.length;
    this.stats.points += points;
    this.stats.refusedPoints += refused.length;
    this.stats.files += files.length;
    this.stats.bytes += bytes;
    this.stats.waitingPoints = this.#bytes = 0;
    this.#dueMs = Infinity;
    const { length } = this.#batches.splice(0);
    reader.commit(length);
    log.debug("Files are written", { files: files.length, points, bytes });
  }

  /** Tries until it works. @returns `undefined` when it was aborted before. */
  async #trying<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const result = await work();
        this.isTargetAway = false;
        this.#complaint.end(() => this.#context.log.info("Writing Parquet files again"));
        return result;
      } catch (error) {
        if (signal.aborted) return;
        this.#complain(error);
        this.isTargetAway = true;
        await this.#context.clock.sleep(backoffMs(DEFAULT_BACKOFF, failures), signal);
      }
    }
  }

  #complain(error: unknown): void {
    this.#complaint.add(() => {
      this.#context.log.error("Cannot write Parquet files, points wait, trying again", {
        path: this.#pattern.text,
        reason: messageOf(error),
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Before another process may write here.
    await this.#encoder[Symbol.asyncDispose]();
    this.#positions?.close();
    this.#positions = null;
  }
}
