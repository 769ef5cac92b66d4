/**
 * A first look: a server in this process, a client in another one, real TCP between them, and a database.
 *
 *     deno task demo [--for 10s] [--file demo.sqlite]
 *
 * The client measures this machine through /proc. Ctrl-C or the end of the time stops both cleanly.
 */
import { delay } from "@std/async/delay";
import { parseArgs } from "@std/cli/parse-args";
import { TextLineStream } from "@std/streams/text-line-stream";
import { runAgent } from "../lib/agent.ts";
import type { RunningAgent } from "../lib/agent/settings.ts";
import { formatDuration, parseDuration } from "../lib/base/duration.ts";
import { EXIT, messageOf } from "../lib/base/errors.ts";
import { createLogger } from "../lib/base/log.ts";
import { LogRing } from "../lib/base/log_ring.ts";
import { VERSION } from "../lib/cli/declarations.ts";
import { Seeing } from "../lib/seeing.ts";
import { sqlite } from "../lib/outputs/sqlite.ts";
import { general } from "../lib/config/general.ts";
import { relayServer } from "../lib/inputs/relay_server.ts";
import { pause } from "../tests/kit/waiting.ts";

const MAIN = new URL("../main.ts", import.meta.url).pathname;
/** Faster than the defaults, so that there is something to see at once. */
const OVERRIDES = [
  "plugins.relay-client.buffer_timeout='1s'",
  "plugins.procfs.kernel.poll_interval='1s'",
  "plugins.procfs.memory.poll_interval='1s'",
  "plugins.procfs.network.poll_interval='1s'",
];
/** How long the client may take to send what it has, in ms; it stops by itself before. */
const CLIENT_STOP_MS = 10_000;

const isTerminal = Deno.stdout.isTerminal();
const say = (text: string) => console.log(text);
const number = (value: number) => Math.round(value).toLocaleString("en-US");

/** What the command line says. */
function readArguments(): { forMs: number; file: string } {
  const options = parseArgs(Deno.args, {
    string: ["for", "file"],
    default: { file: "demo.sqlite" },
    unknown: (arg) => {
      console.error(`Unknown argument ${arg}; usage: task demo [--for 10s] [--file PATH]`);
      Deno.exit(EXIT.usage);
    },
  });
  if (options.for === undefined) return { forMs: Infinity, file: options.file };
  try {
    return { forMs: Number(parseDuration(options.for)) / 1e6, file: options.file };
  } catch (error) {
    console.error(`--for takes a duration such as 10s or 1m: ${messageOf(error)}`);
    Deno.exit(EXIT.usage);
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Starts the client; its warnings and errors are shown. */
function startClient(
  address: string,
): { child: Deno.ChildProcess; stopping: () => boolean; logged: Promise<void> } {
  const overrides = OVERRIDES.flatMap((override) => ["--config-override", override]);
  // An empty file, so that a configuration that lies in this directory does not get into the demo.
  const args = ["run", "-A", "--no-check", MAIN, "--config", "/dev/null", "--plugins", "procfs,relay-client"];
  args.push("--state-dir", STATE);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "--relay-out", address, ...overrides],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let stopping = false;
  const logged = (async () => {
    const lines = child.stderr.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      if (line.includes("Stopping")) stopping = true;
      if (/ (WARN|ERROR) /.test(line)) say(`${isTerminal ? "\r\x1b[K" : ""}client: ${line}`);
    }
  })();
  return { child, stopping: () => stopping, logged };
}

/** Resolves `ms` after the first points have come: how long the client takes to start depends on the machine. */
async function afterFirstPoints(agent: RunningAgent, ms: number, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && agent.figures.counters()["relay-server"].points === 0) await pause(50);
  await delay(ms, { signal: stop }).catch(() => {});
}

