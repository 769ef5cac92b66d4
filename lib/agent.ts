/** The agent: opens the plugins, connects them to one pipe, runs it until a signal, and stops it in order. */
import { SystemClock } from "./base/clock.ts";
import { Shared } from "./base/shared.ts";
import { Complaint } from "./base/complaint.ts";
import { Timer } from "./base/timers.ts";
import { onAbort, untilAborted, within } from "./base/waiting.ts";
import { DeadLetterBox, deadLetterDirectory, DEFAULT_MAX_BYTES } from "./dead_letters.ts";
import { formatDuration } from "./base/duration.ts";
import { EXIT, ExitError } from "./base/errors.ts";
import type { BatchReader } from "./journal.ts";
import type { LogFields, Logger } from "./base/log.ts";
import type { Batch } from "./points/measurement.ts";
import type { DiskJournal } from "./journal/disk/disk_journal.ts";
import type {
  DeadLetters,
  Input,
  InputPlugin,
  Output,
  OutputPlugin,
  Part,
  Plugin,
  PluginContext,
  StagedTransformPlugin,
  TransformPlugin,
} from "./plugin.ts";
import { type NamedTransform, Pipeline } from "./transforms/pipeline.ts";
import type { Stage } from "./transforms/stage.ts";
import type { AgentSettings, Change, RunningAgent, Stall } from "./agent/settings.ts";
import { getHeapStatistics } from "node:v8";
import { usableMemoryBytes } from "./base/memory.ts";
import { defaultSeriesBytes } from "./agent/series_memory.ts";
import { MetricRegistry } from "./points/registry.ts";
import { seriesStore, TICK_MS } from "./points/series_store.ts";
import { Journals } from "./agent/journals.ts";
import { acknowledgesOf, isStaged, onFullOf, stagedProblem } from "./agent/pipe.ts";
import { roleOf } from "./agent/state_directory.ts";
import { Figures } from "./agent/figures.ts";
import { hasFoundNothing, loggedCounters, totalsOf } from "./agent/stats.ts";

/** Options for callers. */
export interface AgentOptions {
  /** Stops the agent in order, like SIGTERM. */
  readonly stop?: AbortSignal;
  /** Whether SIGTERM and SIGINT stop the agent. @default {true} */
  readonly signals?: boolean;
  /** What the plugins share with the caller. @default something of their own */
  readonly shared?: Shared;
  /** Called when everything is open and running. */
  readonly onRunning?: (agent: RunningAgent) => void;
  /**
   * Whether the process permanently drops the permissions that no plugin needs, before it reads the first byte from a
   * network. @default {false}
   */
  readonly dropPermissions?: boolean;
  /**
   * Ends the process at once, for a second signal, also while what the agent had open is closed behind it.
   *
   * @default {Deno.exit}, until the agent has ended
   */
  readonly exit?: (code: number) => Promise<never> | never;
  /** Called when it stops, for any reason. */
  readonly onStopping?: () => void;
}

/** Memory for points that wait for a slow output, in bytes. It need not be large, because senders wait as well. */
const NETWORK_BUFFER_BYTES = 4 * 1024 * 1024;
/** Memory for local points that no output has taken, in bytes: about two million points. */
const LOCAL_BUFFER_BYTES = 64 * 1024 * 1024;
/** How long an input may take to hand over its points after its connections are closed, in ms. */
const LAST_WORDS_MS = 500;
/** How long it may take to end its last poll after a second signal, in ms. */
const LAST_POLL_MS = 1000;
/**
 * How long the journal may take to write what is in memory, in ms: at a stop, however long outputs took, because a busy
 * disk takes seconds, and the process cannot end before; and after a second signal.
 */
const LAST_SYNC_MS = 60_000;
const HASTY_SYNC_MS = 4000;
/** At a stop, how long outputs have for one more try before absent targets count, and the time between checks, in ms. */
const LAST_TRY_MS = 300;
const LOOK_MS = 50;
/** The share of the time for a stop that inputs may take; the outputs have the rest. */
const INPUT_SHARE = 0.5;
/** The part within which they go on with what has arrived, and the longest time, in ms: some never stop sending. */
const DRAIN_SHARE = 0.4;
const MAX_DRAIN_MS = 10_000;

/**
 * Runs until SIGTERM, SIGINT or a failure.
 *
 * @returns The exit code. Errors have been logged.
 */
export async function runAgent(
  settings: AgentSettings,
  log: Logger,
  options: AgentOptions = {},
): Promise<number> {
  const agent = new Agent(settings, log, options);
  try {
    return await agent.run();
  } catch (error) {
    if (error instanceof ExitError) {
      log.error(error.message);
      return error.exitCode;
    }
    log.error("Internal error", { error: String((error as Error)?.stack ?? error) });
    return EXIT.software;
  }
}

