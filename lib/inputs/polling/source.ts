/** What a polled input consists of: its sources, each polled at its own pace. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Shared } from "../../base/shared.ts";
import type { MetricRegistry } from "../../points/registry.ts";
import type { Capability, DeviceGroup, Transform } from "../../plugin.ts";
import type { Key } from "../../schema.ts";
import type { ProcFiles } from "./files.ts";
import type { Findings } from "./findings.ts";
import type { Points } from "./points.ts";

/** What is polled. */
export interface PolledSource {
  /** For the log. */
  readonly name: string;
  /**
   * Reads what takes long, such as calls of a driver, before each poll and beside the other sources; the points have the
   * time before. It must end by itself.
   */
  gather?(last: boolean): Promise<void>;
  /**
   * Appends what it measures. `last` is set for the poll that follows the stop, which may come at any time after the
   * one before. Points that were appended before an error are kept.
   */
  poll(points: Points, last: boolean): void;
  /** There is nothing to measure: it is polled once a minute, to look again. @default {false} */
  readonly isIdle?: boolean;
  /** Closes its files. May be called twice. */
  close?(): void;
}

/** A source that a configuration asks for, and how often it is polled. */
export interface WantedSource {
  /** Distinguishes it from the other sources of its input, over reloads, too. */
  readonly name: string;
  /** Time between two polls, in milliseconds, more than 0. */
  readonly intervalMs: number;
  /** Points are handed over when this time has passed, in milliseconds. @default each poll */
  readonly flushIntervalMs?: number;
  /** The keys that it is made with: a reload that changes them closes the source and opens it again. @default none */
  readonly madeWith?: unknown;
  open(): PolledSource;
}

/** The sources of one input. */
export interface Sources<C> {
  /** The sources that the configuration asks for, at the start and again at each reload. It must not fail. */
  wanted(config: C): readonly WantedSource[];
  /** Counters beside those of the polls. */
  readonly stats?: Readonly<Record<string, number>> | undefined;
  /** Those of them that can fall. */
  readonly gauges?: readonly string[];
  /** What it does with the points of all inputs. */
  readonly transform?: Transform;
  /** Called once the sources are closed. It resolves when nothing runs any more. */
  close?(): void | Promise<void>;
}

/** Polls at intervals of at most this many ms get real-time priority, as in Alumet. */
export const REAL_TIME_MS = 3;

/** Keys of an input with one source. */
export interface PaceKeys {
  readonly poll_interval: number;
  readonly flush_interval?: number;
}

/** The sources of an input that has one, polled as its keys say. */
export function oneSource<C extends PaceKeys>(name: string, open: () => PolledSource): Sources<C> {
  return {
    wanted: ({ poll_interval, flush_interval }) => [
      { name, intervalMs: poll_interval, flushIntervalMs: flush_interval, open },
    ],
  };
}

/** What sources measure with. */
export interface Measuring {
  readonly files: ProcFiles;
  readonly registry: MetricRegistry;
  readonly log: Logger;
  readonly clock: Clock;
  readonly findings: Findings;
  /** What the inputs of this process share. */
  readonly shared: Shared;
}

/** What an input that polls is declared by. */
export interface PolledInputDeclaration<C> {
  /** The name in `[plugins.NAME]`. */
  readonly name: string;
  /** One sentence, for `plugins list` and `config regen`. */
  readonly description: string;
  /** Whether it measures energy or power. @default {false} */
  readonly measuresEnergy?: boolean;
  /** Whether it measures the processes of `alumet-relay exec` and `watch`. @default {false} */
  followsCommands?(config: C): boolean;
  /** Whether it runs only where a configuration names it, because it costs more than others. @default {false} */
  readonly onlyOnRequest?: boolean;
  /**
   * Whether it asks other machines. Then `alumet-relay probe` and `exec` leave them alone unless a configuration names
   * it.
   *
   * @default {false}
   */
  readonly isRemote?: boolean;
  /** What a user can do where nothing is found, in one sentence without a full stop. @default nothing */
  readonly absentHint?: string;
  /** The metrics that it makes: see the same key of a plugin. @default any */
  readonly metrics?: readonly string[] | ((config: C) => readonly string[]);
  /** What it must have of the kernel to read all that it may find. @default none */
  capabilities?(config: C): readonly Capability[];
  /** The devices that it opens. @default none */
  readonly devices?: readonly DeviceGroup[];
  /** The keys. Keys that a reload may change are declared `live`. */
  readonly config: Key<C>;
  /**
   * Imports the module that measures, and says what it measures with.
   *
   * @throws {ExitError} if nothing can be measured, now or later. Hardware that is missing is no reason.
   */
  load(config: C, measuring: Measuring): Promise<Sources<C>>;
}
