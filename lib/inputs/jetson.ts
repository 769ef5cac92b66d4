/** Current, voltage and power of the rails of NVIDIA's Jetson boards. */
import { config } from "./jetson/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const jetson = definePolledInput({
  name: "jetson",
  description: "Current, voltage and power of the rails of NVIDIA Jetson boards, from their INA3221 sensors",
  config,
  metrics: ["input_current A", "input_voltage V", "input_power W"],
  measuresEnergy: true,
  async load(_, measuring) {
    const { JetsonSource } = await import("./jetson/source.ts");
    return oneSource("jetson", () => new JetsonSource(measuring));
  },
});
