/** Lets some points pass and takes out the others, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type FilterConfig, wants } from "./filter/config.ts";
import { Filter } from "./filter/transform.ts";

export const filter = definePlugin({
  name: "filter",
  kind: "transform",
  description: "Lets points pass, or takes them out, by metric, resource, consumer and attributes",
  config,
  metrics: [],
  wants,
  open: (options: FilterConfig, context: PluginContext) => Promise.resolve(new Filter(options, context)),
});
