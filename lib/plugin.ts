/**
 * The interfaces of the pipe's parts. A plugin declares its name, its keys (`config`) and how it is opened;
 * everything else, the configuration file, `config regen`, `plugins list` and the docs, comes from the declaration.
 */
import type { Path } from "./schema/path.ts";
import type { ClientTable } from "./points/origins.ts";
import type { Clock } from "./base/clock.ts";
import type { Address } from "./net/address.ts";
import type { BatchReader, Journal } from "./journal.ts";
import type { Logger } from "./base/log.ts";
import type { Batch, Series } from "./points/measurement.ts";
import type { MetricRegistry } from "./points/registry.ts";
import type { Key } from "./schema.ts";

/** One thing that others could make use of. */
export interface Advice {
  /** The key, below that of the plugin. */
  readonly path: Path;
  /** Who could do what, and what to do about it. */
  readonly problem: string;
}

/** Where an output puts what is permanently refused. */
export interface DeadLetters {
  /** Sets row `row` of a batch aside; it is on disk when {@linkcode sync} has resolved, if not before. */
  add(batch: Batch, row: number, reason: string): void;
  /** Letters that were added since the last {@linkcode sync}. */
  readonly pending: number;
  /**
   * Resolves when what was added survives a crash; or was counted as lost, where there is no place for it. Does not
   * fail.
   */
  sync(): Promise<void>;
  /** Points since the start that were refused. */
  readonly refusedPoints: number;
  /** Of these and of those from before, points that are not kept: the oldest gave way, or the disk did not take them. */
  readonly droppedPoints: number;
}

/** What every part of the pipe is given. */
export interface PluginContext {
  /** Writes to the log under the plugin's name. */
  readonly log: Logger;
  /** The metrics of this process. */
  readonly registry: MetricRegistry;
  readonly clock: Clock;
  /**
   * Ends the whole process in good order (last poll, drain, close) with the error's exit code. For what cannot be
   * mended while running, such as retries that are exhausted.
   */
  readonly fail: (error: Error) => void;
  /** What an output has not committed survives the end of the process: there is no reason to give up. */
  readonly keepsOnDisk: boolean;
  /** Who sends to this process. */
  readonly clients: ClientTable;
  /**
   * When clients of ours are told that a batch is safe: with `stored`, not before every output has it, so that what
   * this process has not stored may come by another one.
   */
  readonly acknowledges: "durable" | "stored";
  /** The journal's id: this process, over restarts where {@linkcode keepsOnDisk}. */
  readonly identity: Pick<Journal, "id" | "renewId">;
  /**
   * A directory of this process for what outlives it, such as a database or refused points; it exists, and can be
   * written to. `null` where there is none.
   */
  readonly stateDirectory: string | null;
  /** Where an output puts the points that its target permanently refuses. */
  readonly deadLetters: DeadLetters;
}

/** Where inputs put their batches. */
export interface BatchSink {
  /**
   * Hands over a batch. Resolves when there is room for the next one: an input that reads from a network waits for
   * it before it reads on.
   */
  push(batch: Batch): Promise<void> | void;
}

/** What every part of the pipe may have. */
export interface Part {
  /**
   * Takes over the keys that are declared as `live` from a configuration in which no other one has changed. It must not
   * fail: the configuration has been checked.
   */
  reconfigure?(config: unknown): void;
  /**
   * Since when it should have got further and has not, in `performance.now()` ms. Waiting for others (a server, a
   * database, room in the journal or on a disk) is not that. What is stuck for too long makes a service manager start
   * the process anew.
   */
  readonly stalledSince?: number | undefined;
}

/** One thing that an input has found on its machine. */
export interface Finding {
  /** What it is: `energy of the package, socket 0`. */
  readonly what: string;
  readonly file: string;
  /** The series of its points, where it is measured. */
  readonly series?: Series;
  /** Why it is not measured. */
  readonly problem?: string;
  /** The command that would allow reading it. */
  readonly allow?: string;
}

/** Produces points. Opened by {@linkcode InputPlugin.open}. */
export interface Input extends Part, AsyncDisposable {
  /**
   * Produces until `stop` is aborted, then hands over what it still has (a last poll, the bytes that had already
   * arrived) and returns.
   */
  run(sink: BatchSink, stop: AbortSignal): Promise<void>;
  /** The sink takes nothing more after this call: what is gathered is handed over now, whether there is room or not. */
  handOver?(): void;
  /** Counters since the start, for the summary and the live line. */
  readonly stats?: Readonly<Record<string, number>>;
  /** What it has found so far, where it measures its machine. */
  readonly findings?: readonly Finding[];
  /** Clients that are connected now, where it {@linkcode InputPlugin.receives}. */
  readonly connectedClients?: number;
}

