/** One transaction: the rows of some batches, how far the journal is stored, and what of each client is. */
import { type ClientIdentity, type ClientRecord, isOwn } from "../../points/origins.ts";
import type { DeadLetters } from "../../plugin.ts";
import type { Batch } from "../../points/measurement.ts";
import { type Changes, IdsChanged } from "./changes.ts";
import type { HostTimes } from "./hosts.ts";
import { clientKey } from "./identity.ts";
import type { Partitions } from "./partitions.ts";
import { type JournalRow, PositionChanged, type Positions, type Sequences } from "./positions.ts";
import { Marks } from "./rollups/marks.ts";
import { COLUMNS, MAX_ROWS, Rows } from "./rows.ts";
import { valueProblem } from "../rendering/u64.ts";
import type { SeriesIds } from "./series_ids.ts";
import type { Session } from "./session.ts";
import { describe, judge } from "./sqlstate.ts";

/** Rows of one batch that were not stored by somebody else before. */
interface Slice {
  readonly batch: Batch;
  readonly start: number;
  readonly end: number;
}

export interface WriterOptions {
  readonly schema: string;
  readonly ids: SeriesIds;
  readonly changes: Changes;
  readonly partitions: Partitions;
  readonly positions: Positions;
  /** Rows of clients. */
  readonly clients: Sequences;
  /** `null`: batches of clients are not told apart by their numbers. */
  readonly sequences: Sequences | null;
  readonly hosts: HostTimes;
  readonly deadLetters: DeadLetters;
  /** The longest that a statement may take, in ms. */
  readonly timeoutMs: number;
}

/** How often series are looked up again for one transaction, because somebody goes on deleting them. */
const MAX_LOOKUPS = 10;

/** What a transaction has done. */
export interface Written {
  points: number;
  /** Points that another server had stored before. */
  duplicates: number;
  refused: number;
}

