/**
 * Compaction of the sqlite output: `deno run -A bench/compaction.ts [HOSTS SECONDS EVERY]`. Prints what a point takes as a row and
 * in a block, and the CPU time of the thread that moving it takes.
 *
 * Each host polls once in EVERY seconds (1), as `many_hosts.py`'s do, 670 series: 60 processes with 9 each, of which 48 are idle as in
 * the recorded session (memory as it was, no CPU time) and 12 work (memory wanders by pages, CPU time comes in ticks of
 * 10 ms, and is a percentage of what has passed); 80 counters that grow by chance; 20 gauges that wander with three decimals;
 * 10 energies in whole microjoules, as joules; 20 gauges with noise in each bit. A process has a time of its own in each
 * poll, as a real agent's has.
 */
import { seriesOf } from "../lib/points/measurement.ts";
import { seriesStore } from "../lib/points/series_store.ts";
import { metricOf } from "../tests/kit/decode.ts";
import { Batch } from "../lib/points/measurement.ts";
import { TempDir } from "../tests/kit/temp_dir.ts";
import { Database, rowsOf, valueOf } from "../tests/outputs/sqlite/database.ts";
import { Chance } from "../tests/kit/bytes.ts";
import { threadMs } from "./thread_cpu.ts";

const [hosts = 20, seconds = 300, every = 1] = Deno.args.map(Number);
const HOUR_MS = 3_600_000;
const START_S = 1_795_453_200;
const ROLLUPS = [{ every: 60, keepMs: 90 * 24 * HOUR_MS }, { every: 3600, keepMs: 1825 * 24 * HOUR_MS }];

const memory = metricOf("memory_usage", "u64", { base: "By", prefix: "" });
const cpuTime = metricOf("cpu_time_delta", "u64", { base: "s", prefix: "nano" });
const cpuShare = metricOf("cpu_percent", "f64", { base: "%", prefix: "" });
const counter = metricOf("kernel_cpu_time", "u64", { base: "s", prefix: "milli" });
const bytes = metricOf("network_bytes", "u64", { base: "By", prefix: "" });
const temperature = metricOf("temperature", "f64", { base: "Cel", prefix: "" });
const energy = metricOf("rapl_consumed_energy", "f64", { base: "J", prefix: "" });
const noisy = metricOf("load", "f64");

const chance = new Chance(1);
/** A value that moves, with a series; the time of each poll is the group's. */
type Moving = readonly [series: ReturnType<typeof seriesOf>, next: (second: number) => number];

function host(index: number): Moving[][] {
  const of = (metric: Parameters<typeof seriesOf>[0], consumerId: string, kind: string) =>
    seriesOf(metric, {
      consumerKind: "process",
      consumerId,
      attributes: [["kind", kind], ["relay_client", `node-${index}`]],
    });
  const groups: Moving[][] = [];
  for (let process = 0; process < 60; process++) {
    const id = String(1000 + process);
    const works = process % 5 === 0;
    const wander = (value: number): () => number => () =>
      works && chance.int(3) === 0 ? value += 4096 * (chance.int(9) - 4) : value;
    const ticks = ["user", "system", "guest"].map((kind, i) => [kind, works && i < 2] as const);
    let last = [0, 0, 0];
    groups.push([
      ...["resident", "shared", "virtual"].map((kind): Moving => [
        of(memory, id, kind),
        wander(4096 * (10_000 + chance.int(1e6))),
      ]),
      ...ticks.map(([kind, moves], i): Moving => [of(cpuTime, id, kind), () => {
        last = last.with(i, moves ? chance.int(20) * 1e7 : 0);
        return last[i];
      }]),
      ...ticks.map((
        [kind],
        i,
      ): Moving => [of(cpuShare, id, kind), () => last[i] / (1e9 + chance.int(1e6)) * 100]),
    ]);
  }
  const growing = (from: number, most: number) => {
    let value = from;
    return () => value += chance.int(most);
  };
  const wandering = (scale: number) => {
    let value = 40 * scale;
    return () => (value += chance.int(201) - 100) / scale;
  };
  groups.push([
    ...Array.from({ length: 60 }, (_, i): Moving => [of(counter, String(i), "cpu"), growing(1e7, 1000)]),
    ...Array.from({ length: 20 }, (_, i): Moving => [of(bytes, String(i), "net"), growing(1e10, 1e6)]),
    ...Array.from({ length: 20 }, (_, i): Moving => [of(temperature, String(i), "t"), wandering(1000)]),
    ...Array.from({ length: 10 }, (_, i): Moving => [
      of(energy, String(i), "e"),
      () => (20e6 + chance.int(2e6)) / 1e6,
    ]),
    ...Array.from({ length: 20 }, (_, i): Moving => [of(noisy, String(i), "n"), () => 1 + Math.random()]),
  ]);
  return groups;
}

