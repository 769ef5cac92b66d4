/** Listens on a Unix socket, and does what the lines say. Each line has an answer, whose last line is `ok` or an error. */
import { formatDuration } from "../../base/duration.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { closeQuietly, onAbort } from "../../base/waiting.ts";
import { accepted } from "../../net/listen.ts";
import { listenOnUnix, type UnixSocket } from "../../net/unix_socket.ts";
import type { BatchSink, Input, PluginContext } from "../../plugin.ts";
import { type Controllable, type Controls, controls, type SourceState } from "../polling/controls.ts";
import { type Command, isMeant, parseCommand, type SourcePattern } from "./command.ts";
import type { SocketControlConfig } from "./config.ts";

/** Open connections, at most. */
const MOST_CONNECTIONS = 16;
/** The longest line, in bytes. */
const MOST_LINE_BYTES = 4096;
const LF = 10;

type Context = Pick<PluginContext, "log" | "shared" | "stop">;

export class SocketControl implements Input {
  readonly #socket: UnixSocket;
  readonly #log: Logger;
  readonly #controls: Controls;
  readonly #shutDown: () => void;
  readonly #open = new Map<Promise<void>, Deno.UnixConn>();
  #isListening = true;

  private constructor(socket: UnixSocket, { log, shared, stop }: Context) {
    this.#socket = socket;
    this.#log = log;
    this.#controls = shared.of(controls);
    this.#shutDown = stop;
  }

  /** @throws {ExitError} if it cannot listen there */
  static async open({ socket_path: path }: SocketControlConfig, context: Context): Promise<SocketControl> {
    const socket = await listenOnUnix(path, "0600", "plugins.socket-control.socket_path");
    context.log.info("Taking commands", { socket: path });
    return new SocketControl(socket, context);
  }

  async run(_sink: BatchSink, stop: AbortSignal): Promise<void> {
    using _stopping = onAbort(stop, () => this.#close());
    for await (const conn of accepted(this.#socket.listener, () => this.#isListening, this.#log)) {
      const served: Promise<void> = this.#serve(conn).finally(() => this.#open.delete(served));
      this.#open.set(served, conn);
    }
    await Promise.all(this.#open.keys());
  }

  /** Never rejects. */
  async #serve(conn: Deno.UnixConn): Promise<void> {
    try {
      if (this.#open.size >= MOST_CONNECTIONS) return await say(conn, "error: too many connections");
      for await (const line of linesOf(conn)) {
        if (line === null) await say(conn, `error: a line is longer than ${MOST_LINE_BYTES} bytes`);
        else if (line.trim() !== "") await this.#answer(conn, line);
      }
    } catch {
      // The connection broke: nobody waits for an answer.
    } finally {
      closeQuietly(conn);
    }
  }

  async #answer(conn: Deno.UnixConn, line: string): Promise<void> {
    let command: Command;
    try {
      command = parseCommand(line);
    } catch (error) {
      return await say(conn, `error: ${messageOf(error)}`);
    }
    if (command.do === "status") return await say(conn, ...this.#status(), "ok");
    this.#log.info("Command", { command: line.trim() });
    if (command.do === "shutdown") {
      // First the answer: the stop closes the connection.
      await say(conn, "ok").finally(() => this.#shutDown());
      return;
    }
    await say(conn, this.#control(command) ? "ok" : "error: no source has such a name; status lists them");
  }

  /** @returns whether there is such a source */
  #control(command: Exclude<Command, { do: "shutdown" | "status" }>): boolean {
    let isFound = false;
    for (const [plugin, input] of this.#controls.inputs) {
      const meant = this.#meant(command.pattern, plugin, input);
      if (meant.length === 0) continue;
      isFound = true;
      if (command.do === "poll") input.pollNow();
      for (const { name } of meant) {
        if (command.do === "interval") input.setInterval(name, command.ms);
        else if (command.do !== "poll") input.setPaused(name, command.do === "pause");
      }
    }
    return isFound;
  }

  #meant(pattern: SourcePattern, plugin: string, { controlled }: Controllable): SourceState[] {
    return controlled.filter(({ name }) => isMeant(pattern, plugin, name));
  }

  #status(): string[] {
    return [...this.#controls.inputs].flatMap(([plugin, { controlled }]) =>
      controlled.map(({ name, isPaused, intervalMs }) =>
        `sources/${plugin}/${name} ${isPaused ? "paused" : "running"} ${formatDuration(intervalMs)}`
      )
    );
  }

  #close(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#socket.close();
    for (const conn of this.#open.values()) closeQuietly(conn);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }
}

async function say(conn: Deno.UnixConn, ...lines: string[]): Promise<void> {
  const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

/** The lines that arrive, until the other side has said all; `null` for one that is too long. */
async function* linesOf(conn: Deno.UnixConn): AsyncGenerator<string | null, void> {
  const bytes = new Uint8Array(MOST_LINE_BYTES + 1);
  const decoder = new TextDecoder();
  let length = 0;
  let isSkipping = false;
  for (let count; (count = await conn.read(bytes.subarray(length))) !== null;) {
    length += count;
    let start = 0;
    for (let end; (end = bytes.subarray(0, length).indexOf(LF, start)) >= 0; start = end + 1) {
      if (!isSkipping) yield decoder.decode(bytes.subarray(start, end));
      isSkipping = false;
    }
    bytes.copyWithin(0, start, length);
    length -= start;
    if (length < bytes.length) continue;
    if (!isSkipping) yield null;
    isSkipping = true;
    length = 0;
  }
  if (length > 0 && !isSkipping) yield decoder.decode(bytes.subarray(0, length));
}
