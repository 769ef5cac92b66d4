/**
 * Finds the line of each key of a TOML text, which the parser does not report, and all common mistakes at once: a text
 * without quotes, a key given twice, an unclosed bracket. The parser decides about everything else.
 */
import { formatPath, type Path, quote } from "../schema/path.ts";

/** A mistake in the text. */
export interface TomlMistake {
  /** From 1. */
  readonly line: number;
  /** The key, if the mistake belongs to one. */
  readonly path: Path;
  readonly message: string;
  /** The offsets of the statement, if the rest of the text can be read without it. */
  readonly statement?: { start: number; end: number };
}

/** The result of {@linkcode scanToml}. */
export interface TomlScan {
  readonly mistakes: readonly TomlMistake[];
  /** The offsets of each `${VAR}` that is a value without quotes. */
  readonly bareVariables: readonly { start: number; end: number }[];
  /** The line (from 1) of a key, or of the nearest table above it, or `undefined`. */
  line(path: Path): number | undefined;
}

/** What created a path, which decides whether it may be given again. */
type Origin = "value" | "header" | "tables" | "parent";

const WORDS =
  /^(true|false|[+-]?(inf|nan)|[+-]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)|[+-]?[0-9_]+(\.[0-9_]+)?([eE][+-]?[0-9_]+)?)$/;
const DATE =
  /[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9:.]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?|[0-9]{2}:[0-9:.]+/y;
const VARIABLE = /\$\{[^}\n]*\}/y;
const BARE = /[^\s,\]}#]+/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;

/** Longest path, so that nested values cannot overflow the stack. */
const MAX_DEPTH = 100;

/** Ends the scan of a statement with a mistake. */
class Mistake extends Error {
  constructor(readonly at: number, message: string) {
    super(message);
  }
}

class Scanner implements TomlScan {
  readonly mistakes: TomlMistake[] = [];
  readonly bareVariables: { start: number; end: number }[] = [];
  /** By path as JSON; `count` is how many tables a list of tables has. */
  readonly #known = new Map<string, { line: number; origin: Origin; count?: number }>();
  readonly #text: string;
  #at = 0;
  /** Where each line starts. */
  readonly #starts = [0];
  /** The path of the current value, for messages. */
  #path: Path = [];

