/** Keys made of other keys: lists, tables and arrays of tables; optional keys, and keys that can be reloaded. */
import { formatPath } from "./path.ts";
import { didYouMean } from "../base/suggest.ts";
import {
  type AnyKey,
  type Described,
  expected,
  type InferKeys,
  type Key,
  LooseText,
  type Report,
} from "./key.ts";

/** A list of values that `item` declares. A text from the environment is a list of one. */
export function list<T>(item: Key<T>, options: Described & { default: readonly T[] }): Key<T[]> {
  return {
    kind: "list",
    doc: options.doc,
    limits: item.limits && `each ${item.limits}`,
    secret: item.secret,
    isSecret: item.isSecret,
    optional: false,
    defaultValue: () => [...options.default],
    check(value, path, report) {
      if (value === undefined) return [...options.default];
      if (value instanceof LooseText) value = [value];
      if (Array.isArray(value)) return value.map((element, i) => item.check(element, [...path, i], report));
      report({ path, message: expected("a list", value, item.secret) });
      return [...options.default];
    },
    literal: (values) => `[${values.map((value) => item.literal(value)).join(", ")}]`,
  };
}

/** One value that `item` declares, or a list of one or more. */
export function oneOrMore<T>(item: Key<T>): Key<T[]> {
  return {
    ...item,
    defaultValue: () => [item.defaultValue()],
    check(value, path, report) {
      if (!Array.isArray(value)) return [item.check(value, path, report)];
      if (value.length > 0) return value.map((element, i) => item.check(element, [...path, i], report));
      report({ path, message: "must not be an empty list" });
      return [item.defaultValue()];
    },
    literal: (values) => {
      const texts = values.map((value) => item.literal(value));
      return texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
    },
  };
}

/** A key that has no value if it is not given; its default is only an example in the default file. */
export function optional<T>(key: Key<T>): Key<T | undefined> {
  return {
    ...key,
    optional: true,
    defaultValue: () => undefined,
    check: (value, path, report) => value === undefined ? undefined : key.check(value, path, report),
    literal: (value) => value === undefined ? key.literal(key.defaultValue()) : key.literal(value),
  };
}

/**
 * A key, or a table with all its keys, that a running process can reload. A plugin with such keys has `reconfigure`, which
 * gets a configuration in which no other key has changed.
 */
export function live<T>(key: Key<T>): Key<T> {
  return { ...key, live: true };
}

/** A problem between the keys of a table. */
export interface TableProblem<N> {
  readonly key: N;
  readonly problem: string;
}

export interface TableOptions<K> extends Described {
  /** Keys that are not declared are ignored, with a note. @default {false} */
  ignoresUnknown?: boolean;
  /** Checks the values together, after each of them is valid. */
  check?: (value: InferKeys<K>) => TableProblem<keyof K & string> | undefined;
}

/** Whether a value of a TOML tree is a table. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date) &&
    !(value instanceof LooseText);
}

/** The message about a key that is not in `keys`. */
export function unknownKey(name: string, keys: Readonly<Record<string, AnyKey>>): string {
  const near = didYouMean(name, Object.keys(keys));
  if (near) return `unknown key${near}`;
  for (const [parent, key] of Object.entries(keys)) {
    if (key.keys && Object.hasOwn(key.keys, name)) {
      return `unknown key; did you mean ${formatPath([parent, name])}?`;
    }
  }
  const known = Object.keys(keys);
  return known.length > 0
    ? `unknown key; expected one of ${known.join(", ")}`
    : "unknown key; this table has no keys";
}

/** A table, `[header]` or inline, with these keys and no others. */
export function table<K extends Record<string, AnyKey>>(
  keys: K,
  options: TableOptions<K>,
): Key<InferKeys<K>> {
  type T = InferKeys<K>;
  const names = Object.keys(keys) as (keyof K & string)[];
  const defaultValue = () => Object.fromEntries(names.map((name) => [name, keys[name].defaultValue()])) as T;
  return {
    kind: "table",
    doc: options.doc,
    secret: false,
    optional: false,
    keys,
    defaultValue,
    check(value, path, report) {
      if (value === undefined) value = {};
      if (!isTable(value)) {
        report({ path, message: expected("a table", value) });
        return defaultValue();
      }
      let problems = 0;
      const count: Report = (problem) => {
        if (!problem.isNote) problems++;
        report(problem);
      };
      for (const name of Object.keys(value)) {
        if (Object.hasOwn(keys, name)) continue;
        const [before, isNote] = options.ignoresUnknown ? ["ignored: ", true] : ["", false];
        count({ path: [...path, name], message: before + unknownKey(name, keys), isNote });
      }
      const given = value;
      const result = Object.fromEntries(names.map((name) => {
        const own = Object.hasOwn(given, name) ? given[name] : undefined;
        return [name, keys[name].check(own, [...path, name], count)];
      })) as T;
      const together = problems === 0 ? options.check?.(result) : undefined;
      if (together) report({ path: [...path, together.key], message: together.problem });
      return result;
    },
    literal(value) {
      const parts = names.filter((name) => value[name] !== undefined)
        .map((name) => `${formatPath([name])} = ${keys[name].literal(value[name])}`);
      return parts.length > 0 ? `{ ${parts.join(", ")} }` : "{}";
    },
  };
}

export interface NamedOptions extends Described {
  /** A name for the default file. */
  exampleName: string;
  /** Returns the problem of a name, or `undefined`. */
  checkName?: (name: string) => string | undefined;
}

/** A table whose names the user chooses, each with a value that `item` declares. */
export function named<T>(item: Key<T>, options: NamedOptions): Key<Record<string, T>> {
  return {
    kind: "named",
    doc: options.doc,
    limits: item.limits && `each ${item.limits}`,
    secret: item.secret,
    isSecret: item.isSecret,
    optional: false,
    item,
    exampleName: options.exampleName,
    defaultValue: () => ({}),
    check(value, path, report) {
      if (value === undefined) return {};
      if (!isTable(value)) {
        report({ path, message: expected("a table", value, item.secret) });
        return {};
      }
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => {
          const problem = options.checkName?.(name);
          if (problem !== undefined) report({ path: [...path, name], message: problem });
          return [name, item.check(inner, [...path, name], report)];
        }),
      );
    },
    literal(values) {
      const parts = Object.entries(values)
        .map(([name, value]) => `${formatPath([name])} = ${item.literal(value)}`);
      return parts.length > 0 ? `{ ${parts.join(", ")} }` : "{}";
    },
  };
}

/** An array of tables, `[[header]]`, each one as `item` declares. */
export function tables<T>(item: Key<T>, options: Described & { default: readonly T[] }): Key<T[]> {
  if (item.kind !== "table") {
    throw new TypeError("Cannot declare an array of tables: the item is not a table");
  }
  const base = list(item, options);
  return {
    ...base,
    kind: "tables",
    limits: undefined,
    keys: item.keys,
    check(value, path, report) {
      if (value === undefined || Array.isArray(value)) return base.check(value, path, report);
      report({ path, message: expected(`a list of tables, [[${formatPath(path)}]]`, value) });
      return [...options.default];
    },
  };
}
