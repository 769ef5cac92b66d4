/**
 * The interfaces of inputs, transforms and outputs. A plugin declares its name, its keys (`config`) and how to open it;
 * the configuration file, `config regen` and `plugins list` follow from the declaration.
 */
import type { Path } from "./schema/path.ts";
import type { ClientRecord, ClientTable } from "./points/origins.ts";
import type { Clock } from "./base/clock.ts";
import type { Address } from "./net/address.ts";
import type { BatchReader, Journal } from "./journal.ts";
import type { Logger } from "./base/log.ts";
import type { Shared } from "./base/shared.ts";
import type { Batch, Series } from "./points/measurement.ts";
import type { MetricRegistry } from "./points/registry.ts";
import type { Key } from "./schema.ts";

/** Something in a configuration that is open to others. */
export interface Advice {
  /** The key, below that of the plugin. */
  readonly path: Path;
  /** What others can do, and how to prevent it. */
  readonly problem: string;
}

/** A key that makes little sense if inputs poll more slowly. */
export interface Patience {
  /** The key, below that of the plugin. */
  readonly path: Path;
  /** The longest time between two polls that suits it, in ms. */
  readonly ms: number;
  /** Whether the time that an input keeps its points counts as well. */
  readonly withFlush: boolean;
  /** What happens if inputs are slower, in one clause. */
  readonly problem: string;
}

/** Where an output puts points that its target permanently refuses. */
export interface DeadLetters {
  /** Adds row `row` of a batch; it is on disk when {@linkcode sync} has resolved. */
  add(batch: Batch, row: number, reason: string): void;
  /** Letters added since the last {@linkcode sync}. */
  readonly pending: number;
  /**
   * Resolves when all added letters survive a crash, or are counted as lost if there is no place for them. Never rejects.
   */
  sync(): Promise<void>;
  /** Refused points since the start. */
  readonly refusedPoints: number;
  /** Refused points that are lost: the oldest were dropped, or could not be written. */
  readonly droppedPoints: number;
}

/** What a plugin gets when it is opened. */
export interface PluginContext {
  /** Writes to the log under the plugin's name. */
  readonly log: Logger;
  /** The metrics of this process. */
  readonly registry: MetricRegistry;
  readonly clock: Clock;
  /**
   * Stops the whole process in order (last poll, drain, close) with the exit code of the error. For problems that only a
   * restart can solve, such as exhausted retries.
   */
  readonly fail: (error: Error) => void;
  /** Stops the whole process in order, as SIGTERM does. */
  readonly stop: () => void;
  /** Whether points that an output has not committed survive the end of the process, so that it need not give up. */
  readonly keepsOnDisk: boolean;
  /** The clients of this process. */
  readonly clients: ClientTable;
  /**
   * When our clients learn that a batch is safe: with `stored`, only after every output has it, so that another server
   * may get what this process has not stored.
   */
  readonly acknowledges: "durable" | "stored";
  /**
   * Resolves when a crash can no longer take away what was pushed into the pipe until now, however long that takes.
   */
  readonly untilDurable: () => Promise<void>;
  /** The id of the journal, which stays the same over restarts if {@linkcode keepsOnDisk}. */
  readonly identity: Pick<Journal, "id" | "renewId">;
  /**
   * A writable directory of this process for what outlives it, such as a database or refused points; `null` if there is
   * none.
   */
  readonly stateDirectory: string | null;
  /** Where an output puts the points that its target permanently refuses. */
  readonly deadLetters: DeadLetters;
  /** What the plugins of this process share. */
  readonly shared: Shared;
  /**
   * For how long an input goes on at a stop with what has arrived, in ms; a little later its connections are closed. Two
   * fifths of `shutdown_timeout`, and 10 s at most.
   */
  readonly drainMs: () => number;
}

/** Takes the batches of inputs. */
export interface BatchSink {
  /**
   * Takes a batch. Resolves when there is room for the next one; an input that receives from a network waits for that
   * before it reads more.
   */
  push(batch: Batch): Promise<void> | void;
}

