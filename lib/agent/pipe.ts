/** What follows for the whole pipe from the declarations of its plugins. */
import type { OnFull } from "../journal.ts";
import type { Plugin, PluginContext, StagedTransformPlugin } from "../plugin.ts";

/** Clients can wait, sensors cannot: if nobody waits, the oldest points are dropped. */
export function onFullOf(plugins: readonly Plugin[]): OnFull {
  const waits = plugins.some((plugin) =>
    plugin.kind === "input" && (plugin.waitsForRoom ?? plugin.receives ?? false)
  );
  return waits ? "block" : "drop_oldest";
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

/** Whether it is a transform with a memory. */
export function isStaged(plugin: Plugin): plugin is StagedTransformPlugin<unknown> {
  return plugin.kind === "transform" && plugin.staged === true;
}

/** Why plugins cannot run together with a transform with a memory. */
export function stagedProblem(
  plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[],
): string | undefined {
  const staged = plugins.find(({ plugin }) => isStaged(plugin));
  if (!staged || acknowledgesOf(plugins) !== "stored") return undefined;
  return `Cannot run ${staged.plugin.name} with plugins.relay-server.acknowledge = "stored": a client that goes to another ` +
    'server would leave half of a window behind; aggregate on the clients, or set acknowledge to "journal"';
}
