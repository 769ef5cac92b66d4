/** How late timers fire: what everything in this process waits for while something else computes. */

import { Timer } from "../base/timers.ts";

/** Time between two measurements, in ms. */
const INTERVAL_MS = 500;
/** Upper bounds of the classes that delays are counted in, in seconds; the last class has no bound. */
export const DELAY_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

export class EventLoopDelay implements Disposable {
  /** How many delays were in each class, and above all bounds. */
  readonly counts: number[] = new Array(DELAY_BOUNDS.length + 1).fill(0);
  /** The sum of all delays, in seconds. */
  sumSeconds = 0;
  readonly #timer: Timer;

  constructor() {
    this.#timer = Timer.every(INTERVAL_MS, (lateMs) => this.add(lateMs / 1000));
  }

  add(seconds: number): void {
    const place = DELAY_BOUNDS.findIndex((bound) => seconds <= bound);
    this.counts[place < 0 ? DELAY_BOUNDS.length : place]++;
    this.sumSeconds += seconds;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
