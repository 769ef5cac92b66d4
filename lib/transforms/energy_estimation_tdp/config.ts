/** The keys of `[plugins.energy-estimation-tdp]`: Alumet's, and a right formula as the default. */
import { duration, flag, type Infer, number, table } from "../../schema.ts";

export const config = table({
  tdp: number({ doc: "The thermal design power of the physical processor, in W.", default: 100, min: 0 }),
  nb_cpu: number({ doc: "CPUs (threads) of the physical processor.", default: 1, min: 0.001 }),
  idle_watts: number({
    doc: "The power of the processor while all of its CPUs are idle, in W.",
    default: 0,
    min: 0,
  }),
  compatible: flag({
    doc:
      "Compute what Alumet computes: every state of the CPUs counts as work, and the result is a power in W under the name " +
      "of an energy.",
    default: false,
  }),
  poll_interval: duration({
    doc: "With compatible: poll_interval of [plugins.procfs.kernel].",
    default: "5s",
    min: "1s",
  }),
  nb_vcpu: number({ doc: "With compatible: virtual CPUs of this machine.", default: 1, min: 0 }),
}, {
  doc:
    "Adds estimated_consumed_energy (J) for each point of kernel_cpu_time: for the machine, and for each of its CPUs. The " +
    "states of one CPU add up.",
});

export type TdpConfig = Infer<typeof config>;
