/** The `prometheus-exporter` output: a page for Prometheus to scrape, with the keys and names of Alumet's plugin. */
import { isLoopback, parseAddress } from "../net/address.ts";
import { definePlugin, type PluginContext } from "../plugin.ts";
import { addressText, config, type PrometheusConfig } from "./prometheus/config.ts";

const listens = ({ host, port }: PrometheusConfig) => parseAddress(addressText(host, port), { listen: true });

export const prometheusExporter = definePlugin({
  name: "prometheus-exporter",
  kind: "output",
  description: "Shows the last value of every series to Prometheus",
  config,
  listens,
  advise: (config: PrometheusConfig) =>
    isLoopback(listens(config).hostname) ? [] : [{
      path: ["host"],
      problem: "everybody can read the page: listen on 127.0.0.1, behind a proxy with TLS",
    }],
  async open(options: PrometheusConfig, context: PluginContext) {
    const { PrometheusExporter } = await import("./prometheus/exporter.ts");
    return new PrometheusExporter(options, context);
  },
});
