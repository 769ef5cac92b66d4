/** What the agent and those around it tell each other: what to run, how it runs, and what changes meanwhile. */
import type { JournalConfig } from "./kept.ts";
import type { LogLevel } from "../base/log.ts";
import type { Plugin } from "../plugin.ts";
import type { StateBase } from "./state_directory.ts";
import type { ClientBooks, Counters } from "./stats.ts";

/** What to run: the result of reading the configuration. */
export interface AgentSettings {
  readonly general: {
    /** The longest that an orderly stop may take, in ms. */
    readonly shutdown_timeout: number;
    readonly log_level?: LogLevel;
    /** What the configuration says of the journal; without it, it is in memory. */
    readonly journal?: JournalConfig;
    /** The most bytes that dead letters of one output may take. */
    readonly dead_letters?: { readonly max_size: number };
    /** What may be known of series, in bytes: of all, and of one client. */
    readonly series?: { readonly memory?: number; readonly memory_per_client?: number };
  };
  /** Where what outlives the process is kept, by the roles of processes. @default {null}, nowhere */
  readonly stateBase?: StateBase | null;
  /** The enabled plugins with their checked configurations. */
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
}

/** What can be done while the process runs. */
export interface Change {
  /** The settings from now on: the old ones, with the new values of the keys that are `live`. */
  readonly settings: AgentSettings;
  /** Plugins of which some live key has changed. */
  readonly plugins: readonly string[];
  /** Keys that are taken over, such as `plugins.csv.force_flush`. */
  readonly taken: readonly string[];
  /** Keys that are not. */
  readonly restart: readonly string[];
}

/** A look at an agent while it runs. */
export interface RunningAgent {
  /** Counters of each plugin that has some and, under `journal`, of the journal. */
  stats(): Record<string, Counters>;
  /** What has become of the points of each client. */
  clients(): Iterable<ClientBooks>;
  /** Clients that are connected now; `undefined` where no input receives. */
  readonly connectedClients: number | undefined;
  /** Points in the journal that some output has not taken. */
  readonly pendingPoints: number;
  /** The configuration that is in effect. */
  readonly settings: AgentSettings;
  /** Takes over what it can of another configuration, which has been checked. */
  reconfigure(settings: AgentSettings): Promise<Change>;
  /** What has not got further although it should have. */
  stalls(): Stall[];
}

/** A part that should have got further, and has not. Waiting for others (a server, a database) is not that. */
export interface Stall {
  /** Name of the part. */
  readonly part: string;
  /** Since when, in `performance.now()` ms. */
  readonly since: number;
}
