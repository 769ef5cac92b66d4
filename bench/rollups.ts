/**
 * What the sums of the sqlite output cost: `deno run -A bench/rollups.ts [HOSTS SERIES EVERY SECONDS]`. Writes the same points
 * into two databases in turns, with sums and without, then lets the hour end. Prints the CPU of the thread for a point, and the
 * bytes of a row. Polls begin at a full hour; each series has a time of its own, and values of which a third move at each poll.
 */
import { Batch, seriesOf } from "../lib/points/measurement.ts";
import { seriesStore } from "../lib/points/series_store.ts";
import { metricOf } from "../tests/kit/decode.ts";
import { TempDir } from "../tests/kit/temp_dir.ts";
import { Database, rowsOf, valueOf } from "../tests/outputs/sqlite/database.ts";
import { threadMs } from "./thread_cpu.ts";

const [hosts = 50, perHost = 740, every = 2, seconds = 360] = Deno.args.map(Number);
const HOUR_MS = 3_600_000;
const START_S = 1_795_453_200;
const GROUP_POINTS = 32_768;
const ROLLUPS = [{ every: 60, keepMs: 90 * 24 * HOUR_MS }, { every: 3600, keepMs: 1825 * 24 * HOUR_MS }];

const metrics = Array.from(
  { length: 10 },
  (_, i) => metricOf(`metric_${i}`, i % 2 ? "u64" : "f64", { base: i % 2 ? "By" : "J", prefix: "" }),
);
const all = Array.from(
  { length: hosts },
  (_, host) =>
    Array.from({ length: perHost }, (_, i) =>
      seriesOf(metrics[i % 10], {
        consumerKind: "process",
        consumerId: String(1000 + Math.floor(i / 10)),
        attributes: [["relay_client", `node-${host}`]],
      })),
).flat();

await using dir = new TempDir();
const open = (name: string, rollups: typeof ROLLUPS) =>
  new Database(dir.file(name), Infinity, seriesStore, undefined, { rollups });
/** A database, and the ms of the thread that went into writing and into what follows. */
const cases = [[], ROLLUPS].map((rollups, i) => ({
  database: open(`${i}.sqlite`, rollups),
  writing: 0,
  keeping: 0,
}));

function keepHouse(one: typeof cases[number], nowMs: number): void {
  const began = threadMs();
  while (one.database.store.keepHouse(nowMs, false, nowMs));
  one.keeping += threadMs() - began;
}

let points = 0;
let groups = 0;
let batch = new Batch(GROUP_POINTS);
function write(nowMs: number): void {
  for (const one of groups++ % 2 ? cases : cases.toReversed()) {
    const began = threadMs();
    one.database.write([batch], nowMs);
    one.writing += threadMs() - began;
    keepHouse(one, nowMs);
  }
  points += batch.length;
  batch = new Batch(GROUP_POINTS);
}
for (let second = 0; second < seconds; second += every) {
  for (const [k, one] of all.entries()) {
    const value = k % 977 + (k % 3 === 0 ? second * k % 991 : 0);
    batch.push(one, START_S + second, k % perHost, k % 2 ? value : value * 1.5);
    if (batch.length === GROUP_POINTS) write((START_S + second) * 1000);
  }
}
write((START_S + seconds) * 1000);
const per = (ms: number) => (ms * 1000 / points).toFixed(3);
const [without, sums] = cases;
const [writing, keeping] = [sums.writing - without.writing, sums.keeping - without.keeping];
console.log(`${(points / 1e6).toFixed(1)} M points of ${all.length} series; µs a point:`);
console.log(
  `without sums ${per(without.writing + without.keeping)}; sums: adding ${per(writing)}, storing ${
    per(keeping)
  }`,
);
/** The last minute is over, and nothing has come for a while. */
for (let k = 1; k < 4; k++) for (const one of cases) keepHouse(one, (START_S + seconds + 30 * k) * 1000);
const used = () => {
  const free =
    "(SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)";
  const [a, b] = cases.map(({ database }) => Number(valueOf(database.path, `SELECT ${free}`)) * 4096);
  return b - a;
};
const rows = Number(valueOf(sums.database.path, "SELECT count(*) FROM rollup_1m"));
const stored = sums.keeping - without.keeping;
const bytes = used();
for (let k = 0; k < 3; k++) {
  for (const one of cases) keepHouse(one, (START_S + 3600 * Math.ceil(seconds / 3600) + 120 + 60 * k) * 1000);
}
const merged = sums.keeping - without.keeping - stored;
console.log(
  `all minutes stored: ${per(stored)}; the hour: ${per(merged)}; together ${
    per(writing + stored + merged)
  }; ` +
    `${rows} minutes, ${(bytes / rows).toFixed(1)} bytes each, ${
      (used() / rows).toFixed(1)
    } when the hour is over`,
);
const counted = Number(valueOf(sums.database.path, "SELECT sum(points) FROM measurements_1h"));
if (counted !== points) throw new Error(`the sums have ${counted} points of ${points}`);
if (Deno.env.get("KEEP")) rowsOf(sums.database.path, `VACUUM INTO '${Deno.env.get("KEEP")}'`);
