/** The plugin `relay-client`: sends to a relay server, see {@linkcode ../client.ts}. */
import { definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { advise, config, type RelayClientConfig } from "../client/config.ts";

export const relayClient = definePlugin({
  name: "relay-client",
  kind: "output",
  sends: true,
  description: "Sends measurements to a relay server over TCP",
  config,
  async open(options: RelayClientConfig, context: PluginContext): Promise<Output> {
    const { RelayClient } = await import("../client.ts");
    return new RelayClient(options, context);
  },
  advise,
});
