/** Power of machines, from their management controllers, by Redfish. */
import { definePolledInput } from "./polling/declaration.ts";
import { config } from "./redfish/config.ts";

export const redfish = definePolledInput({
  name: "redfish",
  description: "Power of machines, from their management controllers, by Redfish (HTTPS)",
  config,
  metrics: ["redfish_power W"],
  measuresEnergy: true,
  onlyOnRequest: true,
  isRemote: true,
  async load(_, measuring) {
    const { RedfishSource } = await import("./redfish/source.ts");
    return {
      wanted: ({ targets, poll_interval, flush_interval, timeout }) =>
        targets.map((target) => ({
          name: target.url,
          intervalMs: poll_interval,
          flushIntervalMs: flush_interval,
          madeWith: [target, timeout],
          open: () => new RedfishSource(target, timeout, measuring),
        })),
    };
  },
});
