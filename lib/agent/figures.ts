/**
 * The figures of a running agent: how much it has done, what waits, and how it is doing. The log's summary, the status
 * line, metrics and pages read them here.
 */
import { Timer } from "../base/timers.ts";
import type { BatchReader } from "../journal.ts";
import { isMark, LOCAL_ORIGIN } from "../points/origins.ts";
import type { ClientConnectionInfo, DeadLetters, Input, Output } from "../plugin.ts";
import type { NamedTransform } from "../transforms/pipeline.ts";
import type { Stage } from "../transforms/stage.ts";
import { EventLoopDelay } from "./event_loop_delay.ts";
import type { Journals } from "./journals.ts";
import { LagMeter } from "./lag_meter.ts";
import type { Role } from "./state_directory.ts";
import { booksOfAll, type ClientBooks, type Counters } from "./stats.ts";

/** How often lags are measured, in ms. */
const LAG_MS = 1000;

/** Where the figures come from. */
export interface FigureSources {
  readonly role: Role;
  readonly inputs: readonly { readonly name: string; readonly input: Input }[];
  readonly transforms: readonly NamedTransform[];
  readonly outputs: readonly { readonly name: string; readonly output: Output }[];
  readonly stages: readonly Stage[];
  /** The journals, once they are open. */
  journals(): Journals;
  /** The readers of the outputs, in the same order, once the outputs run. */
  readers(): readonly BatchReader[];
  /** By the name of the plugin. */
  readonly deadLetters: ReadonlyMap<string, DeadLetters>;
}

/** The counters of one input, transform or output. */
export interface PartFigures {
  readonly name: string;
  readonly kind: "input" | "transform" | "output";
  readonly counters: Counters;
  /** Names of counters that can fall. */
  readonly gauges: readonly string[];
}

/** One output: what waits for it, and what its target refused. */
export interface OutputFigures {
  readonly name: string;
  /** Points in the journal that it has not stored. */
  readonly pendingPoints: number;
  /** For how long the oldest of them has been in the journal, in seconds; after a restart at least since then. */
  readonly lagSeconds: number;
  /** Points that a full journal dropped before this output had them. */
  readonly droppedPoints: number;
  /** Its target takes nothing at present. */
  readonly isTargetAway: boolean;
  /** Points that its target permanently refused, and those of them that are lost. */
  readonly deadLetters: number;
  readonly droppedDeadLetters: number;
}

export interface JournalFigures {
  readonly directory: string | null;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly isFull: boolean;
  readonly appendedPoints: number;
  readonly droppedPoints: number;
  readonly pendingPoints: number;
  /** For how long the oldest point has waited for some output, in seconds; 0 if none waits. */
  readonly oldestSeconds: number;
}

export interface ProcessFigures {
  /** Memory that is in use, in bytes. */
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** CPU time since the start of the process, in seconds. */
  readonly cpuSeconds: number;
}

export class Figures implements Disposable {
  /** When the agent began to run, in ms since the epoch. */
  readonly startedMs: number = Date.now();
  readonly eventLoopDelay: EventLoopDelay = new EventLoopDelay();
  readonly #sources: FigureSources;
  readonly #lag = new LagMeter();
  readonly #timer: Timer;

