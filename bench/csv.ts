/**
 * The CSV output by itself: `csv.ts [REPEATS]`. The recorded session, from a journal in memory, and from one on disk, where
 * a position is kept beside the file; points per second from the first batch to the last commit.
 */
import { DiskJournal } from "../lib/journal/disk/disk_journal.ts";
import { type Journal, MemoryJournal } from "../lib/journal.ts";
import { createLogger } from "../lib/base/log.ts";
import { csv } from "../lib/outputs/csv.ts";
import { CsvOutput } from "../lib/outputs/csv/output.ts";
import { contextWith } from "../tests/kit/context.ts";
import { sessionBatches } from "../tests/kit/session.ts";
import { pause } from "../tests/kit/waiting.ts";

const repeats = Number(Deno.args[0] ?? 200);
const log = createLogger("bench", { level: "warn" });

async function measure(
  name: string,
  directory: string,
  journal: Journal,
  keepsOnDisk: boolean,
): Promise<void> {
  const path = `${directory}/${name}.csv`;
  const config = { ...csv.config.defaultValue(), output_path: path };
  await using output = await CsvOutput.open(config, contextWith({ log, keepsOnDisk, identity: journal }));
  // Series get their caches when slots are known.
  const batches = sessionBatches();
  const running = output.run(journal.reader("csv", output), new AbortController().signal);
  const began = performance.now();
  let points = 0;
  for (let n = 0; n < repeats; n++) {
    for (const batch of batches) {
      points += batch.length;
      const room = journal.append(batch);
      if (room) await room;
    }
    await pause(0);
  }
  journal.end();
  await running;
  const seconds = (performance.now() - began) / 1000;
  const mebibytes = (await Deno.stat(path)).size / 1024 ** 2;
  console.log(
    `${name}: ${(points / seconds / 1e6).toFixed(2)} M points/s, ${Math.round(mebibytes / seconds)} MiB/s`,
  );
}

const directory = await Deno.makeTempDir({ dir: Deno.env.get("BENCH_DIRECTORY") });
try {
  for (let n = 0; n < 3; n++) {
    await measure(`memory-${n}`, directory, new MemoryJournal({ limitBytes: 4 * 1024 ** 2 }), false);
    await using journal = await DiskJournal.open({ directory: `${directory}/journal-${n}`, log });
    await measure(`disk-${n}`, directory, journal, true);
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
