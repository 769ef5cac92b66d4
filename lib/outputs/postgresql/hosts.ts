/** When each host had its first and last point: kept up in each transaction, because looking for it takes long. */
import type { Batch } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";
import { clientAndOthers, storable } from "./identity.ts";
import { quoteLiteral } from "./names.ts";
import type { Session } from "./session.ts";

interface Times {
  /** Microseconds since 1970. */
  first: number;
  last: number;
}

export class HostTimes {
  readonly #schema: string;
  /** By the number of a series: one more than the place of its host in {@linkcode #names}. */
  readonly #hosts: SeriesColumn;
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Of the present transaction. */
  readonly #times = new Map<number, Times>();

  /** @param schema Quoted. */
  constructor(schema: string, store: SeriesStore = seriesStore) {
    this.#schema = schema;
    this.#hosts = new SeriesColumn(store);
  }

  /** When points were last stored, in ms since the Unix epoch; `undefined`: never. */
  async latestMs(session: Session): Promise<number | undefined> {
    const { rows: [{ ms }] } = await session.query<{ ms: string | null }>(
      `SELECT (extract(epoch FROM max(contact)) * 1000)::bigint AS ms FROM ${this.#schema}.host_times`,
    );
    return ms === null ? undefined : Number(ms);
  }

  /** Forgets what was noted. */
  clear(): void {
    this.#times.clear();
  }

  /** Notes rows `start … end-1` of a batch. */
  note(batch: Batch, start: number, end: number): void {
    const { series, seconds, nanos } = batch;
    for (let row = start; row < end; row++) {
      const host = this.#hosts.values[series[row]] || this.#learn(batch, row);
      const time = seconds[row] * 1e6 + Math.floor(nanos[row] / 1000);
      const times = this.#times.get(host);
      if (times === undefined) this.#times.set(host, { first: time, last: time });
      else if (time < times.first) times.first = time;
      else if (time > times.last) times.last = time;
    }
  }

  #learn(batch: Batch, row: number): number {
    const { client } = clientAndOthers(batch.seriesAt(row).attributes);
    let number = this.#numbers.get(client);
    if (number === undefined) this.#numbers.set(client, number = this.#names.push(client));
    this.#hosts.values[batch.series[row]] = number;
    return number;
  }

  /** What stores the times, as SQL, for the transaction that has the points. @param journal Its id. */
  save(journal: string): string[] {
    if (this.#times.size === 0) return [];
    const time = (micros: number) => `timestamptz 'epoch' + ${micros} * interval '1 microsecond'`;
    const rows = [...this.#times].map(([host, { first, last }]) => {
      const name = quoteLiteral(storable(this.#names[host - 1]));
      return `(${name}, '${journal}'::uuid, ${time(first)}, ${time(last)}, now())`;
    });
    // Always in the same order, so that nobody waits in a circle.
    return [
      `INSERT INTO ${this.#schema}.host_times AS h (name, journal, first, last, contact) VALUES ${
        rows.sort().join(", ")
      } ON CONFLICT (name, journal) DO UPDATE SET first = least(h.first, excluded.first), ` +
      "last = greatest(h.last, excluded.last), contact = greatest(h.contact, excluded.contact)",
    ];
  }
}
