/** Expressions, as Alumet's plugin energy-attribution evaluates them: the results are those of its crate. */
import assert from "node:assert/strict";
import { Expression } from "../../lib/transforms/expressions/expression.ts";
import { ExpressionError, isIdentifier } from "../../lib/transforms/expressions/lexer.ts";

const VARIABLES = ["e", "u", "n", "a.b", "å", "1a", "a::b"];

/** An expression with e = 4.0, u = 25.0, n = 7 (an int), and 1, 2, 3, 4 as ints. */
function expressionOf(text: string): Expression {
  const expression = new Expression(text, VARIABLES);
  for (const [i, value] of [4, 25, 7, 1, 2, 3, 4].entries()) expression.set(i, value, i >= 2);
  return expression;
}

/** The result; the problem where there is none; the mistake where there is no expression. */
function outcome(text: string): number | string {
  try {
    const expression = expressionOf(text);
    const value = expression.evaluate();
    return expression.problem || value;
  } catch (error) {
    if (error instanceof ExpressionError) return `mistake: ${error.message}`;
    throw error;
  }
}

const EXPECTED: [text: string, result: number | RegExp][] = [
  ["e * u / 100", 1],
  ["n * 50 / 100", 3],
  ["n * 50 / 100.0", 3.5],
  ["2^3^2", 64],
  ["-2^2", -4],
  ["2^-1", 0.5],
  ["2^-1^2", 0.25],
  ["7/2", 3],
  ["-7/2", -3],
  ["7/2.0", 3.5],
  ["-7%3", -1],
  ["7%2.5", 2],
  ["1/0", /divided by 0/],
  ["5%0", /divided by 0/],
  ["n/(n-7)", /divided by 0/],
  ["1.0/0", Infinity],
  ["5.0%0", NaN],
  ["9223372036854775807+1", /beyond 64 bits/],
  ["9223372036854775807-1+1-9223372036854775800", 7],
  ["9007199254740993-1", 9007199254740992],
  ["3037000500*3037000500", /beyond 64 bits/],
  ["99999999999999999999", 1e20],
  ["--2", 2],
  ["2 * -3", -6],
  ["2-3", -1],
  ["10-3-2", 5],
  ["1+2*3", 7],
  ["(1+2)*3", 9],
  ["+1", /^mistake: a value is missing before \+/],
  ["5 5", /^mistake: an operator is missing/],
  ["a=1", /^mistake: variables cannot be changed/],
  ["e += 1", /^mistake: variables cannot be changed/],
  ["if(1==1.0, 1, 2)", 2],
  ["if(1==1, 1, 2)", 1],
  ["if(1<1.5, 1, 2)", 1],
  ["if(9223372036854775807 > 9223372036854775806, 1, 2)", 1],
  ["if(9223372036854775807 == 9223372036854775806, 1, 2)", 2],
  ['if("a" < "b", 1, 2)', 1],
  ['if("a" + "b" == "ab", 1, 2)', 1],
  ["if((1, 2) == (1, 2), 1, 2)", 1],
  ["if(nan == nan, 1, 2)", 2],
  ["if(nan != nan && !(nan < 1), 1, 2)", 1],
  ["3>2>1", /^mistake: this is true or false, expected an int or a float or a text/],
  ["if(true || 1/0==1, 1, 2)", /divided by 0/],
  ["if(true,1,1/0)", /divided by 0/],
  ["if(false,1/0,1)", /divided by 0/],
  ["if(1,2,3)", /^mistake: this is an int, expected true or false/],
  ["if(true,2,3.5)", 2],
  ["if(true, 9223372036854775807, 1) - 9223372036854775800", 7],
  ["min(1,2.5)", 1],
  ["min(2,1.0) / 2", 0.5],
  ["min(1,1.0) / 2", 0.5],
  ["min(1,2) / 2", 0],
  ["max(2,1.5,3)", 3],
  ["max((2,1.5,3))", 3],
  ["max(9223372036854775806, 9223372036854775807) - 9223372036854775800", 7],
  ["min(nan, 1)", 1],
  ["min 3", /^mistake: min takes 2 or more arguments, not 1/],
  ["min()", /^mistake: min takes 2 or more arguments, not 0/],
  ["round(2.5)", 3],
  ["round(-2.5)", -3],
  ["floor 7", 7],
  ["floor 7 / 2", 3.5],
  ["floor floor 2.5", 2],
  ["math::log(8,2)", 3],
  ["math::ln 0", -Infinity],
  ["math::sqrt 4", 2],
  ["math::sqrt 4 ^ 2", 4],
  ["math::abs(-3) / 2", 1],
  ["math::abs(-3.0) / 2", 1.5],
  ["math::pow(2, 0.5) - math::sqrt 2", 0],
  ["math::hypot(3, 4)", 5],
  ["math::atan2(0, 1)", 0],
  ["if(math::is_nan(nan) && math::is_infinite(inf) && math::is_normal 1, 1, 2)", 1],
  ["bitand(6, 3)", 2],
  ["bitor(6, 3)", 7],
  ["bitxor(6, 3)", 5],
  ["bitnot 0", -1],
  ["shl(1, 3)", 8],
  ["shl(1, 63) + 9223372036854775807", -1],
  ["shr(-8, 1)", -4],
  ["shl(1, 64)", /0 to 63 bits/],
  ["bitand(1.0, 1)", /^mistake: this is a float, expected an int/],
  ['len("åb")', 3],
  ["len(())", /^mistake: len takes 1 arguments, not 0/],
  ["if(contains((1, 2), 2) && contains_any((1, 2), (3, 2)) && !contains((1, 2), 2.0), 1, 2)", 1],
  ['if(typeof 1 == "int" && typeof 1.0 == "float" && typeof true == "boolean", 1, 2)', 1],
  ['if(str::to_uppercase("a") + str::trim(" b ") + str::from 1 == "Ab1", 1, 2)', 1],
  ['if(str::substring("abc", 1) == "bc" && str::substring("abc", 0, 1) == "a", 1, 2)', 1],
  ['len(str::substring("abc", 2, 9))', /beyond its ends/],
  ["12 + 0xff + 3. + .35 + 1e-3 + 1.e3 + 1E+1", 12 + 255 + 3 + .35 + 1e-3 + 1e3 + 10],
  ["1e2", 100],
  ["INF", Infinity],
  ["Infinity - infinity", NaN],
  ["1 // one\n + 2 /* and\ntwo */", 3],
  ["a.b + å * 10 + 1a * 100 + a::b * 1000", 4321],
  ["e-u", -21],
  ["1;2", 2],
  ["1/0;2", /divided by 0/],
  ["1;", /^mistake: the result must be a number, not nothing/],
  ["", /^mistake: the result must be a number, not nothing/],
  ["()", /^mistake: the result must be a number, not nothing/],
  ["1,2", /^mistake: the result must be a number, not several values/],
  ["1,", /^mistake: the result must be a number, not several values/],
  ["1 < 2", /^mistake: the result must be a number, not true or false/],
  ["if(e < 5, true, 1)", /a number is wanted, not boolean/],
  ["if(e > 5, true, 1) + 1", 2],
  ["if(e < 5, true, 1) + 1", /a number is wanted, not boolean/],
  ["1 + if(e < 5, true, 1)", /a number is wanted, not boolean/],
  ['"a" + 1', /^mistake: this is an int, expected a text/],
  ["unknown", /^mistake: there is no series unknown; there are e, u/],
  ["min", /^mistake: min is a function: write min\(…\)/],
  ["e (2)", /^mistake: an operator is missing behind e/],
  ["mim(1, 2)", /^mistake: there is no function mim; did you mean "?min/],
  ["math::sqrt -4", /^mistake: math::sqrt is a function/],
  ["(1", /^mistake: this \( is not closed/],
  ["1)", /^mistake: this \) closes nothing/],
  ["1 +", /^mistake: a value is missing at the end/],
  ["1 & 2", /^mistake: expected &&, found &/],
  ['"a', /^mistake: this text has no end/],
  ['"\\n"', /^mistake: expected \\" or \\\\ after a backslash/],
  ["/* a", /^mistake: this comment has no end/],
  ["1" + "+1".repeat(2000), 2001],
  ["1" + "+1".repeat(3000), /^mistake: the formula is longer than 4096/],
  ["(".repeat(300) + "1" + ")".repeat(300), /^mistake: the expression is nested too deeply/],
];

for (const [text, expected] of EXPECTED) {
  Deno.test(`${text.slice(0, 60) || "an empty text"} is ${expected}`, () => {
    const found = outcome(text);
    if (typeof expected === "number") assert.equal(found, expected);
    else assert.match(String(found), expected);
  });
}

Deno.test("a mistake is shown with a caret below it", () => {
  assert.throws(() => expressionOf("e *\n  usage / 100"), (error) => {
    assert.equal(
      (error as ExpressionError).picture,
      "there is no series usage; there are e, u, n, a.b, å, 1a, a::b\n      usage / 100\n      ^",
    );
    return true;
  });
});

Deno.test("ints of points above 2^53 are floats, because they are rounded", () => {
  const expression = new Expression("n / 2", ["n"]);
  expression.set(0, 7, true);
  assert.equal(expression.evaluate(), 3);
  expression.set(0, 2 ** 53 + 2, true);
  assert.equal(expression.evaluate(), 2 ** 52 + 1);
});

Deno.test("an identifier is one word that is no number", () => {
  for (const name of ["a", "a.b", "å", "1a", "a::b", "1_000", "a$b"]) assert.ok(isIdentifier(name), name);
  for (const name of ["", "a b", "a-b", "1", "inf", "true", "a,", '"a"', " a"]) {
    assert.ok(!isIdentifier(name), name);
  }
});

Deno.test("the expression knows which variables it reads", () => {
  assert.deepEqual([...expressionOf("e + u * e").variables], [0, 1]);
});
