/**
 * The relay server: listens for relay clients, ours or real Alumet agents, and is an input like any other. The
 * conversation with one client is in {@linkcode ./server/connection.ts}.
 */
import { delay } from "@std/async/delay";
import { type MonotonicClock, PROCESS_CLOCK } from "./base/clock.ts";
import { BoundedLog } from "./base/complaint.ts";
import { Timer } from "./base/timers.ts";
import { onAbort } from "./base/waiting.ts";
import { formatAddress, parseAddress } from "./net/address.ts";
import { usableMemoryBytes } from "./base/memory.ts";
import { type Descriptors, descriptors } from "./net/descriptors.ts";
import { isAdopted } from "./net/activation.ts";
import { accepted, listenOrAdopt } from "./net/listen.ts";
import { PolledListener } from "./net/polled_socket.ts";
import type { AcceptedTransport } from "./net/transport.ts";
import type { BatchSink, ClientConnectionInfo, Input, PluginContext } from "./plugin.ts";
import type { Safety } from "./server/acknowledged.ts";
import { Admission, type AdmissionOptions, OPEN } from "./intake/admission/admission.ts";
import type { Tokens } from "./intake/admission/tokens.ts";
import { CheckFile } from "./server/check_file.ts";
import { ClientMetrics } from "./server/client_metrics.ts";
import { ADDRESS_KEY, type RelayServerConfig } from "./server/config.ts";
import { ClientConnection } from "./server/connection.ts";
import { FrameBudget, largeFrameBytes, largestMessageBytes } from "./server/frame_budget.ts";
import { Gatherer } from "./intake/gatherer.ts";
import { LentBuffers } from "./wire/frames.ts";
import { openTerminator, openTokens } from "./intake/opening.ts";
import { admissionOf, limitsOf, warnOfFewDescriptors } from "./server/settings.ts";
import { DEFAULT_LIMITS, type ServerLimits, type ServerShared, type ServerStats } from "./server/shared.ts";

export { DEFAULT_LIMITS, type ServerLimits, type ServerShared, type ServerStats };

/** Receive buffers of all clients together may grow to about this for speed, in bytes. */
const BUFFER_BYTES = 3 * 1024 * 1024;
const MAX_BUFFER_BYTES = 256 * 1024;
/**
 * After a restart all clients come at once: while more than this number have not introduced themselves, connections
 * are accepted one every RAMP_MS.
 */
const RAMP_CLIENTS = 64;
const RAMP_MS = 5;
/** How often deadlines of connections are looked at: this often while the process stops, and at most, */
const MIN_SWEEP_MS = 50;
/** and this often at least. */
const MAX_SWEEP_MS = 500;
/** Otherwise, this often before the shortest limit has passed. */
const SWEEPS_PER_LIMIT = 10;
const MINUTE_MS = 60_000;
/** How often the checks of clients are saved, in ms. */
const SAVE_MS = 10_000;

type ServerContext = Pick<
  PluginContext,
  "log" | "registry" | "clients" | "identity" | "stateDirectory" | "drainMs"
>;

/** How the server treats its clients. By default it accepts all of them. */
export interface ServerOptions {
  safety?: Safety;
  tls?: ServerShared["tls"];
  admission?: AdmissionOptions;
  /** The interface of a scoped address. */
  scope?: string;
  /** What the process had open before it listened. */
  descriptors?: Descriptors | null;
  /** For what is logged so many times a minute. @default the process's */
  clock?: MonotonicClock;
}

/** A listening relay server. */
export class RelayServer implements Input {
  readonly stats: ServerStats = {
    clients: 0,
    connections: 0,
    points: 0,
    bytes: 0,
    rejectedPoints: 0,
    duplicatePoints: 0,
    refusedClients: 0,
  };
  readonly #listener: Deno.TcpListener;
  /** Accepts in its place, where that is possible: messages then wait for each other in the kernel. */
  readonly #polled: PolledListener | null;
  /** Everybody can cause lines in it. */
  readonly #log: BoundedLog;
  readonly #shared: ServerShared;
  readonly #connections = new Set<ClientConnection>();
  readonly #checks: CheckFile | null;
  readonly #tokens: Tokens | undefined;
  readonly #descriptors: Descriptors | null;
  #listening = true;

  /**
   * Opens the port, or takes the socket that systemd has opened for it.
   *
   * @throws {ExitError} if the address cannot be listened on, or a file of the configuration cannot be used.
   */
  static async open(config: RelayServerConfig, context: ServerContext): Promise<RelayServer> {
    const { log } = context;
    const address = parseAddress(config.address, { listen: true });
    const tokens = openTokens(config.tokens, "plugins.relay-server.tokens", log);
    const terminator = await openTerminator(config.tls, "plugins.relay-server.tls", log);
    const open = descriptors();
    warnOfFewDescriptors(config, open, log);
    const { listener, isAdopted } = await listenOrAdopt(address, {
      key: ADDRESS_KEY,
      open: Deno.listen,
      log,
    });
    const server = new RelayServer(listener, context, limitsOf(config), {
      safety: config.acknowledge === "stored" ? "stored" : "durable",
      scope: address.scope,
      admission: admissionOf(config, tokens, open),
      descriptors: open,
      tls: terminator && { terminator, mode: config.tls.mode === "optional" ? "optional" : "required" },
    });
    const { hostname, port } = server.address;
    // The address of systemd's socket may differ from the configuration, and a socket's own address has no scope.
    log.info("Listening for relay clients", {
      address: formatAddress(isAdopted ? { hostname, port } : { ...address, port }),
      socket: isAdopted ? "systemd" : undefined,
    });
    return server;
  }

