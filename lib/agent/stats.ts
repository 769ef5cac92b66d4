/** What a process has counted: the counters of its parts, and the books of its clients. */
import type { ClientTable } from "../points/origins.ts";

/** Counters of one part, with names in camelCase. */
export type Counters = Readonly<Record<string, number>>;

/** What one output has done with a client's points since the start. */
export interface OutputBooks {
  stored: number;
  /** Waiting in the journal. */
  kept: number;
  /** By the policy of a full journal, or by damage. */
  dropped: number;
}

/**
 * One client's points since the start. For each output, what it found in the journal at the start and what was
 * received is stored, kept, dropped, rejected or a duplicate.
 */
export interface ClientBooks {
  /** The name that it greets with; `""` for the inputs of this process. */
  readonly client: string;
  /** 32 hexadecimal digits, or `""` for a client that has no instance id. */
  readonly instance: string;
  readonly lastContactMs: number;
  readonly received: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly outputs: Readonly<Record<string, OutputBooks>>;
}

/** Counters as the log shows them: `missedPolls` is `missed_polls` there. */
export function loggedCounters<T>(counters: Readonly<Record<string, T>>): Record<string, T> {
  const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [snakeCase(name), value]));
}

/** The books of all clients and, where they have any, of the inputs of this process. */
export function* booksOf(clients: ClientTable): Generator<ClientBooks> {
  const { local } = clients;
  const measures = local.receivedPoints > 0 ||
    [...local.accounts.values()].some(({ keptAtStart }) => keptAtStart > 0);
  for (const record of measures ? [local, ...clients] : clients) {
    const outputs = [...record.accounts].map(([name, { stored, dropped }]): [string, OutputBooks] => [
      name,
      { stored, kept: record.kept(name), dropped },
    ]);
    yield {
      client: record.name,
      instance: record.instance,
      lastContactMs: record.lastContactMs,
      received: record.receivedPoints,
      rejected: record.rejectedPoints,
      duplicates: record.duplicatePoints,
      outputs: Object.fromEntries(outputs),
    };
  }
}
