import assert from "node:assert/strict";
import { matchesGlob } from "../../lib/base/glob.ts";

Deno.test("a pattern matches whole texts, with any text for * and any character for ?", () => {
  const yes = [
    ["", ""],
    ["", "*"],
    ["abc", "abc"],
    ["abc", "a*"],
    ["abc", "*c"],
    ["abc", "a?c"],
    ["abc", "**b**"],
    ["aXbXc", "a*b*c"],
    ["abab", "*ab"],
    ["a.c", "a.c"],
  ];
  const no = [["", "?"], ["abc", "ab"], ["abc", "bc"], ["abc", "a?"], ["abx", "*ab"], ["axc", "a.c"], [
    "ABC",
    "abc",
  ]];
  for (const [text, pattern] of yes) assert.ok(matchesGlob(text, pattern), `${text} ${pattern}`);
  for (const [text, pattern] of no) assert.ok(!matchesGlob(text, pattern), `${text} ${pattern}`);
});
