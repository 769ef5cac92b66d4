/** Expressions, as Alumet's plugin energy-attribution evaluates them: the results are those of its crate. */
import assert from "node:assert/strict";
import { Expression } from "../../lib/transforms/expressions/expression.ts";
import { ExpressionError, isIdentifier } from "../../lib/transforms/expressions/lexer.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";

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
  for (const name of ["", '"a', "a & b", "a b", "a-b", "1", "inf", "true", "a,", '"a"', " a"]) {
    assert.ok(!isIdentifier(name), name);
  }
});

Deno.test("the expression knows which variables it reads", () => {
  assert.deepEqual([...expressionOf("e + u * e").variables], [0, 1]);
});

/** Each of these holds: it is 1 where its text is true. */
function holds(text: string): void {
  assert.equal(outcome(`if(${text}, 1, 2)`), 1, text);
}

const BIG = ["9223372036854775806", "9223372036854775807"] as const;

Deno.test("comparisons hold for less, equal and more as they say, of ints, floats, texts and ints beyond 2^53", () => {
  const order = {
    "<": [1, 2, 2],
    ">": [2, 2, 1],
    "<=": [1, 1, 2],
    ">=": [2, 1, 1],
    "==": [2, 1, 2],
    "!=": [1, 2, 1],
  };
  const pairs = [["1", "2"], ["1.5", "2.5"], ["1", "2.5"], ["1.5", "2"], ['"a"', '"b"'], ["-2", "-1"], BIG];
  pairs.push(["2", BIG[0]], ["2.0", BIG[0]], [BIG[0], "1e300"]);
  for (const [operator, [less, equal, more]] of Object.entries(order)) {
    for (const [a, b] of pairs) {
      assert.equal(outcome(`if(${a} ${operator} ${b}, 1, 2)`), less, `${a} ${operator} ${b}`);
      assert.equal(outcome(`if(${a} ${operator} ${a}, 1, 2)`), equal, `${a} ${operator} ${a}`);
      assert.equal(outcome(`if(${b} ${operator} ${a}, 1, 2)`), more, `${b} ${operator} ${a}`);
    }
    for (const [a, b] of [["nan", "1"], ["1", "nan"], ["nan", "nan"]]) {
      assert.equal(
        outcome(`if(${a} ${operator} ${b}, 1, 2)`),
        operator === "!=" ? 1 : 2,
        `${a} ${operator} ${b}`,
      );
    }
  }
});

Deno.test("operators bind as their places in the grammar say, and from left to right where they are alike", () => {
  const values: [string, number][] = [
    ...[["2 ^ 3 * 2", 16], ["2 * 3 ^ 2", 18], ["-2 ^ 2 * 3", -12], ["8 / 4 * 2", 4], ["8 / 2 % 3", 1]] as [
      string,
      number,
    ][],
    ...[["2 * 8 / 3", 5], ["2 * 7 % 4", 2], ["7 % 4 * 2", 6], ["1 - 2 + 3", 2], ["1 + 6 / 2", 4]] as [
      string,
      number,
    ][],
    ...[["7 - 4 % 3", 6], ["2 - 2 * 3", -4]] as [string, number][],
  ];
  for (const [text, value] of values) assert.equal(outcome(text), value, text);
  for (
    const text of [
      ...[
        "1 + 1 == 2",
        "2 == 1 + 1",
        "3 - 1 > 1",
        "1 < 3 - 1",
        "1 <= 2 == true",
        "1 < 2 == true",
        "2 > 1 == true",
      ],
      ...[
        "2 >= 1 == true",
        "1 == 1 != 1",
        "!(1 != 1 == 1)",
        "true || true && false",
        "!(true && false || false)",
      ],
      ...["!false && true", "!true || true", "1 == 1 && 2 == 2", "1 == 2 || 2 == 2"],
    ]
  ) holds(text);
  for (const operator of ["<", ">", "<=", ">="]) {
    assert.match(
      String(outcome(`if(true == 1 ${operator} 2, 1, 2)`)),
      /^mistake: this is true or false/,
      operator,
    );
  }
  assert.match(String(outcome(`${BIG[1]} + 1 - 1`)), /beyond 64 bits/);
  for (const [a, b] of [[true, true], [true, false], [false, true], [false, false]]) {
    assert.equal(outcome(`if(${a} && ${b}, 1, 2)`), a && b ? 1 : 2);
    assert.equal(outcome(`if(${a} || ${b}, 1, 2)`), a || b ? 1 : 2);
  }
});

