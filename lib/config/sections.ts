/** The `[plugins.NAME]` sections: whether they are enabled, and their values. */
import type { Plugin } from "../plugin.ts";
import { isTable, LooseText, type Report } from "../schema.ts";
import type { Path } from "../schema/path.ts";
import { didYouMean } from "../base/suggest.ts";
import { ALUMET_PLUGINS } from "./flags.ts";
import type { LayeredValues } from "./layers.ts";
import type { Section } from "./select.ts";

/** The sections of known plugins; reports problems with sections as a whole. */
export function readSections(
  values: LayeredValues,
  { plugins, only }: { plugins: readonly Plugin[]; only?: readonly string[] },
  report: Report,
): Map<string, Section> {
  const sections = new Map<string, Section>();
  const all = values.at(["plugins"]) ?? {};
  if (!isTable(all)) {
    report({ path: ["plugins"], message: "expected tables, [plugins.NAME]" });
    return sections;
  }
  const known = plugins.map(({ name }) => name);
  const missing: string[] = [];
  for (const [name, value] of Object.entries(all)) {
    const path = ["plugins", name];
    const isKnown = known.includes(name);
    if (only && !only.includes(name) && !isKnown) continue;
    if (!isTable(value)) {
      report({ path, message: `expected a table, [plugins.${name}]` });
      continue;
    }
    const enabled = readEnabled(
      value,
      path,
      isKnown ? plugins.find((plugin) => plugin.name === name)! : undefined,
      report,
    );
    if (isKnown) {
      sections.set(name, { enabled: enabled.value, source: values.source(enabled.path) });
    } else if (enabled.value && ALUMET_PLUGINS.has(name)) {
      missing.push(name);
    } else if (enabled.value) {
      const near = didYouMean(name, known) || `; there are ${known.join(", ")}`;
      report({
        path,
        message: `unknown plugin${near}; a section for another agent needs enable = false`,
      });
    }
  }
  if (missing.length > 0) reportMissing(missing, report);
  return sections;
}

/** One problem for all of them: the file of a real agent has a section for each of its plugins. */
function reportMissing(names: readonly string[], report: Report): void {
  report({
    path: ["plugins", names[0]],
    message:
      `Alumet's ${names.length === 1 ? "plugin is" : "plugins are"} not available here: ${
        names.join(", ")
      }; ` +
      "write enable = false in each section, or name the plugins to run with --plugins",
  });
}

const ENABLE_KEYS = ["enable", "enabled"];

function readEnabled(
  section: Record<string, unknown>,
  path: Path,
  plugin: Plugin | undefined,
  report: Report,
): { value: boolean; path: Path } {
  const given: { value: boolean; path: Path }[] = [];
  for (const key of ENABLE_KEYS) {
    if (!Object.hasOwn(section, key) || (plugin?.config.keys && Object.hasOwn(plugin.config.keys, key))) {
      continue;
    }
    const raw = section[key];
    const value = raw instanceof LooseText && /^(true|false)$/.test(raw.text) ? raw.text === "true" : raw;
    const keyPath = [...path, key];
    if (typeof value === "boolean") given.push({ value, path: keyPath });
    else report({ path: keyPath, message: "expected true or false" });
  }
  if (given.length === 2 && given[0].value !== given[1].value) {
    report({ path: given[1].path, message: "enable and enabled contradict each other; remove one of them" });
  }
  return given[0] ?? { value: true, path };
}

/** The values of a section, without `enable`. */
export function pluginValues(values: LayeredValues, name: string, plugin: Plugin): Record<string, unknown> {
  const section = values.at(["plugins", name]);
  if (!isTable(section)) return {};
  const own = plugin.config.keys ?? {};
  return Object.fromEntries(
    Object.entries(section).filter(([key]) => !ENABLE_KEYS.includes(key) || Object.hasOwn(own, key)),
  );
}
