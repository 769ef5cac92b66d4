/** The plugin `relay-client`: sends to a relay server, see {@linkcode ../client.ts}. */
import { RelayClient } from "../client.ts";
import { definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { advise, config, type RelayClientConfig } from "../client/config.ts";

export const relayClient = definePlugin({
  name: "relay-client",
  kind: "output",
  sends: true,
  description: "Sends measurements to a relay server over TCP",
  config,
  // deno-lint-ignore require-await
  open: async (options: RelayClientConfig, context: PluginContext): Promise<Output> =>
    new RelayClient(options, context),
  advise,
});
