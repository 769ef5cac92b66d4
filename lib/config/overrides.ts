/** Values from the command line, which override those of the file. */
import { parse } from "@std/toml";
import { EXIT, ExitError } from "../base/errors.ts";
import { isTable, LooseText } from "../schema.ts";
import type { Path } from "../schema/path.ts";

/** A tree of values, and the flag that set them. */
export interface Override {
  readonly flag: string;
  readonly tree: Record<string, unknown>;
}

/** The value of a flag as an override of a plugin's key. */
export function pluginOverride(flag: string, plugin: string, key: string, value: string): Override {
  return { flag, tree: { plugins: { [plugin]: { [key]: new LooseText(value) } } } };
}

/** An element of a list that an override changes; the others stay. */
class ListPatch {
  constructor(readonly index: number, readonly value: unknown) {}
}

/** Whether a value of an override keeps parts of the value that it overrides. */
export function isPartial(value: unknown): value is Record<string, unknown> | ListPatch {
  return isTable(value) || value instanceof ListPatch;
}

/** The value at a path of a tree, or `undefined`. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === "number") value = value[step];
    else if (value instanceof ListPatch) value = step === value.index ? value.value : undefined;
    else if (isTable(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

function parseToml(text: string): Record<string, unknown> | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** The path of a key such as `plugins.procfs.processes.groups[0].poll_interval`. */
function keyPath(key: string): Path | undefined {
  const path: (string | number)[] = [];
  // Names and indexes alternate. A key with quoted names cannot have indexes.
  const parts = /["']/.test(key) ? [key] : key.trim().split(/\[(\d{1,9})\](?=\.|\[|$)/);
  for (const [i, part] of parts.entries()) {
    if (i % 2 === 1) path.push(Number(part));
    else if (i === 0 || part !== "") {
      if (i > 0 && !part.startsWith(".")) return undefined;
      const names = namesOf(i > 0 ? part.slice(1) : part);
      if (!names) return undefined;
      path.push(...names);
    }
  }
  return path;
}

/** The names of a dotted key of TOML. */
function namesOf(key: string): string[] | undefined {
  const names: string[] = [];
  for (let value: unknown = parseToml(`${key} = 0`); isTable(value);) {
    const [name, ...more] = Object.keys(value);
    if (name === undefined || more.length > 0) return undefined;
    names.push(name);
    value = value[name];
  }
  return names.length > 0 ? names : undefined;
}

/** A tree with one value, at that path. */
function treeWith(path: Path, value: unknown): Record<string, unknown> {
  return path.reduceRight<unknown>(
    (inner, step) => typeof step === "number" ? new ListPatch(step, inner) : { [step]: inner },
    value,
  ) as Record<string, unknown>;
}

/**
 * Reads `--config-override KEY=VALUE`: TOML (`plugins.csv.output_path='out.csv'`), or a text without quotes.
 *
 * @throws {ExitError} (64) if it is neither.
 */
export function parseOverride(text: string): Override {
  // KEY ends at the first = that is not within quotes.
  const [, key, raw] = /^((?:[^"'=]|"(?:[^"\\]|\\.)*"|'[^']*')*)=(.*)$/s.exec(text) ?? [];
  // No message shows the value, because it may be a secret.
  const flag = `--config-override ${(key ?? text).trim()}`;
  const path = key === undefined || key.trim() === "" ? undefined : keyPath(key);
  if (path === undefined || text.includes("\n")) {
    const tree = parseToml(text);
    if (tree && Object.keys(tree).length > 0) return { flag, tree };
    throw new ExitError(
      EXIT.usage,
      `Cannot use ${flag}: expected KEY=VALUE, for example plugins.csv.output_path=out.csv or plugins.procfs.processes.groups[0].pid=1`,
    );
  }
  const value = raw.trim();
  if (value === "") {
    throw new ExitError(
      EXIT.usage,
      `Cannot use ${flag}: there is no value after the =; for an empty text write ''`,
    );
  }
  // The key decides the type of words, numbers and dates without quotes: a client may be called 1234.
  if (!/^["'[{]/.test(value)) return { flag, tree: treeWith(path, new LooseText(value)) };
  const parsed = parseToml(`value = ${value}`);
  if (parsed && Object.keys(parsed).length === 1) return { flag, tree: treeWith(path, parsed.value) };
  // [::]:50051 is a text; an unclosed list or text is a mistake.
  if (/^\[.*\]./.test(value)) return { flag, tree: treeWith(path, new LooseText(value)) };
  throw new ExitError(
    EXIT.usage,
    `Cannot use ${flag}: the value is not TOML; is a quote or bracket not closed?`,
  );
}

/**
 * Applies an override to a tree: merges tables and named elements of lists, and replaces everything else.
 *
 * @throws {ExitError} (64) for an index beyond the end of a list.
 */
export function applyOverride(
  under: Record<string, unknown>,
  { flag, tree }: Override,
): Record<string, unknown> {
  const merge = (before: unknown, value: unknown): unknown => {
    if (value instanceof ListPatch) {
      const list = Array.isArray(before) ? [...before] : [];
      if (value.index > list.length) {
        throw new ExitError(
          EXIT.usage,
          `Cannot use ${flag}: there is no element ${value.index}; the list has ${list.length}, counted from 0`,
        );
      }
      list[value.index] = merge(list[value.index], value.value);
      return list;
    }
    if (!isTable(value)) return value;
    const result: Record<string, unknown> = Object.assign(Object.create(null), isTable(before) ? before : {});
    for (const [key, inner] of Object.entries(value)) result[key] = merge(result[key], inner);
    return result;
  };
  return merge(under, tree) as Record<string, unknown>;
}
