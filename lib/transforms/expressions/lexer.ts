/** The words of an expression. */

/** A mistake in an expression, and where it is. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";

  /** @param at The place of the character that is wrong, counted from 0. */
  constructor(message: string, readonly text: string, readonly at: number) {
    super(message);
  }

  /** The message, the line of the expression, and a caret under the mistake. */
  get picture(): string {
    const start = this.text.lastIndexOf("\n", this.at - 1) + 1;
    const [line] = this.text.slice(start).split("\n");
    // A character beyond the basic plane takes one column, as does a tab in the line and below it.
    const before = [...this.text.slice(start, this.at)].map((char) => char === "\t" ? "\t" : " ").join("");
    return `${this.message}\n    ${line}\n    ${before}^`;
  }
}

export type Token =
  & { readonly at: number }
  & (
    | { readonly kind: "operator"; readonly text: string }
    | { readonly kind: "identifier"; readonly text: string }
    | { readonly kind: "string"; readonly text: string }
    | { readonly kind: "int"; readonly value: bigint }
    | { readonly kind: "float"; readonly value: number }
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "end" }
  );

/** Longest first. */
const OPERATORS = [
  ...["&&=", "||="],
  ...["+=", "-=", "*=", "/=", "%=", "^=", "==", "!=", "<=", ">=", "&&", "||"],
  ..."+-*/%^=!<>(),;",
];
/** What ends an identifier or a number. */
const ENDS_WORD = /[\s+\-*/%^=!<>&|(),;"]/u;
const MAX_INT = 2n ** 63n - 1n;

/** @throws {ExpressionError} */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const [space] = /^\s*/u.exec(text.slice(at))!;
    at += space.length;
    if (at === text.length) break;
    if (text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      if (end < 0) throw new ExpressionError("this comment has no end: */", text, at);
      at = end + 2;
    } else if (text[at] === '"') at = readString(text, at, tokens);
    else at = readOperator(text, at, tokens) ?? readWord(text, at, tokens);
  }
  tokens.push({ kind: "end", at: text.length });
  return tokens;
}

function readOperator(text: string, at: number, tokens: Token[]): number | undefined {
  const operator = OPERATORS.find((operator) => text.startsWith(operator, at));
  if (operator !== undefined) {
    tokens.push({ kind: "operator", text: operator, at });
    return at + operator.length;
  }
  if (text[at] !== "&" && text[at] !== "|") return undefined;
  throw new ExpressionError(`expected ${text[at]}${text[at]}, found ${text[at]}`, text, at);
}

function readString(text: string, start: number, tokens: Token[]): number {
  let value = "";
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') {
      tokens.push({ kind: "string", text: value, at: start });
      return at + 1;
    }
    if (text[at] === "\\") {
      at++;
      if (text[at] !== '"' && text[at] !== "\\") {
        throw new ExpressionError('expected \\" or \\\\ after a backslash', text, at - 1);
      }
    }
    value += text[at];
  }
  throw new ExpressionError('this text has no end: "', text, start);
}

function readWord(text: string, at: number, tokens: Token[]): number {
  let end = at;
  while (end < text.length && !ENDS_WORD.test(text[end])) end++;
  const [exponent] = /^[\d.]+[eE]$/.test(text.slice(at, end))
    ? /^[+-]\d+(?![^\s+\-*/%^=!<>&|(),;"])/u.exec(text.slice(end)) ?? [""]
    : [""];
  const word = text.slice(at, end) + exponent;
  tokens.push({ ...meaningOf(word), at });
  return at + word.length;
}

/** A number, a truth value or an identifier. */
function meaningOf(word: string) {
  if (/^(\d+|0x[0-9a-fA-F]+)$/.test(word)) {
    const value = BigInt(word);
    if (value <= MAX_INT) return { kind: "int", value } as const;
  }
  if (/^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(word)) return { kind: "float", value: Number(word) } as const;
  if (/^inf(inity)?$/i.test(word)) return { kind: "float", value: Infinity } as const;
  if (/^nan$/i.test(word)) return { kind: "float", value: NaN } as const;
  if (word === "true" || word === "false") return { kind: "bool", value: word === "true" } as const;
  return { kind: "identifier", text: word } as const;
}

/** Whether a text is one identifier. */
export function isIdentifier(text: string): boolean {
  try {
    const [first, second] = tokensOf(text);
    return first.kind === "identifier" && first.text === text && second.kind === "end";
  } catch {
    return false;
  }
}