export class Writer {
  readonly #options: WriterOptions;
  readonly #rows = new Rows();
  readonly #marks = new Marks();
  readonly #keys = new WeakMap<ClientRecord, string>();
  /** Points that are set aside; another try of the same batches does not do it again. */
  readonly #aside = new Map<Batch, Set<number>>();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /**
   * Stores batches, all or nothing.
   *
   * @throws {PositionChanged} and whatever the database says; the session must not be used again then.
   */
  async write(
    session: Session,
    batches: readonly Batch[],
    from: JournalRow,
    to: JournalRow,
  ): Promise<Written> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#write(session, batches, from, to);
      } catch (error) {
        if (!(error instanceof IdsChanged) || tries === MAX_LOOKUPS) throw error;
        await session.query("ROLLBACK");
        await this.#options.changes.note(session);
        this.#options.ids.forget();
      }
    }
  }

  async #write(
    session: Session,
    batches: readonly Batch[],
    from: JournalRow,
    to: JournalRow,
  ): Promise<Written> {
    const { ids, sequences } = this.#options;
    await ids.resolve(session, batches);
    const { numbered, others } = this.#clientsOf(batches);
    // Those that do not number their batches have rows as well, for those who read them.
    if (others.size > 0) await this.#options.clients.prepare(session, others);
    const clients = sequences ? numbered : new Map<string, ClientIdentity>();
    if (numbered.size > 0) await (sequences ?? this.#options.clients).prepare(session, numbered);
    const parts = partsOf(batches.map((batch) => ({ batch, start: 0, end: batch.length })));
    await this.#makePartitions(session, parts);
    try {
      return await this.#transaction(session, batches, parts, clients, from, to, false);
    } catch (error) {
      if (session.lost || judge(error) !== "refused") throw error;
      // Which rows it is that are refused takes more statements.
      await session.query("ROLLBACK");
      return await this.#transaction(session, batches, parts, clients, from, to, true);
    }
  }

  /** The batches are stored, or will not be written again. */
  settled(batches: readonly Batch[]): void {
    for (const batch of batches) this.#aside.delete(batch);
  }

  async #transaction(
    session: Session,
    batches: readonly Batch[],
    parts: readonly Slice[][],
    clients: ReadonlyMap<string, ClientIdentity>,
    from: JournalRow,
    to: JournalRow,
    careful: boolean,
  ): Promise<Written> {
    const { schema, changes, positions, sequences, hosts, timeoutMs } = this.#options;
    const limit = Math.ceil(timeoutMs);
    const begin = [
      "BEGIN",
      `SET LOCAL statement_timeout = ${limit}`,
      `SET LOCAL lock_timeout = ${Math.ceil(limit / 2)}`,
      `SET LOCAL idle_in_transaction_session_timeout = ${limit}`,
      ...(session.backend.asynchronous ? ["SET LOCAL synchronous_commit = on"] : []),
      // What somebody's constraint has to say is said with the row.
      ...(careful ? ["SET CONSTRAINTS ALL IMMEDIATE"] : []),
      ...changes.statements,
      positions.move(from, to),
      ...(clients.size > 0 ? [sequences!.lock(clients.keys())] : []),
    ];
    const results = await session.statements(begin.join(";\n"));
    const at = results.findIndex(({ command }) => command === "UPDATE");
    const moved = at < 0 ? undefined : results[at];
    changes.check(results[at - 1]?.rows ?? []);
    if (moved?.rowCount !== 1) throw new PositionChanged("another transaction has changed the position");

    const written: Written = { points: 0, duplicates: 0, refused: 0 };
    const end = [];
    if (clients.size > 0) {
      const { rows } = results.at(-1)! as unknown as { rows: { key: string; sequence: string }[] };
      if (rows.length < clients.size) {
        sequences!.forget();
        throw new Error("the row of a client is missing");
      }
      const stored = new Map(rows.map(({ key, sequence }) => [key.replaceAll("-", ""), Number(sequence)]));
      const slices = this.#newSlices(batches, stored);
      const count = slices.reduce((sum, { start, end }) => sum + end - start, 0);
      written.duplicates = batches.reduce((sum, { length }) => sum + length, 0) - count;
      if (written.duplicates > 0) parts = partsOf(slices);
      end.push(sequences!.raise(stored));
    }
    hosts.clear();
    for (const { batch, start, end } of parts.flat()) hosts.note(batch, start, end);
    end.push(...hosts.save(to.id));
    this.#marks.begin(changes.rollups);
    const copy = `COPY ${schema}.points (${COLUMNS}) FROM STDIN (FORMAT binary)`;
    let commit: string[] | undefined;
    for (const [n, part] of parts.entries()) {
      // The only one has been gathered.
      if (parts.length > 1 || written.duplicates > 0) this.#gather(part);
      const rows = this.#rows;
      written.refused += await this.#setAsideBySeries(part);
      if (careful) {
        const refused = await this.#copyCarefully(session, copy, 0, rows.length);
        written.refused += refused;
        written.points -= refused;
        this.#marks.note(rows, (n) => !this.#isAside(n));
      } else if (rows.length > 0) {
        const isLast = n === parts.length - 1;
        this.#marks.note(rows);
        if (isLast) end.push(...this.#marks.statements(schema), "COMMIT");
        const tags = await session.copy(
          isLast ? [copy, ...end].join(";\n") : copy,
          rows.fill(0, rows.length),
        );
        if (isLast) commit = tags;
      }
      written.points += rows.length;
    }
    if (careful) await this.#options.deadLetters.sync();
    if (!commit) end.push(...this.#marks.statements(schema), "COMMIT");
    commit ??= (await session.statements(end.join(";\n"))).map(({ command }) => command);
    if (commit.at(-1) !== "COMMIT") throw new Error(`the database answers COMMIT with ${commit.at(-1)}`);
    return written;
  }

  #key(client: ClientRecord): string {
    let key = this.#keys.get(client);
    if (key === undefined) this.#keys.set(client, key = clientKey(client));
    return key;
  }

  /** Clients by their keys: those that number their batches, and those that do not. */
  #clientsOf(batches: readonly Batch[]) {
    const numbered = new Map<string, ClientIdentity>();
    const others = new Map<string, ClientIdentity>();
    for (const { origins } of batches) {
      for (const { client, sequence } of origins) {
        // The inputs of this process are not a client.
        if (sequence === 0 && client.name === "" || isOwn(client)) continue;
        (sequence > 0 ? numbered : others).set(this.#key(client), client);
      }
    }
    return { numbered, others };
  }

  /** What is not stored yet. The numbers go up to what will be. */
  #newSlices(batches: readonly Batch[], stored: Map<string, number>): Slice[] {
    const slices: Slice[] = [];
    for (const batch of batches) {
      const last = batch.origins.at(-1)?.end ?? 0;
      for (const { client, start, end, sequence } of batch.origins) {
        if (sequence > 0 && !isOwn(client)) {
          const key = this.#key(client);
          if (sequence <= stored.get(key)!) continue;
          stored.set(key, sequence);
        }
        if (end > start) slices.push({ batch, start, end });
      }
      if (batch.length > last) slices.push({ batch, start: last, end: batch.length });
    }
    return slices;
  }

  #gather(part: readonly Slice[]): void {
    const rows = this.#rows;
    rows.clear();
    for (const { batch, start, end } of part) rows.add(batch, start, end, this.#idOf);
    rows.sort();
  }

  /** The id of a row's series; 0 for rows that cannot be stored. */
  readonly #idOf = (batch: Batch, row: number): number =>
    valueProblem(batch, row) === undefined ? this.#options.ids.idOf(batch, row) : 0;

  async #makePartitions(session: Session, parts: readonly Slice[][]): Promise<void> {
    for (const part of parts) {
      this.#gather(part);
      await this.#options.partitions.ensure(session, this.#rows.days);
    }
  }

  /** Points of series that the database refuses, and values that are not what their metric says, are no rows. */
  async #setAsideBySeries(part: readonly Slice[]): Promise<number> {
    const { ids, deadLetters } = this.#options;
    const all = part.reduce((sum, { start, end }) => sum + end - start, 0);
    const refused = all - this.#rows.length;
    if (refused === 0) return 0;
    for (const { batch, start, end } of part) {
      for (let row = start; row < end; row++) {
        const reason = valueProblem(batch, row) ?? ids.reasonOf(batch, row);
        if (reason !== undefined) this.#setAside(batch, row, reason);
      }
    }
    await deadLetters.sync();
    return refused;
  }

  #setAside(batch: Batch, row: number, reason: string): void {
    let rows = this.#aside.get(batch);
    if (!rows) this.#aside.set(batch, rows = new Set());
    if (rows.has(row)) return;
    rows.add(row);
    this.#options.deadLetters.add(batch, row, reason);
  }

  /** Whether the row that is the `n`-th to be written is set aside. */
  #isAside(n: number): boolean {
    const { batch, row } = this.#rows.source(n);
    return this.#aside.get(batch)?.has(row) === true;
  }

  /** Writes rows, in halves where some of them are refused, down to the very row. @returns how many were. */
  async #copyCarefully(session: Session, copy: string, from: number, to: number): Promise<number> {
    if (from === to) return 0;
    try {
      await session.copy(`SAVEPOINT part; ${copy}; RELEASE part`, this.#rows.fill(from, to));
      return 0;
    } catch (error) {
      if (session.lost || judge(error) !== "refused") throw error;
      await session.query("ROLLBACK TO part; RELEASE part");
      if (to - from === 1) {
        const { batch, row } = this.#rows.source(from);
        this.#setAside(batch, row, describe(error));
        return 1;
      }
    }
    const half = (from + to) >> 1;
    return await this.#copyCarefully(session, copy, from, half) +
      await this.#copyCarefully(session, copy, half, to);
  }
}

/** Rows that are gathered together: nearly always all of them. */
function partsOf(slices: readonly Slice[]): Slice[][] {
  const parts: Slice[][] = [[]];
  let count = 0;
  for (const { batch, start, end } of slices) {
    for (let from = start; from < end;) {
      if (count === MAX_ROWS) {
        parts.push([]);
        count = 0;
      }
      const to = Math.min(end, from + MAX_ROWS - count);
      parts.at(-1)!.push({ batch, start: from, end: to });
      count += to - from;
      from = to;
    }
  }
  return parts;
}