Deno.test("ints are exact and stay within 64 bits, whichever operator made them", () => {
  const [last, max] = BIG;
  for (
    const text of [
      `-${max} - 1 + ${max} == -1`,
      `${max} - ${last} == 1`,
      `${last} + 1 == ${max}`,
      `${max} / 1 == ${max} && ${max} % 10 == 7 && -${max} / -1 == ${max}`,
      `3037000499 * 3037000499 == 9223372030926249001`,
      `math::abs(-${max}) == ${max} && math::abs(${max}) == ${max} && math::abs(${last}) != ${max}`,
      `-(-${max}) == ${max} && --${last} == ${last}`,
      `9007199254740992 + 1 == 9007199254740993 && 9007199254740993 != 9007199254740992`,
      `9007199254740993 - 9007199254740992 == 1`,
      `max(${last}, ${max}) == ${max} && max(${max}, ${last}) == ${max}`,
      `min(${last}, ${max}) == ${last} && min(${max}, ${last}) == ${last} && min(${last}, 5) == 5`,
      `typeof ${max} == "int" && typeof max(${max}, 1) == "int" && typeof max(9.3e18, ${max}) == "float"`,
      `typeof (${max} + 0.0) == "float" && typeof (1 + 1.0) == "float" && typeof (1.0 + 1) == "float"`,
      `str::from(-${max}) == "-${max}" && bitand(${max}, 255) == 255 && bitnot(${max}) + ${max} == -1`,
    ]
  ) holds(text);
  for (
    const text of [`-${max} - 2`, `${max} * 2`, `-${max} * 2`, `-(-${max} - 1)`, `math::abs(-${max} - 1)`]
  ) {
    assert.match(String(outcome(text)), /beyond 64 bits/, text);
  }
  for (const text of [`${max} / 0`, `${max} % 0`, "0 / 0", "n % 0"]) {
    assert.match(String(outcome(text)), /divided by 0/);
  }
  // Not -0, whose reciprocal is another infinity.
  for (const text of ["1.0 / (0 * -1)", "1.0 / -0", "1.0 / (n - 7)"]) {
    assert.equal(outcome(text), Infinity, text);
  }
  assert.equal(outcome("1 / -0.0"), -Infinity);
});

