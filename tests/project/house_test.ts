/** The rules of lib/ (docs/architecture.md, "Where things are"). */
import assert from "node:assert/strict";
import { join, normalize } from "node:path/posix";

const ROOT = new URL("../../", import.meta.url);
const MOST_FILES_AT_THE_TOP = 14;
/** Lines of a file that declares a plugin. */
const DECLARATION_LINES = 40;

/** Files by their paths below lib/, with their texts. */
type Tree = ReadonlyMap<string, string>;

/** The rank of each folder of lib/: the row of the table that has it. */
function ranksOf(page: string): Map<string, number> {
  const table = page.slice(page.indexOf("| lib/"));
  const ranks = new Map<string, number>();
  for (const [row, line] of table.split("\n").slice(2).entries()) {
    if (!line.startsWith("|")) break;
    for (const [, folder] of line.split("|")[1].matchAll(/`(\w+)`/g)) ranks.set(folder, row);
  }
  return ranks;
}

/** `inputs` of `inputs/procfs.ts`, and of `inputs.ts`. */
const folderOf = (path: string) => path.split("/")[0].replace(/\.ts$/, "");

/** The files of lib/ that a file imports, including imports of types only. */
function importsOf(path: string, text: string): string[] {
  const code = text.replace(/\/\*.*?\*\//gs, "");
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]*\.ts)"/g)]
    .map(([, to]) => normalize(join(path, "..", to)));
}

/** The problems of a tree, one line each. */
function problemsOf(tree: Tree, ranks: ReadonlyMap<string, number>): string[] {
  const problems: string[] = [];
  const top = [...tree.keys()].filter((path) => !path.includes("/"));
  if (top.length > MOST_FILES_AT_THE_TOP) {
    problems.push(`${top.length} files are directly in lib/, the limit is ${MOST_FILES_AT_THE_TOP}`);
  }
  const graph = new Map([...tree].map(([path, text]) => [path, importsOf(path, text)]));
  for (const [path, targets] of graph) {
    const folder = folderOf(path);
    const rank = ranks.get(folder);
    if (rank === undefined) problems.push(`${path}: the table has no row for ${folder}`);
    for (const target of targets) {
      if (!tree.has(target)) problems.push(`${path} imports ${target}, which is not in lib/`);
      else if (path.startsWith(target.replace(/\.ts$/, "/"))) {
        problems.push(`${path} imports its door ${target}`);
      } else if (folderOf(target) !== folder && rank! >= (ranks.get(folderOf(target)) ?? Infinity)) {
        problems.push(`${path} imports ${target}, which is not further down`);
      }
    }
  }
  const circle = circleOf(graph);
  if (circle) problems.push(`circular import: ${circle.join(" → ")}`);
  return problems;
}

/** The files of a circular import; the last one is the first one again. */
function circleOf(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string): string[] | undefined => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return;
    way.push(path);
    for (const target of graph.get(path) ?? []) {
      const circle = visit(target);
      if (circle) return circle;
    }
    way.pop();
    done.add(path);
  };
  for (const path of graph.keys()) {
    const circle = visit(path);
    if (circle) return circle;
  }
}

function filesBelow(directory: URL, prefix = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) {
      for (const file of filesBelow(new URL(`./${name}/`, directory), `${prefix}${name}/`)) {
        files.set(...file);
      }
    } else if (name.endsWith(".ts")) {
      files.set(prefix + name, Deno.readTextFileSync(new URL(`./${name}`, directory)));
    }
  }
  return files;
}

const LIB = filesBelow(new URL("lib/", ROOT));
const RANKS = ranksOf(Deno.readTextFileSync(new URL("docs/architecture.md", ROOT)));

Deno.test("files of lib/ import only what is further down the table of docs/architecture.md, never their door, and never in a circle", () => {
  assert.ok(RANKS.size > 15);
  assert.deepEqual(problemsOf(LIB, RANKS), []);
});

Deno.test("every folder of the table of docs/architecture.md is in lib/", () => {
  const there = new Set([...LIB.keys()].map(folderOf));
  assert.deepEqual([...RANKS.keys()].filter((folder) => !there.has(folder)), []);
});

Deno.test("tests/ has the same folders as lib/, and a few of its own", () => {
  const own = ["end_to_end", "kit", "project", "testdata"];
  const folders = new Set(
    [...filesBelow(new URL("tests/", ROOT)).keys()]
      .filter((path) => path.includes("/")).map(folderOf),
  );
  assert.deepEqual([...folders].filter((folder) => !RANKS.has(folder) && !own.includes(folder)), []);
});

Deno.test("the client names Deno.connect and the server Deno.listen", () => {
  assert.match(LIB.get("client.ts")!, /Deno\.connect\b/);
  assert.match(LIB.get("server.ts")!, /Deno\.listen\b/);
});

