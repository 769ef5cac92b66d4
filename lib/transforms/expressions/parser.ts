/** The tree of an expression. The grammar is that of the formulas of Alumet's plugin energy-attribution. */
import { ExpressionError, type Token, tokensOf } from "./lexer.ts";

export type Node =
  & { readonly at: number }
  & (
    | { readonly kind: "int"; readonly value: bigint }
    | { readonly kind: "float"; readonly value: number }
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "string"; readonly text: string }
    | { readonly kind: "variable"; readonly name: string }
    | { readonly kind: "unary"; readonly operator: UnaryOperator; readonly operand: Node }
    | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Node;
      readonly right: Node;
    }
    | { readonly kind: "call"; readonly name: string; readonly args: readonly Node[] }
    | { readonly kind: "tuple"; readonly items: readonly Node[] }
    | { readonly kind: "chain"; readonly items: readonly Node[] }
    | { readonly kind: "empty" }
  );

export type UnaryOperator = "-" | "!";
export type BinaryOperator =
  | ("+" | "-" | "*" | "/" | "%" | "^")
  | ("<" | ">" | "<=" | ">=" | "==" | "!=")
  | ("&&" | "||");

/** How strongly operators of two operands bind. All of them are evaluated from left to right: 2^3^2 is 64. */
const PRECEDENCE: Readonly<Record<string, number>> = {
  ...{ "^": 120, "*": 100, "/": 100, "%": 100, "+": 95, "-": 95 },
  ...{ "<": 80, ">": 80, "<=": 80, ">=": 80, "==": 80, "!=": 80, "&&": 75, "||": 70 },
};
const UNARY = 110;
/** So deep may expressions be nested. */
const MAX_DEPTH = 200;

/** @throws {ExpressionError} */
export function treeOf(text: string): Node {
  return new Parser(text).parse();
}

class Parser {
  readonly #tokens: Token[];
  #place = 0;
  #depth = 0;

  constructor(readonly text: string) {
    this.#tokens = tokensOf(text);
  }

  parse(): Node {
    const node = this.#chain();
    const token = this.#next;
    if (token.kind !== "end") throw this.#unexpected(token);
    return node;
  }

  get #next(): Token {
    return this.#tokens[this.#place];
  }

  /** Takes an operator, if it is next. */
  #takes(operator: string): boolean {
    const token = this.#next;
    if (token.kind !== "operator" || token.text !== operator) return false;
    this.#place++;
    return true;
  }

  #unexpected(token: Token): ExpressionError {
    if (token.kind === "end") {
      return new ExpressionError("a value is missing at the end", this.text, token.at);
    }
    const before = this.#tokens[this.#place - 1];
    if (token.kind === "operator") {
      if (token.text.endsWith("=") && !["==", "!=", "<=", ">="].includes(token.text)) {
        return new ExpressionError("variables cannot be changed; to compare, write ==", this.text, token.at);
      }
      if (token.text === ")") return new ExpressionError("this ) closes nothing", this.text, token.at);
      return new ExpressionError(`a value is missing before ${token.text}`, this.text, token.at);
    }
    return before === undefined
      ? new ExpressionError("a value is missing", this.text, token.at)
      : new ExpressionError("an operator is missing before this", this.text, token.at);
  }

  /** Expressions between semicolons. */
  #chain(): Node {
    const { at } = this.#next;
    const items = [this.#tuple()];
    while (this.#takes(";")) items.push(this.#tuple());
    return items.length === 1 ? items[0] : { kind: "chain", items, at };
  }

  /** Expressions between commas. */
  #tuple(): Node {
    const { at } = this.#next;
    const items = [this.#optional()];
    while (this.#takes(",")) items.push(this.#optional());
    return items.length === 1 ? items[0] : { kind: "tuple", items, at };
  }

  /** An expression, or nothing. */
  #optional(): Node {
    const token = this.#next;
    const isNothing = token.kind === "end" ||
      token.kind === "operator" && [")", ",", ";"].includes(token.text);
    return isNothing ? { kind: "empty", at: token.at } : this.#expression(0);
  }

  /** An expression of operators that bind at least that strongly. */
  #expression(least: number): Node {
    if (++this.#depth > MAX_DEPTH) {
      throw new ExpressionError("the expression is nested too deeply", this.text, this.#next.at);
    }
    let left = this.#operand(least);
    for (;;) {
      const token = this.#next;
      if (token.kind !== "operator") break;
      const precedence = PRECEDENCE[token.text];
      if (precedence === undefined || precedence < least) break;
      this.#place++;
      const operator = token.text as BinaryOperator;
      left = { kind: "binary", operator, left, right: this.#expression(precedence + 1), at: token.at };
    }
    this.#depth--;
    return left;
  }

  #operand(least: number): Node {
    const token = this.#next;
    if (token.kind === "operator" && (token.text === "-" || token.text === "!")) {
      this.#place++;
      const operand = this.#expression(Math.max(UNARY, least));
      return { kind: "unary", operator: token.text, operand, at: token.at };
    }
    return this.#primary();
  }

  #primary(): Node {
    const token = this.#next;
    if (token.kind === "operator") {
      if (!this.#takes("(")) throw this.#unexpected(token);
      const inner = this.#chain();
      if (!this.#takes(")")) {
        if (this.#next.kind !== "end") throw this.#unexpected(this.#next);
        throw new ExpressionError("this ( is not closed", this.text, token.at);
      }
      return inner;
    }
    if (token.kind === "end") throw this.#unexpected(token);
    this.#place++;
    if (token.kind !== "identifier") return token;
    const { text: name, at } = token;
    if (!this.#isOperandNext) return { kind: "variable", name, at };
    if (++this.#depth > MAX_DEPTH) throw new ExpressionError("calls are nested too deeply", this.text, at);
    const argument = this.#primary();
    this.#depth--;
    const args = argument.kind === "empty" ? [] : argument.kind === "tuple" ? argument.items : [argument];
    return { kind: "call", name, args, at };
  }

  /** An identifier that is followed by an operand is a function. */
  get #isOperandNext(): boolean {
    const token = this.#next;
    return token.kind === "operator" ? token.text === "(" : token.kind !== "end";
  }
}
