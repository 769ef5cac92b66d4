/** Declared keys, and messages about values that are not valid. */
import { type Path, quote } from "./path.ts";

/** A problem of one key. */
export interface Problem {
  readonly path: Path;
  /** What is expected and what was found, without the path. */
  readonly message: string;
  /** The value is valid, but perhaps not intended. @default {false} */
  readonly isNote?: boolean;
}

/** Takes the problems that a check finds. */
export type Report = (problem: Problem) => void;

/** A declared key whose checked value is a `T`. Made by the functions of `scalars.ts` and `tables.ts`. */
export interface Key<T> {
  readonly kind: "scalar" | "list" | "table" | "tables" | "named";
  /** What the key is for, in one or a few sentences. */
  readonly doc: string;
  /** Allowed values in words, beyond what the default shows: `1ms or more`. */
  readonly limits?: string;
  /** Messages and `config show` do not show its value. */
  readonly secret: boolean;
  /** Of a key that is {@linkcode secret}: whether there is a secret in this value. @default {true} */
  readonly isSecret?: (value: unknown) => boolean;
  /** It is the path of a file with a secret. */
  readonly secretFile?: boolean;
  /** It has no value if it is not given. */
  readonly optional: boolean;
  /** Of a key that is {@linkcode optional}: what applies if it is not given, such as `no limit`. */
  readonly unset?: string;
  /** SIGHUP applies a new value: see `live`. */
  readonly live?: boolean;
  /** The default in words (`the name of this host`), if the program finds it when it starts. */
  readonly defaultDoc?: string;
  /** The keys of a table (`table`), or of each table of an array (`tables`). */
  readonly keys?: Readonly<Record<string, AnyKey>>;
  /** Of a table with free names (`named`): what each value is, and a name for the default file. */
  readonly item?: AnyKey;
  readonly exampleName?: string;
  /** The value if none is given. */
  defaultValue(): T;
  /**
   * Checks a value from a TOML file (`undefined`: not given), completes it with defaults, and reports all problems. After
   * a problem the result is only good for further checks.
   */
  check(value: unknown, path: Path, report: Report): T;
  /** The value as TOML, in one line. Secrets are not masked. */
  literal(value: T): string;
}

// deno-lint-ignore no-explicit-any
export type AnyKey = Key<any>;

/** The type of the checked value of a key. */
export type Infer<K> = K extends Key<infer T> ? T : never;

/** The type of the checked value of a table with these keys. */
export type InferKeys<K> = { -readonly [N in keyof K]: Infer<K[N]> };

/**
 * A text without a type, from an environment variable or an unquoted argument: an integer, number or flag is read from
 * it where the key expects one.
 */
export class LooseText {
  constructor(readonly text: string) {}
}

export interface Described {
  /** What the key is for, in one or a few sentences. */
  doc: string;
  /** Of an optional key: what applies if it is not given, such as `no limit`. */
  unset?: string;
}

/** What was found, for a message. */
function found(value: unknown, secret: boolean): string {
  if (value instanceof LooseText) value = value.text;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a table";
  if (secret) return `a ${typeof value === "string" ? "text" : typeof value} that is not shown`;
  return typeof value === "string" ? quote(value) : String(value);
}

/** The message about a value that is not valid: what is expected, and what was found. */
export function expected(what: string, value: unknown, secret = false, hint = ""): string {
  return `expected ${what}, found ${found(value, secret)}${hint}`;
}
