/** The plugin `relay-server`: clients send their measurements to it. */
import { definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { advise, config, type RelayServerConfig } from "../server/config.ts";
import { RelayServerInput } from "./relay_server/input.ts";

export const relayServer = definePlugin({
  name: "relay-server",
  kind: "input",
  description: "Receives measurements from relay clients over TCP",
  config,
  advise,
  open: (options: RelayServerConfig, context: PluginContext): Promise<Input> =>
    RelayServerInput.open(options, context),
});
