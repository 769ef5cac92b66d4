/** What the connections of a relay server share: its limits, its counters, and where their points go. */
import type { Admission } from "./admission/admission.ts";
import type { ClientTable } from "../points/origins.ts";
import type { ClientMetrics } from "./client_metrics.ts";
import type { FrameBudget } from "./frame_budget.ts";
import type { Gatherer } from "./gatherer.ts";
import type { Logger } from "../base/log.ts";
import { DEFAULT_NAME_BYTES } from "../wire/names.ts";
import type { Safety } from "./acknowledged.ts";
import type { TableBudget } from "../wire/series_table.ts";
import type { TlsTerminator } from "./tls.ts";

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
  /** Where connections put their points. */
  readonly gatherer: Gatherer;
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
  readonly strangers: Set<object>;
}
