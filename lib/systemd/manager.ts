/** Notifies a service manager about a running agent: ready, figures, alive, reloading, stopping. */
import type { RunningAgent } from "../agent/settings.ts";
import type { Logger } from "../base/log.ts";
import { Timer } from "../base/timers.ts";
import { MonotonicClock, Notifier } from "./notify.ts";
import { statusText } from "./status.ts";
import { Watchdog, watchdogPeriodMs } from "./watchdog.ts";

/** How often to send the figures, in ms. */
const STATUS_MS = 5000;
/** Time for a stop beyond `shutdown_timeout`, to close files and connections, in ms. */
const STOP_MARGIN_MS = 5000;

export class ServiceManager implements Disposable {
  readonly #notifier: Notifier;
  readonly #env: (name: string) => string | undefined;
  readonly #log: Logger;
  readonly #clock = new MonotonicClock();
  #agent: RunningAgent | null = null;
  #watchdog: Watchdog | null = null;
  #timer: Timer | undefined;
  #points = 0;
  #toldMs = 0;
  #stopping = false;

  private constructor(notifier: Notifier, env: (name: string) => string | undefined, log: Logger) {
    this.#notifier = notifier;
    this.#env = env;
    this.#log = log;
    notifier.send("STATUS=Starting");
  }

  /** `null` if there is none. */
  static open(env: (name: string) => string | undefined, log: Logger): ServiceManager | null {
    const notifier = Notifier.open(env, log);
    return notifier && new ServiceManager(notifier, env, log);
  }

  /** The agent is running. */
  running(agent: RunningAgent): void {
    this.#agent = agent;
    this.#points = agent.figures.journal().appendedPoints;
    this.#toldMs = performance.now();
    this.#notifier.send("READY=1", `STATUS=${this.#status()}`);
    const periodMs = watchdogPeriodMs(this.#env);
    if (periodMs !== undefined) {
      this.#watchdog = new Watchdog({
        periodMs,
        stalls: () => agent.stalls(),
        ping: () => this.#notifier.send("WATCHDOG=1"),
        log: this.#log,
      });
    }
    this.#timer = Timer.every(STATUS_MS, () => void this.#notifier.send(`STATUS=${this.#status()}`));
  }

  reloading(): void {
    this.#notifier.send("RELOADING=1", `MONOTONIC_USEC=${this.#clock.now()}`);
  }

  reloaded(): void {
    // After the notification of a stop, a manager would take this for a running service.
    if (!this.#stopping) this.#notifier.send("READY=1", `STATUS=${this.#status()}`);
  }

  stopping(): void {
    this.#stopping = true;
    const timeoutMs = (this.#agent?.settings.general.shutdown_timeout ?? 0) + STOP_MARGIN_MS;
    this.#notifier.send(
      "STOPPING=1",
      `EXTEND_TIMEOUT_USEC=${Math.ceil(timeoutMs * 1000)}`,
      `STATUS=Stopping${this.#agent ? `, ${this.#status()}` : ""}`,
    );
  }

  #status(): string {
    const agent = this.#agent!;
    const now = performance.now();
    const { appendedPoints, droppedPoints, pendingPoints } = agent.figures.journal();
    const ms = now - this.#toldMs;
    const text = statusText({
      points: appendedPoints,
      pointsPerSecond: ms >= 1000 ? (appendedPoints - this.#points) / ms * 1000 : undefined,
      waiting: pendingPoints,
      dropped: droppedPoints,
      clients: agent.figures.connectedClients,
      stuck: this.#watchdog?.stuck.map(({ part }) => part) ?? [],
    });
    if (ms >= 1000) {
      this.#points = appendedPoints;
      this.#toldMs = now;
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#watchdog?.[Symbol.dispose]();
    this.#notifier[Symbol.dispose]();
  }
}