Deno.test("a value of the wrong type is refused where it comes up, by the name of its type", () => {
  const bool = "if(e < 5, true, 1)";
  for (
    const text of [
      ...[
        `${bool} < 2`,
        `2 < ${bool}`,
        `${bool} ^ 2`,
        `2 ^ ${bool}`,
        `-${bool}`,
        `${bool} * 2.0`,
        `math::sqrt(${bool})`,
      ],
      ...[
        `math::hypot(1, ${bool})`,
        `math::abs(${bool})`,
        `min(${bool}, 1)`,
        `min(1, ${bool})`,
        `${bool} == 1 + ${bool}`,
      ],
    ]
  ) assert.match(String(outcome(text)), /^a number is wanted, not boolean|^mistake/, text);
  for (const text of [`-${bool}`, `math::hypot(${bool}, 1)`, `math::is_nan(${bool})`, `math::abs(${bool})`]) {
    assert.equal(outcome(`if(typeof(${text}) == "int", 1, 2)`), "a number is wanted, not boolean", text);
  }
  const number = "if(e < 5, 1, true)";
  for (
    const text of [
      `if(${number}, 1, 2)`,
      `if(!${number}, 1, 2)`,
      `if(true && ${number}, 1, 2)`,
      `if(${number} || true, 1, 2)`,
    ]
  ) {
    assert.equal(outcome(text), "true or false is wanted, not int", text);
  }
  const text = 'if(e < 5, "a", 1)';
  for (const operator of ["+", "<", ">", "<=", ">="]) {
    assert.equal(
      outcome(`if(typeof(${text} ${operator} 1) == "int", 1, 2)`),
      "a number is wanted, not string",
      operator,
    );
    assert.equal(
      outcome(`if(typeof(1 ${operator} ${text}) == "int", 1, 2)`),
      "a number is wanted, not string",
      operator,
    );
    assert.equal(
      outcome(`if(typeof("a" ${operator} if(e < 5, 1, "a")) == "int", 1, 2)`).toString().slice(0, 18),
      "a number is wanted",
    );
    assert.equal(outcome(`if("a" ${operator} 1 == "b", 1, 2)`).toString().slice(0, 8), "mistake:");
  }
  for (const operator of ["<", ">", "<=", ">="]) {
    for (const operands of [`${bool} ${operator} 2`, `2 ${operator} ${bool}`]) {
      assert.equal(outcome(`if(${operands}, 1, 2)`), "a number is wanted, not boolean", operands);
    }
  }
  // Of two problems, the first one is told.
  for (const operator of ["+", "-", "*", "/", "%", "^", "<", ">=", "==", "!="]) {
    assert.match(
      String(outcome(`if(typeof((1/0) ${operator} shl(1, 64)) == "int", 1, 2)`)),
      /divided by 0/,
      operator,
    );
    assert.match(
      String(outcome(`if(typeof(1 ${operator} shl(1, 64)) == "int", 1, 2)`)),
      /0 to 63 bits/,
      operator,
    );
  }
  assert.match(String(outcome("if((1/0, 2) == (1, 2), 1, 2)")), /divided by 0/);
  assert.match(String(outcome('if("a" == str::from(1/0), 1, 2)')), /divided by 0/);
  for (const [value, name] of [['"a"', "string"], ["(1, 2)", "tuple"], ["()", "empty"], ["2.5", "float"]]) {
    const wrong = `if(e < 5, ${value}, 1)`;
    holds(`typeof(${wrong}) == "${name}"`);
    assert.equal(outcome(`bitnot(${wrong})`), `an int is wanted, not ${name}`);
    assert.equal(outcome(`bitand(1, ${wrong})`), `an int is wanted, not ${name}`);
    if (name !== "float") assert.equal(outcome(wrong), `a number is wanted, not ${name}`);
  }
  assert.equal(outcome("len(if(e < 5, 1, (1, 2)))"), "another type is wanted, not int");
  for (
    const text of [
      "bitnot(-1.0)",
      "bitnot(1 + 0.5)",
      "bitnot(2^2)",
      "bitnot(math::abs(1.5))",
      "bitnot(min(1.5, 2.5))",
    ]
  ) {
    assert.match(String(outcome(text)), /^mistake: this is a float, expected an int/, text);
  }
  assert.equal(outcome("bitnot(min(5, 2.5))"), "an int is wanted, not float");
});

