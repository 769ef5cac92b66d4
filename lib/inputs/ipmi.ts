/** Power of the whole machine, from its management controller (BMC). */
import { config } from "./ipmi/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const ipmi = definePolledInput({
  name: "ipmi",
  description: "Power of the whole machine, from its management controller (IPMI, DCMI)",
  config,
  metrics: ["ipmi_power W"],
  measuresEnergy: true,
  onlyOnRequest: true,
  devices: [{ name: "ipmidev", reason: "the management controller is asked for the power" }],
  absentHint: "the driver of the management controller may be missing: sudo modprobe ipmi_si ipmi_devintf",
  async load(_, measuring) {
    const { IpmiSource } = await import("./ipmi/source.ts");
    return {
      wanted: ({ poll_interval, flush_interval, timeout }) => [{
        name: "ipmi",
        intervalMs: poll_interval,
        flushIntervalMs: flush_interval,
        madeWith: timeout,
        open: () => new IpmiSource(measuring, timeout),
      }],
    };
  },
});
