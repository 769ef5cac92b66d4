/** The `parquet` output: files by hour, which the tools of analysts and large databases read. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type ParquetConfig, pathOf } from "./parquet/config.ts";

export const parquet = definePlugin({
  name: "parquet",
  kind: "output",
  description: "Writes measurements to Parquet files, by the hour of their times",
  config,
  resolve: (options: ParquetConfig, stateDirectory) =>
    options.path === "" ? { path: pathOf(options, stateDirectory) } : {},
  async pointSize(options: ParquetConfig, stateDirectory) {
    const { rowSize } = await import("./parquet/point_size.ts");
    return await rowSize(pathOf(options, stateDirectory));
  },
  async open(options: ParquetConfig, context: PluginContext) {
    // Only those who need it load it: it takes memory.
    const { ParquetOutput } = await import("./parquet/output.ts");
    return ParquetOutput.open(options, pathOf(options, context.stateDirectory), context);
  },
});
