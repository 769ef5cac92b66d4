/** What the connections of a relay server share: its limits, its counters, and where their points go. */
import type { Admission } from "../intake/admission/admission.ts";
import type { ClientTable } from "../points/origins.ts";
import type { ClientMetrics } from "./client_metrics.ts";
import type { FrameBudget } from "./frame_budget.ts";
import type { Gatherer } from "../intake/gatherer.ts";
import type { Logger } from "../base/log.ts";
import type { LentBuffers } from "../wire/frames.ts";
import { DEFAULT_NAME_BYTES } from "../wire/names.ts";
import type { ClientConnectionInfo, PluginContext } from "../plugin.ts";
import type { AcknowledgedReceiver, Safety } from "./acknowledged.ts";
import type { TlsTerminator } from "../intake/tls.ts";

/** Timeouts of a conversation, in milliseconds. */
export interface ServerLimits {
  /** From the connection to the complete greeting. @default {10000} */
  handshakeMs: number;
  /** Silence within a frame. @default {60000} */
  frameMs: number;
  /** At a stop, silence after which no more data is expected. @default {100} */
  drainIdleMs: number;
  /** How often a client that waits for an acknowledgement gets a sign of life. @default {5000} */
  signOfLifeMs: number;
  /** Silence between messages. @default {Infinity} */
  idleMs: number;
  /** What one connection may send per second. @default {Infinity} */
  bytesPerSecond: number;
  /** New series that one connection may bring per second once its client has more than its share. @default {10000} */
  newSeriesPerSecond: number;
  /** Series of one client that are kept in memory. @default {4194304} */
  maxSeries: number;
  /** Metrics that one client may define. @default {4096} */
  maxMetrics: number;
  /** Bytes of any name. @default {255} */
  maxNameBytes: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  handshakeMs: 10_000,
  frameMs: 60_000,
  drainIdleMs: 100,
  signOfLifeMs: 5000,
  idleMs: Infinity,
  bytesPerSecond: Infinity,
  newSeriesPerSecond: 10_000,
  maxSeries: 4_194_304,
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
  /** Points that a client sent again although they had been taken before. */
  duplicatePoints: number;
  /** Connections that were refused. */
  refusedClients: number;
}

/** What the connections share. */
export interface ServerShared {
  readonly log: Logger;
  readonly metrics: ClientMetrics;
  readonly clients: ClientTable;
  /** The instance id that this process has as a client. */
  readonly identity: Pick<PluginContext["identity"], "id">;
  /** When a batch is acknowledged to a client of ours. */
  readonly safety: Safety;
  readonly limits: ServerLimits;
  readonly stats: ServerStats;
  readonly frames: FrameBudget;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
  /** Where connections put their points. */
  readonly gatherer: Gatherer;
  /** For messages that are longer than a connection's own receive buffer. */
  readonly lentBuffers: LentBuffers;
  /** How large a receive buffer may become now, in bytes. */
  bufferBytes(): number;
  /** Open connections, by the name of the client. */
  readonly names: Map<string, Set<ClientConnectionInfo>>;
  readonly admission: Admission;
  /** The interface of a scoped address. */
  readonly scope: string | undefined;
  /** TLS, and whether clients without it are accepted; `undefined` where there is no certificate. */
  readonly tls: { readonly terminator: TlsTerminator; readonly mode: "required" | "optional" } | undefined;
  /** Connections that have not introduced themselves. */
  readonly strangers: Set<object>;
  /** See {@linkcode PluginContext.drainMs}. */
  readonly drainMs: PluginContext["drainMs"];
  /** Those that have taken batches and not acknowledged them. */
  readonly unacknowledged: Set<AcknowledgedReceiver>;
}
