/** The `opentelemetry` output: its keys; what it does is in `opentelemetry/`, and is loaded where it is enabled. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { adviceOnUrl } from "./http/keys.ts";
import { config, type OpenTelemetryConfig } from "./opentelemetry/config.ts";

export const opentelemetry = definePlugin({
  name: "opentelemetry",
  kind: "output",
  description:
    "Sends measurements to an OpenTelemetry collector, or to a database that speaks OTLP over HTTP",
  config,
  advise: ({ collector_host, token, token_file, headers }: OpenTelemetryConfig) =>
    adviceOnUrl(
      "collector_host",
      collector_host,
      token !== "" || token_file !== "" || headers.length > 0 ? "the token or the headers are" : undefined,
    ),
  open: async (options: OpenTelemetryConfig, context: PluginContext) =>
    await (await import("./opentelemetry/output.ts")).OpenTelemetryOutput.open(options, context),
});
