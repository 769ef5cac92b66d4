/** The declaration of an input that polls. What runs it is loaded when it is opened: an unused input costs nothing. */
import { definePlugin, type Input, type InputPlugin, type PluginContext } from "../../plugin.ts";
import type { ProcRoots } from "./files.ts";
import { type PolledInputDeclaration, REAL_TIME_MS } from "./source.ts";

/** An input that polls; it can be opened on other trees than /proc and /sys. */
export interface PolledInputPlugin<C> extends InputPlugin<C> {
  open(config: C, context: PluginContext, roots?: ProcRoots): Promise<Input>;
}

/**
 * Declares an input that polls, as a rule this machine.
 *
 *     export const uptime = definePolledInput({
 *       name: "uptime",
 *       description: "How long this machine has been running",
 *       config,
 *       async load(_, measuring) {
 *         const { UptimeSource } = await import("./uptime/source.ts");
 *         return oneSource("uptime", () => new UptimeSource(measuring));
 *       },
 *     });
 */
export function definePolledInput<C>(declaration: PolledInputDeclaration<C>): PolledInputPlugin<C> {
  const {
    name,
    description,
    config,
    measuresEnergy,
    onlyOnRequest,
    isRemote = false,
    followsCommands,
    capabilities,
    devices,
    absentHint,
    metrics,
  } = declaration;
  return definePlugin<C, PolledInputPlugin<C>>({
    name,
    kind: "input",
    isLocal: !isRemote,
    description,
    config,
    measuresEnergy,
    onlyOnRequest,
    followsCommands,
    capabilities,
    devices,
    needsRealTime: (config) => fastestMs(config) <= REAL_TIME_MS,
    absentHint,
    metrics,
    async open(config, context, roots) {
      const { openPolledInput } = await import("./polled_input.ts");
      return await openPolledInput(declaration, config, context, roots);
    },
  });
}

/** The shortest interval at which a configuration polls something, in ms. */
function fastestMs(config: unknown): number {
  if (typeof config !== "object" || config === null) return Infinity;
  const intervals = Object.entries(config).map(([key, value]) =>
    key === "poll_interval" && typeof value === "number" ? value : fastestMs(value)
  );
  return Math.min(Infinity, ...intervals);
}
