/** Keys that inputs of GPUs have in common, and the rights that they need. */
import type { Capability } from "../../plugin.ts";
import { choice } from "../../schema.ts";
import type { PaceKeys } from "../polling/source.ts";

const WHICH = ["permitted", "all", "none"] as const;

export const processes = choice(WHICH, {
  doc:
    "The processes whose use of a GPU is measured: those that this process may look into, all (for which a unit of systemd " +
    "asks for CAP_SYS_PTRACE), or none.",
  default: "permitted",
});

/** The keys of an input of GPUs. */
interface GpuKeys extends PaceKeys {
  readonly processes: typeof WHICH[number];
}

export function capabilities({ processes }: GpuKeys): readonly Capability[] {
  return processes === "all"
    ? [{
      name: "CAP_SYS_PTRACE",
      reason: 'processes = "all" measures what those of other users use of a GPU',
    }]
    : [];
}
