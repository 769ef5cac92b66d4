/**
 * Declarations of configuration keys. A plugin declares each of its keys once, with its documentation, default and
 * limits; checking a file, completing it, error messages and the commented default file come from the declaration.
 *
 *     const config = table({
 *       address: text({ doc: "Where to listen.", default: "[::]:50051", check: addressProblem }),
 *       poll_interval: duration({ doc: "Time between two polls.", default: "1s", min: "1ms" }),
 *     }, { doc: "Settings." });
 *     type Config = Infer<typeof config>; // { address: string; poll_interval: number }
 */
import { DurationError, formatDuration, parseDuration } from "./duration.ts";
import { formatSize, parseSize } from "./size.ts";
import { didYouMean, formatPath, type Path, quote } from "./toml_text.ts";

/** Something wrong with one key. */
export interface Problem {
  readonly path: Path;
  /** What was expected and what was found, without the path. */
  readonly message: string;
}

/** Takes the problems of a check as they are found. */
export type Report = (problem: Problem) => void;

/** A declared key whose checked value is a `T`. Made by the functions of this module. */
export interface Key<T> {
  readonly kind: "scalar" | "list" | "table" | "tables";
  /** What the key is for, in one or a few sentences. */
  readonly doc: string;
  /** Allowed values in words, beyond what the default shows: `1ms or more`. */
  readonly limits?: string;
  /** Must not be shown. */
  readonly secret: boolean;
  /** The path of a file with a secret. */
  readonly secretFile?: boolean;
  /** The key has no value where it is not given. */
  readonly optional: boolean;
  /** A new value is taken over by SIGHUP: see {@linkcode live}. */
  readonly live?: boolean;
  /** Where the default is found when the program runs, what it is in words (`the name of this host`). */
  readonly defaultDoc?: string;
  /** The keys of a table (`table`), or of each table of an array (`tables`). */
  readonly keys?: Readonly<Record<string, AnyKey>>;
  /** The value where none is given. */
  defaultValue(): T;
  /**
   * Checks a value from a TOML file (`undefined`: not given) and completes it with defaults. All problems are
   * reported; where there are some, what is returned is only good to go on looking for more.
   */
  check(value: unknown, path: Path, report: Report): T;
  /** The value as it is written in TOML, in one line. Secrets are not masked. */
  literal(value: T): string;
}

// deno-lint-ignore no-explicit-any
export type AnyKey = Key<any>;

/** The type of the checked value of a key. */
export type Infer<K> = K extends Key<infer T> ? T : never;

/** The type of the checked value of a table with these keys. */
export type InferKeys<K> = { -readonly [N in keyof K]: Infer<K[N]> };

/**
 * A text whose author could not choose its type, because it came out of an environment variable or an unquoted
 * argument: it is accepted as an integer, number or flag where it reads as one.
 */
export class LooseText {
  constructor(readonly text: string) {}
}

interface Described {
  /** What the key is for, in one or a few sentences. */
  doc: string;
}

/** What was found, for a message. */
function found(value: unknown, secret = false): string {
  if (value instanceof LooseText) value = value.text;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a table";
  if (secret) return `a ${typeof value === "string" ? "text" : typeof value} that is not shown`;
  return typeof value === "string" ? quote(value) : String(value);
}

function expected(what: string, value: unknown, secret = false, hint = ""): string {
  return `expected ${what}, found ${found(value, secret)}${hint}`;
}

/** Declares a scalar from the three functions in which scalars differ. */
function scalar<T>(spec: {
  doc: string;
  limits?: string;
  secret?: boolean;
  secretFile?: boolean;
  defaultDoc?: string;
  defaultValue: () => T;
  /** Returns the value, or what is wrong with it. */
  read: (value: unknown) => { value: T } | string;
  literal: (value: T) => string;
}): Key<T> {
  return {
    kind: "scalar",
    doc: spec.doc,
    limits: spec.limits,
    secret: spec.secret ?? false,
    secretFile: spec.secretFile,
    optional: false,
    defaultDoc: spec.defaultDoc,
    defaultValue: spec.defaultValue,
    check(value, path, report) {
      if (value === undefined) return spec.defaultValue();
      const result = spec.read(value);
      if (typeof result === "object") return result.value;
      report({ path, message: result });
      return spec.defaultValue();
    },
    literal: spec.literal,
  };
}

