/**
 * The journal stands between inputs and outputs: batches are appended once, each output reads them at its own pace
 * through its own cursor, and a batch is forgotten when every cursor has committed it. {@linkcode MemoryJournal} is in
 * memory; {@linkcode ./journal/disk/disk_journal.ts} keeps it across restarts, and is loaded where it is enabled.
 */
export {
  type BatchReader,
  type Journal,
  type JournalStats,
  type JournalUsage,
  newJournalId,
  type OnFull,
  type ReaderOptions,
  type WaitResult,
} from "./journal/contract.ts";
export { MemoryJournal, type MemoryJournalOptions } from "./journal/memory.ts";
