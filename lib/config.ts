/**
 * The configuration: Alumet's TOML file with environment variables in it, overridden by the command line. Loading finds
 * all problems at once, and remembers the source of each value.
 */
import type { Configuration, ConfiguredPlugin } from "./config/configuration.ts";
import { parseConfigFile, readText } from "./config/file.ts";
import type { ConfigFile } from "./config/file.ts";
import { LayeredValues } from "./config/layers.ts";
import { PLUGIN_FLAGS } from "./config/flags.ts";
import { type Override, parseOverride, pluginOverride } from "./config/overrides.ts";
import { pluginValues, readSections } from "./config/sections.ts";
import { missingParts, type Selection, selectPlugins } from "./config/select.ts";
import { ConfigError, type ConfigProblem, describeSource, type Source } from "./config/source.ts";
import { EXIT, ExitError } from "./base/errors.ts";
import { formatPath } from "./schema/path.ts";
import { isRelay, type Plugin } from "./plugin.ts";
import { type AnyKey, type Infer, isTable, type Report, unknownKey } from "./schema.ts";

export type { Configuration, ConfiguredPlugin };
export {
  ConfigError,
  type ConfigProblem,
  describeProblem,
  describeSource,
  type Source,
} from "./config/source.ts";

/** The file to read if none is named. */
export const DEFAULT_CONFIG_FILE = "alumet-config.toml";

export interface ConfigOptions<G extends AnyKey> {
  /** All plugins. */
  plugins: readonly Plugin[];
  /** The keys outside of `[plugins]`: a table. */
  general: G;
  /** Path of the file, by `--config` or ALUMET_CONFIG: it must exist. `null`: no file is read. @default {"alumet-config.toml"}, if it exists */
  file?: string | null;
  /** `--no-default-config`: the default file must exist too. @default {false} */
  requireFile?: boolean;
  /** The arguments of `--config-override`, in order. */
  overrides?: readonly string[];
  /** `--plugins` */
  only?: readonly string[];
  /** `--output-file` */
  outputFile?: string;
  /** `--relay-out` */
  relayOut?: string;
  /** `--relay-in` */
  relayIn?: string;
  /** An input and an output must be enabled. @default {true} */
  requirePipeline?: boolean;
  /** Somebody is going to complete it: what the defaults lack is no error. @default {false} */
  isTemplate?: boolean;
  /** Looks up an environment variable. @default the process's */
  env?: (name: string) => string | undefined;
}

/** Keys of the real agent that have no effect here. */
const IGNORED_KEYS = ["max_update_interval", "source_channel_size"];

/**
 * Loads the configuration.
 *
 * @throws {ConfigError} with all problems of the file (78) and of the flags (64 if there are no others).
 * @throws {ExitError} if the file does not exist (78), or the command line is incomplete or contradicts itself (64).
 */
export function loadConfig<G extends AnyKey>(options: ConfigOptions<G>): Configuration<Infer<G>> {
  const { plugins, general, env = (name) => Deno.env.get(name) } = options;
  const file = readFile(options, env);
  const overrides = readOverrides(options);
  const values = new LayeredValues(file, overrides);
  const problems: ConfigProblem[] = [];
  const notes: string[] = [];
  const lacks: string[] = [];
  const report: Report = ({ path, message, isNote }) => {
    const source = values.nearestSource(path);
    if (options.isTemplate && source.kind === "default") lacks.push(`${formatPath(path)}: ${message}`);
    else if (isNote) notes.push(`${describeSource(source)}: ${formatPath(path)}: ${message}`);
    else problems.push({ source, path, problem: message });
  };

  const sections = readSections(values, options, report);
  const implied = impliedPlugins(options);
  const relays = implied.some(({ plugin: name }) =>
    plugins.some((plugin) => plugin.name === name && isRelay(plugin))
  );
  const selection = selectPlugins({
    plugins,
    sections,
    only: options.only,
    implied,
    complete: file === undefined && relays,
  });
  notes.push(...selection.notes);

  const checkedGeneral = general.check(generalValues(values, general, plugins, notes, report), [], report);
  const checkedPlugins = [...selection.enabled].map(([name, source]): ConfiguredPlugin => {
    const plugin = plugins.find((plugin) => plugin.name === name)!;
    const config = plugin.config.check(pluginValues(values, name, plugin), ["plugins", name], report);
    return { plugin, config, source };
  });
  // Sections of plugins that do not run may contain anything, including variables that are not set.
  const unset = (file?.unset ?? []).filter(({ path }) =>
    (path[0] !== "plugins" || path.length < 2 || selection.enabled.has(String(path[1]))) &&
    !values.isOverridden(path)
  );
  // Other problems with the value of such a key follow from this one.
  const known = new Set(unset.map(({ path }) => JSON.stringify(path)));
  const others = problems.filter(({ path }) => !known.has(JSON.stringify(path)));
  const mistakes = (file?.mistakes ?? []).map((mistake) => withoutSecret(mistake, options));
  const all = [...mistakes, ...unset, ...others];
  if (all.length > 0) {
    const line = ({ source }: ConfigProblem) => source.kind === "file" ? source.line ?? 0 : Number.MAX_VALUE;
    throw new ConfigError(all.sort((a, b) => line(a) - line(b)));
  }
  if (options.requirePipeline ?? true) requirePipeline(options, file, selection);
  return {
    general: checkedGeneral,
    plugins: checkedPlugins,
    file: file?.path,
    notes,
    lacks,
    source: values.source,
  };
}

