/** What an output gets that a command opens, without an agent around it. */
import { SystemClock } from "../base/clock.ts";
import { Shared } from "../base/shared.ts";
import type { Journal } from "../journal.ts";
import type { PluginContext } from "../plugin.ts";
import { MetricRegistry } from "../points/registry.ts";

export type LoneOptions =
  & Pick<PluginContext, "log" | "deadLetters" | "stateDirectory" | "keepsOnDisk" | "fail" | "stop">
  & { readonly journal: Journal };

export function loneContext({ journal, ...rest }: LoneOptions): PluginContext {
  return {
    ...rest,
    registry: new MetricRegistry(),
    clock: new SystemClock(),
    clients: journal.clients,
    acknowledges: "durable",
    identity: journal,
    shared: new Shared(),
    untilDurable: () => journal.untilDurable(),
  };
}
