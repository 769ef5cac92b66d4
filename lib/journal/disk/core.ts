/** What the parts of an open journal share. */
import { messageOf } from "../../base/errors.ts";
import type { ClientTable } from "../../points/origins.ts";
import { type Identity, mayHaveUsed } from "./format/identity.ts";
import type { Ledger } from "./ledger.ts";
import type { DiskJournalStats, Settings } from "./options.ts";
import type { Quarantine } from "./quarantine.ts";
import { cut } from "./recover.ts";
import type { Segment } from "./format/segment.ts";
import type { Segments } from "./segments.ts";
import type { Census } from "./format/census.ts";
import type { Entry, Tail } from "./tail.ts";

/** A cursor as the journal sees it; {@linkcode ./reader.ts} implements it. */
export interface Cursor {
  readonly committed: number;
  /** Batches from this number on stay on disk, if they were written. */
  readonly keptFrom: number;
  readonly nextNumber: number;
  readonly resumePosition: number;
  readonly pendingPoints: number;
  readonly isActive: boolean;
  readonly isOnMemory: boolean;
  wake(): void;
  wakeIfReady(): void;
  dropUnwritten(entries: readonly Entry[]): number;
  dropWritten(number: number, census: Census | null): number;
  holds(entry: Entry): boolean;
  close(): Promise<void>;
}

export interface CoreParts {
  readonly settings: Settings;
  readonly stats: DiskJournalStats;
  readonly ledger: Ledger;
  readonly segments: Segments;
  readonly tail: Tail;
  readonly quarantine: Quarantine;
}

export class Core implements CoreParts {
  readonly settings: Settings;
  readonly stats: DiskJournalStats;
  readonly ledger: Ledger;
  readonly segments: Segments;
  readonly tail: Tail;
  readonly quarantine: Quarantine;
  readonly readers = new Map<string, Cursor>();
  /** Number of the first batch since the journal was opened. */
  readonly firstOfSession: number;
  /** The journal's id. */
  id: string;
  /** Whether this journal may have used a number, see {@linkcode mayHaveUsed}. */
  readonly isOwn: (number: number) => boolean;
  /** A stop has begun. */
  stopping = false;
  /** No more batches will come. */
  ended = false;
  /** Readers get nothing more. */
  closed = false;
  /** Whether writing is not possible at present. */
  isStalled: () => boolean = () => false;
  /** Called after an output has committed. */
  onCommit: () => void = () => {};
  /** Stops writing to a segment, if it is the current one. */
  seal: (segment: Segment) => Promise<void> = () => Promise.resolve();

  constructor(identity: Identity, parts: CoreParts) {
    this.id = identity.id;
    this.isOwn = (number) => mayHaveUsed(identity, number);
    this.settings = parts.settings;
    this.stats = parts.stats;
    this.ledger = parts.ledger;
    this.segments = parts.segments;
    this.tail = parts.tail;
    this.quarantine = parts.quarantine;
    this.firstOfSession = parts.tail.next;
  }

  get clients(): ClientTable {
    return this.ledger.clients;
  }

  /** Everything before this number has been committed by every output. */
  get committed(): number {
    let committed = Infinity;
    for (const reader of this.readers.values()) committed = Math.min(committed, reader.committed);
    return committed === Infinity ? 0 : committed;
  }

  /** Everything before this number may be forgotten. */
  get keptFrom(): number {
    let keptFrom = Infinity;
    for (const reader of this.readers.values()) keptFrom = Math.min(keptFrom, reader.keptFrom);
    return keptFrom === Infinity ? 0 : keptFrom;
  }

  /** Some batches are on disk or given up: tells those who wait for that. */
  onWritten(): void {
    for (const reader of this.readers.values()) reader.wakeIfReady();
    this.clients.progress();
  }

  /** A record at `offset` is bad: copies the segment to quarantine, and ends it before that record. */
  async setAside(segment: Segment, offset: number): Promise<void> {
    await this.seal(segment);
    // Another reader found it first, or the segment was dropped.
    if (segment.length <= offset || !this.segments.has(segment)) return;
    const { settings: { files, log, times }, stats } = this;
    const lost = segment.length - offset;
    segment.length = offset;
    segment.end = null;
    stats.quarantinedSegments++;
    stats.damagedBytes += lost;
    const failure = await this.quarantine.add(segment.path, "copy", times.wallMs());
    log.error("A segment of the journal has a damaged record, only the records before it are used", {
      path: segment.path,
      at_byte: offset,
      lost_bytes: lost,
      no_copy: failure ?? undefined,
    });
    if (failure !== null || !this.segments.has(segment)) return;
    // The end of the last segment has the only record of some clients, so the next start keeps it.
    if (segment === this.segments.last) return;
    const before = segment.fileBytes;
    await cut(segment, offset, files, log);
    stats.diskBytes += segment.fileBytes - before;
  }

  /** A segment is permanently unreadable from some place on. */
  onUnreadable(segment: Segment, error: unknown): void {
    this.settings.log.error("Cannot read a segment of the journal", {
      path: segment.path,
      error: messageOf(error),
    });
  }

  /** The list of clients at the beginning of a segment is damaged; its batches are valid without it. */
  async onBadSnapshot(segment: Segment): Promise<void> {
    if (segment.badSnapshot) return;
    segment.badSnapshot = true;
    this.stats.quarantinedSegments++;
    const { log, times } = this.settings;
    log.error("The list of clients in a segment of the journal is damaged, its points are still used", {
      path: segment.path,
    });
    await this.quarantine.add(segment.path, "copy", times.wallMs());
  }

  /** An output has lost points at the end of a segment. Points that several outputs lose count once. */
  onLoss(segment: Segment, points: number): void {
    const more = points - segment.lostPoints;
    if (more <= 0) return;
    segment.lostPoints += more;
    this.stats.damagedPoints += more;
    this.settings.log.error("Points of the journal were lost to damage", {
      points: more,
      path: segment.path,
    });
  }
}