  constructor(text: string) {
    this.#text = text;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
    let table: Path = [];
    let lost = false;
    while (true) {
      this.#skipBlank();
      if (this.#at >= text.length) return;
      const start = this.#at;
      const header = text[start] === "[";
      this.#path = [];
      try {
        if (header) [table, lost] = [this.#header(), false];
        else this.#pair(table);
        this.#endOfLine();
      } catch (error) {
        if (!(error instanceof Mistake)) throw error;
        this.#goOn(start, error.at);
        const line = this.#lineOf(error.at);
        const oneLine = !text.slice(start, this.#at).includes("\n");
        this.mistakes.push({
          line,
          path: lost ? [] : this.#path,
          message: error.message,
          statement: !header && oneLine ? { start, end: this.#at } : undefined,
        });
        // What follows belongs to a table that is not known.
        if (header) [table, lost] = [[`(line ${line})`], true];
      }
    }
  }

  /** Goes to where the next statement probably starts, after a mistake in the one from `start` on. */
  #goOn(start: number, mistake: number): void {
    const lineStart = this.#starts[this.#lineOf(mistake) - 1];
    if (lineStart > start && this.#text.slice(lineStart, mistake).trim() === "") {
      this.#at = mistake;
      return;
    }
    this.#at = Math.max(this.#at, mistake);
    while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
  }

  line(path: Path): number | undefined {
    for (let length = path.length; length > 0; length--) {
      const known = this.#known.get(JSON.stringify(path.slice(0, length)));
      if (known) return known.line;
    }
    return undefined;
  }

  #lineOf(at: number): number {
    let low = 0;
    for (let high = this.#starts.length; high - low > 1;) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  /** Reads what the pattern matches here, or nothing. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #skipSpaces(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }

  /** Spaces, ends of lines and comments. */
  #skipBlank(): void {
    while (this.#at < this.#text.length) {
      const c = this.#text[this.#at];
      if (c === "#") { while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++; }
      else if (c === " " || c === "\t" || c === "\r" || c === "\n") this.#at++;
      else return;
    }
  }

  #endOfLine(): void {
    this.#skipSpaces();
    const c = this.#text[this.#at];
    if (c === undefined || c === "\n" || c === "#" || (c === "\r" && this.#text[this.#at + 1] === "\n")) {
      return;
    }
    const rest = this.#text.slice(this.#at).split(/\r?\n/, 1)[0].trimEnd();
    throw new Mistake(this.#at, `expected the end of the line, found ${quote(rest)}`);
  }

  /** `a."b c".d` */
  #key(): string[] {
    const steps: string[] = [];
    while (true) {
      this.#skipSpaces();
      const c = this.#text[this.#at];
      if (c === '"' || c === "'") steps.push(this.#string());
      else {
        const bare = this.#take(BARE_KEY);
        if (bare === "") throw new Mistake(this.#at, `expected a key, found ${this.#here()}`);
        steps.push(bare);
      }
      this.#skipSpaces();
      if (this.#text[this.#at] !== ".") return steps;
      this.#at++;
    }
  }

  /** The text at the current place, for a message. */
  #here(): string {
    const rest = this.#text.slice(this.#at).split(/\r?\n/, 1)[0].trim();
    return rest === "" ? "the end of the line" : quote(rest.length > 40 ? rest.slice(0, 40) + "…" : rest);
  }

  #header(): Path {
    const start = this.#at;
    const many = this.#text.startsWith("[[", start);
    this.#at += many ? 2 : 1;
    const steps = this.#key();
    const close = many ? "]]" : "]";
    if (!this.#text.startsWith(close, this.#at)) {
      throw new Mistake(this.#at, `expected ${close}, found ${this.#here()}`);
    }
    this.#at += close.length;
    const line = this.#lineOf(start);
    let path: Path = [];
    for (const step of steps.slice(0, -1)) path = this.#enter([...path, step], line, "header");
    path = [...path, steps[steps.length - 1]];
    this.#path = path;
    const id = JSON.stringify(path);
    const known = this.#known.get(id);
    if (many) {
      if (known && known.origin !== "tables") throw this.#twice(start, path, known);
      const count = (known?.count ?? 0) + 1;
      if (known) known.count = count;
      else this.#known.set(id, { line, origin: "tables", count });
      path = [...path, count - 1];
      this.#known.set(JSON.stringify(path), { line, origin: "header" });
    } else {
      if (known && known.origin !== "parent") throw this.#twice(start, path, known);
      this.#known.set(id, { line, origin: "header" });
    }
    return path;
  }

  /** Goes into a table on the way to a key; of an array of tables, into the last one. */
  #enter(path: Path, line: number, by: "header" | "key"): Path {
    const id = JSON.stringify(path);
    const known = this.#known.get(id);
    if (!known) this.#known.set(id, { line, origin: "parent" });
    else if (known.origin === "tables" && by === "header") return [...path, known.count! - 1];
    else if (known.origin === "value" || known.origin === "tables") {
      this.#path = path;
      throw this.#twice(this.#at, path, known);
    }
    return path;
  }

  #twice(at: number, path: Path, known: { line: number; origin: Origin }): Mistake {
    const what = known.origin === "header" || known.origin === "parent"
      ? `table [${formatPath(path)}]`
      : known.origin === "tables"
      ? `list of tables [[${formatPath(path)}]]`
      : "key";
    return new Mistake(at, `this ${what} is already given in line ${known.line}`);
  }

  #pair(table: Path): void {
    const start = this.#at;
    const steps = this.#key();
    this.#path = [...table, ...steps];
    if (this.#text[this.#at] !== "=") {
      throw new Mistake(start, `expected ${formatPath(steps)} = VALUE, found ${this.#here()} after the key`);
    }
    const line = this.#lineOf(start);
    let path = table;
    for (const step of steps.slice(0, -1)) path = this.#enter([...path, step], line, "key");
    path = [...path, steps[steps.length - 1]];
    this.#path = path;
    this.#at++;
    this.#skipSpaces();
    const known = this.#known.get(JSON.stringify(path));
    // A value is scanned even if its key is a mistake, so that the scan continues after it.
    this.#value(known ? [...path, "(again)"] : path);
    this.#path = path;
    if (known) throw this.#twice(start, path, known);
    this.#known.set(JSON.stringify(path), { line, origin: "value" });
  }

  #value(path: Path): void {
    this.#path = path;
    if (path.length > MAX_DEPTH) throw new Mistake(this.#at, "the value is nested too deeply");
    const c = this.#text[this.#at];
    if (c === '"' || c === "'") this.#string();
    else if (c === "[") this.#array(path);
    else if (c === "{") this.#inlineTable(path);
    else this.#bare();
    this.#path = path;
  }

  #bare(): void {
    const start = this.#at;
    if (this.#take(VARIABLE) !== "") {
      this.bareVariables.push({ start, end: this.#at });
      return;
    }
    if (this.#take(DATE) !== "") {
      if (/[\s,\]}#]|^$/.test(this.#text[this.#at] ?? "")) return;
      this.#at = start;
    }
    const word = this.#take(BARE);
    if (WORDS.test(word)) return;
    if (word === "") throw new Mistake(start, `expected a value, found ${this.#here()}`);
    const end = /[#\r\n]|$/.exec(this.#text.slice(start))!.index;
    const rest = this.#text.slice(start, start + end).trim();
    const flag = /^(true|yes|on)$/i.test(rest)
      ? "true"
      : /^(false|no|off)$/i.test(rest)
      ? "false"
      : undefined;
    throw new Mistake(
      start,
      `expected a value, found ${rest}; write ${flag ? `${flag}, or ` : ""}a text in quotes: ${quote(rest)}`,
    );
  }

  #array(path: Path): void {
    const start = this.#at++;
    for (let index = 0;; index++) {
      this.#skipBlank();
      const at = this.#at;
      if (this.#text[at] !== "]" && this.#text[at] !== undefined) {
        this.#known.set(JSON.stringify([...path, index]), {
          line: this.#lineOf(at),
          origin: "value",
        });
        this.#value([...path, index]);
        this.#skipBlank();
      }
      this.#path = path;
      const c = this.#text[this.#at++];
      if (c === "]") return;
      if (c === undefined) throw new Mistake(start, "the list is not closed by ]");
      if (c !== ",") {
        throw new Mistake(
          --this.#at,
          `expected , or ] in the list of line ${this.#lineOf(start)}, found ${this.#here()}`,
        );
      }
    }
  }

  #inlineTable(path: Path): void {
    const start = this.#at++;
    while (true) {
      // Only later versions of TOML allow several lines; the parser knows which version it reads.
      this.#skipBlank();
      if (this.#text[this.#at] !== "}") {
        if (this.#at >= this.#text.length) break;
        this.#pair(path);
        this.#skipBlank();
      }
      this.#path = path;
      const c = this.#text[this.#at++];
      if (c === "}") return;
      if (c === undefined) break;
      if (c !== ",") {
        throw new Mistake(
          --this.#at,
          `expected , or } in the table of line ${this.#lineOf(start)}, found ${this.#here()}`,
        );
      }
    }
    throw new Mistake(start, "the table is not closed by }");
  }

  /** Any of the four kinds of text. Its value is only used for keys. */
  #string(): string {
    const start = this.#at;
    const mark = this.#text[start];
    const long = this.#text.startsWith(mark.repeat(3), start);
    const open = long ? mark.repeat(3) : mark;
    let at = start + open.length;
    while (!this.#text.startsWith(open, at)) {
      if (at >= this.#text.length || (!long && this.#text[at] === "\n")) {
        this.#at = at;
        throw new Mistake(start, `the text is not closed by ${open}`);
      }
      at += mark === '"' && this.#text[at] === "\\" ? 2 : 1;
    }
    const inner = this.#text.slice(start + open.length, at);
    at += open.length;
    // Up to two more quotes at the end belong to a long text.
    if (long) { for (let more = 0; more < 2 && this.#text[at] === mark; more++) at++; }
    this.#at = at;
    return mark === "'" ? inner : unescape(inner);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\x1b" };

/** The value of a basic string on one line, as in keys. */
function unescape(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/g, (_, code: string) => {
    if (code.length === 1) return ESCAPES[code] ?? code;
    const point = parseInt(code.slice(1), 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
  });
}

/** Scans a TOML text for the lines of its keys. Never throws. */
export function scanToml(text: string): TomlScan {
  return new Scanner(text);
}
