/** The input `socket-control`: commands for the running agent, see {@linkcode ./socket_control/input.ts}. */
import { definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { config, type SocketControlConfig } from "./socket_control/config.ts";

export const socketControl = definePlugin({
  name: "socket-control",
  kind: "input",
  description: "Takes commands from a Unix socket: pause sources, change their pace, stop the agent",
  config,
  metrics: [],
  async open(options: SocketControlConfig, context: PluginContext): Promise<Input> {
    const { SocketControl } = await import("./socket_control/input.ts");
    return await SocketControl.open(options, context);
  },
});
