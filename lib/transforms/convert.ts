/** Converts values to another unit. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type ConvertConfig, wants } from "./convert/config.ts";

export const convert = definePlugin({
  name: "convert",
  kind: "transform",
  description: "Converts metrics to other units",
  config,
  wants,
  async open(options: ConvertConfig, context: PluginContext) {
    const { Convert } = await import("./convert/transform.ts");
    return new Convert(options, context);
  },
});
