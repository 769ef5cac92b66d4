/** Polling at a fixed pace: every input that measures (rather than receives) runs this. */
import type { Clock, Timestamp } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { EitherSignal, unlessAborted } from "../../base/waiting.ts";
import { BatchPool } from "../../points/measurement.ts";
import type { BatchSink } from "../../plugin.ts";
import { Points } from "./points.ts";
import { Retry } from "./retry.ts";
import type { PolledSource } from "./source.ts";

/** Counters of one or more loops; a loop only adds to them. */
export interface PollStats {
  polls: number;
  /** Polls that were due while another one, or the sink, was still busy. They are not made up for. */
  missedPolls: number;
  /** Polls that ended with an error. */
  failedPolls: number;
  points: number;
  /** Time that polls took, in ms. */
  pollMs: number;
}

export interface PollLoopOptions {
  /** Polled one after the other, each with its own time. */
  readonly sources: readonly PolledSource[];
  /** Time between two polls, in milliseconds, more than 0. */
  readonly intervalMs: number;
  /** Points are handed over when this time has passed, in milliseconds, or when there are many. @default {0}, each poll */
  readonly flushIntervalMs?: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** @default counters that nobody sees */
  readonly stats?: PollStats;
  /** Takes the points; the loops of one input share it. @default one of this loop alone */
  readonly points?: Points;
  /** Sleeps until the next poll, or until the signal is aborted. @default {clock.sleep}, in whole milliseconds */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Ends the loop without a last poll, for another one to continue. What is kept is handed over. */
  readonly leave?: AbortSignal;
  /** Told when the next poll is due, in ms of the clock; `Infinity` while the sink, or nothing, is waited for. */
  readonly onDue?: (ms: number) => void;
  /** Told when the first poll has been made. */
  readonly onFirstPoll?: () => void;
}

/** Points for which a new batch has room; one that grew keeps its size when it is used again. */
const CAPACITY = 64;
/** Points that are handed over before their time: a larger batch would only take memory, here and wherever it goes. */
const MOST_POINTS = 4096;

/** How often sources are polled that have nothing to measure, in ms: they look for it again every minute. */
const IDLE_MS = 61_000;

/**
 * Polls at once, and then at `start + n * intervalMs`: a late poll does not move the ones after it. A poll that is due
 * while the one before (or the sink) is still busy is skipped and counted, so there are never two at a time and never
 * a burst; one that is skipped because the first poll had to find what there is counts as none. When `stop` is aborted, a last poll is made at once, what is still kept is handed over, and the promise
 * resolves.
 *
 * A source that throws is counted, logged at most once a minute, and polled less and less often while it does; the loop
 * and the other sources go on. An error of the sink ends the loop.
 */
export async function pollLoop(options: PollLoopOptions, sink: BatchSink, stop: AbortSignal): Promise<void> {
  const { sources, intervalMs, flushIntervalMs = 0, clock, log, leave, onDue = () => {}, onFirstPoll } =
    options;
  const stats = options.stats ?? { polls: 0, missedPolls: 0, failedPolls: 0, points: 0, pollMs: 0 };
  const points = options.points ?? new Points(clock, log);
  const sleep = options.sleep ?? ((ms, signal) => clock.sleep(Math.ceil(ms), signal));
  const hasSlow = sources.some(({ gather }) => gather);
  const pool = new BatchPool(CAPACITY, 4);
  const flushEvery = Math.max(1, Math.round(flushIntervalMs / intervalMs));
  const failures = sources.map(() => new Complaint(clock));
  const retries = sources.map(() => new Retry(clock));
  const misses = new Complaint(clock);
  let batch = pool.take();

  const fail = (i: number, error: unknown) => {
    stats.failedPolls++;
    retries[i].failed();
    failures[i].add((count) => {
      log.error(`Cannot poll ${sources[i].name}: ${messageOf(error)}`, { failed: count });
    });
  };

  /** Lets sources read what takes long. @returns when each of them began, by its place */
  const gather = async (last: boolean): Promise<Map<number, Timestamp>> => {
    const times = new Map<number, Timestamp>();
    const gathering = sources.map(async (source, i) => {
      if (!source.gather || (!last && !retries[i].isDue)) return;
      times.set(i, clock.now());
      try {
        await source.gather(last);
      } catch (error) {
        fail(i, error);
      }
    });
    // A stop does not wait for them; they end by themselves.
    if (last) await Promise.all(gathering);
    else await unlessAborted(Promise.all(gathering), stop);
    return times;
  };

  const pollNow = (last: boolean, times?: Map<number, Timestamp>) => {
    const before = batch.length;
    const began = performance.now();
    sources.forEach((source, i) => {
      if (!last && !retries[i].isDue) return;
      try {
        points.begin(batch, times?.get(i) ?? clock.now());
        source.poll(points, last);
        retries[i].succeeded();
      } catch (error) {
        fail(i, error);
      }
    });
    stats.polls += sources.length;
    stats.points += batch.length - before;
    stats.pollMs += performance.now() - began;
  };

  /** At once, where no source takes long: an agent that has begun has measured. */
  const poll = (last: boolean): Promise<void> | undefined => {
    if (hasSlow) return gather(last).then((times) => pollNow(last, times));
    pollNow(last);
    return undefined;
  };

  const flush = async () => {
    if (batch.length === 0) return;
    const full = batch;
    batch = pool.take();
    const room = sink.push(full);
    // At the stop only the last batch needs room, and it is handed over in any case.
    if (!room) return;
    // An error after the stop ends nothing.
    if (!await unlessAborted(room, stop)) {
      room.catch((error) => log.error(`Cannot hand over the last points: ${messageOf(error)}`));
    }
  };

  using either = new EitherSignal(stop, ...leave ? [leave] : []);
  const ended = either.signal;
  const startMs = clock.monotonicMs();
  let flushed = -1;
  for (let tick = 0; !ended.aborted;) {
    const isFirst = tick === 0;
    const polling = poll(false);
    if (polling) await polling;
    if (isFirst) onFirstPoll?.();
    const hasFound = isFirst && polling ? Math.floor((clock.monotonicMs() - startMs) / intervalMs) : 0;
    if (tick - flushed >= flushEvery || batch.length >= MOST_POINTS) {
      onDue(Infinity);
      await flush();
      flushed = tick;
    }
    const next = Math.floor((clock.monotonicMs() - startMs) / intervalMs) + 1;
    // A timer that fires a little early must not cause two polls in one interval.
    const missed = next - tick - 1 - hasFound;
    const isIdle = sources.every(({ isIdle }) => isIdle);
    tick = Math.max(next, tick + (isIdle ? Math.ceil(IDLE_MS / intervalMs) : 1));
    if (missed > 0) {
      stats.missedPolls += missed;
      misses.add((count) => {
        const names = sources.map((source) => source.name).join(", ");
        log.warn(
          `Skipped polls of ${names}: the polls before them, or handing over their points, took too long`,
          {
            skipped: count,
            interval_ms: intervalMs,
          },
        );
      }, missed);
    }
    const dueMs = startMs + tick * intervalMs;
    onDue(dueMs);
    for (let leftMs; !ended.aborted && (leftMs = dueMs - clock.monotonicMs()) > 0;) {
      await sleep(leftMs, ended);
    }
  }
  onDue(Infinity);
  if (stop.aborted) await poll(true);
  await flush();
}
