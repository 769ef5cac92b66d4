/** Runs the sources of an input that polls: each at its pace, from the start to the stop, over reloads. */
import { type Clock, SystemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { EitherSignal, untilAborted } from "../../base/waiting.ts";
import type { BatchSink, Finding, Input, PluginContext, Transform } from "../../plugin.ts";
import { ProcFiles, type ProcRoots } from "./files.ts";
import { type Controllable, controls, type SourceState } from "./controls.ts";
import { Findings } from "./findings.ts";
import { pollLoop, type PollLoopOptions, type PollStats } from "./loop.ts";
import { Points } from "./points.ts";
import { PreciseSleep } from "./precise_sleep.ts";
import { RealTime } from "./real_time.ts";
import {
  type Measuring,
  type PolledInputDeclaration,
  type PolledSource,
  REAL_TIME_MS,
  type Sources,
  type WantedSource,
} from "./source.ts";

/** A source that is open. */
interface Open {
  readonly source: PolledSource;
  /** What it was made with, as text to compare. */
  readonly madeWith: string | undefined;
  /** The pace that the configuration asks for. */
  wanted: WantedSource;
  /** It is not polled: somebody has asked for that. */
  isPaused?: boolean;
  /** The pace that somebody has asked for, in ms. */
  askedIntervalMs?: number;
}

/** Time between two polls, in ms. */
function paceOf({ wanted: { intervalMs }, askedIntervalMs = intervalMs }: Open): number {
  return askedIntervalMs;
}

/** Sources of one pace, which share a timer: waking up costs more than most polls. */
interface Group {
  readonly sources: PolledSource[];
  readonly intervalMs: number;
  readonly flushIntervalMs?: number;
}

/** Opens an input on this machine, or on other trees of files. @throws what its sources cannot start without */
export async function openPolledInput<C>(
  { name, load }: PolledInputDeclaration<C>,
  config: C,
  { clock, log, registry, shared }: PluginContext,
  roots?: ProcRoots,
): Promise<PolledInput<C>> {
  const files = new ProcFiles(roots, clock);
  files.onLimit = () => {
    log.warn("Some files are opened again at each poll, which takes longer: raise the limit of open files", {
      kept: files.kept,
    });
  };
  const measuring = { files, registry, log, clock, findings: new Findings(log), shared };
  const input = new PolledInput(await load(config, measuring), config, measuring);
  shared.of(controls).add(name, input);
  return input;
}

/** Timers have whole milliseconds, and are late by up to one: too much for intervals below this, in ms. */
const FAST_MS = 10;

function isFastGroup({ intervalMs }: Group): boolean {
  return intervalMs < FAST_MS;
}

/** An input that polls. Opened by {@linkcode definePolledInput}. */
export class PolledInput<C> implements Input, Controllable {
  readonly #sources: Sources<C>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #findings: Findings;
  readonly #points: Points;
  readonly #pollStats: PollStats = { polls: 0, missedPolls: 0, failedPolls: 0, points: 0, pollMs: 0 };
  /** By name, in the order in which they are polled. */
  #open = new Map<string, Open>();
  /** When the next poll of each running loop is due, in ms of the clock. */
  readonly #due = new Map<Group, number>();
  /** Ends the running loops, and others take over. */
  #regroup = new AbortController();
  readonly #firstPoll = Promise.withResolvers<void>();

  /** Opens the sources. @throws what opening one of them throws. */
  constructor(
    sources: Sources<C>,
    config: C,
    { clock, log, findings }: Pick<Measuring, "clock" | "log" | "findings">,
  ) {
    this.#sources = sources;
    this.#findings = findings;
    this.#clock = clock;
    this.#log = log;
    this.#points = new Points(clock, log);
    this.#openWanted(config, (error) => {
      void this.#close();
      throw error;
    });
  }

  /** Opens the sources that the configuration asks for, keeps those that stay the same, and closes the others. */
  #openWanted(config: C, onError: (error: unknown, name: string) => void): void {
    const before = this.#open;
    this.#open = new Map();
    for (const wanted of this.#sources.wanted(config)) {
      const { name } = wanted;
      const madeWith = JSON.stringify(wanted.madeWith);
      const known = before.get(name);
      if (known && known.madeWith === madeWith) {
        before.delete(name);
        this.#open.set(name, { ...known, wanted });
        continue;
      }
      try {
        this.#open.set(name, { ...known, source: wanted.open(), madeWith, wanted });
      } catch (error) {
        onError(error, name);
      }
    }
    for (const { source } of before.values()) source.close?.();
  }

  #groups(): Group[] {
    const groups: Group[] = [];
    for (const open of this.#open.values()) {
      if (open.isPaused) continue;
      const { source, wanted: { flushIntervalMs } } = open;
      const intervalMs = paceOf(open);
      const group = groups.find((group) =>
        group.intervalMs === intervalMs && group.flushIntervalMs === flushIntervalMs
      );
      if (group) group.sources.push(source);
      else groups.push({ sources: [source], intervalMs, flushIntervalMs });
    }
    return groups;
  }

  get controlled(): readonly SourceState[] {
    return [...this.#open].map(([name, open]) => ({
      name,
      isPaused: open.isPaused ?? false,
      intervalMs: paceOf(open),
    }));
  }

  setPaused(name: string, isPaused: boolean): void {
    this.#change(name, { isPaused });
  }

  setInterval(name: string, askedIntervalMs: number): void {
    this.#change(name, { askedIntervalMs });
  }

  /** All sources begin again, with a poll at once. */
  pollNow(): void {
    this.#regroup.abort();
  }

  #change(name: string, change: Pick<Open, "isPaused" | "askedIntervalMs">): void {
    const open = this.#open.get(name);
    if (open) this.#open.set(name, { ...open, ...change });
    this.#regroup.abort();
  }

  get transform(): Transform | undefined {
    return this.#sources.transform;
  }

  get findings(): readonly Finding[] {
    return this.#findings.list;
  }

  get stats(): Readonly<Record<string, number>> {
    const { pollMs, ...counts } = this.#pollStats;
    return {
      ...counts,
      pollMs: Math.round(pollMs),
      refusedPoints: this.#points.refused,
      ...this.#sources.stats,
    };
  }

  get firstPoll(): Promise<void> {
    return this.#firstPoll.promise;
  }

  get gauges(): readonly string[] {
    return this.#sources.gauges ?? [];
  }

  get stalledSince(): number | undefined {
    const lateMs = this.#clock.monotonicMs() - Math.min(...this.#due.values());
    return lateMs > 0 ? performance.now() - lateMs : undefined;
  }

  reconfigure(config: C): void {
    this.#openWanted(config, (error, name) => {
      this.#log.error(`Cannot measure ${name}: ${messageOf(error)}`);
    });
    this.#regroup.abort();
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    do {
      this.#regroup = new AbortController();
      const groups = this.#groups();
      const isFast = this.#clock instanceof SystemClock && groups.some(isFastGroup);
      using precise = isFast ? PreciseSleep.open() : null;
      using realTime = isFast ? this.#beginRealTime(groups) : null;
      const sleep = precise && ((ms: number) => (realTime?.refresh(), precise.sleep(ms)));
      await this.#poll(groups, sleep, sink, stop, this.#regroup.signal);
    } while (!stop.aborted);
    this.#firstPoll.resolve();
  }

  /** As Alumet does: at these intervals, a busy machine would let one poll in ten wait for too long. */
  #beginRealTime(groups: readonly Group[]): RealTime | null {
    if (!groups.some(({ intervalMs }) => intervalMs <= REAL_TIME_MS)) return null;
    const realTime = RealTime.begin();
    if (!realTime) {
      this.#log.warn("Polls may be late while all CPUs are busy: real-time priority is denied", {
        allow: "CAP_SYS_NICE, or CPUSchedulingPolicy=rr in the unit of systemd",
      });
    }
    return realTime;
  }

  /** Polls until the stop, or until the groups change. An error of the sink ends all loops. */
  async #poll(
    groups: readonly Group[],
    preciseSleep: PollLoopOptions["sleep"] | null,
    sink: BatchSink,
    stop: AbortSignal,
    leave: AbortSignal,
  ): Promise<void> {
    const failed = new AbortController();
    using ended = new EitherSignal(stop, failed.signal);
    const shared = {
      clock: this.#clock,
      log: this.#log,
      points: this.#points,
      stats: this.#pollStats,
      leave,
    };
    const unpolled = new Set(groups);
    const loops = groups.map(async (group) => {
      const onDue = (ms: number) => void this.#due.set(group, ms);
      const onFirstPoll = () => {
        unpolled.delete(group);
        if (unpolled.size === 0) this.#firstPoll.resolve();
      };
      try {
        const sleep = preciseSleep && isFastGroup(group) ? preciseSleep : undefined;
        await pollLoop({ ...group, ...shared, onDue, onFirstPoll, sleep }, sink, ended.signal);
      } catch (error) {
        failed.abort();
        throw error;
      } finally {
        this.#due.delete(group);
      }
    });
    using changed = new EitherSignal(stop, leave);
    if (loops.length === 0) loops.push(untilAborted(changed.signal));
    if (groups.length === 0) this.#firstPoll.resolve();
    const results = await Promise.allSettled(loops);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #close(): Promise<void> {
    for (const { source } of this.#open.values()) source.close?.();
    await this.#sources.close?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
