/** A sink that keeps the points of a server. */
import type { ClientTable, Origin } from "../../lib/points/origins.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import type { BatchSink } from "../../lib/plugin.ts";
import { pointsOf } from "./decode.ts";

export type Point = ReturnType<typeof pointsOf>[number];

/** Keeps all points that are pushed to it. */
export class Collector implements BatchSink {
  /** Told that what is pushed is safe. */
  clients: ClientTable | undefined;
  /** What is pushed is not safe before {@linkcode Collector.makeSafe} is called. */
  holdsBack = false;
  #unsafe: Origin[] = [];
  readonly points: Point[] = [];
  readonly batches: number[] = [];
  /** While set, producers wait. */
  gate: Promise<void> | undefined;

  makeSafe(): void {
    this.clients?.makeDurable({ origins: this.#unsafe.splice(0) });
    this.clients?.progress();
  }

  push(batch: Batch): Promise<void> | void {
    this.points.push(...pointsOf(batch, true));
    this.batches.push(batch.length);
    this.#unsafe.push(...batch.origins);
    if (!this.holdsBack) this.makeSafe();
    batch.release();
    return this.gate;
  }
}
