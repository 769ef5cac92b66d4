/** What processors and the kernel count, such as instructions and cache misses, for control groups and commands. */
import { capabilities, config, metrics } from "./perf/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const perf = definePolledInput({
  name: "perf",
  description: "Events that processors and the kernel count, for control groups and commands",
  config,
  metrics,
  onlyOnRequest: true,
  followsCommands: () => true,
  capabilities,
  absentHint: "no event can be counted here",
  async load(config, measuring) {
    const { PerfSource } = await import("./perf/source.ts");
    if (config.add_source_in_pause_state) {
      measuring.log.warn(
        "Everything is counted from its beginning: add_source_in_pause_state has no effect here",
      );
    }
    return oneSource("perf", () => new PerfSource(config, measuring));
  },
});
