/**
 * A process to be killed: numbered points through a journal on disk into an output, as fast as they are written, until
 * standard input ends. Says on standard output how many are durable. `output_process.ts DIRECTORY RUN OUTPUT CONFIG`,
 * the configuration as JSON.
 */
import { SystemClock } from "../../lib/clock.ts";
import { DiskJournal } from "../../lib/disk_journal/disk_journal.ts";
import { createLogger } from "../../lib/log.ts";
import { seriesOf } from "../../lib/measurement.ts";
import { csv } from "../../lib/outputs/csv.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import type { OutputPlugin } from "../../lib/plugin.ts";
import { contextWith } from "./context.ts";
import { metricOf } from "./decode.ts";
import { numbered } from "./points.ts";

/** Clients that the points are said to be of. */
const CLIENTS = 5;

/** What may wait for the output, in points. */
const MOST_PENDING = 20_000;

const [directory, run, name, given] = Deno.args;
const plugin: OutputPlugin<unknown> = name === "csv" ? csv : sqlite;
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
const running = output.run(journal.reader(name), new AbortController().signal);
let told = Promise.resolve();
for (let number = 0, n = 0; !ended; n++) {
  const count = 1 + (n * 7919) % 300;
  await journal.append(numbered(count, number, series[n % CLIENTS]));
  const durable = number += count;
  told = journal.durable(journal.lastPosition).then(() => console.log(durable));
  do await new Promise((resolve) => setTimeout(resolve, n % 20 === 0 ? 1 : 0)); while (
    journal.pendingPoints > MOST_PENDING && !ended
  );
}
await told;
journal.end();
await running;
