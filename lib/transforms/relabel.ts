/** Renames metrics, and adds, drops, renames and hashes attributes. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type RelabelConfig, wants } from "./relabel/config.ts";

export const relabel = definePlugin({
  name: "relabel",
  kind: "transform",
  description: "Renames metrics, and adds, removes, renames and hashes attributes",
  config,
  wants,
  async open(options: RelabelConfig, context: PluginContext) {
    const { Relabel } = await import("./relabel/transform.ts");
    return new Relabel(options, context);
  },
});
