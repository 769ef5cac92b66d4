import assert from "node:assert/strict";
import { parse } from "@std/toml";
import { scanToml } from "../../lib/config/toml_lines.ts";
import { formatPath, type Path } from "../../lib/schema/path.ts";
import { PATIENCE_MS } from "../kit/waiting.ts";

const NASTY = `# [not.a.header] a = 1
a = 1 # b = 2
"quoted key" = "x = 1 # no comment"
'lit"eral' = 'C:\\temp\\'
dotted . "key.with.dots" . c = 3
text = """
[plugins.fake]
a = 2 \\""" still inside
""" # after
raw = '''
'' [[fake]]
'''
list = [ # a comment ]
  1, "two # ] ", [3, 4],
  # another = comment
  { in = "line", of = [
    5,
  ] },
]
point = { x = 1, "y z" = { w = true } }
when = 1979-05-27 07:32:00Z
then = 07:32:00

[plugins.relay-client]
client_name = "\${NAME:-a # b}"
  [ plugins . "relay-client" . retry ]   # spaces everywhere
  max_times = 5

[[plugins.procfs.groups]]
pid = 1
[plugins.procfs.groups.sub]
deep = 1
[[plugins.procfs.groups]]

pid = 2
  [[plugins.procfs.groups.inner]]
  k = "v"
  [[plugins.procfs.groups.inner]]
  k = "w"
`;

/** The line on which a text stands for the only time. */
function lineOf(needle: string): number {
  const before = NASTY.slice(0, NASTY.indexOf(needle));
  return before.split("\n").length;
}

Deno.test("scanToml finds the line of every key of a difficult file", () => {
  const scan = scanToml(NASTY);
  assert.deepEqual(scan.mistakes, []);
  const lines: [Path, number][] = [
    [["a"], 2],
    [["quoted key"], 3],
    [['lit"eral'], 4],
    [["dotted", "key.with.dots", "c"], 5],
    [["text"], 6],
    [["raw"], lineOf("raw =")],
    [["list"], lineOf("list =")],
    [["list", 1], lineOf('1, "two')],
    [["list", 2, 1], lineOf('1, "two')],
    [["list", 3, "in"], lineOf("{ in")],
    [["list", 3, "of", 0], lineOf("    5,")],
    [["point", "y z", "w"], lineOf("point =")],
    [["then"], lineOf("then =")],
    [["plugins", "relay-client"], lineOf("[plugins.relay-client]")],
    [["plugins", "relay-client", "client_name"], lineOf("client_name")],
    [["plugins", "relay-client", "retry", "max_times"], lineOf("max_times")],
    [["plugins", "procfs", "groups", 0, "pid"], lineOf("pid = 1")],
    [["plugins", "procfs", "groups", 0, "sub", "deep"], lineOf("deep")],
    [["plugins", "procfs", "groups", 1], lineOf("pid = 2") - 2],
    [["plugins", "procfs", "groups", 1, "pid"], lineOf("pid = 2")],
    [["plugins", "procfs", "groups", 1, "inner", 0, "k"], lineOf('k = "v"')],
    [["plugins", "procfs", "groups", 1, "inner", 1, "k"], lineOf('k = "w"')],
  ];
  for (const [path, line] of lines) assert.equal(scan.line(path), line, formatPath(path));
});

Deno.test("scanToml gives the line of the nearest table for a missing key", () => {
  const scan = scanToml(NASTY);
  assert.equal(scan.line(["plugins", "relay-client", "nothing"]), lineOf("[plugins.relay-client]"));
  assert.equal(scan.line(["nothing"]), undefined);
});

