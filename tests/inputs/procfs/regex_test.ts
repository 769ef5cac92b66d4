import assert from "node:assert/strict";
import { rustRegex, rustRegexProblem } from "../../../lib/inputs/procfs/regex.ts";

Deno.test("expressions of Rust match what they match there", () => {
  const cases: [source: string, matching: string[], other: string[]][] = [
    ["", ["", "x"], []],
    ["python", ["/usr/bin/python3"], ["/usr/bin/Python"]],
    ["(?i)python", ["/usr/bin/PYTHON3"], ["/bin/perl"]],
    [r`(?is)^a.b$`, ["A\nB"], ["a\nbc"]],
    [r`(?m)^b$`, ["a\nb"], ["ab"]],
    [r`(?m)\Ab\z`, ["b"], ["a\nb", "b\na"]],
    [r`(?i:A)b`, ["ab", "Ab"], ["AB"]],
    [r`(?P<name>a+)/\z`, ["aa/"], ["aa/b"]],
    [r`^/usr/s?bin/[\w\-.]+$`, ["/usr/sbin/a-b.c"], ["/usr/bin/a b"]],
    [r`a\-b\_\ \#\/\"`, [`a-b_ #/"`], []],
    [r`[[:alpha:]_]+\d{2}$`, ["a_b12"], ["123"]],
    [r`[]a]b[^]c]`, ["]bd", "abd"], ["ab]", "abc"]],
    [r`\p{Lu}\pL\x{e9}\x41`, ["ÉtéA"], ["étéA"]],
    [r`[\[\]]`, ["[", "]"], ["a"]],
  ];
  for (const [source, matching, other] of cases) {
    assert.equal(rustRegexProblem(source), undefined, source);
    const expression = rustRegex(source);
    for (const text of matching) assert.ok(expression.test(text), `${source} matches ${text}`);
    for (const text of other) assert.ok(!expression.test(text), `${source} does not match ${text}`);
  }
});

function r(parts: TemplateStringsArray): string {
  return parts.raw[0];
}

Deno.test("expressions that are wrong, or have no counterpart, are refused with a reason", () => {
  for (
    const source of [
      "(",
      "a{2",
      "[a",
      "(?x)a b",
      "(?U)a+",
      "[a&&b]",
      "[a[bc]]",
      "[[:foo:]]",
      r`\Z`,
      r`a\<`,
      "*",
    ]
  ) {
    assert.match(
      rustRegexProblem(source) ?? "",
      /^this is not a valid regular expression: ./,
      source,
    );
  }
});

Deno.test("what JavaScript has and Rust does not, or the other way round, is refused", () => {
  assert.match(rustRegexProblem("(?g)a")!, /the flag g is not supported/);
  assert.match(rustRegexProblem("[[:^alpha:]]")!, /the class \[:\^alpha:\] is not supported/);
  assert.match(rustRegexProblem("[[:nothing:]]")!, /is not supported/);
});

Deno.test("a class ends at its bracket, whatever stands before it", () => {
  assert.deepEqual(["a-b", "a-b\n", "a b"].map((text) => rustRegex("^[\\w\\-]+\\z").test(text)), [
    true,
    false,
    false,
  ]);
  assert.ok(rustRegex("[\\-]\\bx").test("-x"));
});
