/** The journals of a process: one before the outputs, and one before each transform with a memory. */
import type { DiskJournal } from "../journal/disk/disk_journal.ts";
import { isOwn } from "../points/origins.ts";
import { type Journal, MemoryJournal, type MemoryJournalOptions } from "../journal.ts";

/** What a stop gives up, and what it leaves with clients that send it again; in points. */
interface Unwritten {
  readonly lost: number;
  readonly leftWithClients: number;
}

export class Journals {
  /** In the order of the data. */
  readonly all: readonly Journal[];
  /** The same, if they are on disk. */
  readonly disks: readonly DiskJournal[];

  /**
   * @param disks Those on disk; if there are none, so many are made in memory.
   * @param count One more than there are stages.
   */
  constructor(disks: readonly DiskJournal[], count: number, options: MemoryJournalOptions) {
    this.disks = disks;
    this.all = disks.length > 0 ? disks : Array.from({ length: count }, () => new MemoryJournal(options));
    // Hops are those of the process.
    for (const { clients } of this.all) clients.upstream = this.last.clients.upstream;
    if (this.all.length > 1) this.#adoptNumbers();
  }

  /**
   * Where the process had no transform with a memory before, only the last journal knows which batches of clients were
   * taken.
   */
  #adoptNumbers(): void {
    for (const client of this.last.clients) {
      if (isOwn(client) || client.durable === 0) continue;
      const own = this.first.clients.get(client.name, client.instance);
      own.numbers.restore(client.durable);
      own.lastContactMs = Math.max(own.lastContactMs, client.lastContactMs);
    }
  }

  /** What inputs push to, behind the first transforms. */
  get first(): Journal {
    return this.all[0];
  }

  /** What outputs read. */
  get last(): Journal {
    return this.all.at(-1)!;
  }

  get areOnDisk(): boolean {
    return this.disks.length > 0;
  }

  /** Points that some reader has not committed. */
  get pendingPoints(): number {
    return this.all.reduce((sum, { pendingPoints }) => sum + pendingPoints, 0);
  }

  get droppedPoints(): number {
    return this.all.reduce((sum, { stats }) => sum + stats.droppedPoints, 0);
  }

  /** What is only in memory of a later journal comes out of the first one again. */
  get unwritten(): Unwritten {
    return this.disks[0]?.unwritten ?? { lost: this.pendingPoints, leftWithClients: 0 };
  }

  beginStop(): void {
    for (const journal of this.all) journal.beginStop();
  }

  unblock(): void {
    for (const journal of this.all) journal.unblock();
  }

  /** Closes those on disk, the last one first: what it writes then need not be kept in the one before. */
  async close(): Promise<void> {
    for (const disk of this.disks.toReversed()) await disk.close();
  }
}
