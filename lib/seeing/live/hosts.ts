/** The hosts that a process knows: who is silent, how much comes from each, and its power over the last quarter of an hour. */
import type { Figures } from "../../agent/figures.ts";
import { clientTotals } from "../families.ts";
import { hostPower, type Meter } from "../../points/power.ts";
import { type LiveRing, SAMPLES } from "./ring.ts";

/** A host that is not connected any more may come back within this time before it counts as silent, in ms. */
const GRACE_MS = 4000;
/** Silence that means nothing, in ms; and how much longer than usual a silence must be otherwise. */
const SHORT_MS = 6000;
const FACTOR = 2.5;
/** What counts as usual of a host of which nothing is known yet, in ms. */
const UNKNOWN_GAP_MS = 30_000;
/** How fast it is forgotten that a host was silent for longer, per contact. */
const FORGET = 0.9;
/** Rates are means over about this time: clients send in portions. In seconds. */
const RATE_SECONDS = 15;
/** A value that is older says nothing about the power now, in seconds. */
const STALE_SECONDS = 60;

/** A host, as the API says it. */
export interface HostRow {
  /** Of this process itself the name of its machine. */
  readonly name: string;
  /** It is the machine of this process. */
  readonly isLocal: boolean;
  readonly state: "live" | "silent";
  readonly connected: boolean;
  /** In seconds since the epoch; `null` if it has sent nothing since the start. */
  readonly last_contact: number | null;
  readonly silent_seconds: number | null;
  readonly points: number;
  readonly points_per_second: number;
  /** Points that wait in the journal for some output. */
  readonly pending_points: number;
  /** `null` if nothing says it. */
  readonly watts: number | null;
  readonly version: string | null;
  readonly address: string | null;
}

/** The power of a host, or of several together, in watts: one sample each step of the ring, oldest first. */
export interface HostPower {
  readonly name: string;
  readonly watts: readonly (number | null)[];
  /** It is that of all hosts that have no line of their own. */
  readonly rest: boolean;
}

class Host {
  /** Slots of the ring that say something about its power. */
  meters: number[] = [];
  power: Float32Array | null = null;
  watts = NaN;
  lastContactMs = 0;
  received = 0;
  pending = 0;
  /** The same of all of its instances, while they are looked at. */
  newestContactMs = 0;
  receivedByAll = 0;
  /** Points of late, and in how many seconds they came; both fade away. */
  lately = 0;
  latelySeconds = 0;
  /** How long it is usually silent, in ms. */
  gapMs = NaN;
  /** When it last had a connection of its own. NaN: never, or its points come without one since. */
  connectedMs = NaN;
  connection: { address: string; version: string } | undefined;

  constructor(readonly name: string) {}

  /** @param local Its points come from this process. */
  isSilent(nowMs: number, local: boolean): boolean {
    if (local) return false;
    // Its points come through another program that says whose they are: only its power is seen.
    if (this.lastContactMs === 0) return Number.isNaN(this.watts);
    if (!Number.isNaN(this.connectedMs) && !this.connection) return nowMs - this.connectedMs > GRACE_MS;
    const usual = Number.isNaN(this.gapMs) ? UNKNOWN_GAP_MS : this.gapMs;
    return nowMs - this.lastContactMs > Math.max(SHORT_MS, FACTOR * usual);
  }
}

export class Hosts {
  readonly #hosts: Host[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #localName: string;
  /** Hosts with a ring for their power. */
  readonly #maxRings: number;
  #rings = 0;
  #lookedMs = NaN;

  /**
   * @param localName What is shown for the machine of this process, whose points have no client.
   * @param limitBytes For the power of hosts.
   */
  constructor(localName: string, limitBytes: number) {
    this.#localName = localName;
    this.#maxRings = Math.floor(limitBytes / (SAMPLES * 4));
  }