Deno.test("functions give what their names say", () => {
  for (
    const [text, value] of [
      ...[["math::log(536870912, 2)", 29], ["math::log(1000, 10)", 3], [
        "math::log2(8)",
        3,
      ]],
      ...[
        ["math::exp2(3)", 8],
        ["ceil(1.2)", 2],
        ["floor(-1.2)", -2],
        ["round(1.4)", 1],
        ["round(-1.4)", -1],
        ["shr(8, 3)", 1],
      ],
      ...[["shl(1, 0)", 1], ["shr(-1, 63)", -1], ["bitor(8, 1)", 9], ["len(if(true, (1, 2, 3), 1))", 3], [
        'len("a\\"b\\\\")',
        4,
      ], ['len("")', 0]],
      ...[["min(3, 1, 2)", 1], ["max(1, 3, 2)", 3], ["max(-1, -2.5)", -1], ["min(1, nan)", 1], [
        "math::cbrt 27",
        3,
      ], ["0x1F", 31]],
    ] as [string, number][]
  ) assert.equal(outcome(text), value, text);
  for (
    const text of [
      ...[
        "math::is_normal(2.2250738585072014e-308)",
        "math::abs(math::log(9, 3) - 2) < 1e-9",
        "!math::is_normal(2.2250738585072009e-308)",
        "!math::is_normal(0.0)",
      ],
      ...[
        "!math::is_normal(inf)",
        "!math::is_normal(nan)",
        "math::is_finite(1)",
        "!math::is_finite(-inf)",
        "math::is_infinite(-inf)",
      ],
      ...["!math::is_infinite(1)", "!math::is_nan(1)", "math::is_nan(nan)"],
      ...[
        "contains((1, 2), 1)",
        "!contains((1, 2), 3)",
        "!contains_any((1, 2), (3, 4))",
        "contains_any((1, 2), (2, 4))",
      ],
      ...[
        "(1, (2, 3)) == (1, (2, 3))",
        "(1, 2) != (1, 3)",
        "(1, 2) != (1, 2, 3)",
        "() == ()",
        "true == true",
        "true != false",
      ],
      ...[
        '"a" != "b"',
        '"1" != 1',
        '("a", 1.5) == ("a", 1.5)',
        'str::from(if(true, (1, "a", true, false, (), 2.5), 1)) == "(1, a, true, false, (), 2.5)"',
      ],
      ...[
        'str::to_lowercase("AbC") == "abc"',
        'str::trim("\\"  ") == "\\""',
        'str::substring("abc", 1, 2) == "b"',
      ],
      ...[
        'str::substring("abc", 3) == ""',
        'str::substring("abc", 0) == "abc"',
        'str::substring("åb", 2) == "b"',
      ],
      ...['if(false, "a", "b") == "b"', 'if(true, "a", "b") == "a"', "if(true, (1, 2), 3) == (1, 2)"],
    ]
  ) holds(text);
  for (const range of ["-1", "4", "2, 1", "0, 4"]) {
    assert.match(String(outcome(`len(str::substring("abc", ${range}))`)), /beyond its ends/, range);
  }
  for (const by of ["-1", "64"]) assert.match(String(outcome(`shr(1, ${by})`)), /0 to 63 bits/);
  assert.match(String(outcome("math::hypot(1)")), /^mistake: math::hypot takes 2 arguments, not 1/);
  assert.match(
    String(outcome('str::substring("a")')),
    /^mistake: str::substring takes 2 or 3 arguments, not 1/,
  );
});

Deno.test("expressions may be nested 200 deep", () => {
  const nested = (depth: number) => `${"(".repeat(depth)}1${")".repeat(depth)}`;
  assert.equal(outcome(nested(199)), 1);
  assert.match(String(outcome(nested(200))), /^mistake: the expression is nested too deeply/);
  assert.equal(outcome(`${"floor ".repeat(199)}1`), 1);
  assert.match(String(outcome(`${"floor ".repeat(200)}1`)), /^mistake: calls are nested too deeply/);
  // What was closed before does not count.
  assert.equal(outcome(Array(300).fill("(floor 1)").join("+")), 300);
});

Deno.test("a formula has 4096 characters at most, and functions the arguments that they take", () => {
  assert.equal(outcome("1".padEnd(4096)), 1);
  assert.match(String(outcome("1".padEnd(4097))), /^mistake: the formula is longer than 4096/);
  for (
    const [call, least] of [
      ...[["if(true, 1, 2, 3)", 3], ["math::abs(1, 2)", 1], ["if(true, 1)", 3], ["bitand(1)", 2]],
      ...[["floor(1, 2)", 1], ["if(math::is_nan(1, 2), 1, 2)", 1]],
    ]
  ) {
    assert.match(String(outcome(String(call))), new RegExp(`takes ${least} arguments, not`));
  }
  // Floats that happen to be whole are floats, and a half is away from 0.
  assert.equal(outcome("e / 8"), 0.5);
  assert.deepEqual([outcome("round(0.4)"), outcome("round(0.5)"), outcome("round(-0.5)")], [0, 1, -1]);
  assert.equal(outcome("1 / round(-0.0)"), -Infinity);
  assert.match(String(outcome("if(true, 1/0, shl(1, 64))")), /divided by 0/);
  assert.match(String(outcome("if(false, 1/0, shl(1, 64))")), /divided by 0/);
  assert.match(String(outcome("1/0; shl(1, 64)")), /divided by 0/);
  assert.match(String(outcome("len((1/0, shl(1, 64)))")), /divided by 0|^mistake/);
});

