/** The mutants of tools/mutate.ts: what is changed, and what is left alone. */
import assert from "node:assert/strict";
import { wantedOf } from "../../tools/mutate.ts";
import { Copies } from "../../tools/mutate/copies.ts";
import { EQUIVALENT } from "../../tools/mutate/equivalent.ts";
import { LEFT_OUT } from "../../tools/mutate/left_out.ts";
import { mutantsOf } from "../../tools/mutate/mutations.ts";
import { LAST, passedIn } from "../../tools/mutate/report.ts";
import { TARGETS } from "../../tools/mutate/targets.ts";
import { testFiles } from "../../tools/test/files.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

Deno.test("each operator, number and condition is a mutant of its own, and the rest of the file stays", () => {
  const code = "const a = 1;\nif (b < 9 && !c) {\n  d += a - 0xff;\n}\nreturn true;\n";
  const changes = mutantsOf(code).map(({ line, after }) => `${line}: ${after}`);
  assert.deepEqual(changes, [
    "1: const a = 2;",
    "2: if (!!0 && b < 9 && !c) {",
    "2: if (b <= 9 && !c) {",
    "2: if (b < 10 && !c) {",
    "2: if (b < 9 || !c) {",
    "3: d -= a - 0xff;",
    "3: d += a + 0xff;",
    "3: d += a - 256;",
    "5: return false;",
  ]);
  for (const { line, before, after, text } of mutantsOf(code)) {
    const lines = text.split("\n");
    assert.equal(lines[line - 1].trim(), after);
    lines[line - 1] = lines[line - 1].replace(after, before);
    assert.equal(lines.join("\n"), code);
  }
});

Deno.test("texts, comments, regular expressions, types and imports have no mutants", () => {
  const code = [
    'import { a } from "./a.ts"; // 1 < 2',
    "/** At most 5, true or false. */",
    "interface Row {",
    "  readonly kind: 1;",
    "}",
    "function f(list: Array<string>): string | null {",
    "  return list.join(\"1 + 1\") + `${list} && 7`.replace(/[1 < 2]+/g, '\\'3 > 2');",
    "}",
    "const isOne = (text: string) => /^[01]$/.test(text);",
    "function g(text: string) {",
    "  return /^7{1,3}$/i.test(text);",
    "}",
  ].join("\n");
  assert.deepEqual(mutantsOf(code).map(({ after }) => after), [
    "return list.join(\"1 + 1\") - `${list} && 7`.replace(/[1 < 2]+/g, '\\'3 > 2');",
  ]);
});

Deno.test("a file may be named with some of its lines, and must be a target or have its tests named", () => {
  const lines = (text: string) => [1, 6, 7, 8, 9].filter(wantedOf(text).isWanted);
  assert.equal(wantedOf("lib/postcard.ts:7").target.file, "lib/postcard.ts");
  assert.deepEqual(lines("lib/postcard.ts"), [1, 6, 7, 8, 9]);
  assert.deepEqual(lines("lib/postcard.ts:7"), [7]);
  assert.deepEqual(lines("lib/postcard.ts:7-8"), [7, 8]);
  for (const text of ["lib/agent.ts", "lib/postcard.ts:", "lib/postcard.ts:a"]) {
    assert.throws(() => wantedOf(text), /not in tools\/mutate\/targets\.ts/);
  }
  assert.deepEqual(wantedOf("lib/agent.ts@tests/a_test.ts,tests/b").target, {
    file: "lib/agent.ts",
    tests: ["tests/a_test.ts", "tests/b"],
  });
  assert.deepEqual(lines("lib/agent.ts:7-8@tests/agent"), [7, 8]);
});

Deno.test("the tests of a copy pass if some ran, all of them ended, and none failed", () => {
  const heading = (copy: string) => `# ../${copy}/copy_${copy}_test.ts`;
  const report = [
    ...["TAP version 14", "# ./copy_passed_test.ts", "ok 1 - a", "ok 2 - b # SKIP", `ok 3 - ${LAST}`],
    ...[
      heading("failed"),
      "ok 4 - a",
      "not ok 5 - b",
      "  ---",
      '  {"message":"m"}',
      "  ...",
      `ok 6 - ${LAST}`,
    ],
    ...[heading("skipped"), "ok 7 - a # SKIP", `ok 8 - ${LAST}`],
    ...[heading("stuck"), "ok 9 - a"],
    ...[heading("step"), "# Subtest: a", "    not ok 1 - s", "    1..1", "not ok 10 - a", `ok 11 - ${LAST}`],
    ...[
      heading("steps"),
      "# Subtest: a",
      "    ok 1 - s",
      "    1..1",
      "ok 12 - a",
      `ok 13 - ${LAST}`,
      "1..13",
    ],
  ];
  assert.deepEqual([...passedIn(report.join("\n"))], ["passed", "steps"]);
});

Deno.test("copies are tried in one process, and one that is stuck or cannot be parsed fails alone", async () => {
  const file = "lib/base/crc32c.ts";
  const target = TARGETS.find((target) => target.file === file)!;
  await using copies = await Copies.open({ ...target, filter: "/^(?!of another)/" });
  const code = await Deno.readTextFile(ROOT + file);
  const changed = mutantsOf(code).at(-1)!;
  const more = (test: string) => `${code}\nDeno.test("empty", () => {}); ${test}`;
  const stuck = more('Deno.test("stuck", () => new Promise(() => {}));');
  const other = more('Deno.test("of another name", () => { throw 1; });');
  assert.deepEqual(await copies.tryAll([`${code}}`, changed.text, stuck, other]), [
    false,
    false,
    false,
    true,
  ]);
});

/** The files of code below a folder. */
function* codeBelow(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
    if (isDirectory) yield* codeBelow(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield `${folder}${name}`;
  }
}

Deno.test("each file in which something can be changed is a target, or left out for one reason", () => {
  const targets = new Set(TARGETS.map(({ file }) => file));
  const paths = LEFT_OUT.flatMap(({ paths }) => paths);
  const used = new Set<string>();
  const misplaced = [...codeBelow("lib/")].filter((file) => {
    if (targets.has(file) || mutantsOf(Deno.readTextFileSync(ROOT + file)).length === 0) return false;
    const found = paths.filter((path) => path === file || path.endsWith("/") && file.startsWith(path));
    for (const path of found) used.add(path);
    return found.length !== 1;
  });
  assert.deepEqual(misplaced, [], "put them into tools/mutate/targets.ts or left_out.ts, once");
  assert.deepEqual(paths.filter((path) => !used.has(path)), [], "nothing of it is left out");
});

Deno.test("each target is there with its tests, and each equivalent mutant still is one of the code", async () => {
  for (const { file, tests } of TARGETS) {
    assert.ok(mutantsOf(await Deno.readTextFile(ROOT + file)).length > 0, file);
    assert.ok((await testFiles(tests.map((path) => ROOT + path))).length > 0);
  }
  for (const { file, before, after, reason } of EQUIVALENT) {
    const mutants = mutantsOf(await Deno.readTextFile(ROOT + file));
    for (const one of [after].flat()) {
      assert.ok(
        mutants.some((mutant) => mutant.before === before && mutant.after === one),
        `${file}: ${before} → ${one}`,
      );
    }
    assert.match(reason, /\.$/);
  }
});
