/**
 * The journal on disk: `journal.ts [MEBIBYTES]`. How fast batches go in, beside the disk's own rate of syncs; then the
 * time from opening a journal of that size to its first batch, reading all of it, and the memory that takes, with the
 * flags of the product. With ALUMET_RELAY_BIN, the compiled program catches up with it too, into CSV on /dev/null.
 *
 * The journals are in BENCH_DIRECTORY, or where temporary files are.
 */
import { DiskJournal } from "../lib/journal/disk/disk_journal.ts";
import { createLogger } from "../lib/base/log.ts";
import { synced } from "../tests/kit/journal.ts";
import { sessionBatches } from "../tests/kit/session.ts";
import { V8_FLAGS } from "../tools/v8_flags.ts";
import { usageOf } from "./process.ts";
import { pause } from "../tests/kit/waiting.ts";

const bytes = Number(Deno.args[0] ?? 256) * 1024 ** 2;
const log = createLogger("bench");
const ms = (since: number) => performance.now() - since;

/** In a process of its own, so that the memory is that of reading. */
async function readAll(directory: string): Promise<void> {
  const began = performance.now();
  await using journal = await DiskJournal.open({ directory, log, maxBytes: 2 * bytes });
  const reader = journal.reader("bench");
  await reader.wait();
  console.log(`${bytes / 1024 ** 2} MiB: first batch ${ms(began).toFixed(0)} ms after opening`);
  journal.end();
  let points = 0;
  while (await reader.wait() === "ready") {
    for (let batch; (batch = reader.next());) {
      points += batch.length;
      reader.commit(1);
    }
  }
  console.log(
    `all ${points} points in ${(ms(began) / 1000).toFixed(1)} s, ${megabytes(Deno.pid)} MB of memory at most`,
  );
}

const megabytes = (pid: number) => Math.round(usageOf(pid).peakMiB * 1.048576);

/** The longest that the program may take to catch up. */
const CATCH_UP_MS = 300_000;

/** The compiled program starts on that journal, and stops when it has written all. */
async function catchUp(program: string, journal: string): Promise<void> {
  const settings = [
    "plugins.procfs.processes.enabled=false",
    "journal.enable=true",
    `journal.path=${journal}`,
    `journal.max_size=${2 * bytes}`,
    "journal.min_free=0",
  ];
  const args = ["--output-file", "/dev/null", "--state-dir", `${journal}-state`];
  const child = new Deno.Command(program, {
    args: [...args, ...settings.flatMap((setting) => ["--config-override", setting])],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const began = performance.now();
  const segments = () =>
    [...Deno.readDirSync(journal)].filter(({ name }) => name.endsWith(".segment")).length;
  while (segments() > 1 && ms(began) < CATCH_UP_MS) await pause(100);
  const seconds = (ms(began) / 1000).toFixed(1);
  const memory = megabytes(child.pid);
  child.kill("SIGTERM");
  await child.status;
  console.log(`the program caught up in ${seconds} s, ${memory} MB of memory at most`);
}

function fsyncMs(directory: string): number {
  using file = Deno.openSync(`${directory}/syncs`, { create: true, write: true });
  const began = performance.now();
  for (let n = 0; n < 200; n++) {
    file.writeSync(new Uint8Array(4096));
    file.syncDataSync();
  }
  return ms(began) / 200;
}

if (Deno.args[1] === "read") {
  await readAll(Deno.args[2]);
  Deno.exit();
}
const batches = sessionBatches();
const directory = await Deno.makeTempDir({ dir: Deno.env.get("BENCH_DIRECTORY") });
try {
  console.log(`fdatasync of 4 KiB: ${fsyncMs(directory).toFixed(2)} ms`);
  for (const sync of ["always", 50] as const) {
    await using journal = await DiskJournal.open({ directory: `${directory}/${sync}`, log, sync });
    const began = performance.now();
    for (let round = 0; round < 200; round++) for (const batch of batches) await journal.append(batch);
    await synced(journal);
    const seconds = ms(began) / 1000;
    console.log(
      `append, sync ${sync}: ${(journal.stats.appendedPoints / seconds / 1e6).toFixed(2)} M points/s`,
    );
  }
  {
    await using journal = await DiskJournal.open({ directory: `${directory}/one`, log, sync: "always" });
    let told = () => {};
    using _progress = journal.clients.onProgress(() => told());
    const began = performance.now();
    for (let n = 0; n < 300; n++) {
      await journal.append(batches[n % batches.length]);
      while (journal.writtenPosition <= journal.lastPosition) {
        await new Promise<void>((resolve) => told = resolve);
      }
    }
    console.log(`append and durable, one at a time: ${Math.round(300_000 / ms(began))} batches/s`);
  }
  const large = { directory: `${directory}/large`, log, maxBytes: 2 * bytes };
  {
    await using journal = await DiskJournal.open(large);
    while (journal.stats.diskBytes < bytes) {
      for (const batch of batches) {
        // The points go on changing, or a gibibyte would be far more of them than in life.
        for (let row = 0; row < batch.length; row++) batch.values[row] = Math.floor(Math.random() * 1e9);
        await journal.append(batch);
      }
    }
  }
  const compiled = Deno.env.get("ALUMET_RELAY_BIN");
  const copy = `${directory}/copy`;
  if (compiled) {
    await Deno.mkdir(copy);
    for (const { name } of Deno.readDirSync(large.directory)) {
      await Deno.copyFile(`${large.directory}/${name}`, `${copy}/${name}`);
    }
  }
  const program = [new URL(import.meta.url).pathname, Deno.args[0] ?? "256", "read", large.directory];
  const args = ["run", "-A", V8_FLAGS, ...program];
  await new Deno.Command(Deno.execPath(), { args, stdout: "inherit" }).output();
  if (compiled) await catchUp(compiled, copy);
} finally {
  await Deno.remove(directory, { recursive: true });
}
