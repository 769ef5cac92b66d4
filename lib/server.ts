/**
 * The relay server: listens for relay clients, ours or real Alumet agents, and is an input like any other. What one
 * client says is in {@linkcode ./connection.ts}.
 */
import { Admission, type AdmissionOptions, OPEN } from "./admission/admission.ts";
import { BatchBuilder } from "./batch_builder.ts";
import type { ClientTable } from "./clients.ts";
import { ClientConnection } from "./connection.ts";
import { FrameBudget } from "./frame_budget.ts";
import type { Safety } from "./intake.ts";
import { accepted } from "./listen.ts";
import type { Logger } from "./log.ts";
import { type Batch, BatchPool } from "./measurement.ts";
import type { BatchSink, Input, PluginContext } from "./plugin.ts";
import { DEFAULT_NAME_BYTES } from "./name_length.ts";
import { ClientMetrics } from "./client_metrics.ts";
import type { TlsTerminator } from "./tls_terminator.ts";
import { TableBudget } from "./series_table.ts";

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

/** Timeouts of a conversation, in milliseconds. */
export interface ServerLimits {
  /** From the connection to the whole greeting. @default {10000} */
  handshakeMs: number;
  /** Silence within a frame. @default {60000} */
  frameMs: number;
  /** Silence after which, at a stop, nothing more is expected to have been sent. @default {100} */
  drainIdleMs: number;
  /** At a stop, the longest that a client which goes on sending is listened to. @default {2000} */
  drainMs: number;
  /** How often a client of ours is told that the server is there, while it waits. @default {5000} */
  signOfLifeMs: number;
  /** Silence between messages. @default {Infinity} */
  idleMs: number;
  /** Of one connection. @default {Infinity} */
  bytesPerSecond: number;
  /** Series of a client: in the stream of one of ours, and remembered of others. @default {65536} */
  maxSeries: number;
  /** Metrics that one client may define. @default {4096} */
  maxMetrics: number;
  /** Bytes of a name, of whatever. @default {255} */
  maxNameBytes: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  handshakeMs: 10_000,
  frameMs: 60_000,
  drainIdleMs: 100,
  drainMs: 2000,
  signOfLifeMs: 5000,
  idleMs: Infinity,
  bytesPerSecond: Infinity,
  maxSeries: 65_536,
  maxMetrics: 4096,
  maxNameBytes: DEFAULT_NAME_BYTES,
};

/** What the server has done since it started. */
export interface ServerStats extends Record<string, number> {
  /** Connections that are open now. */
  clients: number;
  connections: number;
  points: number;
  bytes: number;
  rejectedPoints: number;
  /** Points that a client has sent again, and that had been taken before. */
  duplicatePoints: number;
}

/** What connections share. */
export interface ServerShared {
  readonly log: Logger;
  readonly metrics: ClientMetrics;
  readonly clients: ClientTable;
  /** When a client of ours is told that a batch is safe. */
  readonly safety: Safety;
  readonly limits: ServerLimits;
  readonly stats: ServerStats;
  readonly tables: TableBudget;
  readonly frames: FrameBudget;
  /** Where connections put their points; `gathered` says that they did. */
  readonly builder: BatchBuilder;
  /** No message has been passed on yet: the next one goes alone. */
  readonly first: boolean;
  /** All has been handed over, and nothing more is taken. */
  readonly isOver: boolean;
  /** To be awaited before the next read: the pipe may be full. */
  gathered(): Promise<void> | void;
  /** How large a receive buffer may grow now, in bytes. */
  bufferBytes(): number;
  /** Open connections of that client. */
  readonly names: Map<string, number>;
  readonly admission: Admission;
  /** The interface that is listened on, where it is one. */
  readonly scope: string | undefined;
  /** For clients that come in TLS, and whether others are taken. */
  readonly tls: { readonly terminator: TlsTerminator; readonly mode: "required" | "optional" } | undefined;
  /** Connections that have not said who they are. */
  readonly strangers: Set<ClientConnection>;
}

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
