/** Writes the batches of a file through an output that is opened only for them. */
import type { Logger } from "../../base/log.ts";
import { runLoneOutput } from "../../dead_letters/lone_output.ts";
import type { DeadLetters, OutputPlugin } from "../../plugin.ts";
import type { Batch } from "../../points/measurement.ts";
import { FileJournal } from "./file_journal.ts";

export interface WritingOptions {
  readonly log: Logger;
  readonly stateDirectory: string | null;
  readonly deadLetters: DeadLetters;
  /** Ends the import early. */
  readonly signal: AbortSignal;
}

export interface Written {
  /** Points that the target has, or has refused. */
  readonly stored: number;
  /** Those of them that it had before. */
  readonly skipped: number;
}

/**
 * @param id That of the file, 32 hexadecimal digits.
 * @throws errors of the batches, and of the output when it is opened or runs.
 */
export async function writePoints(
  batches: AsyncIterable<Batch>,
  id: string,
  { plugin, config }: { readonly plugin: OutputPlugin<unknown>; readonly config: unknown },
  { log, stateDirectory, deadLetters, signal }: WritingOptions,
): Promise<Written> {
  const journal = new FileJournal(id);
  const reader = journal.reader(plugin.name);
  await runLoneOutput({
    plugin,
    config,
    journal,
    reader,
    log,
    deadLetters,
    stateDirectory,
    // The file stays. A client of a server that is away gives up all the same.
    keepsOnDisk: !plugin.sends,
    signal,
    feed: (signal) => feed(batches, journal, signal),
  });
  const { stored } = journal.clients.local.account(plugin.name);
  return { stored, skipped: reader.skippedPoints };
}

async function feed(batches: AsyncIterable<Batch>, journal: FileJournal, signal: AbortSignal): Promise<void> {
  for await (const batch of batches) {
    if (signal.aborted) return batch.release();
    await journal.append(batch);
  }
  if (!signal.aborted) journal.end();
}