/** Points, clients and file, once a second, until `stop`. */
async function showProgress(agent: RunningAgent, stop: AbortSignal): Promise<void> {
  let before = 0;
  while (!stop.aborted) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1000);
      stop.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
    const { "relay-server": server, sqlite: file } = agent.figures.counters();
    const line = `${number(server.points - before)} points/s   ${number(server.points)} points in all   ` +
      `${server.clients} client${server.clients === 1 ? "" : "s"}   ${FILE}: ${
        number(file.bytes / 1024)
      } KiB`;
    before = server.points;
    if (stop.aborted) break;
    if (isTerminal) Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
    else say(line);
  }
  if (isTerminal) say("");
}

const { forMs, file: FILE } = readArguments();
/** Where both keep what they have not sent yet; the demo leaves only its file behind. */
const STATE = await Deno.makeTempDir({ prefix: "alumet-relay-demo-" });
addEventListener("unload", () => Deno.removeSync(STATE, { recursive: true }));
const address = `127.0.0.1:${freePort()}`;
say(`A server listens on ${address} and writes to ${FILE}; a client measures this machine and sends to it.`);
say(forMs === Infinity ? "Ctrl-C stops both." : `Both stop after ${formatDuration(forMs)}, or with Ctrl-C.`);

const began = performance.now();
const stopServer = new AbortController();
let running: RunningAgent | undefined;
const started = Promise.withResolvers<void>();
const log = createLogger("server", { level: "warn" });
const settings = general.defaultValue();
/** The usual address of the page, or another one if somebody uses its port. */
const page = isFree(9092) ? settings.http : { ...settings.http, address: "127.0.0.1:0" };
const seeing = await Seeing.open(
  page,
  true,
  { version: VERSION, host: Deno.hostname(), log: new LogRing() },
  log,
);
const server = runAgent(
  {
    general: settings,
    stateBase: { path: STATE, from: "--state-dir" },
    plugins: [
      { plugin: relayServer, config: { ...relayServer.config.defaultValue(), address } },
      { plugin: sqlite, config: { ...sqlite.config.defaultValue(), path: FILE } },
    ],
  },
  log,
  {
    stop: stopServer.signal,
    signals: false,
    onRunning: (agent) => {
      running = agent;
      seeing.running(agent);
      started.resolve();
    },
  },
);
await Promise.race([started.promise, server]);
if (!running) Deno.exit(await server);

say(`Power, hosts and what waits, in a browser: ${seeing.url}`);
const client = startClient(address);
const stop = new AbortController();
const end = () => stop.abort();
Deno.addSignalListener("SIGINT", end);
Deno.addSignalListener("SIGTERM", end);
client.child.status.then(end);
if (forMs < Infinity) void afterFirstPoints(running, forMs, stop.signal).then(end);
await showProgress(running, stop.signal);

// Ctrl-C at a terminal reaches the client too; a second signal would end it at once.
await pause(200);
if (!client.stopping()) {
  try {
    client.child.kill("SIGTERM");
  } catch { /* it has ended */ }
}
const kill = setTimeout(() => client.child.kill("SIGKILL"), CLIENT_STOP_MS);
const status = await client.child.status;
clearTimeout(kill);
await client.logged;
stopServer.abort();
await seeing[Symbol.asyncDispose]();
const code = await server;

const seconds = (performance.now() - began) / 1000;
const { "relay-server": received, sqlite: written } = running.figures.counters();
say("");
say(`${number(received.points)} points in ${seconds.toFixed(1)} s, ${number(received.bytes)} bytes over TCP`);
say(
  `${number(written.points)} points stored in ${FILE}, ${
    number((await Deno.stat(FILE)).size)
  } bytes. For example:`,
);
say("");
const query =
  "SELECT timestamp, value, unit FROM measurements WHERE metric = 'mem_free' ORDER BY time DESC LIMIT 5";
await new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", "--no-check", MAIN, "query", query, "--format", "table", "--database", FILE],
  stdin: "null",
}).spawn().status;
say("");
say("What else is there, and how to ask for it:");
say(`  ./denow run -A main.ts query --database ${FILE}`);
say(`  ./denow run -A main.ts query --database ${FILE} "${query}"`);
if (!status.success) say(`The client failed with exit code ${status.code}.`);
Deno.exit(status.success && received.points === written.points ? code : EXIT.software);
