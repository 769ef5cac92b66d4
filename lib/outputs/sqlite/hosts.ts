/** When each host had its first and last point: kept up with each transaction, because looking for it takes long. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Identities } from "./identities.ts";
import type { PointColumns } from "./messages.ts";
import type { PartPlan } from "./row_order.ts";

/** SQLite's integers end here: in 2262. */
const MAX_TIME = 2n ** 63n - 1n;
const NS_PER_SECOND = 1_000_000_000n;

interface Times {
  first: bigint;
  last: bigint;
}

export class Hosts {
  readonly #save: StatementSync;
  /** Of the present transaction, by the number of the host. */
  readonly #times = new Map<number, Times>();

  constructor(db: DatabaseSync) {
    this.#save = db.prepare(
      "INSERT INTO host_times (name, first, last, contact) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET " +
        "first = min(first, excluded.first), last = max(last, excluded.last), contact = max(contact, excluded.contact)",
    );
  }

  /** Notes the points of a part, which are sorted by series and time. */
  note({ from, to }: PartPlan, order: Uint32Array, columns: PointColumns, { hosts }: Identities): void {
    const { series } = columns;
    for (let start = from; start < to;) {
      const number = series[order[start]];
      let end = start + 1;
      while (end < to && series[order[end]] === number) end++;
      this.#note(hosts[number], timeOf(columns, order[start]), timeOf(columns, order[end - 1]));
      start = end;
    }
  }

  #note(host: number, first: bigint, last: bigint): void {
    const times = this.#times.get(host);
    if (!times) this.#times.set(host, { first, last });
    else {
      if (first < times.first) times.first = first;
      if (last > times.last) times.last = last;
    }
  }

  /** Stores what was noted, in the transaction that has the points. */
  save({ hostNames }: Identities, nowSeconds: number): void {
    for (const [host, { first, last }] of this.#times) {
      this.#save.run(hostNames[host], first, last, nowSeconds);
    }
    this.#times.clear();
  }

  /** The transaction has failed. */
  forget(): void {
    this.#times.clear();
  }
}

function timeOf({ seconds, nanos }: PointColumns, row: number): bigint {
  const time = BigInt(seconds[row]) * NS_PER_SECOND + BigInt(nanos[row]);
  return time < MAX_TIME ? time : MAX_TIME;
}
