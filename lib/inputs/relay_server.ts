/** The plugin `relay-server`: clients send their measurements to it, see {@linkcode ../server.ts}. */
import { parseAddress } from "../net/address.ts";
import { definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { advise, config, type RelayServerConfig } from "../server/config.ts";

export const relayServer = definePlugin({
  name: "relay-server",
  kind: "input",
  receives: true,
  acknowledges: ({ acknowledge }: RelayServerConfig) => acknowledge === "stored" ? "stored" : "durable",
  listens: ({ address }: RelayServerConfig) => parseAddress(address, { listen: true }),
  description: "Receives measurements from relay clients over TCP",
  config,
  advise,
  async open(options: RelayServerConfig, context: PluginContext): Promise<Input> {
    const { RelayServer } = await import("../server.ts");
    return await RelayServer.open(options, context);
  },
});
