/** What a declared key is, and what is said of a value that is not right. */
import { type Path, quote } from "./path.ts";

/** Something wrong with one key. */
export interface Problem {
  readonly path: Path;
  /** What was expected and what was found, without the path. */
  readonly message: string;
  /** The value is valid, and is perhaps not what is meant. @default {false} */
  readonly isNote?: boolean;
}

/** Takes the problems of a check as they are found. */
export type Report = (problem: Problem) => void;

/** A declared key whose checked value is a `T`. Made by the functions of `scalars.ts` and `tables.ts`. */
export interface Key<T> {
  readonly kind: "scalar" | "list" | "table" | "tables";
  /** What the key is for, in one or a few sentences. */
  readonly doc: string;
  /** Allowed values in words, beyond what the default shows: `1ms or more`. */
  readonly limits?: string;
  /** Must not be shown. */
  readonly secret: boolean;
  /** Of a key that is {@linkcode secret}: whether there is a secret in this value. @default {true} */
  readonly isSecret?: (value: unknown) => boolean;
  /** The path of a file with a secret. */
  readonly secretFile?: boolean;
  /** The key has no value where it is not given. */
  readonly optional: boolean;
  /** Of a key that is {@linkcode optional}: what holds where it is not given, such as `no limit`. */
  readonly unset?: string;
  /** A new value is taken over by SIGHUP: see `live`. */
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

export interface Described {
  /** What the key is for, in one or a few sentences. */
  doc: string;
  /** Of an optional key: what holds where it is not given, such as `no limit`. */
  unset?: string;
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

/** What is said of a value that is not right: what was expected, and what was found. */
export function expected(what: string, value: unknown, secret = false, hint = ""): string {
  return `expected ${what}, found ${found(value, secret)}${hint}`;
}