/** What inputs, transforms and outputs have in common. */
export interface Part {
  /** Counters since the start, for the summary, the status line, metrics and pages. */
  readonly stats?: Readonly<Record<string, number>>;
  /** Names in {@linkcode stats} whose values can fall: what there is now, not what there was in all. @default none */
  readonly gauges?: readonly string[];
  /**
   * Applies the keys that are declared as `live`, from a configuration in which no other key has changed. It must not fail,
   * because the configuration is valid.
   */
  reconfigure?(config: unknown): void;
  /**
   * Since when it makes no progress although it should, in `performance.now()` ms. Waiting for a server, a database, or
   * room in the journal or on a disk does not count. If it lasts too long, a service manager restarts the process.
   */
  readonly stalledSince?: number | undefined;
}

/** A metric that a configuration names. */
export interface WantedMetric {
  /** The key, below that of the plugin. */
  readonly path: Path;
  /** The name; with a `*` it is not looked for. */
  readonly metric: string;
  /** Bases of units that fit. @default any */
  readonly bases?: readonly string[];
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

/** What is known of a client that is connected. */
export interface ClientConnectionInfo {
  /** Host and port. */
  readonly address: string;
  /** Its version of this program, or of Alumet. */
  readonly version: string;
}

/** Produces points; {@linkcode InputPlugin.open} opens it. */
export interface Input extends Part, AsyncDisposable {
  /**
   * Produces points until `stop` is aborted, then hands over what it still has (a last poll, bytes that have arrived) and
   * returns.
   */
  run(sink: BatchSink, stop: AbortSignal): Promise<void>;
  /** Hands over gathered points now, whether there is room or not: the sink takes nothing after this call. */
  handOver?(): void;
  /** When everything that it polls has been polled once. @default it polls nothing */
  readonly firstPoll?: Promise<void>;
  /** What it has found so far, where it measures its machine. */
  readonly findings?: readonly Finding[];
  /** What it does with the points of all inputs, at the place of its section among the transforms. */
  readonly transform?: Transform;
  /** Clients that are connected now, if it {@linkcode InputPlugin.receives}. */
  readonly connectedClients?: number;
  /** The connection of the client of this name, if it {@linkcode InputPlugin.receives} and that one is connected now. */
  connectionOf?(client: string): ClientConnectionInfo | undefined;
}

/** Changes batches on their way from the inputs to the outputs. */
export interface Transform extends Part {
  /**
   * Returns the batch to forward: the same one, unchanged, or another one that credits its rows to the same clients,
   * with the numbers of their batches, even where no rows are left.
   */
  apply(batch: Batch): Batch;
}

/** Where a transform with a memory puts points, see {@linkcode StagedTransform}. */
export interface StageOutput {
  /** Passes a row of the batch that is being taken on unchanged. */
  pass(batch: Batch, row: number): void;
  /**
   * Adds a point of a series of the batch's store. It belongs to the client, and comes behind the rows that pass. A u64
   * above 2^53 is a bigint.
   */
  add(client: ClientRecord, series: number, seconds: number, nanos: number, value: number | bigint): void;
}

/**
 * A transform that keeps something from one batch to the next (windows, earlier points), and loses none of it: a stage
 * (lib/transforms/stage.ts) reads what comes from a journal, and puts what is made of it into the next one.
 *
 * After a restart the stage gives the batches from {@linkcode StagedTransform.neededFrom} on again, to a transform that
 * remembers nothing, and leaves out what it has stored already. So that each result is stored once, the transform must
 * then make of each batch that is not stored yet what it would have made without the restart. That means:
 *
 * - It depends on nothing but the batches, their order, and the ticks between them: not on clocks, on numbers of series,
 *   or on the order of a hash.
 * - `neededFrom` is not behind a batch of which it still has a point that a later result is made of.
 * - A result that the last of its points (or a tick) completes is completed by the same one if earlier points of it are
 *   missing. "60 ticks after the last point" is such a rule; "60 ticks after the first point" is not, because the first
 *   one may be missing.
 * - When it has to give something up to stay within its memory, it does so at the end of a batch: it completes
 *   everything that it has, or it forgets what came first if nothing else depends on that.
 *
 * It pins the series (`SeriesStore.pin`) whose numbers it keeps beyond a call, because numbers are given back. It
 * keeps no batch.
 */
export interface StagedTransform extends Part {
  /**
   * Takes rows `start … end-1`, which a client has sent (or this process has measured).
   *
   * @param place The number of their batch in the journal. Numbers ascend.
   */
  take(batch: Batch, start: number, end: number, client: ClientRecord, place: number, out: StageOutput): void;
  /** All rows of a batch were taken, or a tick: the moment to give something up where there is too much. */
  settle?(out: StageOutput): void;
  /** About {@linkcode tickMs} have passed while it needed something. They pass between two batches. */
  tick(out: StageOutput): void;
  /** Completes everything that it has: it must forget all of it. */
  flush(out: StageOutput): void;
  /** The place of the oldest batch of which it needs something; `Infinity` if it needs nothing. */
  readonly neededFrom: number;
  readonly tickMs: number;
  /** Whether a stop completes what it has although the next start could continue. @default {false} */
  readonly completesAtStop?: boolean;
  /** Counters since the start. */
  readonly stats?: Readonly<Record<string, number>>;
}

/** Samples of a span that has passed: one each `stepSeconds`, the newest beginning at `newest`, oldest first. */
interface PastSamples {
  readonly stepSeconds: number;
  /** In seconds since the epoch. */
  readonly newest: number;
  /** Whether all was read; otherwise there was more than can be read in a short time. */
  readonly isWhole: boolean;
}

/** A series of a host, looking back. */
export interface PastSeries {
  readonly metric: string;
  readonly description: string;
  /** As people write it; energies are given as power, in W. */
  readonly unit: string;
  readonly resource: string;
  readonly consumer: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Means; `null` where there is no value. */
  readonly values: readonly (number | null)[];
}

export interface PastHost extends PastSamples {
  /** Of each metric those with the largest values. */
  readonly series: readonly PastSeries[];
  /** How many more there are. */
  readonly others: number;
}

export interface PastPower extends PastSamples {
  /** In watts: the hosts with the most, and all others together (`rest`). The name is empty for this process. */
  readonly hosts: readonly {
    readonly name: string;
    readonly watts: readonly (number | null)[];
    readonly rest: boolean;
  }[];
}

/** Looks back at what an output has stored, beside the pipe, in a bounded time. Each call may fail. */
export interface History {
  /** @param name As the client of the host calls itself; empty for this process. */
  host(name: string, spanSeconds: number): Promise<PastHost>;
  power(spanSeconds: number): Promise<PastPower>;
}

/** Writes points to a target; {@linkcode OutputPlugin.open} opens it. */
export interface Output extends Part, AsyncDisposable {
  /**
   * Takes batches from the reader, commits each one when it is safe, and returns when the reader has ended and all points
   * are written. `signal` is aborted when the time for an orderly stop is over; uncommitted points are lost then.
   */
  run(reader: BatchReader, signal: AbortSignal): Promise<void>;
  /**
   * Whether it remembers over restarts which batches it has: its reader has the option of the same name.
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
  /** Looks back at what it has stored, if it can. */
  readonly history?: History;
  /** The server that it is connected to now, if it keeps a connection. */
  readonly connectedTo?: string | undefined;
}

/** The place of a database: its path, or its name in the state directory of the process. */
export type Database = { readonly path: string } | { readonly name: string };

/** A right that ordinary users do not have (man 7 capabilities). */
export interface Capability {
  /** `CAP_…` */
  readonly name: string;
  /** What it is for, in one short sentence without a full stop. */
  readonly reason: string;
}

/** Devices below /dev that a process opens. */
export interface DeviceGroup {
  /** As /proc/devices names it, with `*` for any characters: `nvidia*`. */
  readonly name: string;
  /** What it is for, in one short sentence without a full stop. */
  readonly reason: string;
}

interface PluginDeclaration<C> {
  /** The name in `[plugins.NAME]`. */
  readonly name: string;
  /** Whether it reads files of its machine for which Deno requires all permissions. @default {false} */
  readonly isLocal?: boolean;
  /** One sentence, for `plugins list` and `config regen`. */
  readonly description: string;
  /** The keys of `[plugins.NAME]`, except `enable`, which every plugin has. */
  readonly config: Key<C>;
  /**
   * The metrics that it makes, each with the base of its unit, such as `rapl_consumed_energy J`; `*` stands for any
   * characters. @default any metrics
   */
  readonly metrics?: readonly string[] | ((config: C) => readonly string[]);
  /** The metrics that a configuration names, for `config check`. */
  wants?(config: C): readonly WantedMetric[];
  /** What is open to others in a valid configuration, for `config check`. */
  advise?(config: C): readonly Advice[];
  /** How slow inputs may be, for `config check`. @default any */
  patience?(config: C): readonly Patience[];
  /** The capabilities that it needs, for a unit of systemd. @default none */
  capabilities?(config: C): readonly Capability[];
  /** The devices that it opens, for a unit of systemd. @default none */
  readonly devices?: readonly DeviceGroup[];
  /** Whether it must not wait while other processes keep all CPUs busy. @default never */
  needsRealTime?(config: C): boolean;
  /**
   * The values in effect of keys that the configuration leaves open, by name, for `config show`.
   *
   * @param stateDirectory That of the process, if it has one.
   */
  resolve?(config: C, stateDirectory: string | null): Readonly<Record<string, unknown>>;
  /** The address that it listens on, if it does. */
  listens?(config: C): Address | undefined;
}

/** An input. Opening it opens ports and files, and throws an {@linkcode ExitError} if that fails. */
export interface InputPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "input";
  /**
   * Whether its points come from other processes, which wait if the journal is full, so that no point is dropped. The
   * process is a server or a hop.
   *
   * @default {false}
   */
  readonly receives?: boolean;
  /**
   * Whether those whose points it takes wait if the journal is full, so that no point is dropped.
   *
   * @default {receives}
   */
  readonly waitsForRoom?: boolean;
  /** Whether it measures energy or power of its machine, for `alumet-relay exec`. @default {false} */
  readonly measuresEnergy?: boolean;
  /** Whether it measures the processes of `alumet-relay exec` and `watch`. @default {false} */
  followsCommands?(config: C): boolean;
  /** Whether it runs only where a configuration names it, because it costs more than others. @default {false} */
  readonly onlyOnRequest?: boolean;
  /** What a user can do where nothing is found, in one sentence without a full stop. @default nothing */
  readonly absentHint?: string;
  /** When its clients learn that a batch is safe: see {@linkcode PluginContext.acknowledges}. @default `durable` */
  acknowledges?(config: C): PluginContext["acknowledges"];
  open(config: C, context: PluginContext): Promise<Input>;
}

