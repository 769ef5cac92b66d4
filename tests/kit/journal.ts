/** Journals on disk, for tests. */
import type { DiskJournal } from "../../lib/disk_journal/disk_journal.ts";

/** Resolves when all that was appended is on disk, or given up. */
export function synced(journal: DiskJournal): Promise<void> {
  return journal.durable(journal.lastPosition);
}

/** The paths of a journal's segments, in order. */
export function segmentsOf(directory: string): string[] {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  return names.filter((name) => name.endsWith(".segment")).sort().map((name) => `${directory}/${name}`);
}
