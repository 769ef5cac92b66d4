/** The processor, as far as its energy counters depend on it. */
import type { ProcFiles } from "../polling/files.ts";
import type { Domain } from "./register.ts";

export interface Processor {
  readonly vendor: "intel" | "amd" | "other";
  readonly family: number;
  readonly model: number;
}

/** The processor of /proc/cpuinfo. */
export function processorOf(files: ProcFiles): Processor {
  const text = files.text(`${files.proc}/cpuinfo`) ?? "";
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(\\S+)`, "m").exec(text)?.[1] ?? "";
  const vendor = field("vendor_id");
  return {
    vendor: vendor === "GenuineIntel"
      ? "intel"
      : /^(AuthenticAMD|HygonGenuine)$/.test(vendor)
      ? "amd"
      : "other",
    family: Number(field("cpu family")),
    model: Number(field("model")),
  };
}

/** Models of family 6 whose memory counts in steps of 2^-16 J, not in those of the unit register (linux: rapl.c). */
const FIXED_DRAM_MODELS = new Set([63, 79, 86, 85, 106, 108, 87, 133]);
/** Models of family 6 whose platform counts in joules. */
const FIXED_PLATFORM_MODELS = new Set([143, 207]);

/** Joules per step of a domain that does not use the unit register. */
export function wideEnergyUnit({ vendor, family, model }: Processor, domain: Domain): number | undefined {
  if (vendor !== "intel" || family !== 6) return undefined;
  if (domain === "dram" && FIXED_DRAM_MODELS.has(model)) return 2 ** -16;
  if (domain === "platform" && FIXED_PLATFORM_MODELS.has(model)) return 1;
  return undefined;
}