  /** The number of a host; `""` is the machine of this process. */
  numberOf(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#hosts.length;
      this.#numbers.set(name, number);
      this.#hosts.push(new Host(name));
    }
    return number;
  }

  /** The number of a host by the name that is shown, if there is one. */
  find(shown: string): number | undefined {
    return this.#numbers.get(shown) ?? (shown === this.#localName ? this.#numbers.get("") : undefined);
  }

  shownName(number: number): string {
    return this.shown(this.#hosts[number].name);
  }

  /** What is shown for a name: `""` is the machine of this process. */
  shown(name: string): string {
    return name === "" ? this.#localName : name;
  }

  /** The name of a host by the one that is shown; the host need not be known. */
  named(shown: string): string {
    return shown === this.#localName && !this.#numbers.has(shown) ? "" : shown;
  }

  addMeter(host: number, slot: number): void {
    this.#hosts[host].meters.push(slot);
  }

  removeMeter(host: number, slot: number): void {
    const { meters } = this.#hosts[host];
    const place = meters.indexOf(slot);
    if (place >= 0) meters.splice(place, 1);
  }

  /** Looks who has sent what since the last time. */
  look(figures: Pick<Figures, "eachContact" | "connectionOf">, nowMs: number): void {
    if (nowMs === this.#lookedMs) return;
    figures.eachContact(this.#hear);
    const seconds = (nowMs - this.#lookedMs) / 1000;
    const decay = Math.exp(-seconds / RATE_SECONDS);
    this.#lookedMs = nowMs;
    for (const host of this.#hosts) {
      if (seconds > 0) {
        host.lately = host.lately * decay + Math.max(0, host.receivedByAll - host.received);
        host.latelySeconds = host.latelySeconds * decay + seconds;
      }
      // A client that is forgotten leaves what it has sent.
      host.received = Math.max(host.received, host.receivedByAll);
      const contactMs = host.newestContactMs;
      host.receivedByAll = host.newestContactMs = 0;
      if (contactMs > host.lastContactMs) {
        if (host.lastContactMs > 0) {
          const gap = contactMs - host.lastContactMs;
          host.gapMs = Number.isNaN(host.gapMs) ? gap : Math.max(gap, host.gapMs * FORGET);
        }
        host.lastContactMs = contactMs;
      }
      host.connection = figures.connectionOf(host.name);
      if (host.connection) host.connectedMs = nowMs;
      // It is heard without one: its points come through a hop now.
      else if (contactMs > host.connectedMs + GRACE_MS) host.connectedMs = NaN;
    }
  }

  readonly #hear = (name: string, contactMs: number, receivedPoints: number): void => {
    const host = this.#hosts[this.numberOf(name)];
    host.newestContactMs = Math.max(host.newestContactMs, contactMs);
    host.receivedByAll += receivedPoints;
  };

  /** Looks how much of each host waits in the journal. */
  lookAtJournal(figures: Pick<Figures, "clients">): void {
    for (const [name, { kept }] of clientTotals(figures.clients())) {
      this.#hosts[this.numberOf(name)].pending = kept;
    }
  }

  /**
   * Takes samples of the power of each host, for the newest step of the ring, and for those that have ended since the last
   * ones: that many `steps` have begun.
   */
  sample(ring: LiveRing, steps: number): void {
    for (const host of this.#hosts) {
      host.watts = powerOf(host, ring);
      if (!host.power) {
        if (Number.isNaN(host.watts) || this.#rings >= this.#maxRings) continue;
        this.#rings++;
        host.power = new Float32Array(SAMPLES).fill(NaN);
      }
      for (let step = ring.newestStep - Math.min(steps, SAMPLES); step <= ring.newestStep; step++) {
        host.power[step % SAMPLES] = host.watts;
      }
    }
  }

  rows(nowMs: number): HostRow[] {
    const rows: HostRow[] = [];
    for (const host of this.#hosts) {
      const isLocal = host.name === "";
      if (isLocal && host.received === 0) continue;
      const wasHeard = host.lastContactMs > 0;
      rows.push({
        name: isLocal ? this.#localName : host.name,
        isLocal,
        state: host.isSilent(nowMs, isLocal) ? "silent" : "live",
        connected: isLocal || host.connection !== undefined,
        last_contact: wasHeard ? host.lastContactMs / 1000 : null,
        silent_seconds: !isLocal && wasHeard
          ? Math.max(0, tenths((nowMs - host.lastContactMs) / 1000))
          : null,
        points: host.received,
        points_per_second: host.latelySeconds > 0 ? tenths(host.lately / host.latelySeconds) : 0,
        pending_points: host.pending,
        watts: Number.isNaN(host.watts) ? null : host.watts,
        version: host.connection?.version ?? null,
        address: host.connection?.address ?? null,
      });
    }
    return rows;
  }

  /** The power of the hosts with the most, and of all others together, oldest sample first. */
  power(ring: LiveRing, most: number): HostPower[] {
    const known = this.#hosts.filter(({ power }) => power !== null);
    const mean = (power: Float32Array) => power.reduce((sum, watts) => sum + (watts || 0), 0);
    const means = new Map(known.map((host) => [host, mean(host.power!)]));
    known.sort((a, b) => means.get(b)! - means.get(a)!);
    const samples = ({ power }: Host) => {
      const list: number[] = [];
      for (let step = ring.newestStep - SAMPLES + 2; step <= ring.newestStep; step++) {
        list.push(power![step % SAMPLES]);
      }
      return list;
    };
    const shown = known.slice(0, most).map((host) => ({
      name: this.shown(host.name),
      watts: samples(host).map(orNull),
      rest: false,
    }));
    const others = known.slice(most);
    if (others.length === 0) return shown;
    const sums: number[] = new Array(SAMPLES - 1).fill(NaN);
    for (const host of others) {
      samples(host).forEach((watts, i) => {
        if (!Number.isNaN(watts)) sums[i] = (Number.isNaN(sums[i]) ? 0 : sums[i]) + watts;
      });
    }
    return [...shown, { name: `${others.length} others`, watts: sums.map(orNull), rest: true }];
  }
}

const tenths = (value: number) => Math.round(value * 10) / 10;

/** JSON has no NaN; five digits are more than a plot shows. */
export const orNull = (value: number): number | null =>
  Number.isFinite(value) ? Number(value.toPrecision(6)) : null;

function powerOf({ meters }: Host, ring: LiveRing): number {
  const fresh: Meter[] = [];
  for (const slot of meters) {
    const watts = ring.lastOf(slot);
    if (Number.isNaN(watts) || ring.silenceOf(slot) > STALE_SECONDS) continue;
    fresh.push({ role: ring.roleOf(slot)!, metric: ring.metricOf(slot), watts });
  }
  return hostPower(fresh);
}
