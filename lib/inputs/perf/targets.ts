/** What events are counted for: a control group on each CPU, a process with its threads, a program that is started. */
import type { ProcFiles } from "../polling/files.ts";
import { EMFILE, ESRCH, INHERIT, type PerfCounters } from "../polling/perf_events.ts";
import { CounterSet, type Event } from "./counters.ts";

/** A set, and the CPU that it counts on; `undefined`: any. */
export interface Counted {
  readonly cpu: number | undefined;
  readonly set: CounterSet;
}

/** Looks for threads that have begun meanwhile, at most so often. */
const MOST_LOOKS = 10;

export function closeAll(counted: Iterable<Counted>): void {
  for (const { set } of counted) set.close();
}

/** @returns one set for each CPU, or an error number below 0 */
export function countGroup(
  perf: PerfCounters,
  events: readonly Event[],
  folder: string,
  cpus: readonly number[],
): Counted[] | number {
  const id = perf.openFolder(folder);
  if (id < 0) return id;
  const counted = cpus.map((cpu) => ({ cpu, set: new CounterSet(perf, events, { id, isGroup: true, cpu }) }));
  perf.close(id);
  const failed = counted.find(({ set }) => set.descriptors === 0);
  // Some CPUs without the others would be a wrong sum.
  const isShort = counted.some(({ set }) => set.failures.includes(EMFILE));
  if (!failed && !isShort) return counted;
  closeAll(counted);
  return isShort ? EMFILE : failed!.set.failures[0] ?? ESRCH;
}

/**
 * A process that runs: one set for each of its threads, with the threads and processes that these start from now on.
 *
 * @returns an error number below 0 where nothing can be counted
 */
export function countProcess(
  perf: PerfCounters,
  files: ProcFiles,
  events: readonly Event[],
  pid: number,
): Counted[] | number {
  const sets = new Map<number, CounterSet>();
  // A thread that is not counted yet may start others until it is.
  for (let look = 0, isNew = true; isNew && look < MOST_LOOKS; look++) {
    isNew = false;
    for (const id of files.list(`${files.proc}/${pid}/task`).map(Number)) {
      if (!(id > 0) || sets.has(id)) continue;
      sets.set(id, new CounterSet(perf, inherited(events), { id, isGroup: false, cpu: -1 }));
      isNew = true;
    }
  }
  return usable([...sets.values()]);
}

/**
 * The programs that this thread starts from now on, from their first instruction on.
 *
 * @returns an error number below 0 where nothing can be counted
 */
export function countChildren(perf: PerfCounters, events: readonly Event[]): Counted[] | number {
  const target = { id: 0, isGroup: false, cpu: -1, onExec: true };
  return usable([new CounterSet(perf, inherited(events), target)]);
}

function inherited(events: readonly Event[]): Event[] {
  return events.map(({ code, flags }) => ({ code, flags: flags | INHERIT }));
}

function usable(sets: readonly CounterSet[]): Counted[] | number {
  const counted = sets.filter(({ descriptors }) => descriptors > 0).map((set) => ({ cpu: undefined, set }));
  return counted.length > 0 ? counted : sets[0]?.failures[0] ?? ESRCH;
}
