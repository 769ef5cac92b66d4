/** The plugin `relay-client`: its keys, and how they become a {@linkcode RelayClient}. */
import { isLoopback, parseAddress } from "../net/address.ts";
import { RelayClient } from "../client.ts";
import { type Advice, definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { config, type RelayClientConfig } from "../client/config.ts";

export const relayClient = definePlugin({
  name: "relay-client",
  kind: "output",
  sends: true,
  description: "Sends measurements to a relay server over TCP",
  config,
  // deno-lint-ignore require-await
  open: async (options: RelayClientConfig, context: PluginContext): Promise<Output> =>
    new RelayClient(options, context),
  advise({ relay_server, token, token_file, tls }: RelayClientConfig): Advice[] {
    if (tls.enable || (token === "" && token_file === "")) return [];
    return relay_server.filter((server) => !isLoopback(parseAddress(server).hostname)).map((server) => ({
      path: ["relay_server"],
      problem:
        `the token is not sent to ${server}, because others on the network could read it: set tls.enable`,
    }));
  },
});
