/** Journals for tests, on disk and in memory. */
import type { ClientTable } from "../../lib/points/origins.ts";
import { DiskJournal, type DiskJournalOptions } from "../../lib/journal/disk/disk_journal.ts";
import { type BatchReader, MemoryJournal, type MemoryJournalOptions } from "../../lib/journal.ts";
import { createLogger } from "../../lib/base/log.ts";
import { Batch } from "../../lib/points/measurement.ts";
import { unlocked } from "./locks.ts";
import { instanceOf, numbered, NUMBERS } from "./points.ts";
import { until } from "./waiting.ts";

/** Works in a directory that is removed afterwards. */
export async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
    // Who was refused the lock of the journal may still wait for it.
    await unlocked(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const silent = createLogger("journal", { write: () => {} });

/** A journal that logs nowhere and syncs at once, but for what is given. */
export function open(directory: string, options: Partial<DiskJournalOptions> = {}): Promise<DiskJournal> {
  return DiskJournal.open({ directory, log: silent, sync: "always", random: () => 0, ...options });
}

/** Appends batches of `each` points that number themselves from `first` on; the last one is on disk afterwards. */
export async function fill(journal: DiskJournal, count: number, first = 0, each = 1): Promise<void> {
  for (let n = 0; n < count; n++) journal.append(numbered(each, first + n * each));
  await synced(journal);
}

/** One batch of a client, with its number, which is the value of its points. */
export function batchOf(clients: ClientTable, name: string, sequence: number, points = 1): Batch {
  const client = clients.get(name, instanceOf(name));
  const batch = new Batch();
  for (let n = 0; n < points; n++) batch.push(NUMBERS, 1_700_000_000, 0, sequence);
  batch.credit(client, sequence);
  client.receivedPoints += points;
  client.numbers.accepted = sequence;
  return batch;
}

/** The numbers that a reader has until nothing comes; all are committed. */
export async function drain(reader: BatchReader, most = Infinity): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.length < most && await reader.wait(20) === "ready") {
    for (let batch; numbers.length < most && (batch = reader.next());) {
      for (let row = 0; row < batch.length; row++) numbers.push(batch.values[row]);
      reader.commit(1);
    }
  }
  return numbers;
}

/** `from` … `to - 1` */
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** Copies the files of a directory. */
export async function copyOf(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    // One that is not complete has its name for a moment only.
    if (isFile && !name.endsWith(".tmp")) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Resolves when everything appended is on disk, or dropped. */
export function synced(journal: DiskJournal): Promise<void> {
  const last = journal.lastPosition;
  return until(() => journal.writtenPosition > last);
}

/** The paths of a journal's segments, in order. */
export function segmentsOf(directory: string): string[] {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  return names.filter((name) => name.endsWith(".segment")).sort().map((name) => `${directory}/${name}`);
}

/** A journal in memory, without a limit that a test would meet. */
export function journalOf(options: Partial<MemoryJournalOptions> = {}): MemoryJournal {
  return new MemoryJournal({ limitBytes: 1e9, ...options });
}
