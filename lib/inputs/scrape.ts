/** The input `scrape`: pages of Prometheus exporters, see {@linkcode ./scrape/input.ts}. */
import { definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { advise, config, type ScrapeConfig } from "./scrape/config.ts";

export const scrape = definePlugin({
  name: "scrape",
  kind: "input",
  description: "Reads the pages of Prometheus exporters, such as those of DCGM and node_exporter",
  config,
  advise,
  async open(options: ScrapeConfig, context: PluginContext): Promise<Input> {
    const { ScrapeInput } = await import("./scrape/input.ts");
    return new ScrapeInput(options, context);
  },
});