export interface TransformPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "transform";
  readonly staged?: false;
  open(config: C, context: PluginContext): Promise<Transform>;
}

/** A transform with a memory, behind a journal of its own. */
export interface StagedTransformPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "transform";
  readonly staged: true;
  /** It is also opened with an earlier configuration, for what came before the configuration was changed. */
  open(config: C, context: PluginContext): Promise<StagedTransform>;
}

/** What a point takes where it is stored. */
export interface PointSize {
  readonly bytes: number;
  /** The file or folder where that was measured; `null`: it is what is usual. */
  readonly measuredIn: string | null;
}

/** An output. Opening it does not fail if the target is down: `run` waits for the target. */
export interface OutputPlugin<C> extends PluginDeclaration<C> {
  readonly kind: "output";
  /** Whether its target is a relay server, so that this process is a client or a hop. @default {false} */
  readonly sends?: boolean;
  /** The SQLite database that it writes, for `alumet-relay query`. */
  database?(config: C): Database;
  /**
   * What a point takes where it is stored, for `config check`; `undefined`: nothing is kept.
   *
   * @param stateDirectory Of the role; `null` where there is none.
   */
  pointSize?(config: C, stateDirectory: string | null): Promise<PointSize | undefined>;
  open(config: C, context: PluginContext): Promise<Output>;
}

/** Any plugin, whatever its configuration. */
// deno-lint-ignore no-explicit-any
export type Plugin = InputPlugin<any> | TransformPlugin<any> | StagedTransformPlugin<any> | OutputPlugin<any>;

/** Whether it is an end of the relay: it sends to a server, or receives from clients. */
export function isRelay(plugin: Plugin): boolean {
  return plugin.kind === "input"
    ? plugin.receives === true
    : plugin.kind === "output" && plugin.sends === true;
}

/** Declares a plugin, and checks its types. */
export function definePlugin<
  C,
  P extends InputPlugin<C> | TransformPlugin<C> | StagedTransformPlugin<C> | OutputPlugin<C>,
>(
  plugin: P & { config: Key<C> },
): P {
  return plugin;
}