/** Hides the value in a syntax error of a key that is a secret. */
function withoutSecret<G extends AnyKey>(mistake: ConfigProblem, options: ConfigOptions<G>): ConfigProblem {
  const [first, name, ...rest] = mistake.path;
  const plugin = first === "plugins" ? options.plugins.find((plugin) => plugin.name === name) : undefined;
  let key: AnyKey | undefined = plugin?.config ?? options.general;
  for (const step of plugin ? rest : mistake.path) if (typeof step === "string") key = key?.keys?.[step];
  return key?.secret
    ? { ...mistake, problem: "expected a value (the text is not shown); is it in quotes?" }
    : mistake;
}

function readFile<G extends AnyKey>(
  options: ConfigOptions<G>,
  env: (name: string) => string | undefined,
): ConfigFile | undefined {
  if (options.file === null) return undefined;
  const path = options.file ?? DEFAULT_CONFIG_FILE;
  const text = readText(path);
  if (text !== undefined) return parseConfigFile(path, text, env);
  if (options.file === undefined && !options.requireFile) return undefined;
  throw new ExitError(
    EXIT.config,
    `Cannot read ${path}: there is no such file; create one with: alumet-relay config regen --config ${path}`,
  );
}

function readOverrides<G extends AnyKey>(options: ConfigOptions<G>): Override[] {
  const overrides = (options.overrides ?? []).map(parseOverride);
  for (const { option, flag, plugin, key } of PLUGIN_FLAGS) {
    const value = options[option];
    if (value !== undefined) overrides.push(pluginOverride(flag, plugin, key, value));
  }
  return overrides;
}

function impliedPlugins<G extends AnyKey>(options: ConfigOptions<G>): { flag: string; plugin: string }[] {
  return PLUGIN_FLAGS.filter(({ option }) => options[option] !== undefined);
}

/** The values outside of `[plugins]`, without those that have no effect. */
function generalValues(
  values: LayeredValues,
  general: AnyKey,
  plugins: readonly Plugin[],
  notes: string[],
  report: Report,
): Record<string, unknown> {
  const keys = general.keys ?? {};
  return Object.fromEntries(
    Object.entries(values.tree).filter(([key, value]) => {
      if (key === "plugins") return false;
      if (Object.hasOwn(keys, key)) return true;
      if (IGNORED_KEYS.includes(key)) {
        notes.push(`${key} has no effect here and is ignored (${describeSource(values.source([key]))})`);
        return false;
      }
      if (isTable(value) && plugins.some(({ name }) => name === key)) {
        report({ path: [key], message: `unknown table; did you mean [plugins.${key}]?` });
      } else {
        report({ path: [key], message: unknownKey(key, { ...keys, plugins: general }) });
      }
      return false;
    }),
  );
}

function requirePipeline<G extends AnyKey>(
  { plugins, only }: ConfigOptions<G>,
  file: ConfigFile | undefined,
  { enabled }: Selection,
): void {
  const missing = missingParts(plugins, enabled);
  if (missing.length === 0) return;
  if (only) {
    throw new ExitError(
      EXIT.usage,
      missing.map((what) =>
        `Cannot run with --plugins ${only.join(",")}: ${what.replaceAll(/\[plugins\.|\]/g, "")}`
      )
        .join("\n"),
    );
  }
  if (file) {
    const source: Source = { kind: "file", file: file.path, variables: [] };
    throw new ConfigError(missing.map((problem) => ({ source, path: [], problem })));
  }
  throw new ExitError(
    EXIT.usage,
    [
      `Nothing to do: there is no ${DEFAULT_CONFIG_FILE} here, and no flag says what to run. Try one of:`,
      "  alumet-relay --relay-in :50051          a server: receives measurements and stores them",
      "  alumet-relay --relay-out HOST:50051     a client: measures this machine and sends to a server",
      `  alumet-relay config regen               writes ${DEFAULT_CONFIG_FILE} to start from`,
      "  alumet-relay --help                     prints all commands and flags",
    ].join("\n"),
  );
}
