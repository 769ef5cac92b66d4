/** A host of a load: its journal, and its way to the server, in this process. */
import type { Logger } from "../lib/base/log.ts";
import { RelayClient } from "../lib/client.ts";
import { config } from "../lib/client/config.ts";
import { MemoryJournal, newJournalId } from "../lib/journal.ts";
import { contextWith } from "../tests/kit/context.ts";

const JOURNAL_BYTES = 1024 ** 2;

/** A client of ours, `node-INDEX`, that sends what is appended to the journal until the signal is aborted. */
export function startHost(
  index: number,
  address: string,
  { log, stop }: { log: Logger; stop: AbortSignal },
): { journal: MemoryJournal; client: RelayClient; running: Promise<void> } {
  const journal = new MemoryJournal({ limitBytes: JOURNAL_BYTES });
  const client = new RelayClient(
    { ...config.defaultValue(), relay_server: [address], buffer_max_length: 0, client_name: `node-${index}` },
    contextWith({
      log,
      clients: journal.clients,
      identity: { ...contextWith({}).identity, id: newJournalId() },
    }),
  );
  return { journal, client, running: client.run(journal.reader("relay-client"), stop) };
}
