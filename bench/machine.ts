/**
 * What measuring a whole machine costs: `deno run -A bench/machine.ts [SECONDS]`. A made-up machine with 370 processes,
 * 100 control groups and 2 packages, as /proc and /sys show it, is measured by all inputs of a client without a
 * configuration file.
 */
import process from "node:process";
import { SystemClock } from "../lib/base/clock.ts";
import { createLogger } from "../lib/base/log.ts";
import type { PolledInputPlugin } from "../lib/inputs/polling/declaration.ts";
import type { Input } from "../lib/plugin.ts";
import { plugins } from "../lib/plugins.ts";
import { contextWith } from "../tests/kit/context.ts";
import { CASES, Tree } from "../tests/kit/tree.ts";

const PROCESSES = 370;
const GROUPS = 100;

function machine(): Tree {
  const tree = new Tree("procfs/host/1");
  tree.copy(`${CASES}rapl/intel_server_dies/1`);
  for (let pid = 1001; pid <= 1000 + PROCESSES; pid++) tree.start(pid, { user: pid });
  const group = `${CASES}cgroups/v2/1/sys/fs/cgroup/system.slice/a.service`;
  tree.copy(`${CASES}cgroups/v2/1/proc`, "proc");
  for (let n = 0; n < GROUPS; n++) {
    Deno.mkdirSync(`${tree.sys}/fs/cgroup/system.slice/${n}.service`, { recursive: true });
    tree.copy(group, `sys/fs/cgroup/system.slice/${n}.service`);
  }
  return tree;
}

/** Puts each interval at which something is polled to a second. */
function everySecond(config: unknown): unknown {
  if (Array.isArray(config)) return config.map(everySecond);
  if (typeof config !== "object" || config === null) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, key === "poll_interval" ? 1000 : everySecond(value)]),
  );
}

interface Run {
  /** CPU time, user and system, of a second. */
  readonly cpuMs: number;
  readonly points: number;
  readonly rssMiB: number;
  /** Time of the polls of a second, by input, in ms: on a busy machine it contains waiting. */
  readonly pollMs: Readonly<Record<string, number>>;
}

/** Runs all inputs that measure a machine. */
async function measure(tree: Tree, seconds: number, configure: (config: unknown) => unknown): Promise<Run> {
  const clock = new SystemClock();
  const log = createLogger("bench", { level: "error" });
  const inputs: Input[] = [];
  const names: string[] = [];
  for (const plugin of plugins) {
    if (plugin.kind !== "input" || !plugin.isLocal) continue;
    const config = configure(plugin.config.defaultValue());
    try {
      inputs.push(
        await (plugin as PolledInputPlugin<unknown>).open(config, contextWith({ log, clock }), tree),
      );
      names.push(plugin.name);
    } catch {
      // It needs something that a made-up machine does not have.
    }
  }
  const stop = new AbortController();
  const running = inputs.map((input) => input.run({ push: (batch) => batch.release() }, stop.signal));
  const points = () => inputs.reduce((sum, { stats }) => sum + (stats?.points ?? 0), 0);
  // Files are opened, and code is compiled.
  await clock.sleep(10_000);
  const before = points();
  const spent = () => inputs.map(({ stats }) => stats?.pollMs ?? 0);
  const spentBefore = spent();
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await clock.sleep(seconds * 1000);
  const cpu = process.cpuUsage(cpuBefore);
  const elapsed = (performance.now() - startMs) / 1000;
  const run = {
    cpuMs: (cpu.user + cpu.system) / 1000 / elapsed,
    points: (points() - before) / elapsed,
    rssMiB: Deno.memoryUsage().rss / 2 ** 20,
    pollMs: Object.fromEntries(spent().map((ms, i) => [names[i], (ms - spentBefore[i]) / elapsed])),
  };
  stop.abort();
  await Promise.all(running);
  for (const input of inputs) await input[Symbol.asyncDispose]();
  return run;
}

function print(what: string, { cpuMs, points, rssMiB, pollMs }: Run): void {
  console.log(
    `${what}: ${cpuMs.toFixed(1)} ms of CPU a second (${(cpuMs / 10).toFixed(2)} % of a core), ` +
      `${points.toFixed(0)} points a second, ${rssMiB.toFixed(0)} MiB; ` +
      Object.entries(pollMs).filter(([, ms]) => ms >= 0.05).map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`)
        .join(", "),
  );
}

const seconds = Number(Deno.args[0] ?? 30);
{
  using nothing = new Tree("procfs/host/1");
  print("at rest (no processes, no sensors)", await measure(nothing, seconds, (config) => config));
}
using tree = machine();
print("with the default intervals", await measure(tree, seconds, (config) => config));
print("everything every second", await measure(tree, seconds, everySecond));
