/** What the tests of whole relays share: how servers and clients are started, and how a CSV file is read. */
import assert from "node:assert/strict";
import type { Need } from "../kit/needs.ts";
import type { HandServer, Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { Program, type StartOptions } from "../kit/process.ts";
import { atMost, PATIENCE_MS, settled, until } from "../kit/waiting.ts";

/** Measures little, and often. */
export const POLL_FAST: readonly string[] = [
  ...["processes.enabled=false", "network.enabled=false", "memory.poll_interval=100ms"].flatMap((setting) => [
    "--config-override",
    `plugins.procfs.${setting}`,
  ]),
  ...["--config-override", "plugins.procfs.kernel.poll_interval=100ms"],
  ...["--config-override", "plugins.relay-client.buffer_max_length=0"],
];

/** Flags for a process without a journal on disk. */
export const IN_MEMORY: readonly string[] = ["--config-override", "journal.enable=false"];

/** The flags that set the keys of the relay client. */
export function clientKeys(keys: Record<string, string | number>): string[] {
  return Object.entries(keys).flatMap(([key, value]) => [
    "--config-override",
    `plugins.relay-client.${key}=${value}`,
  ]);
}

/** A server that stores in a file, when it listens; another one may listen on its port later. */
export async function startServer(
  file: string,
  { address = `127.0.0.1:${freePort()}`, args = [], ...options }:
    & StartOptions
    & { address?: string; args?: string[] } = {},
): Promise<Program> {
  const server = new Program(["--relay-in", address, "--output-file", file, ...args], options);
  try {
    await server.line(/"Running"/);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

/** Peers and server have a connection each, and some files. */
export const manyFiles = (clients: number): Need => () => {
  try {
    const { stdout } = new Deno.Command("sh", { args: ["-c", "ulimit -n"] }).outputSync();
    const limit = new TextDecoder().decode(stdout).trim();
    return limit === "unlimited" || Number(limit) > clients + 200
      ? undefined
      : `needs more than ${limit} open files`;
  } catch {
    return "needs a shell";
  }
};

/** The port that a server listens on, which has said that it is "Running". */
export function portOf(server: Program): number {
  const [{ address }] = server.soFar(/Listening for relay clients/);
  return Number(String(address).split(":").at(-1));
}

/** Accepts a client where a test plays the server, and reads its greeting. */
export async function greeted(server: HandServer, client: Program): Promise<Peer> {
  const peer = await atMost(PATIENCE_MS, server.accept(), () => `a connection from ${client.log}`);
  await peer.body();
  return peer;
}

/** Waits until the client has greeted a server `count` times. */
export async function connected(client: Program, count = 1): Promise<void> {
  await client.line(/Connected to the relay server/, { count });
}

/** A row of a CSV file, by the names of the columns. */
export type Row = Readonly<Record<string, string>>;

/** Reads a CSV file without quotes in it, whose last line must be whole. */
export function rowsOf(text: string): Row[] {
  assert.ok(!text.includes('"'), "there is a quote in the file");
  assert.ok(text.endsWith("\n"), `the last line is not whole: ${text.slice(-200)}`);
  const [header, ...lines] = text.slice(0, -1).split("\n");
  const columns = header.split(";");
  return lines.map((line) => {
    const values = line.split(";");
    assert.equal(values.length, columns.length, line);
    return Object.fromEntries(columns.map((column, i) => [column, values[i]]));
  });
}

export async function readRows(file: string): Promise<Row[]> {
  return rowsOf(await Deno.readTextFile(file));
}

/** Waits until there is more in a file than `bytes`. */
export async function grown(file: string, bytes = 0): Promise<void> {
  await until(() => sizeOf(file) > bytes, PATIENCE_MS, `more than ${bytes} bytes in ${file}`);
}

/** 0 where there is no such file yet, or any more. */
function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Waits until a journal on disk has been written to `times` times. */
export async function written(directory: string, times: number): Promise<void> {
  let last = -1;
  let changes = -1;
  await until(
    () => {
      const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
      const sizes = names.filter((name) => name.endsWith(".segment"))
        .map((name) => sizeOf(`${directory}/${name}`));
      const size = sizes.reduce((sum, size) => sum + size, 0);
      if (size !== last) changes++;
      last = size;
      return changes >= times;
    },
    PATIENCE_MS,
    () => `${times} writes to ${directory}: ${changes}`,
  );
}

/** Sends frames one after the other, as fast as they are taken, until it is stopped or the server closes. */
export class Flood {
  /** Frames that were sent. */
  sent = 0;
  /** Resolves at the end. */
  readonly done: Promise<void>;
  #stopped = false;

  constructor(peer: Peer, frame: (n: number) => Uint8Array, frames = Infinity) {
    this.done = (async () => {
      try {
        for (; this.sent < frames && !this.#stopped; this.sent++) await peer.send(frame(this.sent));
      } catch { /* the server has closed */ }
    })();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.done;
  }

  /** Waits until the server takes no more. */
  async stuck(): Promise<void> {
    await settled(() => this.sent);
  }
}

/** What a process warns of, but for polls that a busy machine skips. */
export const troublesOf = (program: Program) =>
  program.matching(/"(warn|error)"/).filter(({ message }) => !message.startsWith("Skipped polls"));
