/**
 * The relay server: listens for relay clients, ours or real Alumet agents, and is an input like any other. What one
 * client says is in {@linkcode ./server/connection.ts}.
 */
import { Admission, type AdmissionOptions, OPEN } from "./server/admission/admission.ts";
import { BatchBuilder } from "./points/batch_builder.ts";
import { ClientConnection } from "./server/connection.ts";
import { DEFAULT_LIMITS, type ServerLimits, type ServerShared, type ServerStats } from "./server/shared.ts";
export { DEFAULT_LIMITS, type ServerLimits, type ServerShared, type ServerStats };
import { FrameBudget } from "./server/frame_budget.ts";
import type { Safety } from "./server/acknowledged.ts";
import { accepted } from "./net/listen.ts";
import type { Logger } from "./base/log.ts";
import { type Batch, BatchPool } from "./points/measurement.ts";
import type { BatchSink, Input, PluginContext } from "./plugin.ts";
import { ClientMetrics } from "./server/client_metrics.ts";
import { TableBudget } from "./wire/series_table.ts";

/** Points in a batch of the server. */
const BATCH_POINTS = 4096;
/** Unused batches that are kept: about what the pipe holds when it is full, so that a busy server allocates none. */
const POOLED_BATCHES = 36;
/** How long points may wait for others before they go on, in ms. */
const GATHER_MS = 2;
/** Receive buffers of all clients together may grow to about this for speed, in bytes. */
const BUFFER_BYTES = 3 * 1024 * 1024;
const MAX_BUFFER_BYTES = 256 * 1024;
/** Clients that all come at once, after a restart, are let in at this pace while so many have not said who they are. */
const RAMP_CLIENTS = 64;
const RAMP_MS = 5;
const SWEEP_MS = 50;
const MINUTE_MS = 60_000;

/** How the server treats its clients; everybody is let in where nothing is said. */
export interface ServerOptions {
  safety?: Safety;
  tls?: ServerShared["tls"];
  admission?: AdmissionOptions;
  /** The interface that is listened on, where it is one. */
  scope?: string;
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
  };
  readonly #listener: Deno.TcpListener;
  readonly #log: Logger;
  readonly #shared: ServerShared;
  readonly #connections = new Set<ClientConnection>();
  #sink: BatchSink | null = null;
  #blocked: Promise<void> | null = null;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #first = true;
  #listening = true;
  #handedOver = false;

  /** @param listener The socket to accept from; it is closed with the server. */
  constructor(
    listener: Deno.TcpListener,
    context: Pick<PluginContext, "log" | "registry" | "clients">,
    limits = DEFAULT_LIMITS,
    { safety = "durable", tls, admission = OPEN, scope }: ServerOptions = {},
  ) {
    this.#listener = listener;
    this.#log = context.log;
    // They may change, and are nobody else's.
    limits = { ...limits };
    const isFirst = () => this.#first;
    const isOver = () => this.#handedOver;
    this.#shared = {
      log: context.log,
      metrics: new ClientMetrics(context.registry, limits),
      clients: context.clients,
      safety,
      limits,
      stats: this.stats,
      tables: new TableBudget(),
      frames: new FrameBudget(),
      builder: new BatchBuilder(new BatchPool(BATCH_POINTS, POOLED_BATCHES)),
      get first() {
        return isFirst();
      },
      get isOver() {
        return isOver();
      },
      gathered: () => this.#gathered(),
      bufferBytes: () => Math.min(MAX_BUFFER_BYTES, BUFFER_BYTES / (this.#connections.size + 1)),
      names: new Map(),
      strangers: new Set(),
      tls,
      admission: new Admission(admission, context.log),
      scope,
    };
  }

  /** Other limits, for connections that come from now on; and other rules, for those that are there as well. */
  change(limits: ServerLimits, admission: AdmissionOptions): void {
    Object.assign(this.#shared.limits, limits);
    this.#shared.admission.change(admission);
  }

  /** The address that is listened on; a scope is not in it. */
  get address(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    this.#sink = sink;
    const onStop = () => {
      this.#stopListening();
      for (const connection of this.#connections) connection.drain();
    };
    if (stop.aborted) onStop();
    else stop.addEventListener("abort", onStop, { once: true });

    let admitted = this.#shared.admission.version;
    const sweep = setInterval(() => {
      const now = performance.now();
      for (const connection of this.#connections) connection.sweep(now);
      const { version } = this.#shared.admission;
      if (version === admitted) return;
      admitted = version;
      for (const connection of this.#connections) connection.recheck();
    }, SWEEP_MS);
    using _progress = this.#shared.clients.onProgress(() => {
      for (const connection of this.#connections) connection.acknowledge();
    });
    const report = setInterval(() => {
      for (const connection of this.#connections) connection.report();
    }, MINUTE_MS);
    try {
      await this.#accept(stop);
      await Promise.all([...this.#connections].map((connection) => connection.finished));
      while (this.#blocked) await this.#blocked;
      clearTimeout(this.#flushTimer);
      await this.#flush();
    } finally {
      clearInterval(sweep);
      clearInterval(report);
      stop.removeEventListener("abort", onStop);
    }
  }

  async #accept(stop: AbortSignal): Promise<void> {
    for await (const conn of accepted(this.#listener, () => this.#listening, this.#log)) {
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
        await new Promise((resolve) => setTimeout(resolve, RAMP_MS));
      }
    }
  }

  /** Points are in the builder: passes them on when they fill a batch, the rest soon. */
  #gathered(): Promise<void> | void {
    const { builder } = this.#shared;
    if (this.#blocked) return this.#blocked;
    // The first message is a batch of its own, like the first buffer of a real server: outputs such as CSV take
    // their columns from it.
    if (this.#first) {
      this.#first = false;
      return this.#push(builder.take());
    }
    if (builder.current.length > 0 || builder.current.origins.length > 0) {
      this.#flushTimer ??= setTimeout(() => {
        this.#flushTimer = undefined;
        this.#flush();
      }, GATHER_MS);
    }
    if (builder.full.length > 0) return this.#push(builder.takeFull());
  }

  #flush(): Promise<void> | void {
    return this.#blocked ?? this.#push(this.#shared.builder.take());
  }

  #push(batches: Batch[]): Promise<void> | void {
    // What still comes is acknowledged to nobody.
    if (this.#handedOver) return;
    let room: Promise<void> | void = undefined;
    for (const batch of batches) room = this.#sink!.push(batch) ?? room;
    if (room) {
      this.#blocked = room.then(() => {
        this.#blocked = null;
        // What was gathered meanwhile has nobody else to pass it on.
        this.#gathered();
      });
      return this.#blocked;
    }
  }

  handOver(): void {
    if (this.#handedOver) return;
    clearTimeout(this.#flushTimer);
    for (const batch of this.#shared.builder.take()) void this.#sink?.push(batch);
    this.#handedOver = true;
    this.#stopListening();
    for (const connection of this.#connections) connection.close();
  }

  #stopListening(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#listener.close();
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    clearTimeout(this.#flushTimer);
    for (const connection of this.#connections) connection.close();
    this.#shared.tls?.terminator[Symbol.dispose]();
  }
}
