/** The `sqlite` output: a database in one file, which any tool that knows SQLite can read while it is written. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, databasePath, DEFAULT_FILE, type SqliteConfig } from "./sqlite/config.ts";

export const sqlite = definePlugin({
  name: "sqlite",
  kind: "output",
  description: "Writes measurements to an SQLite database",
  config,
  resolve: ({ path }: SqliteConfig, stateDirectory) =>
    path === "" ? { path: databasePath(path, stateDirectory) } : {},
  database: ({ path }: SqliteConfig) => path === "" ? { name: DEFAULT_FILE } : { path },
  async open(options: SqliteConfig, context: PluginContext) {
    // Only those who need it load it: it takes memory.
    const { SqliteOutput } = await import("./sqlite/output.ts");
    return await SqliteOutput.open(options, databasePath(options.path, context.stateDirectory), context);
  },
});
