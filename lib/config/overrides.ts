/** Values from the command line, laid over those of the file. */
import { parse } from "@std/toml";
import { EXIT, ExitError } from "../base/errors.ts";
import { isTable, LooseText } from "../schema.ts";

/** A tree of values, and the flag that gave it. */
export interface Override {
  readonly flag: string;
  readonly tree: Record<string, unknown>;
}

/** The value of a flag as an override of a plugin's key. */
export function pluginOverride(flag: string, plugin: string, key: string, value: string): Override {
  return { flag, tree: { plugins: { [plugin]: { [key]: new LooseText(value) } } } };
}

function parseToml(text: string): Record<string, unknown> | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** Puts a value where a parsed `key = 0` has its 0. */
function withValue(tree: Record<string, unknown>, value: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(tree).map(([key, inner]) => [key, isTable(inner) ? withValue(inner, value) : value]),
  );
}

/**
 * Reads `--config-override KEY=VALUE`: TOML (`plugins.csv.output_path='out.csv'`), or a text without quotes.
 *
 * @throws {ExitError} if it is neither.
 */
export function parseOverride(text: string): Override {
  // KEY ends at the first = that is not within quotes.
  const [, key, raw] = /^((?:[^"'=]|"(?:[^"\\]|\\.)*"|'[^']*')*)=(.*)$/s.exec(text) ?? [];
  // The value is not shown anywhere: it may be a secret.
  const flag = `--config-override ${(key ?? text).trim()}`;
  const keyTree = key === undefined || key.trim() === "" ? undefined : parseToml(`${key} = 0`);
  if (keyTree === undefined || text.includes("\n")) {
    const tree = parseToml(text);
    if (tree && Object.keys(tree).length > 0) return { flag, tree };
    throw new ExitError(
      EXIT.usage,
      `Cannot use ${flag}: expected KEY=VALUE, for example plugins.csv.output_path=out.csv`,
    );
  }
  const value = raw.trim();
  if (value === "") {
    throw new ExitError(
      EXIT.usage,
      `Cannot use ${flag}: no value stands after the =; for an empty text write ''`,
    );
  }
  // Words, numbers and dates without quotes are for the key to judge: a client may be called 1234.
  if (!/^["'[{]/.test(value)) return { flag, tree: withValue(keyTree, new LooseText(value)) };
  const tree = parseToml(text);
  if (tree) return { flag, tree };
  // [::]:50051 is a text; a list or a text that is not closed is a mistake.
  if (/^\[.*\]./.test(value)) return { flag, tree: withValue(keyTree, new LooseText(value)) };
  throw new ExitError(
    EXIT.usage,
    `Cannot use ${flag}: the value is not TOML; is it closed by what it opens with?`,
  );
}

/** Lays a tree over another one: tables are merged, everything else is replaced. */
export function mergeTree(
  under: Record<string, unknown>,
  over: Record<string, unknown>,
): Record<string, unknown> {
  const result: Record<string, unknown> = Object.assign(Object.create(null), under);
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    result[key] = isTable(value) ? mergeTree(isTable(before) ? before : {}, value) : value;
  }
  return result;
}