/** The problems of the files that declare plugins. */
function declarationProblems(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    if (path === "plugin.ts" || !/\bdefinePlugin\(/.test(text)) continue;
    if (!/^(inputs|transforms|outputs)\/\w+\.ts$/.test(path)) {
      problems.push(`${path} declares a plugin, but is not directly in inputs/, transforms/ or outputs/`);
    }
    const lines = text.trimEnd().split("\n").length;
    if (lines > DECLARATION_LINES) {
      problems.push(`${path} has ${lines} lines, the limit of a declaration is ${DECLARATION_LINES}`);
    }
    const hasKeys = importsOf(path, text).some((target) => target.endsWith("/config.ts"));
    if (!hasKeys) problems.push(`${path} does not take its keys from a config.ts`);
  }
  return problems;
}

/** Where a file may not be told of a stop. */
const LOSES_SIGNALS = /\bAbortSignal\.any\(|@std\/async(?:\/deadline)?"/;

Deno.test("nobody in lib/ waits for a signal that garbage collection may take (lib/base/waiting.ts says which)", () => {
  const found = [...LIB].filter(([, text]) => LOSES_SIGNALS.test(text)).map(([path]) => path);
  assert.deepEqual(found, []);
  assert.match('import { deadline } from "@std/async/deadline";', LOSES_SIGNALS);
  assert.match("const signal = AbortSignal.any([stop]);", LOSES_SIGNALS);
});

/** A timer that Deno 2.6 may call once more. */
const CLEARS_TIMERS = /\bclear(?:Timeout|Interval)\(/;

Deno.test("nobody in lib/ clears a timer, which may be called all the same (lib/base/timers.ts says when)", () => {
  const found = [...LIB].filter(([, text]) => CLEARS_TIMERS.test(text)).map(([path]) => path);
  // In waiting.ts a call that comes too late finds that the wait is over.
  assert.deepEqual(found.sort(), ["base/timers.ts", "base/waiting.ts"]);
});

Deno.test("a plugin's own file is its declaration alone, with its keys in a config.ts", () => {
  assert.deepEqual(declarationProblems(LIB), []);
});

Deno.test("a declaration that is long, in the wrong folder, or without a config.ts is a problem", () => {
  const long = "//\n".repeat(DECLARATION_LINES);
  const files = {
    "inputs/a.ts": 'import { config } from "./a/config.ts";\nconst a = definePlugin({ config });',
    "inputs/b.ts": `import { config } from "./b/config.ts";\n${long}const b = definePlugin({ config });`,
    "outputs/c/c.ts": 'import { config } from "./config.ts";\nconst c = definePlugin({ config });',
    "outputs/d.ts": "const d = definePlugin({ config: table({}) });",
  };
  assert.deepEqual(declarationProblems(new Map(Object.entries(files))), [
    "inputs/b.ts has 42 lines, the limit of a declaration is 40",
    "outputs/c/c.ts declares a plugin, but is not directly in inputs/, transforms/ or outputs/",
    "outputs/d.ts does not take its keys from a config.ts",
  ]);
});

/** The name of the plugin that a file declares. */
const pluginName = (text: string) => /\bdefinePlugin\(\{\s*name: "([^"]+)"/.exec(text)?.[1];
/** The only file outside of plugins that names some: what the command line stands for. */
const DEFAULTS = "config/flags.ts";
/** CSV and Parquet are formats of files, too. */
const isFormat = (path: string, name: string) =>
  (name === "csv" || name === "parquet") && path.startsWith("cli/");

/** Where the names of plugins are in the code of others. */
function namedPlugins(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [declaration, text] of tree) {
    const name = pluginName(text);
    if (name === undefined) continue;
    const own = [declaration, ...importsOf(declaration, text)].map((path) => path.replace(/[^/]*$/, ""))
      .filter((folder) => !/^(inputs|transforms|outputs)?\/?$/.test(folder));
    for (const [path, other] of tree) {
      if (path === declaration || path === DEFAULTS || own.some((folder) => path.startsWith(folder))) {
        continue;
      }
      if (isFormat(path, name)) continue;
      if (new RegExp(`(["\'\`])${name}\\1`).test(other)) problems.push(`${path} names the plugin ${name}`);
    }
  }
  return problems;
}

Deno.test("nobody but the command line's defaults knows plugins by their names", () => {
  assert.deepEqual(namedPlugins(LIB), []);
});

Deno.test("a file that names another part's plugin is a problem", () => {
  const files = {
    "inputs/a.ts": 'import { config } from "./a/config.ts";\nconst a = definePlugin({\n  name: "a-b" });',
    "inputs/a/config.ts": 'const key = "a-b";',
    "agent.ts": 'const server = plugins.find(({ name }) => name === "a-b");',
    "config/flags.ts": 'const DEFAULT = "a-b";',
    "systemd/unit.ts": 'const text = "runs a-b";',
  };
  assert.deepEqual(namedPlugins(new Map(Object.entries(files))), ["agent.ts names the plugin a-b"]);
});

/** The functions, classes and constants that a file exports and no other file names. */
function unusedExports(tree: Tree, users: Tree): string[] {
  const names = new Map([...tree, ...users].map(([path, text]) => {
    const code = text.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "");
    return [path, new Set(code.match(/[A-Za-z_$][\w$]*/g))];
  }));
  const unused: string[] = [];
  for (const [path, text] of tree) {
    for (const [, name] of text.matchAll(/^export (?:async )?(?:function\*?|class|const|let) (\w+)/gm)) {
      const isUsed = [...names].some(([other, its]) => other !== path && its.has(name));
      if (!isUsed) unused.push(`${path} exports ${name}, which no other file uses`);
    }
  }
  return unused;
}