/** Changes batches on their way from the inputs to the outputs. */
export interface Transform extends Part {
  /** Returns the batch to pass on: the same one, another one, or `null` for none. */
  apply(batch: Batch): Batch | null;
}

/** Takes points to where they are kept. Opened by {@linkcode OutputPlugin.open}. */
export interface Output extends Part, AsyncDisposable {
  /**
   * Takes batches from the reader, commits each one when it is safe, and returns when the reader has ended and all is
   * written. `signal` is aborted when the time for an orderly stop is over; what is not committed then is lost.
   */
  run(reader: BatchReader, signal: AbortSignal): Promise<void>;
  /**
   * It remembers over restarts which batches it has: its reader is opened with the option of this name.
   *
   * @default {false}
   */
  readonly onlyDurable?: boolean;
  /**
   * Its target takes nothing at present, and it waits before it tries again. A stop does not wait for it then, if all
   * points are safe in the journal, or it has none to write.
   *
   * @default {false}
   */
  readonly isTargetAway?: boolean;
  /** Counters since the start, for the summary and the live line. */
  readonly stats?: Readonly<Record<string, number>>;
}

/** Where a database is: at a path, or under a name in the state directory of the process. */
export type Database = { readonly path: string } | { readonly name: string };

/** What a process must have of the kernel beyond the rights of any user (man 7 capabilities). */
export interface Capability {
  /** `CAP_…` */
  readonly name: string;
  /** What it is for, in one short sentence without a full stop. */
  readonly reason: string;
}

interface PluginDeclaration<C> {
  /** The name in `[plugins.NAME]`. */
  readonly name: string;
  /** It reads the machine it runs on, for which Deno wants a program to have all permissions. @default {false} */
  readonly isLocal?: boolean;
  /** One sentence, for `plugins list` and `config regen`. */
  readonly description: string;
  /** The keys below `[plugins.NAME]`, `enable` excepted, which every plugin has. */
  readonly config: Key<C>;
  /** What others could make use of in a valid configuration, for `config check`. */
  advise?(config: C): readonly Advice[];
  /** What it must have of the kernel, for a unit of systemd. @default none */
  capabilities?(config: C): readonly Capability[];
  /**
   * What a process uses for keys that its configuration leaves open, by their names: for `config show`.
   *
   * @param stateDirectory Of the process, if it has one.
   */
  resolve?(config: C, stateDirectory: string | null): Readonly<Record<string, unknown>>;
  /** The address that it listens on, if it does. */
  listens?(config: C): Address | undefined;
}

/** An input: opening takes what can fail at start (a port, a file) and throws an {@linkcode ExitError}. */
export interface InputPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "input";
  /**
   * Its points come from other processes, which can wait: where the journal is full they do, and nothing is dropped.
   * The process is a server, or a hop.
   *
   * @default {false}
   */
  readonly receives?: boolean;
  /** What a user can do where nothing is found, in one sentence without a full stop. @default nothing */
  readonly absentHint?: string;
  /** When it tells its clients that a batch is safe: see {@linkcode PluginContext.acknowledges}. @default `durable` */
  acknowledges?(config: C): PluginContext["acknowledges"];
  open(config: C, context: PluginContext): Promise<Input>;
}

export interface TransformPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "transform";
  open(config: C, context: PluginContext): Promise<Transform>;
}

/** An output. A target that is down is no reason to fail: `run` waits for it. */
export interface OutputPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "output";
  /** Its target is another process of the relay, a server: this one is a client, or a hop. @default {false} */
  readonly sends?: boolean;
  /** The SQLite database that it writes, for `alumet-relay query`. */
  database?(config: C): Database;
  open(config: C, context: PluginContext): Promise<Output>;
}

/** Any plugin, whatever its configuration. */
// deno-lint-ignore no-explicit-any
export type Plugin = InputPlugin<any> | TransformPlugin<any> | OutputPlugin<any>;

/** Whether it is one of the two ends of the relay. */
export function isRelay(plugin: Plugin): boolean {
  return plugin.kind === "input"
    ? plugin.receives === true
    : plugin.kind === "output" && plugin.sends === true;
}

/** Declares a plugin; only there for its types. */
export function definePlugin<C, P extends InputPlugin<C> | TransformPlugin<C> | OutputPlugin<C>>(
  plugin: P & { config: Key<C> },
): P {
  return plugin;
}
