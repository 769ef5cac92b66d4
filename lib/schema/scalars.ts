/** Keys with one value: texts, numbers, flags, durations, sizes, choices. */
import { DurationError, durationNote, formatDuration, parseDuration } from "../base/duration.ts";
import { formatSize, parseSize } from "../base/size.ts";
import { quote } from "./path.ts";
import { didYouMean } from "../base/suggest.ts";
import { type Described, expected, type Key, LooseText } from "./key.ts";

/** Declares a scalar from the functions in which scalars differ. */
function scalar<T>(spec: {
  doc: string;
  unset?: string;
  limits?: string;
  secret?: boolean;
  isSecret?: (value: unknown) => boolean;
  secretFile?: boolean;
  defaultDoc?: string;
  defaultValue: () => T;
  /** Returns the value, with a note if it may surprise; or the problem. */
  read: (value: unknown) => { value: T; note?: string } | string;
  literal: (value: T) => string;
}): Key<T> {
  return {
    kind: "scalar",
    doc: spec.doc,
    unset: spec.unset,
    limits: spec.limits,
    secret: spec.secret ?? false,
    isSecret: spec.isSecret,
    secretFile: spec.secretFile,
    optional: false,
    defaultDoc: spec.defaultDoc,
    defaultValue: spec.defaultValue,
    check(value, path, report) {
      if (value === undefined) return spec.defaultValue();
      const result = spec.read(value);
      if (typeof result === "object") {
        if (result.note) report({ path, message: result.note, isNote: true });
        return result.value;
      }
      report({ path, message: result });
      return spec.defaultValue();
    },
    literal: spec.literal,
  };
}

export interface TextOptions extends Described {
  /** A function is called when the value is needed; describe its result in `defaultDoc`. */
  default: string | (() => string);
  /** The default in words, for a default that is a function. @default {"found when the program starts"} */
  defaultDoc?: string;
  /** Returns the problem of a text, or `undefined`. */
  check?: (value: string) => string | undefined;
  /** Returns a note on a valid text that may surprise, or `undefined`. */
  note?: (value: string) => string | undefined;
  /** Never show the value; a function decides which values contain a secret. @default {false} */
  secret?: boolean | ((value: string) => boolean);
  /** It is the path of a file with a secret. @default {false} */
  secretFile?: boolean;
}

/** A text. The default is not checked, so it may be empty where a given text must not be. */
export function text(options: TextOptions): Key<string> {
  const { doc, default: fallback, check } = options;
  const secret = options.secret !== undefined && options.secret !== false;
  const isSecret = typeof options.secret === "function" ? options.secret : undefined;
  const computed = typeof fallback === "function";
  return scalar({
    doc,
    unset: options.unset,
    secret,
    isSecret: isSecret && ((value) => typeof value !== "string" || isSecret(value)),
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
      if (problem === undefined) return { value, note: options.note?.(value) };
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
    unset: options.unset,
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
    unset: options.unset,
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
    unset: options.unset,
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
    unset: options.unset,
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
        if (result >= min && result <= max) return { value: result, note: durationNote(value) };
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
    unset: options.unset,
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
    unset: options.unset,
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
