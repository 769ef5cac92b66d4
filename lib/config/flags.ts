/** What the command line stands for without a file. Only here are plugins known by their names. */

/** The flags that stand for one key of one plugin, and enable it. */
export const PLUGIN_FLAGS = [
  { option: "outputFile", flag: "--output-file", plugin: "csv", key: "output_path" },
  { option: "relayOut", flag: "--relay-out", plugin: "relay-client", key: "relay_server" },
  { option: "relayIn", flag: "--relay-in", plugin: "relay-server", key: "address" },
] as const;

/** The input that measures this machine, for a client without a file. */
export const DEFAULT_INPUT = "procfs";
/** The output that stores, for a server without a file. */
export const DEFAULT_OUTPUT = "sqlite";
