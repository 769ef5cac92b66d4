/** Prints configurations as TOML: the commented default file, and the values in effect with their sources. */
import type { Configuration } from "./configuration.ts";
import { isRelay, type Plugin } from "../plugin.ts";
import type { AnyKey } from "../schema.ts";
import { formatPath, type Path } from "../schema/path.ts";
import { describeSource, type Source } from "./source.ts";

const WIDTH = 100;

/** Breaks a text into comment lines. */
function commentLines(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > WIDTH && line !== "#") {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** The differences between the two. */
interface Style {
  /** The lines above a key. */
  above(key: AnyKey): string[];
  /** The line of a value. */
  line(name: string, key: AnyKey, value: unknown, path: Path): string[];
  /** Whether an example stands for a missing table or an empty list. */
  isExample(key: AnyKey): boolean;
}

/** Prints the keys of a table: values first, then tables, as TOML requires. */
function printTable(
  keys: Readonly<Record<string, AnyKey>>,
  value: Record<string, unknown>,
  path: Path,
  style: Style,
): string[] {
  const lines: string[] = [];
  const names = Object.keys(keys);
  const isSection = (key: AnyKey, name: string) => {
    if (key.kind === "tables" && (value[name] as unknown[]).length === 0) return style.isExample(key);
    if (key.kind === "named" && key.item!.kind === "table") {
      return Object.keys(value[name] as object).length > 0 || style.isExample(key);
    }
    return key.kind === "table" || key.kind === "tables";
  };
  for (const name of names.filter((name) => !isSection(keys[name], name))) {
    const key = keys[name];
    lines.push(...style.above(key), ...style.line(name, key, value[name], [...path, name]));
  }
  for (const name of names.filter((name) => isSection(keys[name], name))) {
    const key = keys[name];
    const own = [...path, name];
    const inner = value[name] as Record<string, unknown> | Record<string, unknown>[] | undefined;
    if (key.kind === "table" && inner !== undefined) {
      lines.push("", ...style.above(key), `[${formatPath(own)}]`);
      lines.push(...printTable(key.keys!, inner as Record<string, unknown>, own, style));
    } else if (key.kind === "tables" && Array.isArray(inner) && inner.length > 0) {
      inner.forEach((item, i) => {
        lines.push("", ...(i === 0 ? style.above(key) : []), `[[${formatPath(own)}]]`);
        lines.push(...printTable(key.keys!, item, [...own, i], style));
      });
    } else if (key.kind === "named" && Object.keys(inner!).length > 0) {
      Object.entries(inner!).forEach(([itemName, item], i) => {
        const path = [...own, itemName];
        lines.push("", ...(i === 0 ? style.above(key) : []), `[${formatPath(path)}]`);
        lines.push(...printTable(key.item!.keys!, item as Record<string, unknown>, path, style));
      });
    } else if (style.isExample(key)) {
      const { keys, path = own } = key.kind === "named"
        ? { keys: key.item!.keys!, path: [...own, key.exampleName!] }
        : { keys: key.keys! };
      const header = key.kind === "tables" ? `[[${formatPath(path)}]]` : `[${formatPath(path)}]`;
      const example = Object.fromEntries(Object.entries(keys).map(([n, k]) => [n, k.defaultValue()]));
      lines.push("", ...style.above(key));
      lines.push(...[header, ...printTable(keys, example, path, style)].map(commentOut));
    }
  }
  return lines;
}

function commentOut(line: string): string {
  return line === "" ? "#" : line.startsWith("#") ? line : `# ${line}`;
}

const REGEN: Style = {
  isExample: (key) => key.optional || Object.keys(key.defaultValue()).length === 0,
  above(key) {
    const limits = key.limits ? ` (${key.limits})` : "";
    const fallback = key.defaultDoc ? ` Default: ${key.defaultDoc}.` : "";
    const live = key.live ? " Reloadable." : "";
    return commentLines(`${key.doc}${limits && ` Values: ${key.limits}.`}${fallback}${live}`);
  },
  line(name, key, value) {
    if (value === undefined || key.defaultDoc) {
      return [`# ${name} = ${key.defaultDoc ? '""' : key.literal(value)}`];
    }
    return [`${name} = ${key.literal(value)}`];
  },
};

/** What is needed to print a default file. */
export interface RegenOptions {
  general: AnyKey;
  plugins: readonly Plugin[];
  /** The values of the flags, and the enabled plugins. */
  config: Configuration<unknown>;
}

/** What is needed to print effective values. */
export interface EffectiveOptions extends RegenOptions {
  /** The value that a process uses at a path that the configuration leaves open. */
  resolved(path: Path): unknown;
}

/** A commented file with every key of every plugin, with its default or the value of a flag. */
export function printDefaultConfig({ general, plugins, config }: RegenOptions): string {
  const relays = (kind: string) =>
    plugins.filter((plugin) => plugin.kind === kind && isRelay(plugin)).map(({ name }) => name).join(" or ");
  const [receiver, sender] = [relays("input"), relays("output")];
  const lines = [
    "# Configuration of alumet-relay, in the format of Alumet (alumet-config.toml).",
    "#",
    ...commentLines(
      'Durations are texts such as "500ms", "30s" or "1m 30s". Any text may contain environment variables as ${VARIABLE} ' +
        "or ${VARIABLE:-default}; $${ is a plain ${. A missing key has its default. On SIGHUP a running process reads the " +
        "file again and applies its reloadable keys.",
    ),
    ...commentLines(
      "A section [plugins.NAME] enables that plugin, unless it has enable = false. A client has inputs and " +
        `${sender}, a server has ${receiver} and an output, a hop has ${receiver} and ${sender}.`,
    ),
    "",
    ...printTable(general.keys ?? {}, config.general as Record<string, unknown>, [], REGEN),
  ];
  for (const plugin of plugins) {
    const configured = config.plugins.find((candidate) => candidate.plugin === plugin);
    const value = configured?.config ?? plugin.config.defaultValue();
    const path = ["plugins", plugin.name];
    lines.push("", "", ...commentLines(`${plugin.description}`), `[${formatPath(path)}]`);
    lines.push(`enable = ${configured !== undefined}`);
    lines.push(...printTable(plugin.config.keys ?? {}, value, path, REGEN));
  }
  return lines.join("\n") + "\n";
}

/** What an empty text or list means, from a short `Empty: ….` in the documentation of its key. */
function emptyMeaning(key: AnyKey, value: unknown): string | undefined {
  const isEmpty = value === "" || Array.isArray(value) && value.length === 0;
  return isEmpty ? /\bEmpty: ([^.,]{1,40})\./.exec(key.doc)?.[1] : undefined;
}

/** The values in effect, each with its source; secrets are masked. */
export function printEffectiveConfig({ general, plugins, config, resolved }: EffectiveOptions): string {
  const withSource = (line: string, source: Source) => `${line} # ${describeSource(source)}`;
  const style: Style = {
    isExample: () => false,
    above: () => [],
    line(name, key, value, path) {
      const source = config.source(path);
      const inEffect = resolved(path);
      const effect = inEffect === undefined ? key.unset : key.literal(inEffect);
      if (value === undefined) return [`# ${name} is not set${effect === undefined ? "" : `: ${effect}`}`];
      const isShown = !key.secret || value === "" || key.isSecret?.(value) === false;
      if (!isShown) return [withSource(`${name} = "***"`, source)];
      const line = withSource(`${name} = ${key.literal(value)}`, source);
      const meaning = inEffect === undefined ? emptyMeaning(key, value) : effect;
      return [meaning === undefined ? line : `${line}: ${meaning}`];
    },
  };
  const lines = printTable(general.keys ?? {}, config.general as Record<string, unknown>, [], style);
  for (const { plugin, config: value, source } of config.plugins) {
    const path = ["plugins", plugin.name];
    lines.push("", `[${formatPath(path)}]`, withSource("enable = true", source));
    lines.push(...printTable(plugin.config.keys ?? {}, value as Record<string, unknown>, path, style));
  }
  const others = plugins.filter((plugin) => !config.plugins.some((candidate) => candidate.plugin === plugin));
  if (others.length > 0) {
    lines.push(
      "",
      ...commentLines(`Plugins that are not enabled: ${others.map(({ name }) => name).join(", ")}`),
    );
  }
  return lines.join("\n") + "\n";
}
