/** Keys that inputs of GPUs have in common, and the rights that they need. */
import type { Capability } from "../../plugin.ts";
import { flag } from "../../schema.ts";
import type { PaceKeys } from "../polling/source.ts";

export const processes = flag({
  doc:
    "Whether to measure what each process uses of a GPU; for those of other users that takes CAP_SYS_PTRACE.",
  default: true,
});

/** The keys of an input of GPUs. */
interface GpuKeys extends PaceKeys {
  readonly processes: boolean;
}

export function capabilities(config: GpuKeys): readonly Capability[] {
  if (!config.processes) return [];
  return [{
    name: "CAP_SYS_PTRACE",
    reason: "what processes of other users use of a GPU (processes = false does without it)",
  }];
}
