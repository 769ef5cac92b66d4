/** The `csv` output: a file with the format and the keys of Alumet's csv plugin. */
import { definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { config, type CsvConfig } from "./csv/config.ts";

export const csv = definePlugin({
  name: "csv",
  kind: "output",
  description: "Writes measurements to a CSV file",
  config,
  async pointSize({ output_path }: CsvConfig) {
    const { rowSize } = await import("./csv/point_size.ts");
    return await rowSize(output_path);
  },
  async open(options: CsvConfig, context: PluginContext): Promise<Output> {
    const { CsvOutput } = await import("./csv/output.ts");
    return await CsvOutput.open(options, context);
  },
});
