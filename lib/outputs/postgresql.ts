/** The `postgresql` output: tables of our own in a PostgreSQL database, with or without TimescaleDB. */
import { definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { config, type PostgresConfig } from "./postgresql/config.ts";

/** Bytes of a point: 52 in the table, 8 to 33 in the index; sums by interval are not in it. */
const USUAL_BYTES = 75;

export const postgresql = definePlugin({
  name: "postgresql",
  kind: "output",
  description: "Writes measurements to a PostgreSQL database",
  config,
  pointSize: () => Promise.resolve({ bytes: USUAL_BYTES, measuredIn: null }),
  async open(options: PostgresConfig, context: PluginContext): Promise<Output> {
    // Only those who need it load it: it takes memory.
    const [{ resolveSettings }, { PostgresOutput }] = await Promise.all([
      import("./postgresql/settings.ts"),
      import("./postgresql/output.ts"),
      // Here rather than with the first connection: what it costs is seen at the start.
      import("pg"),
    ]);
    return new PostgresOutput(options, resolveSettings(options), context);
  },
});