Deno.test("scanToml finds a line for every key that the parser finds", () => {
  for (const text of [NASTY, NASTY.replaceAll("\n", "\r\n")]) {
    const scan = scanToml(text);
    assert.deepEqual(scan.mistakes, []);
    const walk = (value: unknown, path: Path) => {
      if (path.length > 0) assert.notEqual(scan.line(path), undefined, formatPath(path));
      if (Array.isArray(value)) value.forEach((item, i) => walk(item, [...path, i]));
      else if (typeof value === "object" && value !== null && !(value instanceof Date)) {
        for (const [key, item] of Object.entries(value)) walk(item, [...path, key]);
      }
    };
    walk(parse(text), []);
  }
});

function mistakes(text: string): string[] {
  return scanToml(text).mistakes.map(({ line, path, message }) => `${line} ${formatPath(path)}: ${message}`);
}

Deno.test("scanToml finds all mistakes of a text, each on its line", () => {
  assert.deepEqual(
    mistakes(`address = localhost:1 # a comment
list = [1, 2
c = 3
[d]
e = "x
f = tru
g = yes
h
i = 1 j = 2
k =
= 5
[e
l = {a = 1 b = 2}
`),
    [
      '1 address: expected a value, found localhost:1; write a text in quotes: "localhost:1"',
      '3 list: expected , or ] in the list of line 2, found "c = 3"',
      '5 d.e: the text is not closed by "',
      '6 d.f: expected a value, found tru; write a text in quotes: "tru"',
      '7 d.g: expected a value, found yes; write true, or a text in quotes: "yes"',
      "8 d.h: expected h = VALUE, found the end of the line after the key",
      '9 d.i: expected the end of the line, found "j = 2"',
      "10 d.k: expected a value, found the end of the line",
      '11 : expected a key, found "= 5"',
      "12 : expected ], found the end of the line",
      '13 : expected , or } in the table of line 13, found "b = 2}"',
    ],
  );
  assert.deepEqual(mistakes('s = """a\n\n'), ['1 s: the text is not closed by """']);
  assert.deepEqual(mistakes("l = [1,\n2,\n"), ["1 l: the list is not closed by ]"]);
  assert.deepEqual(mistakes("a = " + "[".repeat(100_000)), [
    "1 a" + "[0]".repeat(100) + ": the value is nested too deeply",
  ]);
  assert.deepEqual(mistakes("t = { a = 1,"), ["1 t: the table is not closed by }"]);
});

Deno.test("scanToml reads on at the line that ends an open list, and gives the text of a mistaken line", () => {
  assert.equal(scanToml("\nlist = [1, 2\nc = 3\n").line(["c"]), 3);
  const text = "\na = [\n1 2\n]\n[b\nc = x # why\nd = y";
  const statements = scanToml(text).mistakes.map((
    { line, statement },
  ) => [line, statement && text.slice(statement.start, statement.end), statement?.end]);
  assert.deepEqual(statements, [
    [3, undefined, undefined],
    [4, "]", 12],
    [5, undefined, undefined],
    [6, "c = x # why", 27],
    [7, "d = y", 33],
  ]);
});

Deno.test("scanToml reads texts to their end, and what is escaped in a key", () => {
  const keys = scanToml(
    String.raw`"\u1234\t\"" = 1
'\t' = "\\"
"\U0010ffff" = 3
"\U00110000" = 4
`,
  );
  assert.deepEqual(keys.mistakes, []);
  const names = ['\u1234\t"', "\\t", "\u{10ffff}", "\ufffd"];
  assert.deepEqual(names.map((name) => keys.line([name])), [1, 2, 3, 4]);
  assert.deepEqual(mistakes('a = """x""""""\n'), ['1 a: expected the end of the line, found "\\""']);
  assert.deepEqual(mistakes("a = 1 j\nb = 2\rc = 3\n"), [
    '1 a: expected the end of the line, found "j"',
    '2 b: expected the end of the line, found "\\rc = 3"',
  ]);
  assert.deepEqual(mistakes("t = { a = 1"), ["1 t: the table is not closed by }"]);
  assert.equal(scanToml("[[l]]\n[[l]]\n").line(["l"]), 1);
});