Deno.test("what a file of lib/ exports, another file uses", () => {
  const users = ["tests", "tools", "bench"].flatMap((
    folder,
  ) => [...filesBelow(new URL(`${folder}/`, ROOT), `../${folder}/`)]);
  const main = Deno.readTextFileSync(new URL("main.ts", ROOT));
  assert.deepEqual(unusedExports(LIB, new Map([...users, ["../main.ts", main]])), []);
});

Deno.test("an export that only its own file or a comment names is a problem", () => {
  const files = {
    "base/a.ts": "export const A = 1;\nexport function b() { return A; }\nexport class C {}\nb();",
    "base/d.ts": 'import { C } from "./a.ts";\n// uses b\n',
  };
  const users = { "../tests/a_test.ts": "A;" };
  assert.deepEqual(unusedExports(new Map(Object.entries(files)), new Map(Object.entries(users))), [
    "base/a.ts exports b, which no other file uses",
  ]);
});

const MADE_UP = ranksOf(
  "# A page\n\n| lib/ | what |\n| ---- | ---- |\n| `cli` | a |\n| `inputs`, `outputs` | b |\n| `base` | c |\n\nEnd",
);
const madeUp = (files: Record<string, string>) => problemsOf(new Map(Object.entries(files)), MADE_UP);

Deno.test("a tree that follows the rules has no problems", () => {
  assert.deepEqual([...MADE_UP], [["cli", 0], ["inputs", 1], ["outputs", 1], ["base", 2]]);
  const files = {
    "cli.ts": 'import { a } from "./cli/a.ts";\nconst b = await import("./inputs/x.ts");',
    "cli/a.ts": 'export * from "../base/log.ts";',
    "inputs/x.ts":
      '/** from "../outputs/y.ts" */\nimport type { L } from "../base/log.ts";\nimport "npm:pg";',
    "outputs/y.ts": "",
    "base/log.ts": "",
  };
  assert.deepEqual(madeUp(files), []);
});

Deno.test("an import upwards, an import sideways, and an import of the own door are problems", () => {
  const files = {
    "cli.ts": "",
    "cli/a.ts": 'import { main } from "../cli.ts";',
    "inputs/x.ts": 'import type { Y } from "../outputs/y.ts";',
    "outputs/y.ts": "",
    "base/log.ts": 'const x = await import("../inputs/x.ts");',
  };
  assert.deepEqual(madeUp(files), [
    "cli/a.ts imports its door cli.ts",
    "inputs/x.ts imports outputs/y.ts, which is not further down",
    "base/log.ts imports inputs/x.ts, which is not further down",
  ]);
});

Deno.test("a circular import is a problem, even if it imports only types", () => {
  const files = {
    "base/a.ts": 'import { b } from "./b.ts";',
    "base/b.ts": 'import type { C } from "./c.ts";',
    "base/c.ts": 'export { a } from "./a.ts";',
  };
  assert.deepEqual(madeUp(files), ["circular import: base/a.ts → base/b.ts → base/c.ts → base/a.ts"]);
});

Deno.test("a folder without a row, a missing file, and too many files directly in lib/ are problems", () => {
  const many = Object.fromEntries(
    Array.from({ length: 15 }, (_, i) => [i === 0 ? "cli.ts" : `base${i}.ts`, ""]),
  );
  const problems = madeUp({ ...many, "base/a.ts": 'import "./gone.ts";' });
  assert.equal(problems[0], "15 files are directly in lib/, the limit is 14");
  assert.ok(problems.includes("base1.ts: the table has no row for base1"));
  assert.ok(problems.includes("base/a.ts imports base/gone.ts, which is not in lib/"));
});
