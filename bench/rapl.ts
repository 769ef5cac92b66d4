/** How many polls of `rapl` at 1 kHz are late, and what they cost: `deno run -A bench/rapl.ts [SECONDS]`. */
import process from "node:process";
import { SystemClock } from "../lib/base/clock.ts";
import { createLogger } from "../lib/base/log.ts";
import { rapl } from "../lib/inputs/rapl.ts";
import { config } from "../lib/inputs/rapl/config.ts";
import { contextWith } from "../tests/kit/context.ts";
import { Tree } from "../tests/kit/tree.ts";

/** Two packages, each with its cores and its memory. */
function twoPackages(): Tree {
  const tree = new Tree(null);
  const zone = (path: string, name: string) => {
    const folder = `sys/devices/virtual/powercap/intel-rapl/${path}`;
    tree.write(`${folder}/name`, `${name}\n`);
    tree.write(`${folder}/energy_uj`, "124599532281\n");
    tree.write(`${folder}/max_energy_range_uj`, "262143328850\n");
  };
  for (const n of [0, 1]) {
    zone(`intel-rapl:${n}`, `package-${n}`);
    zone(`intel-rapl:${n}/intel-rapl:${n}:0`, "core");
    zone(`intel-rapl:${n}/intel-rapl:${n}:1`, "dram");
  }
  return tree;
}

const seconds = Number(Deno.args[0] ?? 60);
using tree = twoPackages();
const clock = new SystemClock();
const log = createLogger("bench", { level: "error" });
const keys = { ...config.defaultValue(), poll_interval: 1 };
await using input = await rapl.open(keys, contextWith({ log, clock }), tree);
const stop = new AbortController();
const running = input.run({ push: (batch) => batch.release() }, stop.signal);
await clock.sleep(1000);
const before = input.stats!;
const cpuBefore = process.cpuUsage();
const startMs = performance.now();
await clock.sleep(seconds * 1000);
const cpu = process.cpuUsage(cpuBefore);
const after = input.stats!;
const elapsed = (performance.now() - startMs) / 1000;
stop.abort();
await running;
const polls = after.polls - before.polls;
const missed = after.missedPolls - before.missedPolls;
const percent = (100 * missed / (polls + missed)).toFixed(2);
console.log(
  `rapl at 1 kHz for ${elapsed.toFixed(0)} s: ${polls} polls, ${missed} late (${percent} %), ` +
    `${((cpu.user + cpu.system) / 1000 / polls).toFixed(3)} ms of CPU each; load ${
      Deno.loadavg()[0].toFixed(1)
    }`,
);
