/** What the command line stands for without a file. Only here are plugins known by their names. */
import type { Plugin } from "../plugin.ts";

/** The flags that stand for one key of one plugin, and enable it. */
export const PLUGIN_FLAGS = [
  { option: "outputFile", flag: "--output-file", plugin: "csv", key: "output_path" },
  { option: "relayOut", flag: "--relay-out", plugin: "relay-client", key: "relay_server" },
  { option: "relayIn", flag: "--relay-in", plugin: "relay-server", key: "address" },
] as const;

/** The inputs that measure this machine, for a client without a file: what is not there costs nothing. */
export function defaultInputs(plugins: readonly Plugin[]): string[] {
  return plugins.filter(({ kind, isLocal }) => kind === "input" && isLocal).map(({ name }) => name);
}

/** The output that stores, for a server without a file. */
export const DEFAULT_OUTPUT = "sqlite";
