/**
 * A process to be killed: numbered points through a journal on disk into an output, as fast as they are written, until
 * standard input ends. Says on standard output how many are durable. `output_process.ts DIRECTORY RUN OUTPUT CONFIG`,
 * the configuration as JSON.
 */
import { SystemClock } from "../../lib/base/clock.ts";
import { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import { createLogger } from "../../lib/base/log.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { csv } from "../../lib/outputs/csv.ts";
import { parquet } from "../../lib/outputs/parquet.ts";
import { postgresql } from "../../lib/outputs/postgresql.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import type { OutputPlugin } from "../../lib/plugin.ts";
import { contextWith } from "./context.ts";
import { metricOf } from "./decode.ts";
import { synced } from "./journal.ts";
import { numbered } from "./points.ts";
import { pause } from "./waiting.ts";

/** Clients that the points are said to be of. */
const CLIENTS = 5;

/** What may wait for the output, in points. */
const MOST_PENDING = 20_000;

const [directory, run, name, given] = Deno.args;
const plugins: Readonly<Record<string, OutputPlugin<unknown>>> = { csv, parquet, postgresql, sqlite };
const plugin = plugins[name];
const log = createLogger("process", { format: "json" });
const config = { ...plugin.config.defaultValue() as object, ...JSON.parse(given) };
const series = Array.from({ length: CLIENTS }, (_, i) =>
  seriesOf(metricOf(`run_${run}`), {
    resourceId: String(i),
    attributes: [["relay_client", `client ${i}`], [`only_in_run_${run}`, "x"]],
  }));

let ended = false;
void (async () => {
  for await (const _ of Deno.stdin.readable);
  ended = true;
})();

await using journal = await DiskJournal.open({ directory: `${directory}/journal`, log, sync: 5 });
const context = contextWith({ log, clock: new SystemClock(), keepsOnDisk: true, identity: journal });
await using output = await plugin.open(config, context);
const running = output.run(journal.reader(name, output), new AbortController().signal);
/** Of batches that are in memory alone: where they stand in the journal, and what comes behind them. */
const unwritten: { position: number; number: number }[] = [];
function tell(): void {
  let durable: number | undefined;
  while (unwritten.length > 0 && unwritten[0].position < journal.writtenPosition) {
    durable = unwritten.shift()!.number;
  }
  if (durable !== undefined) console.log(durable);
}
for (let number = 0, n = 0; !ended; n++) {
  const count = 1 + (n * 7919) % 300;
  await journal.append(numbered(count, number, series[n % CLIENTS]));
  number += count;
  unwritten.push({ position: journal.lastPosition, number });
  do {
    await pause(n % 20 === 0 ? 1 : 0);
    tell();
  } while (journal.pendingPoints > MOST_PENDING && !ended);
}
await synced(journal);
tell();
journal.end();
await running;
