/**
 * A transform with a memory between two journals, exactly once.
 *
 *     inputs ─▶ transforms ─▶ journal of raw points ─▶ stage ─▶ journal ─▶ outputs
 *
 * The stage reads the first journal like an output, and appends what the transform makes of each batch to the second
 * one, together with the number of that batch ({@linkcode ./stage/marks.ts}). In the first journal it keeps everything
 * from the oldest batch on that the transform still needs. After a restart the transform gets all of that again, and
 * what it makes of batches up to the stored number is left out. What the transform may do is said in `lib/plugin.ts`,
 * where {@linkcode StagedTransform} is; time is in the first journal, too, as ticks between the batches.
 *
 * Without journals on disk nothing is kept: a stop completes everything, a crash loses what is in memory.
 */
import { Complaint } from "../base/complaint.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { unlessAborted } from "../base/waiting.ts";
import type { BatchReader, Journal } from "../journal.ts";
import type { Files } from "../journal/disk/format/files.ts";
import { Batch } from "../points/measurement.ts";
import { type ClientRecord, isMark } from "../points/origins.ts";
import { seriesStore } from "../points/series_store.ts";
import type { StagedTransform } from "../plugin.ts";
import type { NamedTransform } from "./pipeline.ts";
import { Collector } from "./stage/collector.ts";
import { type Era, Eras } from "./stage/eras.ts";
import { type MarkKind, markOf } from "./stage/marks.ts";

const PART_POINTS = 4096;
/** Where the journal before the stage has more than this share of its limit, everything is completed early. */
const FULL_SHARE = 0.5;

export interface StageOptions {
  readonly name: string;
  readonly config: unknown;
  /** Opens the transform with a configuration, the present one or an earlier one. */
  readonly open: (config: unknown) => Promise<StagedTransform>;
  /** The journal that it reads, and where that is on disk; `null` if it is in memory. */
  readonly before: Journal;
  readonly directory: string | null;
  /** The journal that it appends to; it is on disk if the other one is. */
  readonly after: Journal;
  /** Transforms without a memory that follow. */
  readonly followers?: readonly NamedTransform[];
  /** Sees each batch before the journal gets it, and neither keeps nor changes it. */
  readonly watch?: (batch: Batch) => void;
  readonly log: Logger;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** The file system with the directory. @default the system's */
  readonly files?: Files | undefined;
  /** Rows of a batch for the next journal, at most; always the same for one directory. @default {4096} */
  readonly partPoints?: number;
}

export class Stage implements Disposable {
  readonly name: string;
  readonly #options: StageOptions;
  readonly #reader: BatchReader;
  readonly #collector: Collector;
  readonly #eras: Eras;
  readonly #complaint: Complaint;
  readonly #fullComplaint: Complaint;
  readonly #progress: Disposable;
  readonly #marks: Record<MarkKind, ClientRecord>;
  /** What is appended is remembered over restarts. */
  readonly #keeps: boolean;
  #transform: StagedTransform;
  #era: Era;
  /** Results of batches up to this number are in the next journal. */
  #done: number;
  /** Batches before this number are no longer needed; the reader may begin with some, because its cursor is saved later. */
  readonly #begin: number;
  /** And so many parts of the results of the next batch that has some. */
  #doneParts: number;
  #parts: number;
  #base: number;
  /** Batches whose results are marked and not durable yet, and from where to read again while they are not. */
  readonly #pending: { place: number; from: number }[] = [];
  /** When the next tick is due, in ms of the clock; `Infinity` while the transform needs nothing. */
  #tickMs = Infinity;
  /** The place of the last tick, which has not been read yet while the reader is before it. */
  #markPlace = -1;

