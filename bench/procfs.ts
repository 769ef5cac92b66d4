/** CPU time and memory that measuring 370 processes takes: `deno run -A bench/procfs.ts`. */
import process from "node:process";
import { SystemClock } from "../lib/base/clock.ts";
import { procfs } from "../lib/inputs/procfs.ts";
import { config } from "../lib/inputs/procfs/config.ts";
import { createLogger } from "../lib/base/log.ts";
import { contextWith } from "../tests/kit/context.ts";

export interface ProcfsBenchOptions {
  /** Processes that there are at least; sleeping ones are started as needed. @default {370} */
  processes?: number;
  /** @default {200} */
  polls?: number;
  /** @default {50} */
  intervalMs?: number;
}

export interface ProcfsBenchResult {
  processes: number;
  polls: number;
  pointsPerPoll: number;
  /** CPU time, user and system, of one poll of all processes, the kernel, memory and network. */
  cpuMsPerPoll: number;
  /** Memory of this process at the end. */
  rssBytes: number;
}

function countProcesses(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc")) if (/^[0-9]+$/.test(name)) count++;
  return count;
}

/**
 * Polls everything at the pace of `intervalMs`, as an agent does: timers, discovery every 2 s and garbage collection
 * are in the figure. Needs Linux and `sleep`.
 */
export async function benchProcfs(options: ProcfsBenchOptions = {}): Promise<ProcfsBenchResult> {
  const { processes = 370, polls = 200, intervalMs = 50 } = options;
  const missing = Math.max(1, processes - countProcesses() - 1);
  // Children of a shell, so that they are no objects of the process that is measured.
  const shell = new Deno.Command("sh", {
    args: [
      "-c",
      `trap 'kill $all' TERM; for i in $(seq ${missing}); do sleep 600 & all="$all $!"; done; echo started; wait`,
    ],
    stdout: "piped",
  }).spawn();
  const output = shell.stdout.getReader();
  try {
    await output.read();
    return await measure(polls, intervalMs);
  } finally {
    shell.kill("SIGTERM");
    await output.cancel();
    await shell.status;
  }
}

async function measure(polls: number, intervalMs: number): Promise<ProcfsBenchResult> {
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network]) part.poll_interval = intervalMs;
  settings.processes.groups = [{
    ...settings.processes.groups[0],
    poll_interval: intervalMs,
    flush_interval: intervalMs,
  }];
  const clock = new SystemClock();
  await using input = await procfs.open(
    settings,
    contextWith({ log: createLogger("bench", { level: "warn" }), clock }),
  );
  const stop = new AbortController();
  const running = input.run({ push: (batch) => batch.release() }, stop.signal);
  // The first polls open the files, and run code that is not compiled yet.
  await clock.sleep(20 * intervalMs);
  const before = input.stats!;
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await clock.sleep(polls * intervalMs);
  const cpu = process.cpuUsage(cpuBefore);
  const after = input.stats!;
  const rssBytes = Deno.memoryUsage().rss;
  stop.abort();
  await running;
  const rounds = (performance.now() - startMs) / intervalMs;
  return {
    processes: after.processes,
    polls: Math.round(rounds),
    pointsPerPoll: Math.round((after.points - before.points) / rounds),
    cpuMsPerPoll: (cpu.user + cpu.system) / 1000 / rounds,
    rssBytes,
  };
}

if (import.meta.main) {
  const { processes, polls, pointsPerPoll, cpuMsPerPoll, rssBytes } = await benchProcfs();
  console.log(
    `procfs: ${
      cpuMsPerPoll.toFixed(2)
    } ms of CPU per poll of ${processes} processes (${pointsPerPoll} points), ` +
      `mean of ${polls} polls; ${(rssBytes / 1e6).toFixed(0)} MB`,
  );
}
