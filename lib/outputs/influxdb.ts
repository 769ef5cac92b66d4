/** The `influxdb` output: its keys; what it does is in `influxdb/output.ts`, and is loaded where it is enabled. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { adviceOnUrl } from "./http/keys.ts";
import { config, type InfluxConfig } from "./influxdb/config.ts";

export const influxdb = definePlugin({
  name: "influxdb",
  kind: "output",
  description: "Writes measurements to InfluxDB 1 or 2, or to VictoriaMetrics",
  config,
  advise: ({ host, token, token_file, password, password_file }: InfluxConfig) =>
    adviceOnUrl(
      "host",
      host,
      [token, token_file, password, password_file].some((secret) => secret !== "")
        ? "the token or password is"
        : undefined,
    ),
  open: async (options: InfluxConfig, context: PluginContext) =>
    await (await import("./influxdb/output.ts")).InfluxOutput.open(options, context),
});
