/** Energy of processors and their memory, as Intel's and AMD's counters have it (RAPL). */
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";
import { config } from "./rapl/config.ts";

export const rapl = definePolledInput({
  name: "rapl",
  description: "Energy of processors and their memory (RAPL), of Intel and AMD",
  config,
  metrics: ["rapl_consumed_energy J"],
  measuresEnergy: true,
  absentHint:
    "virtual machines have no counters; elsewhere the module may be missing: sudo modprobe intel_rapl_msr",
  capabilities: () => [{
    name: "CAP_DAC_READ_SEARCH",
    reason: "only root may read the energy counters below /sys/class/powercap, since CVE-2020-8694",
  }],
  async load(config, measuring) {
    const { RaplSource } = await import("./rapl/source.ts");
    return oneSource("rapl", () => new RaplSource(config, measuring));
  },
});
