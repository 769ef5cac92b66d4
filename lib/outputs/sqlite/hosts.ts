/** When each host had its first and last point: kept up with each transaction, because looking for it takes long. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Identities } from "./identities.ts";
import type { PointColumns } from "../threads/point_columns.ts";
import { Block } from "./blocks/block.ts";
import { BlockError } from "./blocks/bytes.ts";
import { type PartPlan, SECONDS_PER_DAY } from "./row_order.ts";

/** SQLite's integers end here: in 2262. */
const MAX_TIME = 2n ** 63n - 1n;
const NS_PER_SECOND = 1_000_000_000n;

interface Times {
  first: bigint;
  last: bigint;
}

const WIDEN =
  "ON CONFLICT (name) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last), " +
  "contact = max(contact, excluded.contact)";

export class Hosts {
  readonly #save: StatementSync;
  /** Of the present transaction, by the number of the host. */
  readonly #times = new Map<number, Times>();

  constructor(db: DatabaseSync) {
    this.#save = db.prepare(
      `INSERT INTO host_times (name, first, last, contact) VALUES (?, ?, ?, ?) ${WIDEN}`,
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

/** A sum that no integer holds is a REAL, and a REAL becomes the last integer. */
const FIRST = "CAST(min(d.start * 1000000000 + t.first) AS INTEGER)";
const LAST = "CAST(max(d.start * 1000000000 + t.last) AS INTEGER)";

/** Fills an empty table, out of the points that there are. */
export function fillHosts(db: DatabaseSync): void {
  const insert = "INSERT INTO host_times (name, first, last, contact)";
  db.prepare(
    `${insert} SELECT s.relay_client, ${FIRST}, ${LAST}, ` +
      `max(d.written) * ${SECONDS_PER_DAY} ` +
      "FROM (SELECT part, series, min(offset) AS first, max(offset) AS last FROM points GROUP BY part, series) t " +
      "JOIN parts d ON d.id = t.part JOIN series s ON s.id = t.series GROUP BY s.relay_client",
  ).run();
  const widen = db.prepare(`${insert} SELECT relay_client, ?, ?, ? FROM series WHERE id = ? ${WIDEN}`);
  const blocks = db.prepare("SELECT b.id, d.start, d.written FROM blocks b JOIN parts d ON d.id = b.part")
    .all();
  const read = db.prepare("SELECT data FROM blocks WHERE id = ?");
  for (const { id, start, written } of blocks as { id: number; start: number; written: number }[]) {
    const time = (offset: number) => atMost(BigInt(start) * NS_PER_SECOND + BigInt(offset));
    try {
      const block = new Block((read.get(id) as { data: Uint8Array }).data);
      for (const series of block.series) {
        const { offsets } = block.points(series)!;
        widen.run(time(offsets[0]), time(offsets.at(-1)!), written * SECONDS_PER_DAY, series);
      }
    } catch (error) {
      // A damaged block is a matter for those who read it.
      if (!(error instanceof BlockError)) throw error;
    }
  }
}

function timeOf({ seconds, nanos }: PointColumns, row: number): bigint {
  return atMost(BigInt(seconds[row]) * NS_PER_SECOND + BigInt(nanos[row]));
}

function atMost(time: bigint): bigint {
  return time < MAX_TIME ? time : MAX_TIME;
}
