/** The input `lines`: numbers that programs write as lines, see {@linkcode ./lines/input.ts}. */
import { parseAddress } from "../net/address.ts";
import { definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { advise, config, type LinesConfig } from "./lines/config.ts";

export const lines = definePlugin({
  name: "lines",
  kind: "input",
  waitsForRoom: true,
  description:
    "Takes lines of InfluxDB's line protocol or JSON: HTTP, TCP, UDP, Unix socket, files, standard input",
  config,
  advise,
  listens: ({ http, tcp }: LinesConfig) => {
    const address = http || tcp;
    return address === "" ? undefined : parseAddress(address, { listen: true });
  },
  async open(options: LinesConfig, context: PluginContext): Promise<Input> {
    const { LinesInput } = await import("./lines/input.ts");
    return await LinesInput.open(options, context);
  },
});
