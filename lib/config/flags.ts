/** What flags mean, and the default plugins. No other file outside of plugins contains their names. */
import type { Plugin } from "../plugin.ts";

/** The flags that set one key of one plugin, and enable it. */
export const PLUGIN_FLAGS = [
  { option: "outputFile", flag: "--output-file", plugin: "csv", key: "output_path" },
  { option: "relayOut", flag: "--relay-out", plugin: "relay-client", key: "relay_server" },
  { option: "relayIn", flag: "--relay-in", plugin: "relay-server", key: "address" },
] as const;

/** The inputs of a client without a file: those that measure this machine. Missing hardware costs nothing. */
export function defaultInputs(plugins: readonly Plugin[]): string[] {
  return plugins.filter((plugin) => plugin.kind === "input" && plugin.isLocal && !plugin.onlyOnRequest)
    .map(({ name }) => name);
}

/** The output of a server without a file. */
export const DEFAULT_OUTPUT = "sqlite";

/** Plugins that real Alumet agents have, some of which are not available here. */
export const ALUMET_PLUGINS: ReadonlySet<string> = new Set([
  "aggregation",
  "amd-gpu",
  "elasticsearch",
  "energy-attribution",
  "energy-estimation-tdp",
  "energy-to-carbon",
  "filter",
  "k8s",
  "kwollect-input",
  "kwollect-output",
  "mongodb",
  "nvml",
  "oar",
  "perf",
  "process-to-cgroup-bridge",
  "quarch",
  "slurm",
  "socket-control",
]);