Deno.test("scanToml finds keys and tables given twice, and the first of them", () => {
  assert.deepEqual(mistakes("a = 1\n\na = 2"), ["3 a: this key is already given in line 1"]);
  assert.deepEqual(mistakes("[t]\n[u]\n[t]"), ["3 t: this table [t] is already given in line 1"]);
  assert.deepEqual(mistakes("[t.u]\n[t]\na = 1\n[t.v]"), []);
  assert.equal(scanToml("[t.u]\n[t]\na = 1").line(["t", "a"]), 3);
  assert.deepEqual(mistakes("a.b = 1\na = 2\na.b.c = 3"), [
    "2 a: this table [a] is already given in line 1",
    "3 a.b: this key is already given in line 1",
  ]);
  assert.deepEqual(mistakes("[[l]]\n[l]"), ["2 l: this list of tables [[l]] is already given in line 1"]);
  assert.deepEqual(mistakes("l = []\n[[l]]"), ["2 l: this key is already given in line 1"]);
  assert.deepEqual(mistakes("t = { a = 1, a = 2 }"), ["1 t.a: this key is already given in line 1"]);
  assert.deepEqual(mistakes("[[l]]\na = 1\n[[l]]\na = 1"), []);
  assert.deepEqual(mistakes('a = """ends with two quotes"""""\na = 1'), [
    "2 a: this key is already given in line 1",
  ]);
});

Deno.test("scanToml finds variables without quotes, which Alumet allows", () => {
  const text = "a = ${A}\nb = [${B:-x y}, 1] # ${C}\nc = '${D}'";
  const scan = scanToml(text);
  assert.deepEqual(scan.mistakes, []);
  assert.deepEqual(scan.bareVariables.map(({ start, end }) => text.slice(start, end)), ["${A}", "${B:-x y}"]);
});

Deno.test("scanToml ends for any text, in time proportional to its length", () => {
  const alphabet = "[]{}=.,#\"'\\\n\r a1${}-:_\t";
  for (let i = 0; i < 5_000; i++) {
    let text = "";
    for (let n = Math.random() * 40; n > 0; n--) {
      text += alphabet[Math.floor(Math.random() * alphabet.length)];
    }
    const scan = scanToml(text);
    const lines = text.split("\n").length;
    for (const { line } of scan.mistakes) assert.ok(line >= 1 && line <= lines, JSON.stringify(text));
  }
  const began = performance.now();
  scanToml('a = "x\n'.repeat(20_000));
  scanToml("a = [\n".repeat(2_000));
  assert.ok(performance.now() - began < PATIENCE_MS);
});

Deno.test("scanToml shows what it found instead, whole up to 40 characters", () => {
  const problem = (text: string) => scanToml(text).mistakes[0].message;
  assert.match(problem("= 1"), /expected a key, found "= 1"/);
  assert.match(problem(`[a${"!".repeat(40)}\n`), new RegExp(`expected \\], found "!{40}"`));
  assert.match(problem(`[a${"!".repeat(41)}\n`), new RegExp(`expected \\], found "!{40}…"`));
  assert.match(problem("[a\nb = 1\n"), /expected \], found the end of the line/);
  assert.match(problem("[a !\r\nb = 1\n"), /found "!"/);
});

Deno.test("scanToml has no line for what is nowhere, and the one of the nearest table else", () => {
  const scan = scanToml("a = 1\n[b.c]\nd = 2\n[[e]]\nf = 1\n[[e]]\n");
  assert.equal(scan.line([]), undefined);
  assert.equal(scan.line(["x"]), undefined);
  assert.equal(scan.line(["a"]), 1);
  assert.equal(scan.line(["b"]), 2);
  assert.equal(scan.line(["b", "c", "x"]), 2);
  assert.equal(scan.line(["e", 1, "x"]), 6);
  assert.equal(scan.line(["e", 0, "f"]), 5);
});
