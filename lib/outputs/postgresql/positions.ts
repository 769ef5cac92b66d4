/**
 * What the database has: how far it is in a journal, and the last batch of each client. Both are written in the
 * transaction that has the rows, so they are true whatever dies when.
 */
import { randomUUID } from "node:crypto";
import type { ClientIdentity } from "../../points/origins.ts";
import { storable } from "./identity.ts";
import type { Session } from "./session.ts";

/** Rows of journals in memory are of no use to anybody after the end of their process; not all are deleted by it. */
const FORGET_DAYS = 30;

/** Where this process stands in the database. */
export interface JournalRow {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Number of the last batch that is stored, or -1. */
  readonly position: number;
  /** The transaction that wrote it. */
  readonly transaction: string;
}

/** Another transaction than the one that we know of was the last: ours, of which we had no answer, or a stranger's. */
export class PositionChanged extends Error {
  override readonly name = "PositionChanged";
}

export class Positions {
  constructor(readonly schema: string) {}

  /**
   * The row of a journal, which is made where there is none. Waits for a transaction that is changing it.
   *
   * @param before The id that the journal had, if it has a new one.
   */
  async read(session: Session, id: string, inMemory: boolean, before = id): Promise<JournalRow> {
    if (inMemory) {
      await session.query(
        `DELETE FROM ${this.schema}.journals WHERE in_memory AND changed_at < now() - interval '${FORGET_DAYS} days'`,
      );
    }
    type Row = { id: string; position: string; transaction: string };
    const columns = "id, position, transaction";
    const found = await session.query<Row>(
      `SELECT ${columns} FROM ${this.schema}.journals WHERE id IN ($1, $2) ORDER BY id = $1 DESC FOR UPDATE`,
      [id, before],
    );
    const { rows: [row] } = found.rows.length > 0 ? found : await session.query<Row>(
      `INSERT INTO ${this.schema}.journals (${columns}, host, in_memory, changed_at)
       VALUES ($1, -1, $2, $3, $4, now()) RETURNING ${columns}`,
      [id, randomUUID(), storable(Deno.hostname()), inMemory],
    );
    return {
      id: row.id.replaceAll("-", ""),
      position: Number(row.position),
      transaction: row.transaction,
    };
  }

  /**
   * What moves the position, as SQL, to be run in the transaction that has the rows. Who runs it first goes on, a second
   * one waits for its end, and then finds no row.
   */
  move(from: JournalRow, to: JournalRow): string {
    return `UPDATE ${this.schema}.journals SET id = '${to.id}', position = ${to.position}, ` +
      `transaction = '${to.transaction}', changed_at = now() ` +
      `WHERE id = '${from.id}' AND transaction = '${from.transaction}'`;
  }

  /** The process ends in good order, and its journal with it. */
  async forget(session: Session, { id, transaction }: JournalRow): Promise<void> {
    await session.query(`DELETE FROM ${this.schema}.journals WHERE id = $1 AND transaction = $2`, [
      id,
      transaction,
    ]);
  }
}

/** The sequence numbers of clients in the database. */
export class Sequences {
  /** Keys of clients that have a row. */
  #known = new Set<string>();

  constructor(readonly schema: string) {}

  forget(): void {
    this.#known.clear();
  }

  /** Creates rows for clients that have none, so that they can be locked. A client with a new name continues with its numbers. */
  async prepare(session: Session, clients: ReadonlyMap<string, ClientIdentity>): Promise<void> {
    const missing = [...clients].filter(([key]) => !this.#known.has(key))
      .sort(([a], [b]) => a < b ? -1 : 1);
    if (missing.length === 0) return;
    await session.query(
      `INSERT INTO ${this.schema}.clients (key, instance, name, sequence, changed_at)
       SELECT u.key, u.instance, u.name, coalesce(max(c.sequence), 0), now()
       FROM unnest($1::uuid[], $2::text[], $3::text[]) u (key, instance, name)
       LEFT JOIN ${this.schema}.clients c ON c.instance = u.instance
       GROUP BY u.key, u.instance, u.name ON CONFLICT (key) DO NOTHING`,
      [
        missing.map(([key]) => key),
        missing.map(([, { instance }]) => storable(instance)),
        missing.map(([, { name }]) => storable(name)),
      ],
    );
    for (const [key] of missing) this.#known.add(key);
  }

  /** What locks the rows of clients and shows their numbers, as SQL: always in the same order, so nobody waits in a circle. */
  lock(keys: Iterable<string>): string {
    const list = [...keys].map((key) => `'${key}'`).join(",");
    return `SELECT key::text AS key, sequence FROM ${this.schema}.clients ` +
      `WHERE key IN (${list}) ORDER BY key FOR UPDATE`;
  }

  /** What raises the numbers, as SQL. */
  raise(sequences: ReadonlyMap<string, number>): string {
    const list = [...sequences].map(([key, sequence]) => `('${key}'::uuid,${sequence}::bigint)`).join(",");
    return `UPDATE ${this.schema}.clients c SET sequence = v.sequence, changed_at = now() ` +
      `FROM (VALUES ${list}) v (key, sequence) WHERE c.key = v.key AND c.sequence < v.sequence`;
  }

  /** The last batch of each of these clients, under whatever name. */
  async read(session: Session, clients: readonly ClientIdentity[]): Promise<number[]> {
    const { rows } = await session.query<{ instance: string; sequence: string }>(
      `SELECT instance, max(sequence) AS sequence FROM ${this.schema}.clients
       WHERE instance = ANY($1::text[]) GROUP BY instance`,
      [clients.map(({ instance }) => instance)],
    );
    const found = new Map(rows.map(({ instance, sequence }) => [instance, Number(sequence)]));
    return clients.map(({ instance }) => found.get(instance) ?? 0);
  }
}
