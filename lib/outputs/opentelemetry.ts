/** The `opentelemetry` output: its keys; what it does is in `opentelemetry/`, and is loaded where it is enabled. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { isOpenUrl } from "../net/address.ts";
import { config, type OpenTelemetryConfig } from "./opentelemetry/config.ts";

export const opentelemetry = definePlugin({
  name: "opentelemetry",
  kind: "output",
  description:
    "Sends measurements to an OpenTelemetry collector, or to a database that speaks OTLP over HTTP",
  config,
  advise: ({ collector_host, token, token_file, headers }: OpenTelemetryConfig) =>
    isOpenUrl(collector_host) && (token !== "" || token_file !== "" || headers.length > 0)
      ? [{
        path: ["collector_host"],
        problem: "the token or the headers are sent in clear text: write https://",
      }]
      : [],
  open: async (options: OpenTelemetryConfig, context: PluginContext) =>
    await (await import("./opentelemetry/output.ts")).OpenTelemetryOutput.open(options, context),
});
