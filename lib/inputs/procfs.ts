/** Kernel, memory, network and processes of a Linux machine, from /proc (man 5 proc). */
import { definePolledInput } from "./polling/declaration.ts";
import { capabilities, config, metrics } from "./procfs/config.ts";

export const procfs = definePolledInput({
  name: "procfs",
  description: "Kernel, memory, network and processes of this machine, from /proc",
  config,
  metrics,
  capabilities,
  followsCommands: ({ processes }) => processes.enabled && processes.strategy === "event",
  async load(_, measuring) {
    const { ProcfsSources } = await import("./procfs/input.ts");
    return new ProcfsSources(measuring);
  },
});
