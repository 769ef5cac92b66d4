/**
 * Many hosts with clients of ours, whose batches are acknowledged, for a server with its journal on disk and CSV:
 * `our_hosts.ts [HOSTS [SERIES [EVERY_S [ROUNDS]]]]`. One process speaks for all hosts; the load is that of
 * `many_hosts.py`. With ALUMET_RELAY_BIN the compiled program is measured.
 */
import { Timer } from "../lib/base/timers.ts";
import { createLogger } from "../lib/base/log.ts";
import { Batch, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { pause } from "../tests/kit/waiting.ts";
import { startHost } from "./host.ts";
import { freePort, MAIN, start, stop, usageOf } from "./process.ts";

const [hosts = 300, series = 740, everySeconds = 2, rounds = 10] = Deno.args.map(Number);
const KINDS = ["user", "system", "resident", "shared"];
const SETTLE_MS = 120_000;
const LOOK_MS = 100;

const log = createLogger("bench", { level: "warn" });
const metrics = Array.from({ length: 10 }, (_, i): Metric => ({
  name: `metric_${i}`,
  type: i % 2 === 0 ? "f64" : "u64",
  unit: { base: i % 2 === 0 ? "J" : "By", prefix: "" },
  description: "",
}));

/** A host: what it measures, and its way to the server. */
function host(index: number, address: string, stop: AbortSignal) {
  const { journal, client, running } = startHost(index, address, { log, stop });
  const measured = Array.from({ length: series }, (_, i) =>
    seriesOf(metrics[i % 10], {
      consumerKind: "process",
      consumerId: String(1000 + Math.floor(i / 10)),
      attributes: [["kind", KINDS[i % 4]]],
    }));
  return {
    journal,
    client,
    running,
    poll(seconds: number): void {
      const batch = new Batch(series);
      for (const [i, one] of measured.entries()) batch.push(one, seconds, i, i % 977);
      void journal.append(batch);
    },
  };
}

async function rowsOf(path: string): Promise<number> {
  const { stdout } = await new Deno.Command("wc", { args: ["-l", path] }).output();
  return parseInt(new TextDecoder().decode(stdout)) - 1;
}

const directory = await Deno.makeTempDir({ prefix: "alumet-relay-bench-" });
const path = `${directory}/server.csv`;
const address = `127.0.0.1:${freePort()}`;
const server = await start([
  ...[MAIN, "--config", "/dev/null", "--plugins", "relay-server,csv", "--output-file", path],
  ...[
    "--relay-in",
    address,
    "--config-override",
    "plugins.relay-server.limits.connections_per_address=20000",
  ],
]);
const stopping = new AbortController();
try {
  const all = Array.from({ length: hosts }, (_, index) => host(index, address, stopping.signal));
  // A server lets those in slowly that come at once.
  while (all.some(({ client }) => client.connectedTo === undefined)) await pause(100);
  const points = hosts * series * rounds;
  const acknowledged = () => all.reduce((sum, { client }) => sum + client.stats.acknowledgedPoints, 0);
  /** When the server has half of the points: how many, and its CPU time. This process may be behind. */
  let half: { points: number; cpuSeconds: number } | undefined;
  using _looking = Timer.every(LOOK_MS, () => {
    const count = half ? 0 : acknowledged();
    if (count >= points / 2) half = { points: count, ...usageOf(server.pid) };
  });
  const beganMs = performance.now();
  const seconds = Math.floor(Date.now() / 1000);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { poll }] of all.entries()) {
      const dueMs = beganMs + (round + index / hosts) * everySeconds * 1000 - performance.now();
      if (dueMs > 2 || dueMs < 0) await pause(Math.max(0, dueMs));
      poll(seconds + Math.round(round * everySeconds));
    }
  }
  const lastMs = performance.now();
  let rows = 0;
  while ((rows = await rowsOf(path)) < points && performance.now() < lastMs + SETTLE_MS) await pause(100);
  const { cpuSeconds, peakMiB } = usageOf(server.pid);
  const late = half && (cpuSeconds - half.cpuSeconds) / (points - half.points) * 1e6;
  console.log(
    `${hosts} hosts, ${hosts * series} series, ${Math.round(hosts * series / everySeconds)} points/s: ${
      late?.toFixed(2)
    } µs of CPU a point in the second half, ${peakMiB.toFixed(0)} MiB; ${rows} of ${points} rows, ` +
      `${((performance.now() - lastMs) / 1000).toFixed(1)} s after the last point`,
  );
  for (const { journal } of all) journal.end();
  await Promise.all(all.map(({ running }) => running));
} finally {
  stopping.abort();
  await stop(server);
  await Deno.remove(directory, { recursive: true });
}
