/** What the agent and its callers exchange: what to run, how it is doing, and what changes. */
import type { JournalConfig } from "./kept.ts";
import type { HttpConfig } from "../http/config.ts";
import type { LogLevel } from "../base/log.ts";
import type { History, Plugin } from "../plugin.ts";
import type { Batch } from "../points/measurement.ts";
import type { StateBase } from "./state_directory.ts";
import type { Figures } from "./figures.ts";

/** What to run: the result of reading the configuration. */
export interface AgentSettings {
  readonly general: {
    /** The longest time for an orderly stop, in ms. */
    readonly shutdown_timeout: number;
    readonly log_level?: LogLevel;
    /** The configuration of the journal; without it the journal is in memory. */
    readonly journal?: JournalConfig;
    /** Most bytes of dead letters of one output. */
    readonly dead_letters?: { readonly max_size: number };
    /** What may be known of series, in bytes: of all, and of one client. */
    readonly series?: { readonly memory?: number; readonly memory_per_client?: number };
    /** The page; without it the process has none. */
    readonly http?: HttpConfig;
  };
  /** The state directory of all roles. @default {null}, there is none */
  readonly stateBase?: StateBase | null;
  /** The enabled plugins with their checked configurations. */
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
}

/** The part of a new configuration that a running process applies. */
export interface Change {
  /** The settings from now on: the old ones, with the new values of the keys that are `live`. */
  readonly settings: AgentSettings;
  /** Plugins with changed live keys. */
  readonly plugins: readonly string[];
  /** Keys that take effect now, such as `plugins.csv.force_flush`. */
  readonly taken: readonly string[];
  /** Keys that take effect after a restart. */
  readonly restart: readonly string[];
}

/** A view of a running agent. */
export interface RunningAgent {
  /** How much it has done, what waits, and how it is doing. */
  readonly figures: Figures;
  /** The configuration in effect. */
  readonly settings: AgentSettings;
  /** Applies what it can of another, valid configuration. */
  reconfigure(settings: AgentSettings): Promise<Change>;
  /** Parts that make no progress although they should. */
  stalls(): Stall[];
  /** Looks back at what an output has stored; `undefined` if none can. */
  readonly history?: History | undefined;
  /** The directory of this process; `null` if it has none. */
  readonly stateDirectory: string | null;
  /**
   * Shows every batch to a watcher, after the transforms. The batch is only valid during the call, which the pipe waits
   * for.
   */
  watch(watcher: (batch: Batch) => void): Disposable;
}

/** A part that should make progress and does not. A part that waits for a server or a database is not stalled. */
export interface Stall {
  /** Name of the part. */
  readonly part: string;
  /** Since when, in `performance.now()` ms. */
  readonly since: number;
}
