/** Power and energy of boards, supplies and GPUs, as the drivers of their sensors have it. */
import { config } from "./hwmon/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const hwmon = definePolledInput({
  name: "hwmon",
  description: "Power and energy of boards, supplies and GPUs, from the sensors in /sys/class/hwmon",
  config,
  metrics: ["hwmon_power W", "hwmon_energy J"],
  measuresEnergy: true,
  absentHint: "the driver of a sensor may be missing: sensors-detect (lm-sensors) finds some",
  async load(_, measuring) {
    const { HwmonSource } = await import("./hwmon/source.ts");
    return oneSource("hwmon", () => new HwmonSource(measuring));
  },
});
