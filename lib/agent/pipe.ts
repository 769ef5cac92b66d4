/** What follows for the whole pipe from the declarations of its plugins. */
import type { OnFull } from "../journal.ts";
import type { Plugin, PluginContext } from "../plugin.ts";

/** Clients can wait, sensors cannot: if no input receives, the oldest points are dropped. */
export function onFullOf(plugins: readonly Plugin[]): OnFull {
  return plugins.some((plugin) => plugin.kind === "input" && plugin.receives) ? "block" : "drop_oldest";
}

/** If one input promises its clients that a batch is stored, all outputs must have stored it. */
export function acknowledgesOf(
  plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[],
): PluginContext["acknowledges"] {
  const isStored = plugins.some(({ plugin, config }) =>
    plugin.kind === "input" && plugin.acknowledges?.(config) === "stored"
  );
  return isStored ? "stored" : "durable";
}
