/** Compares two configurations: what a running process can apply, and what needs a restart. */
import { isDeepStrictEqual } from "node:util";
import type { AgentSettings, Change } from "./settings.ts";
import { general } from "../config/general.ts";
import type { AnyKey } from "../schema.ts";
import { formatPath, type Path } from "../schema/path.ts";

/** Finds the keys that differ, and whether each is live. @returns the value from now on. */
function compare(
  key: AnyKey,
  path: Path,
  before: unknown,
  after: unknown,
  live: boolean,
  found: (path: Path, live: boolean) => void,
): unknown {
  live ||= key.live === true;
  if (isDeepStrictEqual(before, after)) return before;
  if (key.kind === "table" && before !== undefined && after !== undefined) {
    return compareKeys(key, path, before, after, live, found);
  }
  if (key.kind === "tables") {
    const [old, young] = [before as unknown[], after as unknown[]];
    if (old.length === young.length) {
      return old.map((item, i) => compareKeys(key, [...path, i], item, young[i], live, found));
    }
  }
  found(path, live);
  return live ? after : before;
}

function compareKeys(
  key: AnyKey,
  path: Path,
  before: unknown,
  after: unknown,
  live: boolean,
  found: (path: Path, live: boolean) => void,
): Record<string, unknown> {
  const [old, young] = [before, after] as Record<string, unknown>[];
  return Object.fromEntries(
    Object.entries(key.keys!).map(([name, inner]) => [
      name,
      compare(inner, [...path, name], old[name], young[name], live, found),
    ]),
  );
}

/** @param takes Whether a plugin can reload anything. */
export function changeOf(
  before: AgentSettings,
  after: AgentSettings,
  takes: (plugin: string) => boolean,
): Change {
  const taken: string[] = [];
  const restart: string[] = [];
  const generalNow = compare(general, [], before.general, after.general, false, (path, live) => {
    (live ? taken : restart).push(formatPath(path));
  }) as AgentSettings["general"];

  const plugins: string[] = [];
  const young = new Map(after.plugins.map((configured) => [configured.plugin.name, configured]));
  const configured = before.plugins.map((old) => {
    const { plugin, config } = old;
    const { name } = plugin;
    const next = young.get(name);
    young.delete(name);
    if (!next) {
      restart.push(formatPath(["plugins", name, "enable"]));
      return old;
    }
    const able = takes(name);
    let changes = false;
    const now = compare(plugin.config, ["plugins", name], config, next.config, false, (path, live) => {
      changes ||= live && able;
      (live && able ? taken : restart).push(formatPath(path));
    });
    if (!changes) return old;
    plugins.push(name);
    return { ...old, config: now };
  });
  for (const name of young.keys()) restart.push(formatPath(["plugins", name, "enable"]));
  if (young.size === 0 && !isDeepStrictEqual(transformsOf(before), transformsOf(after))) {
    restart.push("the order of the transforms");
  }
  return { settings: { ...before, general: generalNow, plugins: configured }, plugins, taken, restart };
}

function transformsOf({ plugins }: AgentSettings): string[] {
  return plugins.filter(({ plugin }) => plugin.kind === "transform").map(({ plugin }) => plugin.name);
}
