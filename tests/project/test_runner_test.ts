/** The program behind `deno task test`, on made-up tests. */
import assert from "node:assert/strict";
import { casesOf } from "../../tools/junit.ts";
import { inOrder, testFiles } from "../../tools/test/files.ts";
import { runFile } from "../../tools/test/run.ts";
import { temporaryFolder } from "../../tools/test/temporary.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { type Ran, runProgram } from "../kit/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PASSING = 'Deno.test("passes", () => {});\n';
const FAILING =
  'Deno.test("fails", () => {\n  console.log("what it said");\n  throw new Error("on purpose");\n});\n';

/** A folder with these files. */
async function folder(files: Record<string, string>): Promise<TempDir> {
  const dir = new TempDir();
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dir.file(name).replace(/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(dir.file(name), text);
  }
  return dir;
}

function runner(...args: string[]): Promise<Ran> {
  return runProgram([...args], {
    program: [Deno.execPath(), "run", "-A", `${ROOT}tools/test.ts`],
    cwd: ROOT,
  });
}

Deno.test("the tests of all files are added up; one that fails is shown with what it printed", async () => {
  await using dir = await folder({
    "a_test.ts": PASSING,
    "deep/b_test.ts": FAILING + PASSING,
    "helper.ts": "throw 1",
  });
  const { code, stdout } = await runner("--jobs=2", `--junit-path=${dir.file("report.xml")}`, dir.path);
  assert.equal(code, 1);
  assert.match(stdout, /^ok +\S+\/a_test\.ts: 1 passed, 0 failed, [\d.]+ s, [\d.]+ s of processor time$/m);
  assert.match(stdout, /^FAIL \S+\/deep\/b_test\.ts: 1 passed, 1 failed, /m);
  assert.match(stdout, /what it said[^]*on purpose/);
  assert.match(stdout, /^failed: fails$/m);
  assert.match(stdout, /^2 passed, 1 failed in 2 files \(.*\)\n$/m);
  const cases = casesOf(await Deno.readTextFile(dir.file("report.xml")));
  assert.deepEqual(cases.map(({ name, outcome }) => `${name}: ${outcome}`).sort(), [
    "fails: failed",
    "passes: passed",
    "passes: passed",
  ]);
});

Deno.test("tests that pass end with 0, those that are skipped say why, and a filter chooses", async () => {
  await using dir = await folder({
    "a_test.ts":
      `${PASSING}console.error("a_test.ts:7: needs the moon");\nDeno.test.ignore("skipped", () => {});\n`,
    "b_test.ts": FAILING,
  });
  const { code, stdout } = await runner(dir.file("a_test.ts"));
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^skipped: a_test\.ts:7: needs the moon$/m);
  assert.match(stdout, /^1 passed, 0 failed, 1 skipped in 1 files/m);
  assert.equal((await runner("--filter=passes", dir.path)).code, 0);
});

Deno.test("a run without a test fails, and so do a path without tests and an unknown option", async () => {
  await using dir = await folder({ "a_test.ts": "" });
  assert.equal((await runner(dir.path)).code, 1);
  assert.match(
    (await runner("tests/testdata")).stderr,
    /^test: tests\/testdata: there is no file named \*_test\.ts/,
  );
  assert.match((await runner("--job=1", dir.path)).stderr, /^test: --job=1: unknown option; there are/);
});

Deno.test("a file that cannot be loaded, or does not end, is a failure that says so", async () => {
  await using dir = await folder({
    "broken_test.ts": "const = 1;\n",
    "endless_test.ts": 'Deno.test("waits", () => new Promise(() => setInterval(() => {}, 1000)));\n',
  });
  const broken = await runFile(dir.file("broken_test.ts"));
  assert.equal(broken.ok, false);
  assert.match(broken.output, /broken_test\.ts:1/);
  assert.deepEqual(casesOf(broken.report).map(({ outcome }) => outcome), ["failed"]);
  const endless = await runFile(dir.file("endless_test.ts"), { limitMs: 1000 });
  assert.equal(endless.ok, false);
  assert.match(endless.report, /not ready after 1000 ms/);
});

Deno.test("where a test leaks, the run shows the place that began the operation", async () => {
  await using dir = await folder({
    "leak_test.ts":
      'function begin() {\n  setTimeout(() => {}, 3600_000);\n}\nDeno.test("leaks", () => begin());\n',
  });
  const { ok, output } = await runFile(dir.file("leak_test.ts"));
  assert.equal(ok, false);
  assert.match(output.split("With --trace-leaks:")[1], /at begin .*leak_test\.ts:2/);
});

Deno.test("files share no working directory, though they run at once", async () => {
  const text = (name: string) =>
    `Deno.test("${name}", async () => {
      Deno.mkdirSync(new URL("${name}", import.meta.url));
      Deno.chdir(new URL("${name}", import.meta.url));
      for (let n = 0; n < 20; n++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (!Deno.cwd().endsWith("/${name}")) throw new Error(Deno.cwd());
      }
    });\n`;
  await using dir = await folder({ "a_test.ts": text("a"), "b_test.ts": text("b") });
  const { code, stdout } = await runner("--jobs=2", dir.path);
  assert.equal(code, 0, stdout);
});

Deno.test("the files that take longest begin first, and each runs once", async () => {
  await using dir = await folder({ "a_test.ts": "", "b/c_test.ts": "", "b/kit.ts": "" });
  const files = await testFiles([dir.path, dir.file("a_test.ts"), `${dir.path}/b/`]);
  assert.deepEqual(files.sort(), [dir.file("a_test.ts"), dir.file("b/c_test.ts")]);
  assert.deepEqual(
    inOrder([
      "tests/b_test.ts",
      "tests/a_test.ts",
      "tests/journal/x_test.ts",
      "tests/end_to_end/chaos_test.ts",
    ]),
    ["tests/end_to_end/chaos_test.ts", "tests/journal/x_test.ts", "tests/a_test.ts", "tests/b_test.ts"],
  );
});

Deno.test("temporary files of whole programs stay on the disk, and those of others are in memory where it has room", () => {
  const before = Deno.env.get("TMPDIR");
  try {
    Deno.env.delete("TMPDIR");
    assert.equal(temporaryFolder("tests/end_to_end/chaos_test.ts"), undefined);
    const folder = temporaryFolder("tests/journal/disk/damage_test.ts");
    assert.ok(
      folder === undefined || Deno.readTextFileSync("/proc/mounts").includes(` ${folder} tmpfs `),
      folder,
    );
    Deno.env.set("TMPDIR", "/chosen");
    assert.equal(
      temporaryFolder("tests/journal/disk/damage_test.ts"),
      undefined,
      "what the user chose stays",
    );
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
  }
});
