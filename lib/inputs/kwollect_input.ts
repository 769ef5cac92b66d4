/** What Grid'5000 measures of a node from outside. */
import { config } from "./kwollect_input/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const kwollectInput = definePolledInput({
  name: "kwollect-input",
  description: "Power and more of a node of Grid'5000, from the metrics that its Kwollect collects",
  config,
  metrics: ({ metrics }) => metrics.map((metric) => `${metric} *`),
  measuresEnergy: true,
  onlyOnRequest: true,
  isRemote: true,
  async load(_, measuring) {
    const { KwollectSource } = await import("./kwollect_input/source.ts");
    return {
      wanted: (config) => [{
        name: "kwollect-input",
        intervalMs: config.poll_interval,
        flushIntervalMs: config.flush_interval,
        madeWith: { ...config, poll_interval: 0, flush_interval: 0 },
        open: () => new KwollectSource(config, measuring),
      }],
    };
  },
});
