/** Measures the energy that all registers have counted since the last poll. */
import { Complaint } from "../../base/complaint.ts";
import { EnergyCounter, JUMPED } from "../polling/energy_counter.ts";
import { f64Metric, JOULE, type Metric, type Points, type Series, seriesOf } from "../polling/points.ts";
import type { U64 } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import type { RaplConfig } from "./config.ts";
import { type FindOptions, findRegisters } from "./find.ts";
import { type Domain, DOMAINS, type EnergyRegister, type Place } from "./register.ts";

/** How often registers are looked for that are missing or may not be read, in ms: a module may be loaded, a mode changed. */
const FIND_AGAIN_MS = 60_000;
/** The power with which a register is taken to count, in watts, when the time of a wrap is estimated. */
const HIGH_WATTS = 500;

/** Polls in which a counter stands at 0 until that is a finding: those of perf events begin at 0. */
const ZEROS = 2;
const STANDS_AT_ZERO = "its counter stands at 0: this machine does not count it, as many virtual machines";

/** Zones with unknown names that are reported. */
const MOST_UNKNOWN = 16;

interface Measured {
  readonly register: EnergyRegister;
  readonly counter: EnergyCounter;
  readonly series: Series;
  readonly what: string;
  /** Polls in which it stood at 0, from the first one on; `null` once it has counted. */
  zeros: number | null;
}

export class RaplSource implements PolledSource {
  readonly name = "rapl";
  readonly #measuring: Measuring;
  readonly #options: FindOptions;
  readonly #metric: Metric;
  readonly #totals: Readonly<Record<Domain, Series>>;
  readonly #complaint: Complaint;
  readonly #jumps: Complaint;
  /** By place. */
  #measured = new Map<string, Measured>();
  #foundMs = -Infinity;
  #isComplete = false;

  /** Registers the metric, and finds the registers. */
  constructor(
    { poll_interval, no_perf_events }: RaplConfig,
    measuring: Measuring,
    options: Partial<FindOptions> = {},
  ) {
    const { registry, clock, log } = measuring;
    this.#measuring = measuring;
    const unknown = new Set<string>();
    this.#options = {
      onlyPowercap: no_perf_events,
      onUnknown(name, file) {
        if (unknown.has(file) || unknown.size >= MOST_UNKNOWN) return;
        unknown.add(file);
        log.warn("Cannot tell what a zone of powercap measures: it is left out", { name, file });
      },
      ...options,
    };
    this.#metric = registry.register(
      f64Metric(
        "rapl_consumed_energy",
        JOULE,
        "Energy consumed since the previous measurement, as reported by RAPL",
      ),
    );
    const total = (domain: Domain) => seriesOf(this.#metric, { attributes: [["domain", `${domain}_total`]] });
    this.#totals = Object.fromEntries(DOMAINS.map((domain) => [domain, total(domain)])) as Record<
      Domain,
      Series
    >;
    this.#complaint = new Complaint(clock);
    this.#jumps = new Complaint(clock);
    this.#find();
    this.#warnOfWraps(poll_interval);
  }

  /** Opens what is new, and closes what is gone. */
  #find(): void {
    const { findings, clock } = this.#measuring;
    const before = this.#measured;
    const known = new Map([...before].map(([key, { register }]) => [key, register]));
    const { registers, denied } = findRegisters(this.#measuring.files, { ...this.#options, known });
    this.#foundMs = clock.monotonicMs();
    this.#isComplete = registers.size > 0 && denied.length === 0;
    const dies = new Set([...registers.values(), ...denied].map(({ die }) => die)).size;
    this.#measured = new Map();
    for (const [key, register] of registers) {
      const measured = before.get(key);
      if (measured?.register === register) {
        this.#measured.set(key, measured);
        continue;
      }
      const series = this.#seriesOf(register, dies > 1);
      const what = describe(register, dies > 1);
      this.#measured.set(key, { register, counter: new EnergyCounter(register), series, what, zeros: 0 });
      findings.measured(what, register.file, series);
    }
    for (const [key, { register }] of before) {
      if (this.#measured.get(key)?.register !== register) register.close();
    }
    for (const candidate of denied) {
      findings.denied(describe(candidate, dies > 1), candidate.file, candidate.allow!);
    }
  }

  #seriesOf({ domain, socket, die }: EnergyRegister, hasDies: boolean): Series {
    const resource = domain === "platform"
      ? {}
      : { resourceKind: domain === "dram" ? "dram" : "cpu_package", resourceId: String(socket) };
    return seriesOf(this.#metric, {
      ...resource,
      attributes: [
        ["domain", domain],
        ...(hasDies && domain !== "platform" ? [["die", BigInt(die)] as const] : []),
      ],
    });
  }

  /** Two wraps between two polls look like one. */
  #warnOfWraps(pollMs: number): void {
    for (const { register } of this.#measured.values()) {
      if (register.max === undefined) continue;
      const wrapMs = 1000 * register.joules(Number(register.max)) / HIGH_WATTS;
      if (pollMs <= wrapMs) continue;
      this.#measuring.log.warn(
        "Energy may be missing: the counters can wrap more than once between two polls",
        {
          poll_interval_s: Math.round(pollMs / 1000),
          at_most_s: Math.floor(wrapMs / 1000),
        },
      );
      return;
    }
  }

  get isIdle(): boolean {
    return this.#measured.size === 0;
  }

  poll(points: Points): void {
    const { clock, log } = this.#measuring;
    const nowMs = clock.monotonicMs();
    if (!this.#isComplete && nowMs - this.#foundMs >= FIND_AGAIN_MS) this.#find();
    const totals = new Map<Domain, number>();
    for (const measured of this.#measured.values()) {
      const { register, counter, series } = measured;
      const value = register.read();
      let joules: number | undefined;
      if (value === undefined) {
        this.#isComplete = false;
        this.#complaint.add((failed) =>
          log.warn("Cannot read an energy counter", { file: register.file, failed })
        );
      } else {
        joules = counter.advance(value, nowMs);
        if (counter.hasJumped) {
          this.#jumps.add((jumps) => log.warn(JUMPED, { file: register.file, jumps }));
        }
        if (this.#standsAtZero(measured, value)) continue;
      }
      if (joules !== undefined) points.f64(series, joules);
      // A total needs all its parts.
      totals.set(register.domain, (totals.get(register.domain) ?? 0) + (joules ?? NaN));
    }
    for (const domain of DOMAINS) {
      const joules = totals.get(domain);
      if (joules !== undefined && !Number.isNaN(joules)) points.f64(this.#totals[domain], joules);
    }
  }

  /** Whether it has never counted: virtual machines show counters that none of their hardware has. */
  #standsAtZero(measured: Measured, value: U64): boolean {
    const { register: { file }, series, what, zeros } = measured;
    if (zeros === null) return false;
    const { findings } = this.#measuring;
    if (Number(value) !== 0) {
      measured.zeros = null;
      if (zeros >= ZEROS) findings.measured(what, file, series);
      return false;
    }
    measured.zeros = zeros + 1;
    if (measured.zeros === ZEROS) findings.failed(what, file, STANDS_AT_ZERO);
    return true;
  }

  close(): void {
    for (const { register } of this.#measured.values()) register.close();
    this.#measured.clear();
  }
}

function describe(place: Place, hasDies: boolean): string {
  const { domain, socket, die } = place;
  if (domain === "platform") return "energy of the platform";
  const of = hasDies ? `socket ${socket}, die ${die}` : `socket ${socket}`;
  return `energy of ${domain === "package" ? "the package" : domain}, ${of}`;
}
