/** Time that only passes when a test says so. */
import type { Clock, Timestamp } from "../../lib/base/clock.ts";

export class FakeClock implements Clock {
  #ms = 0;
  #sleepers: { atMs: number; wake: () => void }[] = [];

  now(): Timestamp {
    return { seconds: Math.floor(this.#ms / 1000), nanos: Math.round((this.#ms % 1000) * 1e6) };
  }

  monotonicMs(): number {
    return this.#ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper = { atMs: this.#ms + ms, wake: () => {} };
      sleeper.wake = () => {
        signal?.removeEventListener("abort", sleeper.wake);
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      signal?.addEventListener("abort", sleeper.wake, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Time passes without anything else happening, as in work that takes long. */
  spend(ms: number): void {
    this.#ms += ms;
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#ms + ms;
    await settle();
    for (;;) {
      const due = this.#sleepers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#ms = Math.max(this.#ms, due.atMs);
      due.wake();
      await settle();
    }
    this.#ms = Math.max(this.#ms, endMs);
  }

  /** Wakes whoever sleeps before the time, as a coarse timer does. */
  async wakeEarly(): Promise<void> {
    for (const { wake } of this.#sleepers) wake();
    await settle();
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 30; n++) await Promise.resolve();
}
