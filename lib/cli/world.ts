/** What commands use of the world around the program. */
import type { AgentSettings } from "../agent/settings.ts";
import type { StateBase } from "../agent/state_directory.ts";
import type { Logger } from "../base/log.ts";
import type { Plugin } from "../plugin.ts";
import type { Facts } from "../seeing.ts";
import type { Reload } from "../service.ts";

/** The world around the program: that of the process, unless a test replaces parts of it. */
export interface Surroundings {
  /** Writes to standard output. Returns `false` once nobody reads it. */
  stdout: (text: string) => unknown;
  /** Writes to standard error. */
  stderr: (text: string) => void;
  /** From now on nothing waits for standard error: what it does not take is lost, and counted. */
  queueStderr: () => void;
  /** How many lines standard error has lost since this was last asked. */
  takeLostLines: () => number;
  /** Whether log lines are colored. */
  color: () => boolean;
  /** Whether standard output is a terminal. */
  terminal: () => boolean;
  /** All of standard input. */
  stdin: () => Promise<Uint8Array>;
  /** Whether standard error leads to the journal of systemd. */
  journal: () => boolean;
  env: (name: string) => string | undefined;
  /** The state directories of services. */
  services: () => readonly StateBase[];
  plugins: () => Promise<readonly Plugin[]>;
  run: (settings: AgentSettings, log: Logger, reload: Reload, facts: Facts) => Promise<number>;
}
