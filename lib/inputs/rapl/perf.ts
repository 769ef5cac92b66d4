/** Counters as performance events of the PMU `power`. */
import { cpusOf, placeOf } from "../polling/cpus.ts";
import type { ProcFiles } from "../polling/files.ts";
import { EACCES, EPERM, type PerfEvents } from "../polling/perf_events.ts";
import type { U64 } from "../polling/scan.ts";
import type { Candidate } from "./candidate.ts";
import type { Domain, EnergyRegister, Place } from "./register.ts";

const EVENTS: readonly (readonly [event: string, domain: Domain])[] = [
  ["energy-pkg", "package"],
  ["energy-cores", "pp0"],
  ["energy-gpu", "pp1"],
  ["energy-ram", "dram"],
  ["energy-psys", "platform"],
];

/** Every event on every CPU that the PMU names: one of each package, or of each die. */
export function* perfCandidates(files: ProcFiles, perfEvents: () => PerfEvents | null): Generator<Candidate> {
  const folders = [`${files.sys}/bus/event_source/devices/power`, `${files.sys}/devices/power`];
  const pmu = folders.find((folder) => files.text(`${folder}/type`) !== undefined);
  const perf = pmu === undefined ? null : perfEvents();
  if (!perf) return;
  const type = Number(files.text(`${pmu}/type`));
  const cpus = cpusOf(files.text(`${pmu}/cpumask`) ?? "");
  if (!Number.isInteger(type) || type < 0 || type >= 2 ** 32 || !cpus) return;
  for (const cpu of cpus) {
    for (const [event, domain] of EVENTS) {
      const file = `${pmu}/events/${event}`;
      const code = /(?:^|,)event=0x([0-9a-fA-F]{1,16})/.exec(files.text(file) ?? "");
      const scale = Number(files.text(`${file}.scale`));
      if (!code || !(scale > 0)) continue;
      const place = domain === "platform"
        ? { socket: 0, die: 0 }
        : placeOf(files, cpu) ?? { socket: 0, die: 0 };
      yield {
        domain,
        ...place,
        file,
        allow: "sudo sysctl kernel.perf_event_paranoid=0",
        open() {
          const descriptor = perf.open(type, BigInt(`0x${code[1]}`), cpu);
          if (descriptor === EPERM || descriptor === EACCES) return "denied";
          return descriptor < 0
            ? "failed"
            : new PerfRegister(perf, descriptor, { domain, ...place }, file, scale);
        },
      };
    }
  }
}

class PerfRegister implements EnergyRegister {
  readonly domain: Domain;
  readonly socket: number;
  readonly die: number;
  /** The kernel counts on in 64 bits when the hardware's register wraps. */
  readonly max = undefined;
  /** A read of the event of a CPU that went offline gives nothing. */
  isGone = false;
  #descriptor: number;

  constructor(
    readonly perf: PerfEvents,
    descriptor: number,
    { domain, socket, die }: Place,
    readonly file: string,
    readonly scale: number,
  ) {
    this.#descriptor = descriptor;
    this.domain = domain;
    this.socket = socket;
    this.die = die;
  }

  joules(steps: number): number {
    return steps * this.scale;
  }

  read(): U64 | undefined {
    const value = this.#descriptor < 0 ? undefined : this.perf.read(this.#descriptor);
    this.isGone = value === undefined;
    return value;
  }

  close(): void {
    if (this.#descriptor >= 0) this.perf.close(this.#descriptor);
    this.#descriptor = -1;
  }
}
