/**
 * The server from the wire into SQLite, with the journal on disk: `deno run -A bench/sqlite.ts [HOSTS REPEATS]...`.
 * Beside points per second, CPU and memory: bytes on disk and those of the CSV file with the same points; the longest
 * time in which the server's thread did nothing else; and what a question about one metric of a host takes.
 */
import { DatabaseSync } from "node:sqlite";
import { runAgent } from "../lib/agent.ts";
import type { RunningAgent } from "../lib/agent/settings.ts";
import { general } from "../lib/config/general.ts";
import { createLogger } from "../lib/base/log.ts";
import { sqlite } from "../lib/outputs/sqlite.ts";
import { relayServer } from "../lib/inputs/relay_server.ts";
import { freePort, MAIN, run, start, stop, usageOf } from "./process.ts";
import { csvSize, POINTS_IN_SESSION } from "./relay.ts";
import { pause } from "../tests/kit/waiting.ts";

const TRIES = 3;
const SENDER = new URL("./send_hosts.ts", import.meta.url).pathname;

async function untilStored(path: string, points: number): Promise<void> {
  const deadline = performance.now() + 300_000;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const stored = db.prepare("SELECT coalesce(sum(points), 0) AS points FROM parts");
    while ((stored.get() as { points: number }).points < points) {
      if (performance.now() > deadline) throw new Error("Not all points have been stored");
      await pause(10);
    }
  } finally {
    db.close();
  }
}

interface Figures {
  readonly points: number;
  readonly pointsPerSecond: number;
  readonly microsPerPoint: number;
  readonly peakMiB: number;
  readonly bytesPerPoint: number;
  readonly timesSmaller: number;
}

async function measure(hosts: number, repeats: number, look: (path: string) => void): Promise<Figures> {
  const directory = await Deno.makeTempDir({
    prefix: "alumet-relay-bench-",
    dir: Deno.env.get("BENCH_DIRECTORY"),
  });
  const path = `${directory}/server/measurements.sqlite`;
  const port = freePort();
  const child = await start([
    ...[MAIN, "--relay-in", `127.0.0.1:${port}`, "--config", "/dev/null", "--plugins", "relay-server,sqlite"],
    ...["--state-dir", directory],
  ]);
  try {
    const points = hosts * repeats * POINTS_IN_SESSION;
    const before = usageOf(child.pid);
    const began = performance.now();
    const sending = run([SENDER, String(port), String(hosts), String(repeats)]);
    await Promise.all([sending, untilStored(path, points)]);
    const seconds = (performance.now() - began) / 1000;
    const { cpuSeconds, peakMiB } = usageOf(child.pid);
    await stop(child);
    const { size } = await Deno.stat(path);
    look(path);
    return {
      points,
      pointsPerSecond: points / seconds,
      microsPerPoint: (cpuSeconds - before.cpuSeconds) / points * 1e6,
      peakMiB,
      bytesPerPoint: size / points,
      timesSmaller: await csvSize(hosts * repeats) / size,
    };
  } finally {
    await stop(child).catch(() => {});
    await Deno.remove(directory, { recursive: true });
  }
}

/** How long one metric of one host takes, beside all points, in ms. */
function ask(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  const took = (sql: string) => {
    const statement = db.prepare(sql);
    let best = Infinity;
    for (let n = 0; n < 3; n++) {
      const began = performance.now();
      statement.all();
      best = Math.min(best, performance.now() - began);
    }
    return best;
  };
  const [{ host }] = db.prepare("SELECT max(relay_client) AS host FROM series").all() as { host: string }[];
  const one = took(
    `SELECT avg(value) FROM measurements WHERE metric = 'mem_free' AND relay_client = '${host}' AND ` +
      "time >= 1795452301000000000",
  );
  // The same points, found by looking at all.
  const all = took(
    "SELECT avg(value) FROM points WHERE +series IN (SELECT s.id FROM series s JOIN metrics m ON m.id = s.metric " +
      `WHERE m.name = 'mem_free' AND s.relay_client = '${host}')`,
  );
  const [{ parts }] = db.prepare("SELECT count(*) AS parts FROM parts").all() as { parts: number }[];
  console.log(
    `  one metric of a host: ${one.toFixed(2)} ms in ${parts} parts; without the indexes, ${
      all.toFixed(0)
    } ms`,
  );
  db.close();
}

/** The longest that a timer of the server's thread had to wait, in ms. */
async function longestStall(hosts: number, repeats: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "alumet-relay-bench-" });
  const port = freePort();
  const stopping = new AbortController();
  const running = Promise.withResolvers<RunningAgent>();
  const agent = runAgent(
    {
      general: general.defaultValue(),
      stateBase: { path: directory, from: "--state-dir" },
      plugins: [
        {
          plugin: relayServer,
          config: { ...relayServer.config.defaultValue(), address: `127.0.0.1:${port}` },
        },
        { plugin: sqlite, config: sqlite.config.defaultValue() },
      ],
    },
    createLogger("bench", { level: "warn" }),
    { stop: stopping.signal, signals: false, onRunning: running.resolve },
  );
  await running.promise;
  const late: number[] = [];
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    late.push(now - before - 2);
    before = now;
  }, 2);
  await run([SENDER, String(port), String(hosts), String(repeats)]);
  clearInterval(timer);
  stopping.abort();
  await agent;
  await Deno.remove(directory, { recursive: true });
  late.sort((a, b) => a - b);
  const share = (part: number) => late[Math.floor((late.length - 1) * part)].toFixed(1);
  console.log(`  the server's thread was busy for ${share(0.99)} ms (99%), ${share(1)} ms at most`);
}

if (import.meta.main) {
  const numbers = Deno.args.map(Number);
  const cases = numbers.length > 0 ? [[numbers[0], numbers[1]]] : [[1, 425], [100, 4], [100, 20]];
  for (const [hosts, repeats] of cases) {
    let best: Figures | undefined;
    for (let n = 0; n < TRIES; n++) {
      const figures = await measure(hosts, repeats, n === TRIES - 1 ? ask : () => {});
      if (!best || figures.pointsPerSecond > best.pointsPerSecond) best = figures;
    }
    const { points, pointsPerSecond, microsPerPoint, peakMiB, bytesPerPoint, timesSmaller } = best!;
    console.log(
      `${hosts} hosts, ${(points / 1e6).toFixed(2)} M points: ${
        (pointsPerSecond / 1e6).toFixed(2)
      } M points/s, ` +
        `${microsPerPoint.toFixed(2)} µs of CPU, ${peakMiB.toFixed(0)} MiB, ${
          bytesPerPoint.toFixed(1)
        } bytes a point, ` +
        `${timesSmaller.toFixed(2)} times less than CSV`,
    );
    await longestStall(hosts, repeats);
  }
}
