/**
 * The recorded session, repeated, from the wire into VictoriaMetrics, with the journal on disk:
 *
 *     deno run -A bench/influxdb.ts
 *
 * Ends when the database has counted every row. Needs Debian's victoria-metrics; both processes, and the one that
 * sends, share the machine.
 */
import { VictoriaMetrics } from "../tests/kit/influx.ts";
import { freePort, MAIN, run, start, stop, usageOf } from "./process.ts";
import { POINTS_IN_SESSION } from "./relay.ts";
import { pause } from "../tests/kit/waiting.ts";

const SEND = new URL("./send.ts", import.meta.url).pathname;
/** Longest for one run, in ms. */
const LIMIT_MS = 120_000;

interface Run {
  connections: number;
  points: number;
  seconds: number;
  /** CPU time of the server, and of the database, per point in µs. */
  micros: number;
  databaseMicros: number;
  peakMiB: number;
}

async function inserted(database: VictoriaMetrics): Promise<number> {
  const text = await database.ask("/metrics");
  return Number(/^vm_rows_inserted_total\{type="influx"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function measure(connections: number, repeats: number, overrides: readonly string[]): Promise<Run> {
  await using database = await VictoriaMetrics.start();
  const directory = await Deno.makeTempDir({ prefix: "alumet-relay-bench-" });
  const port = freePort();
  const points = connections * repeats * POINTS_IN_SESSION;
  const settings = [`host=${database.url}`, "bucket=bench", ...overrides];
  const server = await start([
    ...[
      MAIN,
      "--relay-in",
      `127.0.0.1:${port}`,
      "--plugins",
      "relay-server,influxdb",
      "--config",
      "/dev/null",
    ],
    ...["--config-override", "journal.enable=true", "--state-dir", directory],
    ...settings.flatMap((setting) => ["--config-override", `plugins.influxdb.${setting}`]),
  ]);
  try {
    const before = usageOf(server.pid);
    const databaseBefore = usageOf(database.pid);
    const began = performance.now();
    const sending = run([SEND, String(port), String(connections), String(repeats)]);
    for (let count = 0; count < points;) {
      if (performance.now() - began > LIMIT_MS) throw new Error(`${count} of ${points} rows are there`);
      await pause(20);
      count = await inserted(database);
      if (count > points) throw new Error(`${count} rows are there, not ${points}`);
    }
    const seconds = (performance.now() - began) / 1000;
    await sending;
    const usage = usageOf(server.pid);
    return {
      connections,
      points,
      seconds,
      micros: (usage.cpuSeconds - before.cpuSeconds) / points * 1e6,
      databaseMicros: (usageOf(database.pid).cpuSeconds - databaseBefore.cpuSeconds) / points * 1e6,
      peakMiB: usage.peakMiB,
    };
  } finally {
    await stop(server);
    await Deno.remove(directory, { recursive: true });
  }
}

const program = Deno.env.get("ALUMET_RELAY_BIN") ? "the compiled program" : "deno run";
console.log(`Deno ${Deno.version.deno}, ${program}, ${navigator.hardwareConcurrency} cores`);
for (
  const [name, connections, repeats, overrides] of [
    ["1 connection", 1, 425, []],
    ["1 connection, without gzip", 1, 425, ["gzip=false"]],
    ["100 connections", 100, 8, []],
  ] as const
) {
  const runs = [];
  for (let n = 0; n < 3; n++) runs.push(await measure(connections, repeats, overrides));
  const { points, seconds, micros, databaseMicros } = runs.reduce((a, b) => a.seconds < b.seconds ? a : b);
  console.log(
    `${name}: ${(points / 1e6).toFixed(2)} M points, ${Math.round(points / seconds / 1000)} k points/s, ` +
      `${micros.toFixed(2)} µs CPU a point (the database ${databaseMicros.toFixed(2)}), ` +
      `peak ${Math.max(...runs.map((run) => run.peakMiB)).toFixed(0)} MiB`,
  );
}
