/** Which registers are read, and in which way: each place of energy once. */
import { type PerfEvents, systemPerfEvents } from "../polling/perf_events.ts";
import type { ProcFiles } from "../polling/files.ts";
import type { Candidate } from "./candidate.ts";
import { msrCandidates } from "./msr.ts";
import { perfCandidates } from "./perf.ts";
import { powercapCandidates } from "./powercap.ts";
import { processorOf } from "./processor.ts";
import { type EnergyRegister, keyOf } from "./register.ts";

/** What was found. */
export interface Found {
  /** By the place, in the order in which they are read. */
  readonly registers: ReadonlyMap<string, EnergyRegister>;
  /** What is there and may not be read. */
  readonly denied: readonly Candidate[];
}

export interface FindOptions {
  /** Reads powercap files alone. */
  readonly onlyPowercap: boolean;
  /** Told of zones whose names mean nothing here. */
  readonly onUnknown: (name: string, file: string) => void;
  /** @default those of this machine */
  readonly perfEvents?: () => PerfEvents | null;
  /** Registers that are open already, by the place: they stay. */
  readonly known?: ReadonlyMap<string, EnergyRegister>;
}

/**
 * Looks in powercap, then among the perf events, and where both have nothing, in the registers themselves. A place that
 * one way measures is not looked at in the next.
 *
 * Of AMD's processors only the package is measured: some kernels list domains there that count nothing, and a zone
 * `core` cannot have the energy of all cores, each of which has a register of its own.
 */
export function findRegisters(files: ProcFiles, options: FindOptions): Found {
  const processor = processorOf(files);
  const registers = new Map<string, EnergyRegister>();
  const denied = new Map<string, Candidate>();
  const take = (candidates: Iterable<Candidate>) => {
    for (const candidate of candidates) {
      const key = keyOf(candidate);
      if (processor.vendor === "amd" && candidate.domain !== "package") continue;
      if (registers.has(key)) continue;
      const known = options.known?.get(key);
      const register = known && !known.isGone ? known : candidate.open();
      if (typeof register === "object") {
        registers.set(key, register);
        denied.delete(key);
      } else if (register === "denied" && candidate.allow !== undefined && !denied.has(key)) {
        denied.set(key, candidate);
      }
    }
  };
  take(powercapCandidates(files, options.onUnknown));
  if (!options.onlyPowercap) {
    take(perfCandidates(files, options.perfEvents ?? systemPerfEvents));
    if (registers.size === 0) take(msrCandidates(files, processor));
  }
  return { registers, denied: [...denied.values()] };
}
