/** Gathers what a transform makes of one batch, and divides it into batches for the next journal. */
import { Batch, BatchPool } from "../../points/measurement.ts";
import { type ClientRecord, type ClientTable, LOCAL_ORIGIN } from "../../points/origins.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import type { StageOutput } from "../../plugin.ts";

const POOLED_BATCHES = 8;

export class Collector implements StageOutput {
  /** Where nothing is gathered: the batch was processed before a restart. */
  isMuted = false;
  readonly #clients: ClientTable;
  readonly #local: ClientRecord;
  readonly #partPoints: number;
  #pool: BatchPool | null = null;
  readonly #parts: Batch[] = [];
  #current: Batch | null = null;
  #client!: ClientRecord;
  /** Results, by client in the order in which the first of each came. */
  readonly #results = new Map<ClientRecord, Batch>();

  /**
   * @param clients Those of the next journal.
   * @param local The inputs of this process, in the previous journal.
   * @param partPoints Rows of a batch for the next journal, at most.
   */
  constructor(clients: ClientTable, local: ClientRecord, partPoints: number) {
    this.#clients = clients;
    this.#local = local;
    this.#partPoints = partPoints;
  }

  /** Begins with another batch. */
  begin(store: SeriesStore): void {
    if (this.#pool?.store !== store) this.#pool = new BatchPool(this.#partPoints, POOLED_BATCHES, store);
  }

  /** The rows that come now are of that client of the previous journal. */
  beginClient(client: ClientRecord): void {
    this.#credit();
    const { name, instance } = client;
    this.#client = this.#clients.get(client === this.#local ? LOCAL_ORIGIN : name, instance);
  }

  pass(batch: Batch, row: number): void {
    if (!this.isMuted) this.#room().pushFrom(batch, row);
  }

  add(client: ClientRecord, series: number, seconds: number, nanos: number, value: number | bigint): void {
    if (this.isMuted) return;
    let results = this.#results.get(client);
    if (!results) this.#results.set(client, results = new Batch(64, null, this.#pool!.store));
    if (typeof value === "bigint") results.pushExact(series, seconds, nanos, value);
    else results.pushNumber(series, seconds, nanos, value);
  }

  /** Forgets what was gathered. */
  clear(): void {
    for (const part of this.#parts.splice(0)) part.release();
    this.#current?.release();
    this.#current = null;
    this.#forgetResults();
  }

  /** Hands over what was gathered: batches whose rows are all credited to clients of the next journal. */
  take(): Batch[] {
    this.#credit();
    for (const [client, results] of this.#results) {
      this.beginClient(client);
      for (let row = 0; row < results.length; row++) this.#room().pushFrom(results, row);
      this.#credit();
    }
    this.#forgetResults();
    if (this.#current) this.#parts.push(this.#current);
    this.#current = null;
    return this.#parts.splice(0);
  }

  /** A batch with room for one more row. */
  #room(): Batch {
    if (this.#current?.length === this.#partPoints) {
      this.#credit();
      this.#parts.push(this.#current);
      this.#current = null;
    }
    return this.#current ??= this.#pool!.take();
  }

  #credit(): void {
    this.#current?.credit(this.#client);
  }

  #forgetResults(): void {
    for (const results of this.#results.values()) results.release();
    this.#results.clear();
  }
}
