/** Perf events that count what a test says. */
import type { PerfCounter, PerfCounters, PerfTarget } from "../../lib/inputs/polling/perf_events.ts";

/** An event that is open. */
interface OpenEvent {
  readonly counter: PerfCounter;
  readonly target: PerfTarget;
  readonly members: number[];
  value: bigint;
  enabled: bigint;
  running: bigint;
}

const ENOENT = -2;

export class FakePerf implements PerfCounters {
  /** Why an event cannot be opened: an error number below 0. */
  refuse: (counter: PerfCounter, target: PerfTarget) => number | undefined = () => undefined;
  /** Why the folder of a control group cannot be opened. */
  refuseFolder: (path: string) => boolean = () => false;
  isUnreadable = false;
  readonly #events = new Map<number, OpenEvent>();
  readonly #folders = new Set<number>();
  #next = 3;

  /** Descriptors that are open. */
  get openNow(): number {
    return this.#events.size + this.#folders.size;
  }

  /** Groups of events. */
  get leaders(): number {
    return [...this.#events.values()].filter(({ target }) => target.leader < 0).length;
  }

  /** Time passes, and each event counts on: by its `config` in `counts`. */
  count(enabledNs: number, runningNs: number, counts: readonly number[]): void {
    for (const event of this.#events.values()) {
      event.enabled += BigInt(enabledNs);
      event.running += BigInt(runningNs);
      event.value += BigInt(counts[Number(event.counter.config)] ?? 0);
    }
  }

  openCounter(counter: PerfCounter, target: PerfTarget): number {
    const refusal = this.refuse(counter, target);
    if (refusal !== undefined) return refusal;
    const descriptor = this.#next++;
    this.#events.set(descriptor, { counter, target, members: [], value: 0n, enabled: 0n, running: 0n });
    if (target.leader >= 0) this.#events.get(target.leader)!.members.push(descriptor);
    return descriptor;
  }

  openFolder(path: string): number {
    if (this.refuseFolder(path)) return ENOENT;
    this.#folders.add(this.#next);
    return this.#next++;
  }

  enable(): void {}

  readWords(descriptor: number, words: BigUint64Array<ArrayBuffer>): number {
    const leader = this.#events.get(descriptor);
    if (!leader || this.isUnreadable) return 0;
    const values = [leader, ...leader.members.map((member) => this.#events.get(member)!)].map(({ value }) =>
      value
    );
    words.set([BigInt(values.length), leader.enabled, leader.running, ...values]);
    return 3 + values.length;
  }

  close(descriptor: number): void {
    if (!this.#events.delete(descriptor) && !this.#folders.delete(descriptor)) {
      throw new Error(`${descriptor} is not open`);
    }
  }
}