  /** @param listener The socket to accept from; it is closed with the server. */
  constructor(
    listener: Deno.TcpListener,
    context: ServerContext,
    limits = DEFAULT_LIMITS,
    { safety = "durable", tls, admission = OPEN, scope, descriptors: open = null, clock = PROCESS_CLOCK }:
      ServerOptions = {},
  ) {
    this.#listener = listener;
    this.#log = new BoundedLog(context.log, clock);
    this.#checks = context.stateDirectory === null
      ? null
      : new CheckFile(context.stateDirectory, context.clients, this.#log);
    this.#tokens = admission.tokens;
    this.#descriptors = open;
    // A copy, because they may change.
    limits = { ...limits };
    context.clients.upstream.receives = true;
    const memoryBytes = usableMemoryBytes();
    const gatherer = new Gatherer();
    this.#polled = isAdopted(listener) ? null : PolledListener.open(listener, {
      pauseMs: () => this.#listening ? gatherer.waitMs : 0,
      begin: () => gatherer.hold(),
      end: (isPausing) => gatherer.letGo(isPausing),
    });
    this.#shared = {
      log: this.#log,
      metrics: new ClientMetrics(context.registry, limits),
      clients: context.clients,
      identity: context.identity,
      safety,
      limits,
      stats: this.stats,
      frames: new FrameBudget(largeFrameBytes(memoryBytes)),
      maxMessageBytes: largestMessageBytes(memoryBytes),
      gatherer,
      lentBuffers: new LentBuffers(),
      bufferBytes: () => Math.min(MAX_BUFFER_BYTES, BUFFER_BYTES / (this.#connections.size + 1)),
      names: new Map(),
      strangers: new Set(),
      drainMs: context.drainMs,
      unacknowledged: new Set(),
      tls,
      admission: new Admission(admission, this.#log, () => this.stats.refusedClients++),
      scope,
    };
  }

  reconfigure(config: RelayServerConfig): void {
    this.change(limitsOf(config), admissionOf(config, this.#tokens, this.#descriptors));
  }

  /** Changes limits, for new connections, and rules of admission, for open ones as well. */
  change(limits: ServerLimits, admission: AdmissionOptions): void {
    Object.assign(this.#shared.limits, limits);
    this.#shared.admission.change(admission);
  }

  readonly gauges = ["clients"];

  connectionOf(client: string): ClientConnectionInfo | undefined {
    return this.#shared.names.get(client)?.values().next().value;
  }

  get connectedClients(): number {
    return this.stats.clients;
  }

  /** The address of the socket, without a scope. */
  get address(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    const { gatherer } = this.#shared;
    gatherer.start(sink);
    let admitted = this.#shared.admission.version;
    const sweep = () => {
      const now = performance.now();
      for (const connection of this.#connections) connection.sweep(now);
      const { version } = this.#shared.admission;
      if (version === admitted) return;
      admitted = version;
      for (const connection of this.#connections) connection.recheck();
    };
    let sweeping = Timer.every(sweepMs(this.#shared.limits), sweep);
    using _sweeping = { [Symbol.dispose]: () => sweeping[Symbol.dispose]() };
    using _stopping = onAbort(stop, () => {
      this.#stopListening();
      for (const connection of this.#connections) connection.drain();
      this.#polled?.hurry();
      sweeping[Symbol.dispose]();
      sweeping = Timer.every(MIN_SWEEP_MS, sweep);
    });
    using _progress = this.#shared.clients.onProgress(() => {
      for (const receiver of this.#shared.unacknowledged) receiver.acknowledge();
    });
    try {
      using _report = Timer.every(MINUTE_MS, () => {
        for (const connection of this.#connections) connection.report();
        this.#log.catchUp();
      });
      using _save = Timer.every(SAVE_MS, () => void this.#checks?.save());
      await this.#accept(stop);
      await Promise.all([...this.#connections].map((connection) => connection.finished));
      await gatherer.flush();
    } finally {
      await this.#checks?.save();
      this.#log.catchUp();
    }
  }

  async #accept(stop: AbortSignal): Promise<void> {
    const listener: { accept(): Promise<AcceptedTransport> } = this.#polled ?? this.#listener;
    for await (const conn of accepted(listener, () => this.#listening, this.#log)) {
      const connection = new ClientConnection(conn, this.#shared);
      this.#connections.add(connection);
      this.stats.connections++;
      this.stats.clients++;
      connection.finished.finally(() => {
        this.#connections.delete(connection);
        this.stats.clients--;
      });
      if (stop.aborted) connection.drain();
      if (this.#shared.strangers.size > RAMP_CLIENTS) {
        await delay(RAMP_MS);
      }
    }
  }

  handOver(): void {
    this.#shared.gatherer.close();
    this.#stopListening();
    for (const connection of this.#connections) connection.close();
  }

  #stopListening(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#polled?.close();
    this.#listener.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    this.#shared.gatherer[Symbol.dispose]();
    for (const connection of this.#connections) connection.close();
    this.#shared.tls?.terminator[Symbol.dispose]();
    await this.#polled?.[Symbol.asyncDispose]();
  }
}

/** How often deadlines are looked at with these limits, in ms. */
function sweepMs({ handshakeMs, frameMs, idleMs, signOfLifeMs }: ServerLimits): number {
  const shortest = Math.min(handshakeMs, frameMs, idleMs, signOfLifeMs);
  return Math.max(MIN_SWEEP_MS, Math.min(MAX_SWEEP_MS, shortest / SWEEPS_PER_LIMIT));
}
