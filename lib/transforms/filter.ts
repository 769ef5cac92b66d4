/** Lets some points pass and takes out the others, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type FilterConfig, wants } from "./filter/config.ts";

export const filter = definePlugin({
  name: "filter",
  kind: "transform",
  description: "Lets points pass, or takes them out, by metric, resource, consumer and attributes",
  config,
  metrics: [],
  wants,
  async open(options: FilterConfig, context: PluginContext) {
    const { Filter } = await import("./filter/transform.ts");
    return new Filter(options, context);
  },
});
