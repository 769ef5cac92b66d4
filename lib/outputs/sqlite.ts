/** The `sqlite` output: a database in one file, which any tool that knows SQLite can read while it is written. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, databasePath, type SqliteConfig } from "./sqlite/config.ts";
export { DEFAULT_FILE } from "./sqlite/config.ts";

export const sqlite = definePlugin({
  name: "sqlite",
  kind: "output",
  description: "Writes measurements to an SQLite database",
  config,
  async open(options: SqliteConfig, context: PluginContext) {
    // Only those who need it load it: it takes memory.
    const { SqliteOutput } = await import("./sqlite/output.ts");
    return await SqliteOutput.open(options, databasePath(options.path, context.stateDirectory), context);
  },
});
