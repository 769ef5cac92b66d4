/** The counters of the parts of a process, and the books of its clients. */
import type { Input } from "../plugin.ts";
import { type ClientTable, isMark, LOCAL_ORIGIN } from "../points/origins.ts";

/** Counters of one part, with names in camelCase. */
export type Counters = Readonly<Record<string, number>>;

/** What one output did with a client's points since the start. */
export interface OutputBooks {
  /** Found in the journal at the start, for this output to take. */
  keptAtStart: number;
  stored: number;
  /** Waiting in the journal. */
  kept: number;
  /** Dropped by a full journal, or lost by damage. */
  dropped: number;
}

/**
 * One client's points since the start. For each output, what it found in the journal at the start and what was
 * received is stored, kept, dropped, rejected or a duplicate; what transforms have added counts as received, too.
 */
export interface ClientBooks {
  /** The name in its greeting; `""` for the inputs of this process. */
  readonly client: string;
  /** 32 hexadecimal digits, or `""` for a client without an instance id. */
  readonly instance: string;
  readonly lastContactMs: number;
  readonly received: number;
  readonly rejected: number;
  readonly duplicates: number;
  /** Added by transforms, less those that they have taken out. */
  readonly transformed?: number;
  readonly outputs: Readonly<Record<string, OutputBooks>>;
}

/** Whether an input that measures its machine has found nothing there, and nothing has failed. */
export function hasFoundNothing({ findings, stats }: Pick<Input, "findings" | "stats">): boolean {
  return findings?.length === 0 && stats?.points === 0 && !stats.failedPolls;
}

/** Counters with their names in the log: `missedPolls` becomes `missed_polls`. */
export function loggedCounters<T>(counters: Readonly<Record<string, T>>): Record<string, T> {
  const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [snakeCase(name), value]));
}

/**
 * The books of all clients over several journals in a row: what the transforms between two journals have added or taken
 * out counts as transformed.
 *
 * @param before The clients of the journals before the last one, each of which has one reader.
 */
export function* booksOfAll(before: readonly ClientTable[], last: ClientTable): Generator<ClientBooks> {
  if (before.length === 0) return yield* booksOf(last);
  const sums = new Map<string, Sums>();
  const add = (books: ClientBooks, isFirst: boolean, isLast: boolean) => {
    const key = `${books.instance}/${books.client}`;
    let sum = sums.get(key);
    if (!sum) sums.set(key, sum = newSums(books));
    if (isFirst) {
      sum.received += books.received;
      sum.rejected += books.rejected;
      sum.duplicates += books.duplicates;
    } else sum.transformed += books.received;
    sum.transformed += books.transformed ?? 0;
    sum.lastContactMs = Math.max(sum.lastContactMs, books.lastContactMs);
    if (isLast) return void (sum.outputs = books.outputs);
    const [{ keptAtStart, kept, dropped, stored } = NO_BOOKS] = Object.values(books.outputs);
    sum.transformed -= stored;
    sum.keptAtStart += keptAtStart;
    sum.kept += kept;
    sum.dropped += dropped;
  };
  before.forEach((clients, i) => {
    for (const books of booksOf(clients)) add(books, i === 0, false);
  });
  for (const books of booksOf(last)) add(books, false, true);
  const names = [...last.local.accounts.keys()];
  for (const { keptAtStart, kept, dropped, outputs, transformed, ...books } of sums.values()) {
    yield {
      ...books,
      ...transformed !== 0 && { transformed },
      outputs: Object.fromEntries(names.map((name): [string, OutputBooks] => {
        const own = outputs[name] ?? NO_BOOKS;
        return [name, {
          keptAtStart: own.keptAtStart + keptAtStart,
          stored: own.stored,
          kept: own.kept + kept,
          dropped: own.dropped + dropped,
        }];
      })),
    };
  }
}

const NO_BOOKS: OutputBooks = { keptAtStart: 0, stored: 0, kept: 0, dropped: 0 };

/** The books of one client, while they are added up. */
interface Sums {
  readonly client: string;
  readonly instance: string;
  lastContactMs: number;
  received: number;
  rejected: number;
  duplicates: number;
  transformed: number;
  keptAtStart: number;
  kept: number;
  dropped: number;
  outputs: Readonly<Record<string, OutputBooks>>;
}

function newSums({ client, instance }: ClientBooks): Sums {
  const counts = {
    received: 0,
    rejected: 0,
    duplicates: 0,
    transformed: 0,
    keptAtStart: 0,
    kept: 0,
    dropped: 0,
  };
  return { client, instance, lastContactMs: 0, ...counts, outputs: {} };
}

/** The books of all clients and, if they have points, of the inputs of this process. */
function* booksOf(clients: ClientTable): Generator<ClientBooks> {
  const { local } = clients;
  const measures = local.receivedPoints > 0 ||
    [...local.accounts.values()].some(({ keptAtStart }) => keptAtStart > 0);
  for (const record of measures ? [local, ...clients] : clients) {
    if (isMark(record)) continue;
    const outputs = [...record.accounts].map(
      ([name, { keptAtStart, stored, dropped }]): [string, OutputBooks] => [
        name,
        { keptAtStart, stored, kept: record.kept(name), dropped },
      ],
    );
    yield {
      client: record.name === LOCAL_ORIGIN ? "" : record.name,
      instance: record.instance,
      lastContactMs: record.lastContactMs,
      received: record.receivedPoints,
      rejected: record.rejectedPoints,
      duplicates: record.duplicatePoints,
      ...record.transformedPoints !== 0 && { transformed: record.transformedPoints },
      outputs: Object.fromEntries(outputs),
    };
  }
}

/** The books of one output, summed over all clients: received + keptAtStart = the sum of what follows. */
interface TotalBooks extends OutputBooks {
  clients: number;
  received: number;
  rejected: number;
  duplicates: number;
}

/** By the name of the output. */
export function totalsOf(books: Iterable<ClientBooks>): Map<string, TotalBooks> {
  const totals = new Map<string, TotalBooks>();
  for (const { received, rejected, duplicates, outputs } of books) {
    for (const [output, { keptAtStart, stored, kept, dropped }] of Object.entries(outputs)) {
      const total = totals.get(output) ?? {
        clients: 0,
        received: 0,
        keptAtStart: 0,
        stored: 0,
        kept: 0,
        rejected: 0,
        duplicates: 0,
        dropped: 0,
      };
      total.clients++;
      total.received += received;
      total.keptAtStart += keptAtStart;
      total.stored += stored;
      total.kept += kept;
      total.rejected += rejected;
      total.duplicates += duplicates;
      total.dropped += dropped;
      totals.set(output, total);
    }
  }
  return totals;
}
