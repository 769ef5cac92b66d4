/** Events that are counted together, for one thread, or for one control group on one CPU. */
import {
  DISABLED,
  ENABLE_ON_EXEC,
  GROUP,
  type PerfCounters,
  type PerfTarget,
  TIMES,
} from "../polling/perf_events.ts";
import type { EventCode } from "./event_names.ts";

/** An event to count. */
export interface Event {
  readonly code: EventCode;
  /** Flags: see {@linkcode PerfCounter}. */
  readonly flags: bigint;
}

/** What a set counts for. */
export interface CountTarget extends Pick<PerfTarget, "id" | "isGroup" | "cpu"> {
  /** Each process begins when it executes another program. @default {false}, at once */
  readonly onExec?: boolean;
}

/** Events that are on the processor at the same times. */
interface Unit {
  /** Descriptors, that of the leader first. */
  readonly descriptors: number[];
  /** Their places in the list of events. */
  readonly places: number[];
  /** What was read last: the times in which it was to count and has counted, in ns, and values. */
  before: BigUint64Array<ArrayBuffer>;
}

/** Words before the values: their number, and the two times. */
const HEADER = 3;
const NUMBER = 0;
const ENABLED = 1;
const RUNNING = 2;

export class CounterSet {
  /** Why an event is not counted, by its place: an error number below 0. */
  readonly failures: readonly (number | undefined)[];
  readonly #perf: PerfCounters;
  readonly #events: readonly Event[];
  readonly #target: CountTarget;
  #units: Unit[];

  /**
   * Opens as many events together as the processor can count at once, the others beside them, and begins to count.
   *
   * @param isApart Opens each event by itself.
   */
  constructor(perf: PerfCounters, events: readonly Event[], target: CountTarget, isApart = false) {
    this.#perf = perf;
    this.#events = events;
    this.#target = target;
    const { units, failures } = this.#open(isApart);
    this.#units = units;
    this.failures = failures;
  }

  #open(isApart: boolean): { units: Unit[]; failures: (number | undefined)[] } {
    const units: Unit[] = [];
    const failures = this.#events.map((event, place): number | undefined => {
      const last = units.at(-1);
      if (last && !isApart) {
        const member = this.#openEvent(event, last.descriptors[0]);
        if (member >= 0) {
          last.descriptors.push(member);
          last.places.push(place);
          return undefined;
        }
      }
      // A group may be full, or of events that cannot be counted together.
      const leader = this.#openEvent(event, -1);
      if (leader < 0) return leader;
      units.push({ descriptors: [leader], places: [place], before: new BigUint64Array(0) });
      return undefined;
    });
    for (const unit of units) {
      if (!this.#target.onExec) this.#perf.enable(unit.descriptors[0]);
      unit.before = new BigUint64Array(HEADER + unit.descriptors.length);
    }
    return { units, failures };
  }

  #openEvent({ code, flags }: Event, leader: number): number {
    const { onExec, ...target } = this.#target;
    const begin = leader >= 0 ? 0n : onExec ? DISABLED | ENABLE_ON_EXEC : DISABLED;
    return this.#perf.openCounter(
      { ...code, flags: flags | begin, readFormat: TIMES | GROUP },
      { ...target, leader },
    );
  }

  /** Descriptors that are open. */
  get descriptors(): number {
    return this.#units.reduce((sum, { descriptors }) => sum + descriptors.length, 0);
  }

  /**
   * Adds to `counts`, at the places of the events, what was counted since the last call. Where events take turns on the
   * processor, it is scaled to the whole time. What was not counted at all in that time stays `undefined`.
   */
  read(counts: (number | undefined)[]): void {
    let neverRan = false;
    for (const unit of this.#units) {
      const now = new BigUint64Array(unit.before.length);
      const words = this.#perf.readWords(unit.descriptors[0], now);
      if (words < HEADER + unit.descriptors.length || Number(now[NUMBER]) !== unit.descriptors.length) {
        continue;
      }
      const enabled = Number(now[ENABLED] - unit.before[ENABLED]);
      const running = Number(now[RUNNING] - unit.before[RUNNING]);
      if (enabled > 0 && now[RUNNING] === 0n && unit.places.length > 1) neverRan = true;
      unit.places.forEach((place, i) => {
        const counted = Number(now[HEADER + i] - unit.before[HEADER + i]);
        // Nothing was to be counted: the process or the group did not run.
        const value = enabled <= 0 ? 0 : running <= 0 ? undefined : counted * Math.max(1, enabled / running);
        if (value !== undefined && value >= 0) counts[place] = (counts[place] ?? 0) + value;
      });
      unit.before = now;
    }
    // Those that began with a program cannot begin again.
    if (neverRan && !this.#target.onExec) this.#separate();
  }

  /** Something else has one of the counters for good: each event takes its turns by itself. */
  #separate(): void {
    this.close();
    this.#units = this.#open(true).units;
  }

  close(): void {
    for (const { descriptors } of this.#units) {
      descriptors.forEach((descriptor) => this.#perf.close(descriptor));
    }
    this.#units = [];
  }
}
