/** What is happening now: it watches the pipe, and looks at the figures, every few seconds. */
import type { RunningAgent } from "../../agent/settings.ts";
import { Timer } from "../../base/timers.ts";
import { Wakeup } from "../../base/waiting.ts";
import type { PastSeries } from "../../plugin.ts";
import { seriesStore } from "../../points/series_store.ts";
import { unitDisplayName } from "../../points/units.ts";
import { formatAttribute } from "../../outputs/rendering/numbers.ts";
import { type HostPower, type HostRow, Hosts, orNull } from "./hosts.ts";
import { LiveRing, SAMPLES, STEP_SECONDS } from "./ring.ts";

/** The part of the memory that is for the power of hosts. */
const HOSTS_SHARE = 1 / 4;
/** How often the figures are looked at, in ms. */
const LOOK_MS = 1000;
/** Series of one host, and consumers, that are shown. */
const MAX_SERIES = 2000;
const MAX_CONSUMERS = 200;

/** One series of a host, as the API says it. */
export interface SeriesRow extends Omit<PastSeries, "values"> {
  readonly last: number | null;
  /** In seconds since the epoch. */
  readonly time: number | null;
  /** One each {@linkcode STEP_SECONDS}, oldest first; `null` if there is no room for them. */
  readonly values: readonly (number | null)[] | null;
}

export interface ConsumerRow {
  readonly host: string;
  readonly consumer: string;
  readonly metric: string;
  readonly watts: number;
}

export class Live implements Disposable {
  readonly hosts: Hosts;
  readonly ring: LiveRing;
  readonly #agent: RunningAgent;
  readonly #watching: Disposable;
  readonly #timer: Timer;
  #waiting = 0;
  readonly #told = new Set<() => void>();

  /** @param limitBytes What values of the last quarter of an hour may take. */
  constructor(agent: RunningAgent, localName: string, limitBytes: number) {
    this.#agent = agent;
    const nowMs = Date.now();
    const hosts = this.hosts = new Hosts(localName, limitBytes * HOSTS_SHARE);
    const ring: LiveRing = this.ring = new LiveRing(limitBytes, {
      hostOf: (number) => {
        const client = seriesStore.clientAttributeOf(number)?.[1];
        return hosts.numberOf(client === undefined ? "" : formatAttribute(client));
      },
      onMeter: (slot) => hosts.addMeter(ring.hostOf(slot), slot),
      onForget: (slot) => hosts.removeMeter(ring.hostOf(slot), slot),
    }, nowMs);
    hosts.look(agent.figures, nowMs);
    this.#watching = agent.watch((batch) => ring.take(batch));
    this.#timer = Timer.every(LOOK_MS, () => this.#look());
  }

  #look(): void {
    const nowMs = Date.now();
    this.hosts.look(this.#agent.figures, nowMs);
    const steps = this.ring.advance(nowMs);
    if (steps > 0) this.hosts.sample(this.ring, steps);
    for (const tell of this.#told) tell();
  }

  /** Whether somebody waits for {@linkcode Live.next}. */
  get isAwaited(): boolean {
    return this.#waiting > 0;
  }

  /** Calls `tell` each time the figures have been looked at. */
  onLook(tell: () => void): Disposable {
    this.#told.add(tell);
    return { [Symbol.dispose]: () => void this.#told.delete(tell) };
  }

  /** Resolves when the figures have been looked at again, or the signal is aborted. */
  async next(signal: AbortSignal): Promise<void> {
    const wakeup = new Wakeup();
    const wake = () => wakeup.wake();
    using _ = this.onLook(wake);
    this.#waiting++;
    await wakeup.wait(Infinity, signal);
    this.#waiting--;
  }

  rows(): HostRow[] {
    const [{ hosts }, { figures }, nowMs] = [this, this.#agent, Date.now()];
    hosts.look(figures, nowMs);
    hosts.sample(this.ring, 0);
    hosts.lookAtJournal(figures);
    return hosts.rows(nowMs);
  }

  /** The power of the hosts with the most, and of all others together, oldest sample first. */
  power(most: number): HostPower[] {
    this.hosts.sample(this.ring, 0);
    return this.hosts.power(this.ring, most);
  }

  /** When the newest sample begins, in seconds since the epoch, and how samples lie. */
  get axis(): { step_seconds: number; samples: number; newest: number } {
    return {
      step_seconds: STEP_SECONDS,
      samples: SAMPLES - 1,
      newest: this.ring.newestStep * STEP_SECONDS,
    };
  }

  /** The series of a host; `undefined` if there is no such host. */
  seriesOf(shownName: string): SeriesRow[] | undefined {
    const host = this.hosts.find(shownName);
    if (host === undefined) return undefined;
    this.ring.look(host);
    const rows: SeriesRow[] = [];
    for (const slot of this.ring.slots()) {
      if (this.ring.hostOf(slot) !== host) continue;
      rows.push(this.#seriesRow(slot));
      if (rows.length === MAX_SERIES) break;
    }
    return rows;
  }

  #seriesRow(slot: number): SeriesRow {
    const { ring } = this;
    const { metric, attributes, ...rest } = seriesStore.definitionOf(ring.seriesOf(slot));
    const time = ring.timeOf(slot);
    return {
      metric: metric.name,
      description: metric.description,
      unit: ring.roleOf(slot) === null ? unitDisplayName(metric.unit) : "W",
      resource: `${rest.resourceKind} ${rest.resourceId}`.trim(),
      consumer: `${rest.consumerKind} ${rest.consumerId}`.trim(),
      attributes: Object.fromEntries(attributes.map(([name, value]) => [name, formatAttribute(value)])),
      last: orNull(ring.lastOf(slot)),
      time: Number.isFinite(time) ? time : null,
      values: ring.samplesOf(slot)?.map(orNull) ?? null,
    };
  }

  /** The processes, control groups and jobs that use the most power now. */
  consumers(): ConsumerRow[] {
    const { ring, hosts } = this;
    const found: { slot: number; watts: number }[] = [];
    for (const slot of ring.slots()) {
      if (ring.roleOf(slot) !== "consumer") continue;
      const watts = ring.lastOf(slot);
      if (watts > 0 && ring.silenceOf(slot) < 60) found.push({ slot, watts });
    }
    found.sort((a, b) => b.watts - a.watts);
    return found.slice(0, MAX_CONSUMERS).map(({ slot, watts }) => {
      const { metric, consumerKind, consumerId } = seriesStore.definitionOf(ring.seriesOf(slot));
      return {
        host: hosts.shownName(ring.hostOf(slot)),
        consumer: `${consumerKind} ${consumerId}`.trim(),
        metric: metric.name,
        watts: Number(watts.toPrecision(6)),
      };
    });
  }

  [Symbol.dispose](): void {
    this.#watching[Symbol.dispose]();
    this.#timer[Symbol.dispose]();
  }
}
