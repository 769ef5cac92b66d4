/** What goes wrong again and again is logged at a bounded rate, with the number of times that it was not logged. */
import type { MonotonicClock } from "./clock.ts";
import type { LogFields, Logger, LogLevel } from "./log.ts";

const MINUTE_MS = 60_000;
/** More than the rounding of a sum of times, and less than any interval between lines. */
const ROUNDING_MS = 0.5;

/** How many lines of one kind are logged. */
export interface LineLimit {
  /** So many at once, after a long silence. */
  readonly burst: number;
  /** And so many in each minute while it goes on. */
  readonly perMinute: number;
}

const ONCE_A_MINUTE: LineLimit = { burst: 1, perMinute: 1 };
/** A trouble that comes back is news, but not without end. */
const NEW_TROUBLES: LineLimit = { burst: 10, perMinute: 1 };

/** For each level that has one: how many lines of each kind. */
export type LineLimits = Partial<Record<LogLevel, LineLimit>>;

/** Of what many others can cause, be they clients or files: troubles, and what is news of a single one. */
const LIMITS_OVER_ALL: LineLimits = {
  error: { burst: 20, perMinute: 20 },
  warn: { burst: 20, perMinute: 20 },
  info: { burst: 1000, perMinute: 100 },
};

/** How much of a limit is left. */
class Allowance {
  /** When all of it is left again, in monotonic ms. */
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
 * One thing that goes wrong: said at once, then once a minute while it goes on, and when it is over.
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

  /** It has happened `count` times. `say` is called if it is time for a line, with the times since the last line. */
  add(say: (count: number) => void, count = 1): void {
    this.#unsaid += count;
    if (this.#lines.take(this.#clock.monotonicMs())) this.#say(say);
  }

  /** It does not happen any more. `say` is called if it was said that it does; the next time is said at once then. */
  end(say: () => void): void {
    if (!this.#isSaid) return;
    this.#isSaid = false;
    this.#unsaid = 0;
    if (this.#troubles.take(this.#clock.monotonicMs())) this.#lines.refill();
    say();
  }

  /** `say` is called if something was not said yet, whatever the limit is: for once a minute, and at the end. */
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
 * A log whose lines others can cause as often as they like. Lines with the same message are one kind, and there is a
 * limit for each kind, whoever has caused them; a line that follows others that were left out says how many in
 * `left_out`. Levels without a limit are logged as they come.
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

  /** @param message The same text each time: what differs goes into `fields`. */
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

  /** Says how many lines were left out since the last line of their kind. To be called once a minute, and at the end. */
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
