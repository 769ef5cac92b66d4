/** The declaration of an input that polls. What runs it is loaded when it is opened: an unused input costs nothing. */
import { definePlugin, type Input, type InputPlugin, type PluginContext } from "../../plugin.ts";
import type { Key } from "../../schema.ts";
import type { ProcRoots } from "./files.ts";
import type { Measuring, Sources } from "./source.ts";

export interface PolledInputDeclaration<C> {
  /** The name in `[plugins.NAME]`. */
  readonly name: string;
  /** One sentence, for `plugins list` and `config regen`. */
  readonly description: string;
  /** The keys. Keys that a reload may change are declared `live`. */
  readonly config: Key<C>;
  /**
   * Imports the module that measures, and says what it measures with.
   *
   * @throws {ExitError} if nothing can be measured, now or later. Hardware that is missing is no reason.
   */
  load(config: C, measuring: Measuring): Promise<Sources<C>>;
}

/** An input that polls; it can be opened on other trees than /proc and /sys. */
export interface PolledInputPlugin<C> extends InputPlugin<C> {
  open(config: C, context: PluginContext, roots?: ProcRoots): Promise<Input>;
}

/**
 * Declares an input that polls this machine.
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
  const { name, description, config, load } = declaration;
  return definePlugin<C, PolledInputPlugin<C>>({
    name,
    kind: "input",
    isLocal: true,
    description,
    config,
    async open(config, { clock, log, registry }, roots) {
      const [{ PolledInput }, { ProcFiles }] = await Promise.all([
        import("./polled_input.ts"),
        import("./files.ts"),
      ]);
      const sources = await load(config, { files: new ProcFiles(roots), registry, log, clock });
      return new PolledInput(sources, config, clock, log);
    },
  });
}