export interface TextOptions extends Described {
  /** A function is asked when the value is needed; say in `defaultDoc` what it finds. */
  default: string | (() => string);
  /** The default in words, for a default that is a function. @default {"found when the program starts"} */
  defaultDoc?: string;
  /** Returns what is wrong with a text, or `undefined`. */
  check?: (value: string) => string | undefined;
  /** Never show the value. @default {false} */
  secret?: boolean;
  /** The path of a file that only we should read. @default {false} */
  secretFile?: boolean;
}

/** A text. The default is not checked, so that it may be empty where a text that is given may not. */
export function text(options: TextOptions): Key<string> {
  const { doc, default: fallback, check, secret = false } = options;
  const computed = typeof fallback === "function";
  return scalar({
    doc,
    secret,
    secretFile: options.secretFile,
    defaultDoc: options.defaultDoc ?? (computed ? "found when the program starts" : undefined),
    defaultValue: computed ? fallback : () => fallback,
    read(value) {
      if (value instanceof LooseText) value = value.text;
      if (typeof value !== "string") {
        const bare = typeof value === "number" || typeof value === "boolean" || typeof value === "bigint";
        return expected("a text", value, secret, bare && !secret ? `; write ${quote(String(value))}` : "");
      }
      const problem = check?.(value);
      if (problem === undefined) return { value };
      return `cannot use ${secret ? "the value (not shown)" : quote(value)}: ${problem}`;
    },
    literal: quote,
  });
}

interface NumberOptions extends Described {
  default: number;
  min?: number;
  max?: number;
}

function range(min: string | undefined, max: string | undefined): string | undefined {
  if (min !== undefined && max !== undefined) return `from ${min} to ${max}`;
  if (min !== undefined) return `${min} or more`;
  if (max !== undefined) return `at most ${max}`;
  return undefined;
}

function readNumber(
  what: string,
  options: NumberOptions,
  isOne: (value: number) => boolean,
  pattern: RegExp,
) {
  const limits = range(options.min?.toString(), options.max?.toString());
  const wanted = limits ? `${what} (${limits})` : what;
  return (value: unknown): { value: number } | string => {
    const number = value instanceof LooseText && pattern.test(value.text)
      ? Number(value.text)
      : typeof value === "bigint"
      ? Number(value)
      : value;
    if (typeof number !== "number" || !isOne(number)) return expected(wanted, value);
    if (number < (options.min ?? -Infinity) || number > (options.max ?? Infinity)) {
      return expected(wanted, value);
    }
    return { value: number };
  };
}

/** A whole number, between -(2^53-1) and 2^53-1. */
export function integer(options: NumberOptions): Key<number> {
  return scalar({
    doc: options.doc,
    limits: range(options.min?.toString(), options.max?.toString()),
    defaultValue: () => options.default,
    read: readNumber("an integer", options, Number.isSafeInteger, /^[+-]?[0-9]+$/),
    literal: String,
  });
}

/** A finite number. */
export function number(options: NumberOptions): Key<number> {
  return scalar({
    doc: options.doc,
    limits: range(options.min?.toString(), options.max?.toString()),
    defaultValue: () => options.default,
    read: readNumber("a number", options, Number.isFinite, /^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/),
    literal: String,
  });
}

/** `true` or `false`. */
export function flag(options: Described & { default: boolean }): Key<boolean> {
  return scalar({
    doc: options.doc,
    defaultValue: () => options.default,
    read(value) {
      if (typeof value === "boolean") return { value };
      if (value instanceof LooseText && /^(true|false)$/.test(value.text)) {
        return { value: value.text === "true" };
      }
      return expected("true or false", value);
    },
    literal: String,
  });
}

export interface DurationOptions extends Described {
  /** A text such as `30s`, like `min` and `max`. */
  default: string;
  min?: string;
  max?: string;
}