  constructor(sources: FigureSources) {
    this.#sources = sources;
    this.#lag.add(performance.now(), sources.journals().last.stats.appendedPoints);
    this.#timer = Timer.every(LAG_MS, () => {
      this.#lag.add(performance.now(), sources.journals().last.stats.appendedPoints);
    });
  }

  get role(): Role {
    return this.#sources.role;
  }

  /** Counters of each plugin that has some, and of the journal as `journal`. */
  counters(): Record<string, Counters> {
    const counters: Record<string, Counters> = {};
    const add = (kind: PartFigures["kind"]) => {
      for (const part of this.parts()) if (part.kind === kind) counters[part.name] = part.counters;
    };
    add("input");
    add("transform");
    counters.journal = { ...this.#sources.journals().last.stats };
    add("output");
    return counters;
  }

  /** The inputs, transforms and outputs that count something. */
  parts(): PartFigures[] {
    const { inputs, transforms, stages, outputs } = this.#sources;
    const parts: PartFigures[] = [];
    const add = (
      kind: PartFigures["kind"],
      name: string,
      { stats, gauges = [] }: Pick<Input, "stats" | "gauges">,
    ) => {
      if (stats) parts.push({ name, kind, counters: stats, gauges });
    };
    for (const { name, input } of inputs) add("input", name, input);
    for (const { name, transform } of transforms) add("transform", name, transform);
    for (const stage of stages) add("transform", stage.name, stage);
    for (const { name, output } of outputs) add("output", name, output);
    return parts;
  }

  /** The books of all clients, and of the inputs of this process. */
  clients(): Iterable<ClientBooks> {
    const { all, last } = this.#sources.journals();
    return booksOfAll(all.slice(0, -1).map(({ clients }) => clients), last.clients);
  }

  /**
   * Who was heard, one instance after another, and the inputs of this process if they have points. It makes no objects:
   * somebody asks each second.
   *
   * @param see Is told the name, `""` for this process, the time in ms since the epoch, and points since the start.
   */
  eachContact(see: (client: string, lastContactMs: number, receivedPoints: number) => void): void {
    const { first: { clients: first }, last: { clients: last } } = this.#sources.journals();
    const { local } = first;
    if (local.receivedPoints > 0) see("", local.lastContactMs, local.receivedPoints);
    for (const clients of first === last ? [first] : [first, last]) {
      for (const record of clients) {
        if (isMark(record)) continue;
        // What comes to a later journal has been received by the first one.
        const receivedPoints = clients === first ? record.receivedPoints : 0;
        see(record.name === LOCAL_ORIGIN ? "" : record.name, record.lastContactMs, receivedPoints);
      }
    }
  }

  /** Clients that are connected now; `undefined` where no input receives. */
  get connectedClients(): number | undefined {
    const counts = this.#sources.inputs.map(({ input }) => input.connectedClients)
      .filter((n) => n !== undefined);
    return counts.length > 0 ? counts.reduce((sum, n) => sum + n) : undefined;
  }

  /** The connection of the client of this name, while it has one. */
  connectionOf(client: string): ClientConnectionInfo | undefined {
    for (const { input } of this.#sources.inputs) {
      const connection = input.connectionOf?.(client);
      if (connection) return connection;
    }
  }

  /** Servers that outputs are connected to now. */
  servers(): string[] {
    return this.#sources.outputs.map(({ output }) => output.connectedTo).filter((server) =>
      server !== undefined
    );
  }

  /** Points in the journal that at least one output has not taken. */
  get pendingPoints(): number {
    return this.#sources.journals().pendingPoints;
  }

  outputs(): OutputFigures[] {
    const { outputs, deadLetters } = this.#sources;
    const readers = this.#sources.readers();
    const { appendedPoints } = this.#sources.journals().last.stats;
    const nowMs = performance.now();
    return outputs.map(({ name, output }, i): OutputFigures => {
      const { pendingPoints = 0, droppedPoints = 0 } = readers[i] ?? {};
      const letters = deadLetters.get(name);
      return {
        name,
        pendingPoints,
        lagSeconds: this.#lag.lagMs(nowMs, appendedPoints, pendingPoints) / 1000,
        droppedPoints,
        isTargetAway: output.isTargetAway === true,
        deadLetters: letters?.refusedPoints ?? 0,
        droppedDeadLetters: letters?.droppedPoints ?? 0,
      };
    });
  }

  journal(): JournalFigures {
    const { last: { stats: { appendedPoints }, usage }, droppedPoints, pendingPoints } = this.#sources
      .journals();
    const lag = this.#lag.lagMs(performance.now(), appendedPoints, pendingPoints);
    return {
      directory: this.#sources.journals().disks.at(-1)?.directory ?? null,
      ...usage,
      appendedPoints,
      droppedPoints,
      pendingPoints,
      oldestSeconds: lag / 1000,
    };
  }

  process(): ProcessFigures {
    const { rss, heapUsed } = Deno.memoryUsage();
    return { residentBytes: rss, heapBytes: heapUsed, cpuSeconds: cpuSeconds() };
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.eventLoopDelay[Symbol.dispose]();
  }
}

/** Ticks of the kernel are a hundredth of a second on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time of this process (man 5 proc, `stat`); NaN where the system does not tell. */
function cpuSeconds(): number {
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return NaN;
  }
}
