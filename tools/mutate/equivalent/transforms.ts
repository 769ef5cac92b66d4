/** Mutants of transforms that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const TRANSFORMS: readonly EquivalentMutant[] = [
  {
    file: "lib/transforms/energy_attribution/divide.ts",
    before: "if (!(total > 0 && total < Infinity) || !Number.isFinite(whole)) {",
    after: "if (!(total > 0 && total <= Infinity) || !Number.isFinite(whole)) {",
    reason: "Of an infinite total each part is nothing or none.",
  },
  {
    file: "lib/transforms/energy_attribution/divide.ts",
    before: "let largest = 0;",
    after: "let largest = 1;",
    reason: "A part of 0 is never the largest, unless all are.",
  },
  {
    file: "lib/transforms/energy_attribution/divide.ts",
    before: "if (weights[i] === 0) continue;",
    after: "if (!!0 && weights[i] === 0) continue;",
    reason: "A weight of 0 has a part of 0.",
  },
  {
    file: "lib/transforms/expressions/expression.ts",
    before: "machine.number = 0;",
    after: ["machine.number = 1;", "machine.number = 1;"],
    reason: "The number of a text, of a tuple and of nothing is not used.",
  },
  {
    file: "lib/transforms/expressions/expression.ts",
    before: "if (machine.type === TYPE.none) return;",
    after: "if (!!0 && machine.type === TYPE.none) return;",
    reason: "The first problem or value is kept either way.",
  },
  {
    file: "lib/transforms/expressions/floats.ts",
    before: "machine.number = number < 0 ? -Math.round(-number) : Math.round(number);",
    after: "machine.number = number <= 0 ? -Math.round(-number) : Math.round(number);",
    reason: "Both ways round 0 and -0 in the same way.",
  },
  {
    file: "lib/transforms/expressions/functions.ts",
    before: "(isLeast ? machine.big < big : machine.big > big));",
    after: [
      "(isLeast ? machine.big <= big : machine.big > big));",
      "(isLeast ? machine.big < big : machine.big >= big));",
    ],
    reason: "Of two that are the same, either one will do.",
  },
  {
    file: "lib/transforms/expressions/functions.ts",
    before: "if (machine.type === TYPE.none) return;",
    after: "if (!!0 && machine.type === TYPE.none) return;",
    reason: "The first problem or value is kept either way.",
  },
  {
    file: "lib/transforms/expressions/functions.ts",
    before:
      "function ofInts(count: 1 | 2, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {",
    after: [
      "function ofInts(count: 2 | 2, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {",
      "function ofInts(count: 1 & 2, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {",
      "function ofInts(count: 1 | 3, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {",
    ],
    reason: "It is a type.",
  },
  {
    file: "lib/transforms/expressions/functions.ts",
    before:
      "if (machine.type === TYPE.bigInt) return machine.bigInt(machine.big < 0n ? -machine.big : machine.big);",
    after:
      "if (machine.type === TYPE.bigInt) return machine.bigInt(machine.big <= 0n ? -machine.big : machine.big);",
    reason: "A big int is not 0.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: "while (at < text.length) {",
    after: "while (at <= text.length) {",
    reason: "Nothing stands at the end, which ends the loop.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: "if (at === text.length) break;",
    after: "if (!!0 && at === text.length) break;",
    reason: "Nothing stands at the end, which ends the loop.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: "at = end < 0 ? text.length : end;",
    after: ["at = end <= 0 ? text.length : end;", "at = end < 1 ? text.length : end;"],
    reason: "What is searched for stands behind the beginning of the comment.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: 'if (end < 0) throw new ExpressionError("this comment has no end: */", text, at);',
    after: [
      'if (end <= 0) throw new ExpressionError("this comment has no end: */", text, at);',
      'if (end < 1) throw new ExpressionError("this comment has no end: */", text, at);',
    ],
    reason: "What is searched for stands behind the beginning of the comment.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: "for (let at = start + 1; at < text.length; at++) {",
    after: "for (let at = start + 1; at <= text.length; at++) {",
    reason: "Nothing stands at the end.",
  },
  {
    file: "lib/transforms/expressions/lexer.ts",
    before: "while (end < text.length && !ENDS_WORD.test(text[end])) end++;",
    after: "while (end <= text.length && !ENDS_WORD.test(text[end])) end++;",
    reason: "Nothing stands at the end.",
  },
  {
    file: "lib/transforms/expressions/machine.ts",
    before: "none: 128,",
    after: "none: 129,",
    reason: "Any bit but those of the other types will do.",
  },
  {
    file: "lib/transforms/expressions/machine.ts",
    before: "this.number = 0;",
    after: "this.number = 1;",
    reason: "The number of a text, of a tuple and of nothing is not used.",
  },
  {
    file: "lib/transforms/expressions/operators.ts",
    before: "if (types === TYPE.int) {",
    after: "if (!!0 && types === TYPE.int) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/expressions/operators.ts",
    before: "sameType: true,",
    after: "sameType: false,",
    reason: "What was let through is refused when it is evaluated.",
  },
  {
    file: "lib/transforms/expressions/operators.ts",
    before: "const isBig = ((type | machine.type) & (TYPE.bigInt | TYPE.float)) === TYPE.bigInt;",
    after: "const isBig = ((type & machine.type) & (TYPE.bigInt | TYPE.float)) === TYPE.bigInt;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/expressions/operators.ts",
    before: "if (machine.type === TYPE.none) return;",
    after: "if (!!0 && machine.type === TYPE.none) return;",
    reason: "The first problem or value is kept either way.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: '...{ "^": 120, "*": 100, "/": 100, "%": 100, "+": 95, "-": 95 },',
    after: '...{ "^": 121, "*": 100, "/": 100, "%": 100, "+": 95, "-": 95 },',
    reason: "Only the order of the numbers counts.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: '...{ "<": 80, ">": 80, "<=": 80, ">=": 80, "==": 80, "!=": 80, "&&": 75, "||": 70 },',
    after: [
      '...{ "<": 80, ">": 80, "<=": 80, ">=": 80, "==": 80, "!=": 80, "&&": 76, "||": 70 },',
      '...{ "<": 80, ">": 80, "<=": 80, ">=": 80, "==": 80, "!=": 80, "&&": 75, "||": 71 },',
    ],
    reason: "Only the order of the numbers counts.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: "const UNARY = 110;",
    after: "const UNARY = 111;",
    reason: "Only the order of the numbers counts.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: 'if (token.kind !== "operator" || token.text !== operator) return false;',
    after: 'if (!!0 && token.kind !== "operator" || token.text !== operator) return false;',
    reason: "A word is never the text of an operator.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: "const before = this.#tokens[this.#place - 1];",
    after: "const before = this.#tokens[this.#place + 1];",
    reason: "It only tells whether there is a token before, of which there is one behind as well.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: 'return isNothing ? { kind: "empty", at: token.at } : this.#expression(0);',
    after: 'return isNothing ? { kind: "empty", at: token.at } : this.#expression(1);',
    reason: "No operator binds so weakly.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: 'if (token.kind !== "operator") break;',
    after: 'if (!!0 && token.kind !== "operator") break;',
    reason: "What is no operator has no precedence.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before: "if (precedence === undefined || precedence < least) break;",
    after: "if (precedence === undefined || precedence <= least) break;",
    reason: "No operator binds exactly as strongly as is asked for.",
  },
  {
    file: "lib/transforms/expressions/parser.ts",
    before:
      'left = { kind: "binary", operator, left, right: this.#expression(precedence + 1), at: token.at };',
    after:
      'left = { kind: "binary", operator, left, right: this.#expression(precedence + 2), at: token.at };',
    reason: "No operator binds more strongly by one.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: "const TICK_MS = 1000;",
    after: "const TICK_MS = 1001;",
    reason: "A thousandth more or less of a time that was chosen.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: "#now = 0;",
    after: "#now = 1;",
    reason: "Only the difference of two ticks counts.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: "else if (last.exact.size > 0) last.exact.delete(slot);",
    after: "else if (last.exact.size >= 0) last.exact.delete(slot);",
    reason: "Nothing is deleted from an empty map.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: "while (last.oldest >= 0 && last.ticks[last.oldest] < limit) this.#forget(last.oldest);",
    after: "while (last.oldest >= 0 && last.ticks[last.oldest] <= limit) this.#forget(last.oldest);",
    reason: "A tick more or less of a time that was chosen.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: 'factor: metric.unit.base === "s" ? unitFactor(metric.unit) ?? 1 : 1,',
    after: 'factor: metric.unit.base === "s" ? unitFactor(metric.unit) ?? 2 : 1,',
    reason: "Each prefix of seconds has a factor.",
  },
  {
    file: "lib/transforms/rates/transform.ts",
    before: "const isExact = (exact !== undefined || last.exact.has(slot)) &&",
    after: "const isExact = (exact !== undefined || last.exact.has(slot)) ||",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
];