class Agent {
  #settings: AgentSettings;
  readonly #log: Logger;
  readonly #options: AgentOptions;
  readonly #registry = new MetricRegistry();
  readonly #clock = new SystemClock();
  readonly #shared: Shared;
  readonly #inputs: { name: string; input: Input }[] = [];
  #running: Promise<void>[] = [];
  readonly #outputs: { name: string; output: Output }[] = [];
  /** Transforms before the first journal, and those behind each stage. */
  readonly #transforms: NamedTransform[] = [];
  readonly #followers: NamedTransform[][] = [];
  readonly #parts = new Map<string, Part>();
  /** The readers of the outputs, in the same order. */
  #readers: BatchReader[] = [];
  /** Outputs that have not finished. */
  readonly #writing = new Map<Output, BatchReader>();
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  #journals!: Journals;
  readonly #stages: Stage[] = [];
  #stateDirectory: string | null = null;
  #figures!: Figures;
  readonly #deadLetters = new Map<string, DeadLetters>();
  readonly #watchers = new Set<(batch: Batch) => void>();
  #failure: Error | null = null;
  /** Set when a second signal ends the process at once. */
  #ending: Promise<never> | null = null;
  /** Everything is written, or given up: what is left is to close, and the last lines of the log. */
  #hasEnded = false;

  constructor(settings: AgentSettings, log: Logger, options: AgentOptions) {
    this.#settings = settings;
    this.#log = log;
    this.#options = options;
    this.#shared = options.shared ?? new Shared();
    const { memory, memory_per_client: shareBytes } = settings.general.series ?? {};
    seriesStore.limit({
      limitBytes: memory ?? defaultSeriesBytes(),
      shareBytes,
    });
    log.debug("Memory", {
      usable_bytes: usableMemoryBytes(),
      series_bytes: seriesStore.limitBytes,
      heap_bytes: getHeapStatistics().heap_size_limit,
    });
  }