await using dir = new TempDir();
using database = new Database(
  dir.file("m.sqlite"),
  Infinity,
  seriesStore,
  undefined,
  { rollups: ROLLUPS },
  2 * HOUR_MS,
);
const all = Array.from({ length: hosts }, (_, index) => host(index));
let points = 0;
let [writingMs, tidyingMs] = [0, 0];
for (let second = 0; second < seconds; second += every) {
  const rows = all.flatMap((groups) => {
    const base = 5e8 + chance.int(1e6);
    return groups.flatMap((group, i) => {
      const nanos = base + i * 8000 + chance.int(2000);
      return group.map(([one, next]) => [one, next(second), nanos] as const);
    });
  });
  const batch = new Batch(rows.length);
  for (const [one, value, nanos] of rows) batch.push(one, START_S + second, nanos, value);
  points += rows.length;
  const nowMs = (START_S + second) * 1000;
  const began = threadMs();
  database.write([batch], nowMs);
  const written = threadMs();
  while (database.store.keepHouse(nowMs, false, nowMs));
  writingMs += written - began;
  tidyingMs += threadMs() - written;
}
const of = (sql: string) => Number(valueOf(database.path, sql));
const used = () =>
  of(
    "SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)",
  ) * 4096;
/** The next look for what is old is later. */
const settle = (hours: number) => {
  for (let k = 0; k < 3; k++) {
    const nowMs = (START_S + seconds + 120 * k) * 1000 + hours * HOUR_MS;
    while (database.store.keepHouse(nowMs, false, nowMs));
  }
};
// Everything else first, so that nothing but compaction is measured.
const limits = { keepMs: Infinity, maxBytes: undefined };
database.store.limits = { ...limits, compactAfterMs: Infinity };
settle(1);
settle(12);
const before = used();
const rows = of("SELECT count(*) FROM points");
database.store.limits = { ...limits, compactAfterMs: 2 * HOUR_MS };
const steps: number[] = [];
for (let looks = 0; looks < 3;) {
  const nowMs = (START_S + seconds + 300 + 60 * looks) * 1000 + 12 * HOUR_MS;
  const began = threadMs();
  // A clock that stands still: what is looked for now and then is not looked for in each step.
  if (database.store.keepHouse(nowMs, false, nowMs)) steps.push(threadMs() - began);
  else looks++;
}
const spentMs = steps.reduce((sum, ms) => sum + ms, 0);
steps.sort((a, b) => a - b);
const share = (part: number) => steps[Math.floor((steps.length - 1) * part)].toFixed(1);
const { compactedPoints, bytesBeforeCompaction, bytesAfterCompaction } = database.store.stats;
const per = (n: number) => (n / points).toFixed(2);
console.log(
  `CPU while points came: ${per(writingMs * 1000)} µs a point to write them, ${
    per(tidyingMs * 1000)
  } to add them up ` +
    "and to merge small parts",
);
console.log(
  `${(points / 1e6).toFixed(1)} M points, ${rows} rows, ${compactedPoints} compacted into ${
    of("SELECT count(*) FROM blocks")
  } blocks`,
);
console.log(
  `bytes a point: ${per(before)} before, ${per(used())} after with everything; ${
    per(of("SELECT sum(length(data)) FROM blocks"))
  } in blocks, figures ${per(bytesBeforeCompaction)} and ${per(bytesAfterCompaction)}`,
);
console.log(
  `CPU: ${(spentMs / compactedPoints * 1000).toFixed(3)} µs a point; ms of a step: ${
    share(0.5)
  } half of them, ` +
    `${share(0.95)} 95%, ${share(1)} most`,
);
if (Deno.env.get("KEEP")) rowsOf(database.path, `VACUUM INTO '${Deno.env.get("KEEP")}'`);
