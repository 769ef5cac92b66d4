/** What a relay client has read from the journal and not committed: it outlives connections. */
import type { BatchReader } from "../journal.ts";
import type { Batch } from "../points/measurement.ts";

/** A batch with its number, from 1 on, by which a server of ours identifies it. */
export interface Parcel {
  readonly sequence: number;
  readonly batch: Batch;
}

/** What the sender of a connection has done since the start of the process. */
export interface SenderStats extends Record<string, number> {
  /** Points that were sent for the first time, and messages and bytes in all. */
  sentPoints: number;
  sentMessages: number;
  sentBytes: number;
  /** Points that a server of ours has acknowledged. */
  acknowledgedPoints: number;
  resentPoints: number;
  /** Points that no message can carry; they are given up. */
  unsendablePoints: number;
}

/** When gathered points are sent. */
export interface BufferOptions {
  /** Bytes of encoded points to gather before they are sent; 0 sends each batch at once. */
  maxBytes: number;
  /** The longest time that a point waits, in ms. */
  timeoutMs: number;
}

export class Outbox {
  /** Oldest first. */
  readonly parcels: Parcel[] = [];
  /** Points in the parcels. */
  points = 0;

  constructor(readonly reader: BatchReader) {}

  /** The next batch of the journal, if there is one. */
  take(): Parcel | undefined {
    const batch = this.reader.next();
    if (!batch) return undefined;
    const parcel = { sequence: this.reader.position + 1, batch };
    this.parcels.push(parcel);
    this.points += batch.length;
    return parcel;
  }

  /** The first parcel with a larger number. */
  after(sequence: number): Parcel | undefined {
    const { parcels } = this;
    let low = 0;
    for (let high = parcels.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (parcels[middle].sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return parcels[low];
  }

  /** The parcel with this number, if it is here. */
  find(sequence: number): Parcel | undefined {
    const parcel = this.after(sequence - 1);
    return parcel?.sequence === sequence ? parcel : undefined;
  }

  /** The oldest `count` parcels are safe. @returns their points */
  commit(count: number): number {
    let points = 0;
    for (const { batch } of this.parcels.splice(0, count)) points += batch.length;
    this.points -= points;
    this.reader.commit(count);
    return points;
  }

  /** All parcels up to this number are safe. @returns their points */
  commitUpTo(sequence: number): number {
    const { parcels } = this;
    let count = 0;
    while (count < parcels.length && parcels[count].sequence <= sequence) count++;
    return count > 0 ? this.commit(count) : 0;
  }
}