  async run(): Promise<number> {
    const { signals = true, stop } = this.#options;
    using _stopping = stop && onAbort(stop, () => this.#stop.abort());
    const listener = (name: Deno.Signal, code: number) => () => {
      if (this.#stop.signal.aborted) {
        if (this.#ending || this.#hasEnded) return void this.#exit(128 + code);
        this.#ending = this.#endAtOnce(name, 128 + code);
        return;
      }
      this.#log.info("Stopping", { signal: name });
      this.#stop.abort();
    };
    const listeners = [["SIGTERM", listener("SIGTERM", 15)], ["SIGINT", listener("SIGINT", 2)]] as const;
    if (signals) { for (const [signal, listen] of listeners) Deno.addSignalListener(signal, listen); }
    await using stack = new AsyncDisposableStack();
    using _ticking = Timer.every(TICK_MS, () => seriesStore.tick());
    try {
      // Opened first, so that it is closed last.
      this.#journals = await this.#openJournals(stack);
      this.#figures = stack.use(this.#openFigures());
      await this.#open(stack);
      if (this.#options.dropPermissions) await this.#dropPermissions();
      return await this.#runPipe();
    } finally {
      this.#hasEnded = true;
      // Without them a signal would end the process before the last lines of its log are written.
      if (signals && !this.#options.exit) {
        for (const [signal, listen] of listeners) Deno.removeSignalListener(signal, listen);
      }
    }
  }

  async #openJournals(stack: AsyncDisposableStack): Promise<Journals> {
    const { general: { journal }, plugins, stateBase = null } = this.#settings;
    const problem = stagedProblem(plugins);
    if (problem !== undefined) throw new ExitError(EXIT.config, problem);
    const stages = plugins.filter(({ plugin }) => isStaged(plugin)).map(({ plugin }) => plugin.name);
    let disks: readonly DiskJournal[] = [];
    const onFull = onFullOf(plugins.map(({ plugin }) => plugin));
    const onDrop = this.#onDrop();
    if (journal) {
      const { openKept } = await import("./agent/kept.ts");
      const kept = await openKept(journal, stateBase, roleOf(plugins.map(({ plugin }) => plugin)), {
        log: this.#log.for("journal"),
        registry: this.#registry,
        outputs: plugins.filter(({ plugin }) => plugin.kind === "output").map(({ plugin }) => plugin.name),
        stages,
        onFull,
        onDrop,
      });
      stack.use(kept);
      this.#stateDirectory = kept.directory;
      disks = kept.journals;
    }
    return new Journals(disks, stages.length + 1, {
      limitBytes: onFull === "block" ? NETWORK_BUFFER_BYTES : LOCAL_BUFFER_BYTES,
      onFull,
      onDrop,
    });
  }

  #openFigures(): Figures {
    return new Figures({
      role: roleOf(this.#settings.plugins.map(({ plugin }) => plugin)),
      inputs: this.#inputs,
      transforms: this.#transforms,
      outputs: this.#outputs,
      stages: this.#stages,
      journals: () => this.#journals,
      readers: () => this.#readers,
      deadLetters: this.#deadLetters,
    });
  }

  /** Logs dropped points at once, and then once a minute. */
  #onDrop(): (points: number) => void {
    const complaint = new Complaint(this.#clock);
    return (points) => {
      this.#log.debug("The oldest points are dropped", { points });
      complaint.add((points) => {
        this.#log.error("The journal is full, the oldest points are dropped", { points });
      }, points);
    };
  }

  #context({ name, kind }: Plugin): PluginContext {
    const { first, last, areOnDisk } = this.#journals;
    const log = this.#log.for(name);
    const directory = this.#stateDirectory;
    const { max_size: maxBytes = DEFAULT_MAX_BYTES } = this.#settings.general.dead_letters ?? {};
    const deadLetters = new DeadLetterBox({
      directory: directory && deadLetterDirectory(directory, name),
      maxBytes,
      log,
      clock: this.#clock,
    });
    this.#deadLetters.set(name, deadLetters);
    return {
      log,
      registry: this.#registry,
      clock: this.#clock,
      fail: (error) => this.#fail(error),
      stop: () => this.#stop.abort(),
      keepsOnDisk: areOnDisk,
      clients: (kind === "output" ? last : first).clients,
      acknowledges: acknowledgesOf(this.#settings.plugins),
      identity: last,
      shared: this.#shared,
      untilDurable: () => first.untilDurable(),
      drainMs: () => Math.min(this.#settings.general.shutdown_timeout * DRAIN_SHARE, MAX_DRAIN_MS),
      stateDirectory: directory,
      deadLetters,
    };
  }

  /** The first failure decides the exit code. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#stop.abort();
  }

  /** A process that does not measure its own machine neither starts programs nor loads code. */
  async #dropPermissions(): Promise<void> {
    if (this.#settings.plugins.some(({ plugin }) => plugin.isLocal)) return;
    const { specialPath } = await import("./agent/special_paths.ts");
    const { general, plugins } = this.#settings;
    const path = specialPath([this.#stateDirectory, general, plugins.map(({ config }) => config)]);
    if (path !== undefined) {
      return this.#log.warn(
        "Permissions to start programs and to load code are kept: without them Deno opens nothing below /dev, /proc and /sys",
        { path },
      );
    }
    for (const name of ["run", "ffi", "import"] as const) await Deno.permissions.revoke({ name });
    this.#log.debug("Permissions dropped", { permissions: "run,ffi,import" });
  }

  async #open(stack: AsyncDisposableStack): Promise<void> {
    for (const { plugin, config } of this.#settings.plugins) {
      const { name, kind } = plugin;
      const context = this.#context(plugin);
      if (kind === "input") {
        const input = stack.use(await (plugin as InputPlugin<unknown>).open(config, context));
        this.#parts.set(name, input);
        this.#inputs.push({ name, input });
        if (input.transform) this.#transforms.push({ name, transform: input.transform });
      } else if (kind === "output") {
        const output = stack.use(await (plugin as OutputPlugin<unknown>).open(config, context));
        this.#parts.set(name, output);
        this.#outputs.push({ name, output });
      } else if (isStaged(plugin)) {
        await this.#openStage(stack, plugin, config, context);
      } else {
        const transform = await (plugin as TransformPlugin<unknown>).open(config, context);
        this.#parts.set(name, transform);
        (this.#followers.at(-1) ?? this.#transforms).push({ name, transform });
      }
    }
  }

  async #openStage(
    stack: AsyncDisposableStack,
    { name, open, resolve }: StagedTransformPlugin<unknown>,
    given: unknown,
    context: PluginContext,
  ): Promise<void> {
    const { Stage } = await import("./transforms/stage.ts");
    const { all, disks } = this.#journals;
    const place = this.#stages.length;
    const followers: NamedTransform[] = [];
    this.#followers.push(followers);
    // What is kept after a restart must not depend on the memory of the machine then.
    const config = { ...given as object, ...resolve?.(given, context.stateDirectory) };
    const { log, clock } = context;
    const stage = stack.use(
      await Stage.open({
        ...{ name, config, followers, log, clock },
        // A configuration of an earlier version may lack keys.
        open: (earlier) =>
          open({ ...config, ...earlier as object }, { ...context, clients: all[place].clients }),
        before: all[place],
        directory: disks[place]?.directory ?? null,
        after: all[place + 1],
        watch: (batch) => {
          if (place === this.#stages.length - 1) this.#watch(batch);
        },
      }),
    );
    this.#stages.push(stage);
    this.#parts.set(name, stage);
  }

  #stalls(): Stall[] {
    const stalls: Stall[] = [];
    const readers = this.#readers.map((reader, i) => [`${this.#outputs[i].name}'s reader`, reader] as const);
    const journals = this.#journals.all.map((journal) => ["journal", journal] as const);
    const parts = [...this.#parts, ...journals, ...readers];
    for (const [part, { stalledSince: since }] of parts) {
      if (since !== undefined) stalls.push({ part, since });
    }
    return stalls;
  }

  async #reconfigure(settings: AgentSettings): Promise<Change> {
    const { changeOf } = await import("./agent/reconfigure.ts");
    const change = changeOf(this.#settings, settings, (name) => !!this.#parts.get(name)?.reconfigure);
    this.#settings = change.settings;
    for (const { plugin: { name }, config } of change.settings.plugins) {
      if (change.plugins.includes(name)) this.#parts.get(name)!.reconfigure!(config);
    }
    return change;
  }

  /** Shows what comes to the last journal to those who look at it. */
  #watch(batch: Batch): void {
    for (const watch of this.#watchers) watch(batch);
  }

  /** The view that others have of it. */
  #view(): RunningAgent {
    const watchers = this.#watchers;
    const settings = () => this.#settings;
    return {
      figures: this.#figures,
      get settings() {
        return settings();
      },
      reconfigure: (settings) => this.#reconfigure(settings),
      stalls: () => this.#stalls(),
      history: this.#outputs.find(({ output }) => output.history)?.output.history,
      stateDirectory: this.#stateDirectory,
      watch(watcher) {
        watchers.add(watcher);
        return { [Symbol.dispose]: () => void watchers.delete(watcher) };
      },
    };
  }

  async #runPipe(): Promise<number> {
    const { first, last } = this.#journals;
    const watch = (batch: Batch) => {
      if (this.#stages.length === 0) this.#watch(batch);
    };
    const pipeline = new Pipeline(this.#transforms, first, this.#log, this.#clock, watch);
    const settle = (name: string, work: Promise<void>) =>
      work.catch((error) => {
        if (this.#abandon.signal.aborted) return;
        if (!(error instanceof ExitError)) {
          this.#log.error(`${name} failed`, { error: String(error?.stack ?? error) });
        }
        this.#fail(error);
      });

    // All cursors exist before the first one moves.
    const readers = this.#readers = this.#outputs.map(({ name, output }) => last.reader(name, output));
    this.#outputs.forEach(({ output }, i) => this.#writing.set(output, readers[i]));
    const outputs = this.#outputs.map(({ name, output }, i) =>
      settle(name, output.run(readers[i], this.#abandon.signal)).finally(() => this.#writing.delete(output))
    );
    this.#stages.forEach((stage, i) => {
      // When it has read everything, or is abandoned, nothing more comes to the next journal.
      void settle(stage.name, stage.run(this.#abandon.signal)).finally(() => this.#endJournal(i + 1));
    });
    const inputs = this.#running = this.#inputs.map(({ name, input }) =>
      settle(name, input.run(pipeline, this.#stop.signal))
    );
    this.#options.onRunning?.(this.#view());
    this.#log.info("Running", {
      inputs: this.#inputs.map(({ name }) => name).join(","),
      outputs: this.#outputs.map(({ name }) => name).join(","),
    });

    await Promise.race([untilAborted(this.#stop.signal), Promise.all(inputs)]);
    return await this.#finish(inputs, outputs);
  }

  /** Nothing more comes to the journal at that place. */
  #endJournal(place: number): void {
    this.#stages[place]?.beforeEnd();
    this.#journals.all[place].end();
  }

  async #finish(inputs: Promise<void>[], outputs: Promise<void>[]): Promise<number> {
    const journals = this.#journals;
    const { shutdown_timeout } = this.#settings.general;
    const began = performance.now();
    this.#stop.abort();
    journals.beginStop();
    this.#options.onStopping?.();
    if (!await within(Promise.all(inputs), shutdown_timeout * INPUT_SHARE)) {
      this.#log.warn("An input did not stop in time, its connections are closed");
      for (const { input } of this.#inputs) await input[Symbol.asyncDispose]();
      // No more points arrive. The journal takes those that inputs still hold, so that they are written or counted.
      journals.unblock();
      await within(Promise.all(inputs), LAST_WORDS_MS);
    }
    for (const { input } of this.#inputs) input.handOver?.();
    this.#endJournal(0);
    const left = Math.max(0, shutdown_timeout - (performance.now() - began));
    if (!await this.#allWritten(Promise.all(outputs), left)) {
      if (!this.#waitsForNothing) {
        this.#log[journals.areOnDisk ? "warn" : "error"]("The outputs did not finish in time", {
          shutdown_timeout: formatDuration(shutdown_timeout),
        });
      }
      this.#abandon.abort();
      await within(Promise.all(outputs), 100);
    }
    if (this.#ending) return await this.#ending;
    const { lost, fields } = await this.#closeJournal(Math.max(LAST_SYNC_MS, left));
    if (this.#ending) return await this.#ending;
    if (this.#failure) {
      const { message } = this.#failure;
      this.#log.error(lost > 0 ? `${message}; ${lost} points are given up` : message, fields);
      return this.#failure instanceof ExitError ? this.#failure.exitCode : EXIT.software;
    }
    if (lost > 0) {
      this.#log.error(`${lost} points could not be written in time and are given up`, fields);
      return EXIT.unavailable;
    }
    this.#log.info("Stopped", fields);
    return EXIT.ok;
  }

  /** Waits until the outputs have finished, for at most `ms`, and only while that can help. */
  async #allWritten(outputs: Promise<unknown>, ms: number): Promise<boolean> {
    const end = performance.now() + ms;
    if (await within(outputs, Math.min(LAST_TRY_MS, ms))) return true;
    while (performance.now() < end && !this.#waitsForNothing) {
      if (await within(outputs, Math.min(LOOK_MS, end - performance.now()))) return true;
    }
    return false;
  }

  /** Whether all targets of unfinished outputs are away, and no point is lost without waiting. */
  get #waitsForNothing(): boolean {
    return [...this.#writing].every(([output, reader]) =>
      output.isTargetAway &&
      (this.#journals.areOnDisk ? this.#journals.unwritten.lost === 0 : reader.pendingPoints === 0)
    );
  }

  /** Closes the journal, and logs the summary. */
  async #closeJournal(ms: number): Promise<{ lost: number; fields: LogFields }> {
    await within(this.#journals.close(), ms);
    const { pendingPoints, droppedPoints, unwritten: { lost, leftWithClients } } = this.#journals;
    const idle = this.#inputs.filter(({ input }) => hasFoundNothing(input)).map(({ name }) => name);
    for (const [name, stats] of Object.entries(this.#figures.counters())) {
      if (!idle.includes(name)) this.#log.for(name).info("Summary", loggedCounters(stats));
    }
    if (idle.length > 0) this.#log.info("Found nothing to measure", { inputs: idle.join(",") });
    const books = [...this.#figures.clients()];
    for (const [output, totals] of totalsOf(books)) {
      this.#log.for("journal").info("Books of all clients", loggedCounters({ output, ...totals }));
    }
    // There may be thousands of clients.
    for (const { outputs, ...client } of books) {
      for (const [output, books] of Object.entries(outputs)) {
        this.#log.for("journal").debug("Books", loggedCounters({ ...client, output, ...books }));
      }
    }
    const fields = {
      given_up: lost || undefined,
      kept_in_journal: pendingPoints - lost - leftWithClients || undefined,
      left_with_clients: leftWithClients || undefined,
      dropped: droppedPoints || undefined,
    };
    return { lost, fields };
  }

  /** After a second signal: does not wait for outputs, but writes what is in memory to a journal on disk. */
  async #endAtOnce(signal: Deno.Signal, code: number): Promise<never> {
    this.#abandon.abort();
    if (!this.#journals) {
      this.#log.warn("Stopping at once", { signal });
      return await this.#exit(code);
    }
    // They may be in the middle of their last poll: what it measures is kept, too.
    await within(Promise.all(this.#running), LAST_POLL_MS);
    for (const { input } of this.#inputs) input.handOver?.();
    const { lost, fields } = await this.#closeJournal(HASTY_SYNC_MS);
    if (lost > 0) this.#log.error(`Stopping at once, ${lost} points are given up`, { signal, ...fields });
    else this.#log.warn("Stopping at once", { signal, ...fields });
    return await this.#exit(code);
  }

  async #exit(code: number): Promise<never> {
    return await (this.#options.exit ?? Deno.exit)(code);
  }
}
