/** What a process is to run: the result of reading the configuration. */
import type { JournalConfig } from "./kept.ts";
import type { LogLevel } from "../base/log.ts";
import type { Plugin } from "../plugin.ts";
import type { StateBase } from "./state_directory.ts";

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
  };
  /** Where what outlives the process is kept, by the roles of processes. @default {null}, nowhere */
  readonly stateBase?: StateBase | null;
  /** The enabled plugins with their checked configurations. */
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
}

/** A part that should have got further, and has not. Waiting for others (a server, a database) is not that. */
export interface Stall {
  /** Name of the part. */
  readonly part: string;
  /** Since when, in `performance.now()` ms. */
  readonly since: number;
}
