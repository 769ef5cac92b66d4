/** An input that runs, and how many points of each metric it has made. */
import type { Input } from "../../lib/plugin.ts";
import { PATIENCE_MS, until } from "./waiting.ts";

export interface PointCounter {
  /** Points of the metric so far. */
  count(metric: string): number;
  /** Waits until there are `more` points than there were. */
  grown(metric: string, more: number): Promise<void>;
  stop(): Promise<void>;
}

export function countPoints(input: Input): PointCounter {
  const stop = new AbortController();
  const counts = new Map<string, number>();
  const done = input.run({
    push(batch) {
      for (let row = 0; row < batch.length; row++) {
        const { name } = batch.seriesAt(row).metric;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      batch.release();
    },
  }, stop.signal);
  const count = (name: string) => counts.get(name) ?? 0;
  return {
    count,
    async grown(name, more) {
      const before = count(name);
      await until(
        () => count(name) >= before + more,
        PATIENCE_MS,
        () => `${count(name) - before} of ${more} points of ${name}`,
      );
    },
    async stop() {
      stop.abort();
      await done;
    },
  };
}
