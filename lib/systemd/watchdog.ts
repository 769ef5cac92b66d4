/** The watchdog of a service manager: notified as long as all parts make progress. */
import type { Stall } from "../agent/settings.ts";
import { Timer } from "../base/timers.ts";
import type { Logger } from "../base/log.ts";

/** Notifications in the time that the manager waits for one. */
const PER_PERIOD = 3;

/**
 * How long the manager waits for a notification before it ends the process, in ms: `$WATCHDOG_USEC`, if it is for this
 * process.
 */
export function watchdogPeriodMs(
  env: (name: string) => string | undefined,
  pid: number = Deno.pid,
): number | undefined {
  const text = env("WATCHDOG_USEC") ?? "";
  const meant = env("WATCHDOG_PID") || String(pid);
  if (!/^\d+$/.test(text) || Number(text) === 0 || Number(meant) !== pid) return undefined;
  return Number(text) / 1000;
}

export interface WatchdogOptions {
  readonly periodMs: number;
  /** The parts that are stuck. */
  stalls(): readonly Stall[];
  /** Notifies the manager. */
  ping(): void;
  readonly log: Logger;
  /** @default performance.now */
  now?(): number;
}

/**
 * A part that is stuck for a whole period stops the notifications; another period later the manager ends the process. This
 * also covers the event loop: if it is blocked, nothing calls {@linkcode Watchdog.check}. While the whole process does not
 * run, no part can make progress: a check that comes late takes that time off.
 */
export class Watchdog implements Disposable {
  readonly #options: WatchdogOptions;
  readonly #timer: Timer;
  #stuck = false;
  #checkedMs: number | undefined;
  /** How much later the last check came than it should have, in ms. */
  #lateMs = 0;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#timer = Timer.every(options.periodMs / PER_PERIOD, () => this.check());
    this.check();
  }

  /** The parts that stop the notifications. */
  get stuck(): readonly Stall[] {
    const { periodMs, stalls, now = () => performance.now() } = this.#options;
    const limit = now() - periodMs - this.#lateMs;
    return stalls().filter(({ since }) => since < limit);
  }

  check(): void {
    const { periodMs, ping, log, now = () => performance.now() } = this.#options;
    const nowMs = now();
    this.#lateMs = Math.max(0, nowMs - (this.#checkedMs ?? nowMs) - periodMs / PER_PERIOD);
    this.#checkedMs = nowMs;
    const stuck = this.stuck;
    if (stuck.length === 0) {
      if (this.#stuck) log.info("All parts make progress again, the watchdog is notified");
      ping();
    } else if (!this.#stuck) {
      for (const { part, since } of stuck) {
        log.error(`${part} is stuck: the service manager will restart this process`, {
          stuck_ms: Math.round(now() - since),
          in_ms: periodMs,
        });
      }
    }
    this.#stuck = stuck.length > 0;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
