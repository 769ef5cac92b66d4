/** The `csv` output: a file with the format and the keys of Alumet's csv plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type CsvConfig } from "./csv/config.ts";
import { CsvOutput } from "./csv/output.ts";

export const csv = definePlugin({
  name: "csv",
  kind: "output",
  description: "Writes measurements to a CSV file",
  config,
  open: (options: CsvConfig, context: PluginContext) => CsvOutput.open(options, context),
});
