/** The values that a process uses for keys that its configuration leaves open. */
import type { Plugin } from "../plugin.ts";
import type { Path } from "../schema/path.ts";
import type { JournalConfig } from "./kept.ts";
import { onFullOf } from "./pipe.ts";
import { defaultSeriesBytes } from "./series_memory.ts";
import { JOURNAL_FOLDER, roleOf, type StateBase } from "./state_directory.ts";

interface Configured {
  readonly general: {
    readonly journal: JournalConfig;
    readonly http?: { readonly enable?: boolean | undefined };
    readonly series: { readonly memory?: number | undefined };
  };
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
}

/** Finds the value in effect at a path that is not set or empty; `undefined` for all other paths. */
export function resolver({ general, plugins }: Configured, base: StateBase | null): (path: Path) => unknown {
  const role = roleOf(plugins.map(({ plugin }) => plugin));
  const stateDirectory = base && `${base.path}/${role}`;
  const { enable, path, on_full } = general.journal;
  const values = new Map<string, unknown>();
  const set = (path: Path, value: unknown) => values.set(JSON.stringify(path), value);
  const isOnDisk = enable ?? (role !== "local" && (path !== "" || stateDirectory !== null));
  if (enable === undefined) set(["journal", "enable"], isOnDisk);
  if (path === "" && isOnDisk && stateDirectory) {
    set(["journal", "path"], `${stateDirectory}/${JOURNAL_FOLDER}`);
  }
  if (on_full === undefined) set(["journal", "on_full"], onFullOf(plugins.map(({ plugin }) => plugin)));
  if (general.http?.enable === undefined) set(["http", "enable"], role === "server" || role === "hop");
  if (general.series.memory === undefined) set(["series", "memory"], defaultSeriesBytes());
  for (const { plugin, config } of plugins) {
    for (const [key, value] of Object.entries(plugin.resolve?.(config, stateDirectory) ?? {})) {
      set(["plugins", plugin.name, key], value);
    }
  }
  return (path) => values.get(JSON.stringify(path));
}
