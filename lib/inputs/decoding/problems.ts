/** What is wrong with what senders write: counted, and said once a minute with the number of lines. */
import type { MonotonicClock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import type { LogFields, Logger } from "../../base/log.ts";

/** Characters of a text of others in a message. */
const SHOWN = 80;

/** Takes the problems of one stream of lines. */
export interface LineProblems {
  /** Nothing of this line is kept. @param line From 1. */
  badLine(line: number, reason: string): void;
  /** One point of this line is not kept; others are. */
  refusedPoint(line: number, reason: string): void;
}

/** Counters of an input that decodes text. */
export interface LineStats {
  points: number;
  badLines: number;
  refusedPoints: number;
  /** Fields whose value is a text, which no metric has. */
  skippedTexts: number;
}

/** Counts and says the problems of all streams of one input. */
export class ProblemLog {
  readonly #log: Logger;
  readonly #stats: LineStats;
  readonly #lines: Complaint;
  readonly #points: Complaint;

  constructor(log: Logger, clock: MonotonicClock, stats: LineStats) {
    this.#log = log;
    this.#stats = stats;
    this.#lines = new Complaint(clock);
    this.#points = new Complaint(clock);
  }

  /** Says what was not said yet. To be called once a minute, and at the end. */
  catchUp(): void {
    this.#lines.catchUp((lines) => this.#log.warn("Cannot read some lines, they are left out", { lines }));
    this.#points.catchUp((points) =>
      this.#log.warn("Cannot use some values, their points are left out", { points })
    );
  }

  /** For the streams of one source. @param from What the log calls it, such as a path or an address. */
  of(from: LogFields): LineProblems {
    return {
      badLine: (line, reason) => {
        this.#stats.badLines++;
        this.#lines.add((lines) => {
          this.#log.warn("Cannot read a line, it is left out", { ...from, line, reason, lines });
        });
      },
      refusedPoint: (line, reason) => {
        this.#stats.refusedPoints++;
        this.#points.add((points) => {
          this.#log.warn("Cannot use a value, its point is left out", { ...from, line, reason, points });
        });
      },
    };
  }
}

/** A text of others, short enough for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN ? text.slice(0, SHOWN) + "…" : text);
}