  private constructor(options: StageOptions, reader: BatchReader, eras: Eras, transform: StagedTransform) {
    const { name, before, after, clock } = options;
    this.name = name;
    this.#options = options;
    this.#reader = reader;
    this.#eras = eras;
    this.#transform = transform;
    this.#era = eras.first;
    this.#keeps = reader.journalId !== null;
    this.#collector = new Collector(
      after.clients,
      before.clients.local,
      options.partPoints ?? PART_POINTS,
    );
    this.#complaint = new Complaint(clock);
    this.#fullComplaint = new Complaint(clock);
    const { id } = before;
    this.#marks = {
      place: markOf(after.clients, "place", id),
      need: markOf(after.clients, "need", id),
      part: markOf(after.clients, "part", id),
      base: markOf(after.clients, "base", id),
      tick: markOf(before.clients, "tick", id),
      flush: markOf(before.clients, "flush", id),
    };
    this.#done = this.#marks.place.durable - 1;
    this.#begin = this.#marks.need.durable - 1;
    this.#parts = this.#marks.part.durable;
    this.#base = this.#marks.base.durable;
    this.#doneParts = this.#parts - this.#base;
    if (this.#keeps) reader.keepFrom(Math.max(0, this.#begin));
    this.#progress = after.clients.onProgress(() => this.#onDurable());
  }

  /** To be called before anything is appended to the journals. */
  static async open(options: StageOptions): Promise<Stage> {
    const { name, before, after } = options;
    const reader = before.reader(name, { onlyWritten: true });
    const needed = markOf(after.clients, "need", before.id).durable - 1;
    const eras = new Eras({ ...options, next: reader.lastPosition + 1, needed });
    return new Stage(options, reader, eras, await openFor(eras.first, options));
  }

  get stats(): Readonly<Record<string, number>> | undefined {
    return this.#transform.stats;
  }

  /** It should have been woken, and was not. */
  get stalledSince(): number | undefined {
    return this.#reader.stalledSince;
  }

  get gauges(): readonly string[] | undefined {
    return this.#transform.gauges;
  }

  /** Reads until the journal has ended, or the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const reader = this.#reader;
    const { before } = this.#options;
    // Something has to come for the other configuration to begin, also where the process stops at once.
    if (this.#eras.isChanging) this.#mark("tick");
    if (!await this.#eras.save(signal, () => before.ended)) return;
    while (true) {
      const state = await reader.wait(this.#tickMs - this.#options.clock.monotonicMs(), signal);
      if (state === "aborted") return;
      if (state === "ended") break;
      for (let batch; state === "ready" && (batch = reader.next());) {
        if (!await this.#process(batch, reader.position, signal)) return;
        // First: what is committed and not kept is deleted at once.
        this.#keepWhatIsNeeded();
        reader.commit(1);
        this.#tickIfDue(false);
      }
      this.#tickIfDue(state === "timeout");
    }
    if (!this.#keeps) await this.#flushAtEnd(signal);
  }

  /** To be called before the journal that it reads ends, because the process stops. */
  beforeEnd(): void {
    if (this.#keeps && this.#transform.completesAtStop) this.#mark("flush");
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }

  /** @returns `false` if the signal is aborted before the results are appended. */
  async #process(batch: Batch, place: number, signal: AbortSignal): Promise<boolean> {
    if (place < this.#begin) return true;
    const collector = this.#collector;
    const from = this.#neededFrom(place);
    collector.begin(batch.store);
    collector.isMuted = this.#keeps && place <= this.#done;
    await this.#changeEra(place);
    const transform = this.#transform;
    try {
      const { local } = this.#options.before.clients;
      if (batch.origins.length === 0) this.#take(batch, 0, batch.length, local, place);
      for (const { client, start, end } of batch.origins) {
        if (client === this.#marks.tick) transform.tick(collector);
        else if (client === this.#marks.flush) transform.flush(collector);
        else if (!isMark(client)) this.#take(batch, start, end, client, place);
      }
      transform.settle?.(collector);
    } catch (error) {
      this.#onError(error);
      collector.clear();
      this.#passAll(batch);
    }
    return await this.#append(collector.take(), place, from, signal);
  }

  #take(batch: Batch, start: number, end: number, client: ClientRecord, place: number): void {
    this.#collector.beginClient(client);
    this.#transform.take(batch, start, end, client, place, this.#collector);
  }

  #passAll(batch: Batch): void {
    const pass = (start: number, end: number, client: ClientRecord) => {
      this.#collector.beginClient(client);
      for (let row = start; row < end; row++) this.#collector.pass(batch, row);
    };
    if (batch.origins.length === 0) pass(0, batch.length, this.#options.before.clients.local);
    for (const { client, start, end } of batch.origins) pass(start, end, client);
  }

  #onError(error: unknown): void {
    this.#complaint.add((batches) => {
      this.#options.log.error(`Transform ${this.name} failed, its batches are passed on unchanged`, {
        batches,
        error: String((error as Error)?.stack ?? error),
      });
    });
  }

  /** The first batch of another configuration completes what came before it. */
  async #changeEra(place: number): Promise<void> {
    const era = this.#eras.of(place);
    if (era === this.#era) return;
    this.#transform.flush(this.#collector);
    this.#transform = await openFor(era, this.#options);
    this.#era = era;
  }

  async #append(parts: Batch[], place: number, from: number, signal: AbortSignal): Promise<boolean> {
    const { after, followers = [], watch } = this.#options;
    for (const [i, part] of parts.entries()) {
      if (i < this.#doneParts) {
        part.release();
        continue;
      }
      const isLast = i === parts.length - 1;
      const batch = this.#follow(part, followers);
      if (batch.length === 0 && parts.length === 1) {
        batch.release();
        break;
      }
      if (this.#keeps) this.#markPart(batch, place, from, isLast);
      for (const { client, start, end } of batch.origins) client.receivedPoints += end - start;
      watch?.(batch);
      const room = after.append(batch);
      if (room && !await unlessAborted(room, signal)) return false;
    }
    if (parts.length > 0) this.#doneParts = 0;
    return !signal.aborted;
  }

  /** Says in the batch itself how far the results have come with it. */
  #markPart(batch: Batch, place: number, from: number, isLast: boolean): void {
    const { place: placeMark, need, part, base } = this.#marks;
    if (!isLast) return batch.credit(part, ++this.#parts);
    this.#pending.push({ place, from });
    batch.credit(placeMark, place + 1);
    batch.credit(need, this.#neededFrom(place + 1) + 1);
    if (this.#base === this.#parts) return;
    this.#base = this.#parts;
    batch.credit(base, this.#base);
  }

  #follow(batch: Batch, followers: readonly NamedTransform[]): Batch {
    for (const { name, transform } of followers) {
      try {
        const result = transform.apply(batch);
        if (result !== batch) batch.release();
        batch = result;
      } catch (error) {
        this.#options.log.error(`Transform ${name} failed, a batch is passed on unchanged`, {
          error: String((error as Error)?.stack ?? error),
        });
      }
    }
    return batch;
  }

  /** From where to read again, as long as nothing of the batch with this number is stored. */
  #neededFrom(place: number): number {
    return Math.min(this.#transform.neededFrom, place);
  }

  /** Some results may be durable now. */
  #onDurable(): void {
    const durable = this.#marks.place.durable - 1;
    let count = 0;
    while (count < this.#pending.length && this.#pending[count].place <= durable) count++;
    if (count === 0) return;
    this.#pending.splice(0, count);
    this.#keepWhatIsNeeded();
  }

  #keepWhatIsNeeded(): void {
    this.#reader.keepFrom(this.#pending[0]?.from ?? this.#neededFrom(this.#reader.position + 1));
  }

  /** @param isIdle Nothing is left to be read, so a tick before has been read or is lost. */
  #tickIfDue(isIdle: boolean): void {
    const { clock, before } = this.#options;
    if (this.#transform.neededFrom === Infinity) return void (this.#tickMs = Infinity);
    const now = clock.monotonicMs();
    if (this.#tickMs === Infinity) return void (this.#tickMs = now + this.#transform.tickMs);
    if (now < this.#tickMs) return;
    this.#tickMs = now + this.#transform.tickMs;
    // One that waits to be read is enough.
    if (!isIdle && this.#reader.position < this.#markPlace) return;
    const { bytes, limitBytes } = before.usage;
    const isFull = this.#keeps && bytes > limitBytes * FULL_SHARE;
    if (isFull) {
      this.#fullComplaint.add((times) => {
        this.#options.log.warn("Results are completed early, because the points for them fill the journal", {
          times,
          bytes,
          max_bytes: limitBytes,
        });
      });
    }
    this.#mark(isFull ? "flush" : "tick");
  }

  /** Puts a mark into the journal that is read. */
  #mark(kind: "tick" | "flush"): void {
    const { before } = this.#options;
    if (before.ended) return;
    const client = this.#marks[kind];
    const batch = new Batch(0);
    batch.credit(client, client.numbers.accepted = Math.max(client.accepted, client.durable) + 1);
    void before.append(batch);
    this.#markPlace = this.#reader.lastPosition;
  }

  /** Nothing outlives the process: what there is goes on now. */
  async #flushAtEnd(signal: AbortSignal): Promise<void> {
    const { position } = this.#reader;
    this.#collector.begin(seriesStore);
    this.#transform.flush(this.#collector);
    await this.#append(this.#collector.take(), position, position, signal);
  }
}

/** Opens the transform with the configuration of an era, or with the present one if that cannot be used any more. */
async function openFor(era: Era, { config, open, log }: StageOptions): Promise<StagedTransform> {
  try {
    return await open(era.config);
  } catch (error) {
    if (JSON.stringify(era.config) === JSON.stringify(config)) throw error;
    log.warn("Cannot use the earlier configuration for the points that it was meant for", {
      error: String(error),
    });
    return await open(config);
  }
}
