/** Decides which plugins run, from the sections of the file and the flags. */
import { EXIT, ExitError } from "../base/errors.ts";
import type { Plugin } from "../plugin.ts";
import { didYouMean } from "../base/suggest.ts";
import { DEFAULT_OUTPUT, defaultInputs } from "./flags.ts";
import { describeSource, type Source } from "./source.ts";

/** A `[plugins.NAME]` of a known plugin. */
export interface Section {
  readonly enabled: boolean;
  /** The source of that: its `enable` key, or else its first line. */
  readonly source: Source;
}

export interface SelectOptions {
  /** All plugins. */
  plugins: readonly Plugin[];
  /** Sections of known plugins, in the order of the file. */
  sections: ReadonlyMap<string, Section>;
  /** The names in `--plugins`. */
  only?: readonly string[];
  /** Plugins that flags such as `--relay-in` need. */
  implied: readonly { flag: string; plugin: string }[];
  /** Whether to add what the relay flags need for a client, a server or a hop, because there is no file. */
  complete: boolean;
}

/** The result of {@linkcode selectPlugins}. */
export interface Selection {
  /** The plugins that run: in the order of the file, then of the flags. */
  readonly enabled: ReadonlyMap<string, Source>;
  /** What may surprise the user. */
  readonly notes: readonly string[];
}

/** Decides which plugins run. @throws {ExitError} if `--plugins` contradicts itself or the other flags. */
export function selectPlugins(options: SelectOptions): Selection {
  const { plugins, sections, only, implied } = options;
  const known = plugins.map(({ name }) => name);
  const notes: string[] = [];
  const enabled = new Map<string, Source>();
  if (only) {
    checkOnly(only, known, implied);
    const source: Source = { kind: "flag", flag: "--plugins" };
    const inFile = [...sections].filter(([, section]) => section.source.kind === "file").map(([name]) =>
      name
    );
    const order = [...inFile, ...only].filter((name) => only.includes(name));
    for (const name of order) enabled.set(name, source);
  } else {
    for (const [name, section] of sections) if (section.enabled) enabled.set(name, section.source);
    for (const { flag, plugin } of implied) {
      if (!known.includes(plugin)) {
        throw new ExitError(EXIT.usage, `Cannot use ${flag}: the plugin ${plugin} does not exist`);
      }
      const section = sections.get(plugin);
      if (!section?.enabled || section.source.kind === "flag") enabled.set(plugin, { kind: "flag", flag });
    }
    if (options.complete) {
      const flag = implied.map(({ flag }) => flag).join(" ");
      const has = (kind: string) =>
        plugins.some((plugin) => plugin.kind === kind && enabled.has(plugin.name));
      if (!has("input")) {
        for (const name of defaultInputs(plugins)) enabled.set(name, { kind: "flag", flag });
      }
      if (!has("output") && known.includes(DEFAULT_OUTPUT)) {
        enabled.set(DEFAULT_OUTPUT, { kind: "flag", flag });
      }
    }
  }
  for (const [name, source] of enabled) {
    const section = sections.get(name);
    if (section && !section.enabled) {
      const by = source.kind === "flag" ? source.flag : describeSource(source);
      notes.push(
        `plugin ${name} is disabled in ${describeSource(section.source)}, but ${by} enables it`,
      );
    }
  }
  return { enabled, notes };
}

function checkOnly(
  only: readonly string[],
  known: readonly string[],
  implied: readonly { flag: string; plugin: string }[],
): void {
  const problems: string[] = [];
  for (const name of only) {
    if (known.includes(name)) continue;
    const near = didYouMean(name, known) || `; there are ${known.join(", ")}`;
    problems.push(`Cannot use --plugins ${only.join(",")}: unknown plugin ${name}${near}`);
  }
  for (const { flag, plugin } of implied) {
    if (!only.includes(plugin)) {
      problems.push(
        `Cannot use ${flag} with --plugins ${only.join(",")}: it needs ${plugin}, which is not in the list`,
      );
    }
  }
  if (problems.length > 0) throw new ExitError(EXIT.usage, problems.join("\n"));
}

/** What is missing in the pipe: an input, an output, or both. */
export function missingParts(plugins: readonly Plugin[], enabled: ReadonlyMap<string, Source>): string[] {
  const missing: string[] = [];
  for (const kind of ["input", "output"] as const) {
    const names = plugins.filter((plugin) => plugin.kind === kind).map(({ name }) => name);
    if (names.some((name) => enabled.has(name))) continue;
    const choices = names.map((name) => `[plugins.${name}]`).join(" or ");
    missing.push(`no ${kind} is enabled: add ${choices || `a plugin that is an ${kind}`}`);
  }
  return missing;
}