/** A duration: a text such as `1m 30s` in the file, milliseconds in the program (fractions down to nanoseconds). */
export function duration(options: DurationOptions): Key<number> {
  const ms = (text: string) => Number(parseDuration(text)) / 1e6;
  const fallback = ms(options.default);
  const min = options.min === undefined ? -Infinity : ms(options.min);
  const max = options.max === undefined ? Infinity : ms(options.max);
  const limits = range(options.min, options.max);
  const wanted = `a duration such as ${quote(options.default)}`;
  return scalar({
    doc: options.doc,
    limits,
    defaultValue: () => fallback,
    read(value) {
      if (value instanceof LooseText) value = value.text;
      if (typeof value !== "string") {
        return expected(
          wanted,
          value,
          false,
          typeof value === "number" ? `; write "${value}s" or "${value}ms"` : "",
        );
      }
      try {
        const result = ms(value);
        if (result >= min && result <= max) return { value: result };
        return expected(`a duration (${limits})`, value);
      } catch (error) {
        if (!(error instanceof DurationError)) throw error;
        return `${expected(wanted, value)}: ${error.message}`;
      }
    },
    literal: (value) => quote(formatDuration(value)),
  });
}

/** A size: a text such as `16MiB` or a number of bytes in the file, bytes in the program. */
export function size(options: Described & { default: string; min?: string }): Key<number> {
  const fallback = parseSize(options.default)!;
  const min = options.min === undefined ? 0 : parseSize(options.min)!;
  const limits = range(options.min, undefined);
  const wanted = `a size such as ${quote(options.default)}`;
  return scalar({
    doc: options.doc,
    limits,
    defaultValue: () => fallback,
    read(value) {
      if (value instanceof LooseText) value = value.text;
      const bytes = typeof value === "string"
        ? parseSize(value)
        : Number.isSafeInteger(value)
        ? value as number
        : undefined;
      if (bytes === undefined || bytes < 0) return expected(wanted, value);
      return bytes >= min ? { value: bytes } : expected(`a size (${limits})`, value);
    },
    literal: (value) => quote(formatSize(value)),
  });
}

/** One of a few texts. */
export function choice<const V extends string>(
  values: readonly V[],
  options: Described & { default: NoInfer<V> },
): Key<V> {
  const all = values.map(quote);
  const limits = all.length < 2 ? all.join() : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`;
  return scalar<V>({
    doc: options.doc,
    limits,
    defaultValue: () => options.default,
    read(value) {
      const text = value instanceof LooseText ? value.text : value;
      if ((values as readonly unknown[]).includes(text)) return { value: text as V };
      return expected(limits, value, false, typeof text === "string" ? didYouMean(text, values) : "");
    },
    literal: quote,
  });
}

/** A list of values that `item` declares. A text that came from the environment is taken as a list of one. */
export function list<T>(item: Key<T>, options: Described & { default: readonly T[] }): Key<T[]> {
  return {
    kind: "list",
    doc: options.doc,
    limits: item.limits && `each ${item.limits}`,
    secret: item.secret,
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

/** A key that has no value where it is not given; its default is only an example in the default file. */
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
 * A key, or a table with all its keys, that a process takes over while it runs. A plugin that declares some has
 * `reconfigure`, and no other key differs when that is called.
 */
export function live<T>(key: Key<T>): Key<T> {
  return { ...key, live: true };
}

/** A problem between keys of a table, which a single key cannot see. */
export interface TableProblem<N> {
  readonly key: N;
  readonly problem: string;
}

export interface TableOptions<K> extends Described {
  /** Looks at the values together, when each of them is right alone. */
  check?: (value: InferKeys<K>) => TableProblem<keyof K & string> | undefined;
}

/** Whether a value of a TOML tree is a table. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date) &&
    !(value instanceof LooseText);
}

/** What is said of a key that is not among `keys`. */
export function unknownKey(name: string, keys: Readonly<Record<string, AnyKey>>): string {
  const near = didYouMean(name, Object.keys(keys));
  if (near) return `unknown key${near}`;
  for (const [parent, key] of Object.entries(keys)) {
    if (key.keys && Object.hasOwn(key.keys, name)) {
      return `unknown key; did you mean ${formatPath([parent, name])}?`;
    }
  }
  const known = Object.keys(keys);
  return known.length > 0 ? `unknown key; known are ${known.join(", ")}` : "unknown key; there are none here";
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
        problems++;
        report(problem);
      };
      for (const name of Object.keys(value)) {
        if (!Object.hasOwn(keys, name)) count({ path: [...path, name], message: unknownKey(name, keys) });
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

/** An array of tables, `[[header]]`, each one as `item` declares. */
export function tables<T>(item: Key<T>, options: Described & { default: readonly T[] }): Key<T[]> {
  if (item.kind !== "table") throw new TypeError("Cannot declare an array of tables: the item is no table");
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
