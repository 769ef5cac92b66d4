import type { Aliases, Defaults, Names, Switches, Values } from "./_types.ts";

/** What {@linkcode parseArgs} returns. */
export type Args<
  // deno-lint-ignore no-explicit-any
  T extends Record<string, unknown> = Record<string, any>,
  DoubleDash extends boolean | undefined = undefined,
> =
  & T
  & { /** The arguments that belong to no option. */ _: (string | number)[] }
  & (boolean extends DoubleDash ? { "--"?: string[] }
    : DoubleDash extends true ? { "--": string[] }
    : unknown);

/** Options for {@linkcode parseArgs}. */
export interface ParseOptions<
  B extends Switches = Switches,
  S extends Names = Names,
  C extends Names = Names,
  N extends Names = Names,
  D extends Defaults = Defaults,
  A extends Aliases = Aliases,
  DoubleDash extends boolean | undefined = boolean | undefined,
> {
  /** Whether what follows `--` goes to `result["--"]` instead of `result._`. @default {false} */
  "--"?: DoubleDash;
  /** Other names of options. @default {{}} */
  alias?: A;
  /** Options without a value, `false` where they are missing; `true` means every `--name` without `=`. @default {false} */
  boolean?: B | readonly Extract<B, string>[];
  /** Values of options that are missing. @default {{}} */
  default?: D & Record<string, unknown>;
  /** Whether the first argument that is no option ends the options. @default {false} */
  stopEarly?: boolean;
  /** Options whose values stay strings, even those that look like numbers. @default {[]} */
  string?: S | readonly Extract<S, string>[];
  /** Options that may be repeated: their values are arrays. The last value counts for the others. @default {[]} */
  collect?: C | readonly Extract<C, string>[];
  /** Options that `--no-name` sets to `false`. @default {[]} */
  negatable?: N | readonly Extract<N, string>[];
  /** Called with what no other option declares; where it returns `false`, that is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value = string | number | boolean;
type Tree = Record<string, unknown>;

/** Reads command line arguments: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc`, `--`. */
export function parseArgs<
  DoubleDash extends boolean | undefined = undefined,
  B extends Switches = undefined,
  S extends Names = undefined,
  C extends Names = undefined,
  N extends Names = undefined,
  D extends Defaults = undefined,
  const A extends Aliases = undefined,
>(
  args: readonly string[],
  options: ParseOptions<B, S, C, N, D, A, DoubleDash> = {},
): Args<Values<B, S, C, N, D, A>, DoubleDash> {
  const end = args.indexOf("--");
  const rest = end < 0 ? [] : args.slice(end + 1);
  const parser = new ArgsParser(options as ParseOptions);
  parser.parse(end < 0 ? args : args.slice(0, end));
  parser.complete();
  const result = { ...parser.values, _: parser.positionals } as Tree;
  if (options["--"]) result["--"] = rest;
  else parser.positionals.push(...rest);
  return result as Args<Values<B, S, C, N, D, A>, DoubleDash>;
}

class ArgsParser {
  readonly values: Tree = {};
  readonly positionals: (string | number)[] = [];
  readonly #options: ParseOptions;
  readonly #aliases = new Map<string, readonly string[]>();
  readonly #booleans: ReadonlySet<string>;
  readonly #strings: ReadonlySet<string>;
  readonly #collected: ReadonlySet<string>;
  readonly #negatable: ReadonlySet<string>;

  constructor(options: ParseOptions) {
    this.#options = options;
    for (const [name, aliases] of Object.entries(options.alias ?? {})) {
      const group = [name, ...[aliases].flat()];
      for (const member of group) this.#aliases.set(member, group.filter((other) => other !== member));
    }
    this.#booleans = this.#withAliases(options.boolean);
    this.#strings = this.#withAliases(options.string);
    this.#collected = this.#withAliases(options.collect);
    this.#negatable = this.#withAliases(options.negatable);
  }

  #withAliases(names: Switches | readonly string[]): Set<string> {
    const all = [names ?? []].flat().filter((name) => typeof name === "string" && name !== "") as string[];
    return new Set(all.flatMap((name) => [name, ...this.#aliasesOf(name)]));
  }

  #aliasesOf(name: string): readonly string[] {
    return this.#aliases.get(name) ?? [];
  }

  parse(args: readonly string[]): void {
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (arg.startsWith("--") && arg.length > 2) {
        i += this.#long(arg, args[i + 1]);
      } else if (arg.startsWith("-") && arg.length > 1) {
        i += this.#short(arg, args[i + 1]);
      } else {
        this.#positional(arg);
        if (!this.#options.stopEarly) continue;
        this.positionals.push(...args.slice(i + 1));
        return;
      }
    }
  }

  /** Gives the options that are missing their values. */
  complete(): void {
    for (const [name, value] of Object.entries(this.#options.default ?? {})) {
      if (this.#has(name)) continue;
      for (const each of [name, ...this.#aliasesOf(name)]) this.#put(each, value);
    }
    for (const name of this.#booleans) {
      if (!this.#has(name)) this.#put(name, this.#collected.has(name) ? [] : false);
    }
    for (const name of this.#strings) {
      if (!this.#has(name) && this.#collected.has(name)) this.#put(name, []);
    }
  }

  /** Takes `--name`, and returns how many of the following arguments it took. */
  #long(arg: string, next: string | undefined): number {
    const equals = arg.indexOf("=", 3);
    let name = arg.slice(2, equals < 0 ? undefined : equals);
    if (equals >= 0) {
      if (/^no-./.test(name)) {
        // The prefix is no part of the name here: `--no-name=value` is `--name=value`.
        name = name.slice(3);
      }
      const text = arg.slice(equals + 1);
      this.#set(name, this.#booleans.has(name) ? text !== "false" : text, arg);
      return 0;
    }
    const negated = /^no-(.+)/s.exec(name)?.[1];
    if (negated !== undefined && this.#negatable.has(negated)) {
      this.#set(negated, false, arg, false);
      return 0;
    }
    if (next && !this.#isSwitch(name) && this.#options.boolean !== true && !next.startsWith("-")) {
      this.#set(name, next, arg);
      return 1;
    }
    return this.#bare(name, next, arg);
  }

  /** Takes `-n`, `-nvalue`, `-n=value` or `-abc`, and returns how many of the following arguments it took. */
  #short(arg: string, next: string | undefined): number {
    for (let i = 1; i < arg.length - 1; i++) {
      const name = arg[i];
      const tail = arg.slice(i + 1);
      const value = tail === "-" ? undefined : this.#attached(name, tail);
      if (value !== undefined) {
        this.#set(name, value, arg);
        return 0;
      }
      this.#set(name, tail === "-" ? tail : this.#strings.has(name) ? "" : true, arg);
    }
    const last = arg.slice(-1);
    if (last === "-") return 0;
    if (next && !/^--?[^-]/.test(next) && !this.#isSwitch(last)) {
      this.#set(last, next, arg);
      return 1;
    }
    return this.#bare(last, next, arg);
  }

  /** The value that a short option has behind it without a space, if that is one and not more options. */
  #attached(name: string, tail: string): string | undefined {
    if (tail === "=") return "";
    if (/[A-Za-z]/.test(name)) {
      const equals = /=(.+)/.exec(tail);
      if (equals) return equals[1];
      if (/-?\d+(\.\d*)?(e-?\d+)?$/.test(tail)) return tail;
    }
    // The last character is an option of its own, whatever it is.
    return tail.length > 1 && /\W/.test(tail[0]) ? tail : undefined;
  }

  /** Takes an option that has no value of its own: `true`, or what a following `true` or `false` says. */
  #bare(name: string, next: string | undefined, arg: string): number {
    const isSaid = next === "true" || next === "false";
    this.#set(name, isSaid ? next === "true" : this.#strings.has(name) ? "" : true, arg);
    return isSaid ? 1 : 0;
  }

  #positional(arg: string): void {
    if (this.#options.unknown?.(arg) === false) return;
    this.positionals.push(this.#strings.has("_") || !isNumber(arg) ? arg : Number(arg));
  }

  #isSwitch(name: string): boolean {
    return [name, ...this.#aliasesOf(name)].some((each) => this.#booleans.has(each));
  }

  #isDeclared(name: string, arg: string): boolean {
    return this.#booleans.has(name) || this.#strings.has(name) || this.#collected.has(name) ||
      this.#aliases.has(name) || (this.#options.boolean === true && /^--[^=]+$/.test(arg));
  }

  #set(name: string, value: Value, arg: string, collect = this.#collected.has(name)): void {
    if (!this.#isDeclared(name, arg) && this.#options.unknown?.(arg, name, value) === false) return;
    if (typeof value === "string" && !this.#strings.has(name) && isNumber(value)) value = Number(value);
    for (const each of [name, ...this.#aliasesOf(name)]) this.#put(each, value, collect);
  }

  /** Sets `a.b.c` within the objects of that path. */
  #put(name: string, value: unknown, collect = false): void {
    const path = name.split(".");
    if (path.some((key) => key === "__proto__" || key === "constructor")) return;
    const last = path.pop()!;
    let object = this.values;
    for (const key of path) object = (object[key] ??= {}) as Tree;
    const before = object[last];
    if (!collect) object[last] = value;
    else if (Array.isArray(before)) before.push(value);
    else object[last] = before ? [before, value] : [value];
  }

  #has(name: string): boolean {
    let object: unknown = this.values;
    for (const key of name.split(".")) {
      if (typeof object !== "object" || object === null || !Object.hasOwn(object, key)) return false;
      object = (object as Tree)[key];
    }
    return true;
  }
}

function isNumber(text: string): boolean {
  return text.trim() !== "" && Number.isFinite(Number(text));
}
