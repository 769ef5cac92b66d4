/** Logs repeated problems at a bounded rate, with the number of times that were not logged. */
import type { MonotonicClock } from "./clock.ts";
import type { LogFields, Logger, LogLevel } from "./log.ts";

const MINUTE_MS = 60_000;
/** More than the rounding of a sum of times, and less than any interval between lines. */
const ROUNDING_MS = 0.5;

/** The most lines of one kind. */
export interface LineLimit {
  /** Lines at once, after a long silence. */
  readonly burst: number;
  /** Lines per minute while the problem lasts. */
  readonly perMinute: number;
}

const ONCE_A_MINUTE: LineLimit = { burst: 1, perMinute: 1 };
/** A problem that returns is logged at once, up to this limit. */
const NEW_TROUBLES: LineLimit = { burst: 10, perMinute: 1 };

/** The limit of each kind, by level. */
export type LineLimits = Partial<Record<LogLevel, LineLimit>>;

/** Limits over everybody who can cause the same line, such as all clients or all files. */
const LIMITS_OVER_ALL: LineLimits = {
  error: { burst: 20, perMinute: 20 },
  warn: { burst: 20, perMinute: 20 },
  info: { burst: 1000, perMinute: 100 },
};

/** Counts lines against a limit. */
class Allowance {
  /** When the whole limit is available again, in monotonic ms. */
  #fullMs = -Infinity;

  constructor(readonly limit: LineLimit) {}

  take(nowMs: number): boolean {
    const stepMs = MINUTE_MS / this.limit.perMinute;
    const missingMs = Math.max(0, this.#fullMs - nowMs);
    // Times have fractions, whose sums are rounded: a line that is due is not to be lost by that.
    if (missingMs > (this.limit.burst - 1) * stepMs + ROUNDING_MS) return false;
    this.#fullMs = nowMs + missingMs + stepMs;
    return true;
  }

  refill(): void {
    this.#fullMs = -Infinity;
  }
}

/**
 * One problem: logged at once, then once a minute while it lasts, and when it is over.
 *
 *     complaint.add((times) => log.error("Cannot write", { times }));
 *     complaint.end(() => log.info("Writing again"));
 */
export class Complaint {
  readonly #clock: MonotonicClock;
  readonly #lines: Allowance;
  readonly #troubles = new Allowance(NEW_TROUBLES);
  #unsaid = 0;
  #isSaid = false;

  constructor(clock: MonotonicClock, limit = ONCE_A_MINUTE) {
    this.#clock = clock;
    this.#lines = new Allowance(limit);
  }

  /** The problem occurred `count` times. Calls `say` if a line is due, with the number of times since the last line. */
  add(say: (count: number) => void, count = 1): void {
    this.#unsaid += count;
    if (this.#lines.take(this.#clock.monotonicMs())) this.#say(say);
  }

  /** The problem is over. Calls `say` if the problem was logged; the next problem is logged at once. */
  end(say: () => void): void {
    if (!this.#isSaid) return;
    this.#isSaid = false;
    this.#unsaid = 0;
    if (this.#troubles.take(this.#clock.monotonicMs())) this.#lines.refill();
    say();
  }

  /** Calls `say` if something was not logged yet, without a limit: for once a minute, and for the end. */
  catchUp(say: (count: number) => void): void {
    if (this.#unsaid > 0) this.#say(say);
  }

  #say(say: (count: number) => void): void {
    const count = this.#unsaid;
    this.#unsaid = 0;
    this.#isSaid = true;
    say(count);
  }
}

/**
 * A log for lines that others can cause as often as they like. Lines with the same message are one kind, and each kind has
 * a limit, whoever causes the lines. A line after others that were left out has their number in `left_out`. A level
 * without a limit is logged completely.
 */
export class BoundedLog implements Logger {
  readonly #log: Logger;
  readonly #clock: MonotonicClock;
  readonly #limits: LineLimits;
  readonly #kinds = new Map<string, { readonly level: LogLevel; readonly complaint: Complaint }>();

  constructor(log: Logger, clock: MonotonicClock, limits = LIMITS_OVER_ALL) {
    this.#log = log;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** @param message Always the same text for one kind; put what differs into `fields`. */
  error(message: string, fields?: LogFields): void {
    this.#add("error", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#add("warn", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#add("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#add("debug", message, fields);
  }

  trace(message: string, fields?: LogFields): void {
    this.#add("trace", message, fields);
  }

  for(part: string): BoundedLog {
    return new BoundedLog(this.#log.for(part), this.#clock, this.#limits);
  }

  /** Logs how many lines were left out since the last line of each kind. Call it once a minute, and at the end. */
  catchUp(): void {
    for (const [message, { level, complaint }] of this.#kinds) {
      complaint.catchUp((count) => this.#log[level](`${message} (more of these)`, { left_out: count }));
    }
  }

  #add(level: LogLevel, message: string, fields?: LogFields): void {
    const limit = this.#limits[level];
    if (!limit) return this.#log[level](message, fields);
    let kind = this.#kinds.get(message);
    if (!kind) this.#kinds.set(message, kind = { level, complaint: new Complaint(this.#clock, limit) });
    kind.complaint.add((count) => {
      this.#log[level](message, count > 1 ? { ...fields, left_out: count - 1 } : fields);
    });
  }
}
