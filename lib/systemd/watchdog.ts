/** The watchdog of a service manager: told that all is well as long as it is, and nothing when it is not. */
import type { Stall } from "../agent/settings.ts";
import type { Logger } from "../base/log.ts";

/** How often, within the time that the manager waits, it is told. */
const PER_PERIOD = 3;

/**
 * How long the manager waits for a word before it ends the process, in ms: `$WATCHDOG_USEC`, if it is meant for this
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
  /** Says that all is well. */
  ping(): void;
  readonly log: Logger;
  /** @default performance.now */
  now?(): number;
}

/**
 * A part that has been stuck for a whole period stops the pings, and another period later the manager ends the process.
 * The event loop is looked at by this: where it does not turn, {@linkcode Watchdog.check} is not called.
 */
export class Watchdog implements Disposable {
  readonly #options: WatchdogOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #stuck = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.check(), options.periodMs / PER_PERIOD);
    this.check();
  }

  /** What keeps the manager from being told that all is well. */
  get stuck(): readonly Stall[] {
    const { periodMs, stalls, now = () => performance.now() } = this.#options;
    const limit = now() - periodMs;
    return stalls().filter(({ since }) => since < limit);
  }

  check(): void {
    const { periodMs, ping, log, now = () => performance.now() } = this.#options;
    const stuck = this.stuck;
    if (stuck.length === 0) {
      if (this.#stuck) log.info("All parts move again, the watchdog is told so");
      ping();
    } else if (!this.#stuck) {
      for (const { part, since } of stuck) {
        log.error(`${part} is stuck: the service manager will start this process anew`, {
          stuck_ms: Math.round(now() - since),
          in_ms: periodMs,
        });
      }
    }
    this.#stuck = stuck.length > 0;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
