/**
 * What users see of a running process: its page, metrics and API on the network (`[http]`), and the same on a socket in
 * its state directory, for commands.
 */
import type { RunningAgent } from "./agent/settings.ts";
import { EXIT, ExitError, messageOf } from "./base/errors.ts";
import type { Logger } from "./base/log.ts";
import { Secret } from "./base/secrets.ts";
import { DEFAULT_HTTP_ADDRESS, type HttpConfig } from "./http/config.ts";
import { HttpServer } from "./http/server.ts";
import { openTerminator } from "./intake/opening.ts";
import { formatAddress, parseAddress } from "./net/address.ts";
import { listen } from "./net/listen.ts";
import { apiPages } from "./seeing/api.ts";
import { Access } from "./seeing/access.ts";
import { Live } from "./seeing/live/live.ts";
import { htmlPages } from "./seeing/page.ts";
import { monitoringPages, Pages } from "./seeing/pages.ts";
import { type Facts, View } from "./seeing/view.ts";

export type { Facts };

/** The socket in the state directory of a process. */
export const AGENT_SOCKET = "socket";
/** Of that socket. */
const SOCKET_LIMITS = { connections: 16 };
/** Of a process without `[http]`, for commands that look at it. */
const DEFAULT_MEMORY_BYTES = 2 * 1024 * 1024;
/** Without a page on the network: how long after the last question what happens is watched, in ms. */
const FORGET_MS = 30_000;

export class Seeing implements AsyncDisposable {
  readonly #view: View;
  readonly #pages: Pages;
  readonly #log: Logger;
  readonly #stack = new AsyncDisposableStack();
  /** What values of the last quarter of an hour may take. */
  readonly #memoryBytes: number;
  #live: Live | null = null;
  /** It listens on the network: what happens is watched all the time, so that a page has the last quarter of an hour. */
  #isOpen = false;
  #isClosed = false;
  #url: string | undefined;
  #askedMs = 0;

  /**
   * Listens where the configuration says.
   *
   * @param receives Whether the process receives from clients: then it has a page unless the configuration says otherwise.
   * @throws {ExitError} if the address cannot be listened on, unless it is the default, or a file cannot be used.
   */
  static async open(
    config: HttpConfig | undefined,
    receives: boolean,
    facts: Facts,
    log: Logger,
  ): Promise<Seeing> {
    const seeing = new Seeing(facts, log, config?.memory ?? DEFAULT_MEMORY_BYTES);
    try {
      if (config && (config.enable ?? receives)) await seeing.#listen(config);
      return seeing;
    } catch (error) {
      await seeing[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(facts: Facts, log: Logger, memoryBytes: number) {
    this.#log = log;
    this.#memoryBytes = memoryBytes;
    const view = this.#view = new View(facts);
    this.#pages = new Pages({
      ...htmlPages(),
      ...monitoringPages(view),
      ...apiPages(view, () => this.#watch()),
    });
  }

  /** Watches what happens; without a page on the network only as long as somebody asks. */
  #watch(): Live | null {
    const { agent, facts } = this.#view;
    if (!agent || this.#isClosed) return null;
    this.#askedMs = performance.now();
    if (this.#live) return this.#live;
    const live = this.#live = new Live(agent, facts.host, this.#memoryBytes);
    if (this.#isOpen) return live;
    live.onLook(() => {
      if (live.isAwaited) this.#askedMs = performance.now();
      if (performance.now() - this.#askedMs < FORGET_MS) return;
      live[Symbol.dispose]();
      this.#live = null;
    });
    return live;
  }

  /** The address of the page; `undefined` if there is none. */
  get url(): string | undefined {
    return this.#url;
  }

  /** The agent runs. */
  running(agent: RunningAgent): void {
    this.#view.agent = agent;
    if (this.#isOpen) this.#watch();
    if (agent.stateDirectory !== null) this.#listenInDirectory(agent.stateDirectory);
  }

  stopping(): void {
    this.#view.isStopping = true;
  }

  /** Listens on a socket in the state directory, which this process has locked. */
  #listenInDirectory(directory: string): void {
    const path = `${directory}/${AGENT_SOCKET}`;
    try {
      try {
        // Of an earlier process that was killed.
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      const listener = Deno.listen({ transport: "unix", path });
      this.#stack.defer(() => {
        try {
          Deno.removeSync(path);
        } catch { /* somebody has removed it */ }
      });
      this.#stack.use(
        new HttpServer(listener, (request) => this.#pages.answer(request), this.#log, SOCKET_LIMITS),
      );
      // The group of the directory may read what is in it, and ask the process.
      Deno.chmodSync(path, 0o660);
    } catch (error) {
      this.#log.info("The commands status, top and tap do not find this process: it cannot make its socket", {
        path,
        reason: messageOf(error),
      });
    }
  }

  async #listen({ address: given, allow, token, token_file, tls }: HttpConfig): Promise<void> {
    const access = new Access({
      allow,
      token: new Secret(token, token_file, "http.token_file").value,
      host: this.#view.facts.host,
    });
    const address = parseAddress(given ?? DEFAULT_HTTP_ADDRESS, { listen: true });
    let listener: Deno.TcpListener;
    try {
      listener = listen(address, { key: "http.address", open: Deno.listen, log: this.#log });
    } catch (error) {
      if (given !== undefined || !(error instanceof ExitError) || error.exitCode !== EXIT.unavailable) {
        throw error;
      }
      // Nobody has asked for it.
      this.#log.info(
        "There is no page: another program uses its port. Set http.address, or http.enable = false",
        {
          address: DEFAULT_HTTP_ADDRESS,
        },
      );
      return;
    }
    let terminator;
    try {
      terminator = await openTerminator(tls, "http.tls", this.#log);
    } catch (error) {
      listener.close();
      throw error;
    }
    if (terminator) this.#stack.use(terminator);
    const server = new HttpServer(
      listener,
      (request, { hostname }) => access.refusal(request, hostname) ?? this.#pages.answer(request),
      this.#log,
      {},
      terminator && { secure: (conn) => terminator.secure(conn, new Uint8Array()) },
    );
    this.#stack.use(server);
    this.#isOpen = true;
    const { port } = server.address;
    this.#url = `${terminator ? "https" : "http"}://${formatAddress({ ...address, port })}/`;
    this.#log.info("The page of this process", { url: this.#url });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#live?.[Symbol.dispose]();
    await this.#stack.disposeAsync();
  }
}
