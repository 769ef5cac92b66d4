/** The dead letters of a running output: added one by one, written together. */
import { encodeLetter } from "./codec.ts";
import type { DeadLetterFiles } from "./files.ts";
import { type MonotonicClock, PROCESS_CLOCK } from "../base/clock.ts";
import { Complaint } from "../base/complaint.ts";
import { messageOf } from "../base/errors.ts";
import type { LogFields, Logger } from "../base/log.ts";
import type { DeadLetters } from "../plugin.ts";
import type { Batch } from "../points/measurement.ts";

/** Characters of waiting letters at which they are written before {@linkcode DeadLetters.sync}. */
const MAX_WAITING = 1024 * 1024;
/** The longest reason, in characters. */
const MAX_REASON = 500;

/** The default for the most bytes of the dead letters of one output. */
export const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/** The directory of dead letters in the state directory of a process. */
export const DEAD_LETTERS_FOLDER = "dead-letters";

/** The directory of the dead letters of one output. */
export function deadLetterDirectory(stateDirectory: string, output: string): string {
  return `${stateDirectory}/${DEAD_LETTERS_FOLDER}/${encodeURIComponent(output)}`;
}

export interface DeadLetterOptions {
  /** `null` without a state directory: points are only counted and logged. */
  directory: string | null;
  /** Most bytes on disk. */
  maxBytes: number;
  log: Logger;
  /** @default the process's */
  clock?: MonotonicClock;
}

export class DeadLetterBox implements DeadLetters {
  refusedPoints = 0;
  droppedPoints = 0;
  readonly #options: DeadLetterOptions;
  #files: DeadLetterFiles | null = null;
  #lines: string[] = [];
  /** Characters in them. */
  #waiting = 0;
  #pending = 0;
  /** The last write; writes run one after another. */
  #writing: Promise<void> = Promise.resolve();
  /** Points refused since the last {@linkcode DeadLetterBox.sync}, and the log fields of the first of them. */
  #refused = 0;
  #example: LogFields | null = null;
  readonly #refusals: Complaint;
  readonly #drops: Complaint;
  readonly #losses: Complaint;

  constructor(options: DeadLetterOptions) {
    this.#options = options;
    const { clock = PROCESS_CLOCK } = options;
    this.#refusals = new Complaint(clock);
    this.#drops = new Complaint(clock);
    this.#losses = new Complaint(clock);
  }

  get pending(): number {
    return this.#pending;
  }

  add(batch: Batch, row: number, reason: string): void {
    this.refusedPoints++;
    this.#pending++;
    const short = reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason;
    this.#note(batch, row, short);
    if (this.#options.directory === null) {
      this.droppedPoints++;
      return;
    }
    const line = encodeLetter(batch, row, short, Date.now());
    this.#lines.push(line);
    this.#waiting += line.length;
    if (this.#waiting > MAX_WAITING) this.#beginWrite();
  }

  #note(batch: Batch, row: number, reason: string): void {
    this.#refused++;
    if (this.#example) return;
    const { metric, resourceKind, resourceId, consumerKind, consumerId } = batch.seriesAt(row);
    this.#example = {
      reason,
      metric: metric.name,
      resource: `${resourceKind} ${resourceId}`.trim(),
      consumer: `${consumerKind} ${consumerId}`.trim(),
    };
  }

  /** Logs how many points were refused, at most once a minute. */
  #complain(): void {
    const refused = this.#refused;
    this.#refused = 0;
    if (refused === 0) return;
    const { log, directory } = this.#options;
    this.#refusals.add((points) => {
      const fields = { points, ...this.#example, directory: directory ?? undefined };
      this.#example = null;
      if (directory === null) {
        log.error("Points are permanently refused, and there is no state directory to keep them in", fields);
      } else {log.warn(
          "Points are permanently refused; they are set aside (alumet-relay dead-letters)",
          fields,
        );}
    }, refused);
  }

  sync(): Promise<void> {
    this.#complain();
    this.#pending = 0;
    this.#beginWrite();
    return this.#writing;
  }

  #beginWrite(): void {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    this.#waiting = 0;
    this.#writing = this.#writing.then(() => this.#write(lines));
  }

  async #write(lines: readonly string[]): Promise<void> {
    const { directory, maxBytes, log } = this.#options;
    try {
      // Most processes never need this module.
      const { DeadLetterFiles } = await import("./files.ts");
      this.#files ??= new DeadLetterFiles(directory!, maxBytes);
      const dropped = await this.#files.append(lines);
      if (dropped > 0) {
        this.droppedPoints += dropped;
        this.#drops.add((points) => {
          log.error("There are too many dead letters, the oldest are dropped", {
            points,
            directory: directory!,
          });
        }, dropped);
      }
    } catch (error) {
      this.droppedPoints += lines.length;
      this.#losses.add((points) => {
        log.error("Cannot set refused points aside, they are lost", {
          points,
          directory: directory!,
          reason: messageOf(error),
        });
      }, lines.length);
    }
  }
}
