/** What TLS costs from a client to a CSV file, and how long a thousand clients in TLS take: `deno run -A bench/tls.ts`. */
import { certificates } from "../tests/kit/certificates.ts";
import { configOf, TestClient } from "../tests/kit/client.ts";
import { numbered } from "../tests/kit/points.ts";
import { TempDir } from "../tests/kit/temp_dir.ts";
import { until } from "../tests/kit/waiting.ts";
import { freePort, MAIN, run, start, stop, untilSize, type Usage, usageOf } from "./process.ts";
import { csvSize, POINTS_IN_SESSION } from "./relay.ts";

const here = (name: string) => new URL(name, import.meta.url).pathname;
const REPEATS = 425;
const CLIENTS = 1000;
/** Runs in plain and in TLS, one right after the other: what else the machine does is much the same for both. */
const PAIRS = 5;
const IN_MEMORY = ["--config", "/dev/null", "--config-override", "journal.enable=false"];

interface Files {
  ca: string;
  cert: string;
  key: string;
}

const set = (plugin: string, settings: string[]) =>
  settings.flatMap((setting) => ["--config-override", `plugins.${plugin}.tls.${setting}`]);

async function startServer({ cert, key }: Files, path: string, port: number): Promise<Deno.ChildProcess> {
  return await start([
    ...[MAIN, ...IN_MEMORY, "--relay-in", `127.0.0.1:${port}`, "--output-file", path],
    ...["--plugins", "relay-server,csv"],
    ...set("relay-server", [`cert='${cert}'`, `key='${key}'`, "mode=optional"]),
  ]);
}

export interface TlsRun {
  pointsPerSecond: number;
  client: Usage;
  server: Usage;
}

/** The recorded session into a client, which passes it on to a server with a CSV file. */
export async function benchTls(dir: TempDir, files: Files, tls: boolean): Promise<TlsRun> {
  const path = dir.file("passed-on.csv");
  const size = await csvSize(REPEATS);
  const ports = [freePort(), freePort()];
  const server = await startServer(files, path, ports[1]);
  // The handshake is not measured here.
  const client = await start([
    ...[MAIN, ...IN_MEMORY, "--relay-in", `127.0.0.1:${ports[0]}`, "--relay-out", `127.0.0.1:${ports[1]}`],
    ...(tls ? set("relay-client", ["enable=true", `ca='${files.ca}'`, "server_name=relay.test"]) : []),
  ], "Connected to the relay server");
  try {
    const began = performance.now();
    await Promise.all([
      run([here("./send.ts"), String(ports[0]), "1", String(REPEATS)]),
      untilSize(path, size),
    ]);
    const seconds = (performance.now() - began) / 1000;
    const pointsPerSecond = REPEATS * POINTS_IN_SESSION / seconds;
    return { pointsPerSecond, client: usageOf(client.pid), server: usageOf(server.pid) };
  } finally {
    await stop(client);
    await stop(server);
    await Deno.remove(path);
  }
}

/** Seconds until all clients that connect at once have an acknowledgement. */
export async function benchManyClients(
  dir: TempDir,
  files: Files,
): Promise<{ seconds: number; server: Usage }> {
  const port = freePort();
  const server = await startServer(files, dir.file("many.csv"), port);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => stop(server));
  const { tls, ...config } = configOf(port, {
    retry: { max_times: 100, initial_delay: 500, max_delay: 2000 },
  });
  const began = performance.now();
  const clients = Array.from({ length: CLIENTS }, (_, n) => {
    const own = { enable: true, ca: files.ca, server_name: "relay.test" };
    const client = new TestClient({ ...config, client_name: `client-${n}`, tls: { ...tls, ...own } });
    client.push(numbered(1));
    return stack.use(client);
  });
  await until(() => clients.every(({ client }) => client.stats.acknowledgedPoints === 1), 120_000);
  return { seconds: (performance.now() - began) / 1000, server: usageOf(server.pid) };
}

if (import.meta.main) {
  await using dir = new TempDir();
  const { ca, issue } = await certificates(dir);
  const files = { ca, ...await issue("relay.test") };
  const costs: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const runs = [await benchTls(dir, files, false), await benchTls(dir, files, true)];
    for (const [n, { pointsPerSecond, client, server }] of runs.entries()) {
      const cpu = (usage: Usage) => `${usage.cpuSeconds.toFixed(2)} s CPU, ${usage.peakMiB.toFixed(0)} MiB`;
      const rate = `${n === 0 ? "plain" : "TLS  "} ${(pointsPerSecond / 1e6).toFixed(2)} M points/s`;
      console.log(`${rate}; client ${cpu(client)}; server ${cpu(server)}`);
    }
    costs.push((1 - runs[1].pointsPerSecond / runs[0].pointsPerSecond) * 100);
  }
  costs.sort((a, b) => a - b);
  console.log(
    `TLS costs ${costs[PAIRS >> 1].toFixed(0)} % of the plain throughput (median of ${PAIRS} pairs)`,
  );
  const { seconds, server } = await benchManyClients(dir, files);
  console.log(
    `${CLIENTS} clients at once are in after ${seconds.toFixed(1)} s; server ${
      server.peakMiB.toFixed(0)
    } MiB`,
  );
}
