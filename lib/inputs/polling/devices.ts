/** Devices that come and go: looked for every minute, open as long as they are there. */
import type { Clock } from "../../base/clock.ts";

const FIND_AGAIN_MS = 60_000;

/** A device that was found, and how it is opened. */
export interface Device<D> {
  /** Tells it from the others, and from another one that takes its place. */
  readonly key: string;
  /** `undefined` where it cannot be used now: it is tried again at the next look. */
  open(): D | undefined;
}

export class Devices<D extends { close(): void }> implements Iterable<D> {
  readonly #clock: Clock;
  readonly #find: () => Iterable<Device<D>>;
  #open = new Map<string, D>();
  #foundMs = -Infinity;

  constructor(clock: Clock, find: () => Iterable<Device<D>>) {
    this.#clock = clock;
    this.#find = find;
  }

  /** Looks for devices if it is time. Those that are still there stay open. @returns whether it has looked */
  refresh(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#foundMs < FIND_AGAIN_MS) return false;
    this.#foundMs = nowMs;
    const before = this.#open;
    this.#open = new Map();
    for (const { key, open } of this.#find()) {
      // Of two that cannot be told apart the first is one.
      if (this.#open.has(key)) continue;
      const device = before.get(key) ?? open();
      before.delete(key);
      if (device) this.#open.set(key, device);
    }
    for (const device of before.values()) device.close();
    return true;
  }

  [Symbol.iterator](): Iterator<D> {
    return this.#open.values();
  }

  get size(): number {
    return this.#open.size;
  }

  close(): void {
    for (const device of this.#open.values()) device.close();
    this.#open.clear();
    this.#foundMs = -Infinity;
  }
}