Deno.test("each mistake has its place", () => {
  for (
    const [text, at] of [
      ...[["1 + unknown", 4], ["1 +", 3], ["(1", 0], ["1)", 1], ["1 + (2, 3", 4], ["+1", 0], ["5 5", 2], [
        "a = 1",
        2,
      ]],
      ...[["1 & 2", 2], ['1 + "a', 4], ['"a\\n"', 2], ["1 /* a", 2], ["1 < true", 4], ["min(1)", 0], [
        "1 + mim(1, 2)",
        4,
      ]],
      ...[["e (2)", 0], ["!1", 1], ["1, 2", 0], ["if(1, 2, 3)", 3], ["1 ^ ) ", 4], ["1 * -true", 5], [
        "1 + 2 // a\n + x",
        14,
      ]],
      ...[["1 + /* a */ x", 12], ["1+1 x", 4], ["(1 2)", 3], ["1 + 1e+ 2", 4]],
    ] as [string, number][]
  ) {
    assert.throws(() => expressionOf(text), (error) => {
      assert.ok(error instanceof ExpressionError);
      assert.equal(error.at, at, `${text}: ${error.message}`);
      return true;
    });
  }
  assert.equal(outcome("1/* a */+1"), 2);
  assert.equal(outcome("1// a"), 1);
  for (const text of ["1/**/", "/**/1", "1 /* */ ", " // a\n1", "1 ", "// a\n\n1"]) {
    assert.equal(outcome(text), 1, text);
  }
  assert.match(String(outcome("1 /*/")), /^mistake: this comment has no end/);
  assert.equal(outcome("9223372036854775808"), 2 ** 63);
  assert.equal(outcome("9223372036854775807 - 9223372036854775800"), 7);
  for (
    const [text, picture] of [["1\nx", "    x\n    ^"], ["\n\tx", "    \tx\n    \t^"], [
      "x\n+ e",
      "    x\n    ^",
    ]]
  ) {
    assert.throws(
      () => expressionOf(text),
      (error) => (error as ExpressionError).picture.endsWith(picture),
      text,
    );
  }
});

const EVALUATIONS = 1000;
/** How many bytes the heap grows by while a formula is evaluated; negative if garbage was collected meanwhile. */
function growth(expression: Expression): number {
  const before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < EVALUATIONS; i++) {
    expression.set(0, i * 1.37, false);
    expression.set(1, 25.25 - i, false);
    expression.set(2, i * 1e10, true);
    expression.evaluate();
  }
  return Deno.memoryUsage().heapUsed - before;
}

Deno.test("as soon as V8 has optimized it, an evaluation allocates nothing", async () => {
  const texts = [
    "e * u / 100.0",
    "n * 50 / 7 + n % 5 - 3 - e",
    "min(e, u, n) + max(e, u) - 2 ^ e % 3",
    "if(e < u && n >= 3 || !(e == n), -e, u / 3)",
    "math::sqrt(math::abs(e)) + round(u) + floor(e) + math::log(n, 3) + math::atan2(e, u)",
    "if(math::is_nan e == (u > e), 1.5, 2.5)",
  ];
  const expressions = texts.map(expressionOf);
  for (const [i, expression] of expressions.entries()) {
    let bytes = 0;
    const isFree = () => {
      for (const other of expressions) growth(other);
      bytes = growth(expression) / EVALUATIONS;
      return bytes >= 0 && bytes < 4;
    };
    await until(isFree, PATIENCE_MS, () => `${texts[i]} allocates ${bytes} bytes each time`);
  }
});
