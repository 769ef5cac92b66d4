/** What builds this project where there is little: `denow`, the stand-ins for @std, and the tools of CI. */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
// Brings the npm packages of the stand-ins, which are then used without a network.
import "../../offline/toml/mod.ts";
import { cutRuntime, settleTimes } from "../../tools/compile.ts";
import { leaveOutOfPackages, LICENSES, programConfig, withoutTypes } from "../../tools/stage.ts";
import { addUp } from "../../tools/count_tests.ts";
import { casesOf } from "../../tools/junit.ts";
import { layOut, packagesOf, type VersionMeta } from "../../tools/vendor.ts";

const ROOT = `${import.meta.dirname}/../..`;
const packages = packagesOf(config);
/** Where nobody listens. */
const NO_JSR = "http://127.0.0.1:1";
const NO_JSR_FOLDER = "vendor/http_127.0.0.1_1";

/** A folder with what `denow` needs, with a space in its name, removed in the end. */
class Project implements AsyncDisposable {
  readonly #parent = Deno.makeTempDirSync({ prefix: "denow " });
  readonly path = `${this.#parent}/a project`;

  constructor() {
    Deno.mkdirSync(this.path);
    for (const name of ["deno.json", "denow", "tools", "offline"]) {
      copy(`${ROOT}/${name}`, `${this.path}/${name}`);
    }
    Deno.mkdirSync(`${this.path}/bin`);
    // What every system has, and no Deno, Python, npm, curl or wget.
    const basics = "sh sed dirname mktemp rm mv mkdir tail head grep find tr cat env";
    for (const name of basics.split(" ")) {
      const folder = ["/bin", "/usr/bin"].find((folder) => exists(`${folder}/${name}`));
      Deno.symlinkSync(`${folder}/${name}`, `${this.path}/bin/${name}`);
    }
  }

  /** Makes a program out of lines of shell. */
  program(name: string, ...lines: string[]): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(path, `#!/bin/sh\n${lines.join("\n")}\n`);
    Deno.chmodSync(path, 0o755);
    return path;
  }

  /** Makes a program that takes itself for Deno, and prints how it was called. */
  fakeDeno(name: string, version: string): string {
    return this.program(
      name,
      `if [ "$1" = --version ]; then echo "deno ${version} (stable, release)"; exit; fi`,
      `printf '%s\\n' "${version}" "$PWD" "$@"`,
    );
  }

  /** Puts stand-ins where {@linkcode NO_JSR} would be vendored. */
  async vendor(): Promise<void> {
    await this.vendorTool();
  }

  vendorTool(): Promise<Ran> {
    const args = [
      "run",
      "--no-config",
      "--no-lock",
      "-A",
      `${this.path}/tools/vendor.ts`,
      "--if-unreachable",
    ];
    return run(Deno.execPath(), args, { JSR_URL: NO_JSR });
  }

  /** Runs denow with nothing but {@linkcode path}`/bin` on PATH. */
  denow(args: string[], env: Record<string, string> = {}, cwd = this.path): Promise<Ran> {
    return run(`${this.path}/denow`, args, { PATH: `${this.path}/bin`, JSR_URL: NO_JSR, ...env }, cwd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#parent, { recursive: true });
  }
}

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(command: string, args: string[], env: Record<string, string>, cwd?: string): Promise<Ran> {
  const kept = ["HOME", "DENO_DIR", "DENO_TLS_CA_STORE"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const options = { args, env: { ...Object.fromEntries(kept), ...env }, clearEnv: true, cwd };
  const { code, stdout, stderr } = await new Deno.Command(command, options).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function copy(from: string, to: string): void {
  const { isDirectory, isSymlink } = Deno.lstatSync(from);
  if (isSymlink) return Deno.symlinkSync(Deno.readLinkSync(from), to);
  if (!isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    // Locks of a Deno that runs meanwhile come and go.
    if (!name.startsWith(".deno.lock")) copy(`${from}/${name}`, `${to}/${name}`);
  }
}

function exists(path: string): boolean {
  try {
    return Boolean(Deno.statSync(path));
  } catch {
    return false;
  }
}

function readJson(path: string): unknown {
  return JSON.parse(Deno.readTextFileSync(path));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

Deno.test("every import of deno.json that comes from JSR has an exact version and a stand-in", () => {
  assert.equal(packages.length, Object.values(config.imports).filter((to) => to.startsWith("jsr:")).length);
  for (const { name } of packages) assert.ok(exists(`${ROOT}/offline/${name}/mod.ts`), name);
  assert.throws(() => packagesOf({ imports: { a: "jsr:@std/toml@^1.0.0" } }), /exact version/);
  assert.throws(() => packagesOf({ imports: { a: "jsr:@other/toml@1.0.0" } }), /exact version/);
});

Deno.test("vendored stand-ins are laid out as JSR has packages, with right checksums", async () => {
  await using project = new Project();
  await project.vendor();
  for (const { name, version } of packages) {
    const folder = `${project.path}/${NO_JSR_FOLDER}/@std/${name}`;
    const meta = readJson(`${folder}/meta.json`) as { versions: Record<string, unknown> };
    assert.deepEqual(Object.keys(meta.versions), [version]);
    const { manifest, exports } = readJson(`${folder}/${version}_meta.json`) as VersionMeta;
    const files = Array.from(Deno.readDirSync(`${folder}/${version}`), (entry) => `/${entry.name}`);
    assert.deepEqual(files.sort(), Object.keys(manifest).sort());
    for (const [file, { size, checksum }] of Object.entries(manifest)) {
      const bytes = await Deno.readFile(`${folder}/${version}${file}`);
      assert.equal(bytes.length, size);
      assert.equal(checksum, `sha256-${await sha256(bytes)}`);
      // Deno shortens the names of longer ones in vendor/, and would not find them.
      assert.ok(file.length <= 30, `${file} is too long a name`);
    }
    assert.ok("." in exports);
    for (const file of Object.values(exports)) assert.ok(file.slice(1) in manifest, file);
  }
});

Deno.test("vendored stand-ins are what Deno resolves, with no network", async () => {
  await using project = new Project();
  await project.vendor();
  const specifiers = packages.flatMap(({ name, version }) => {
    const { exports } = readJson(
      `${project.path}/${NO_JSR_FOLDER}/@std/${name}/${version}_meta.json`,
    ) as VersionMeta;
    return Object.keys(exports).map((path) => `@std/${name}${path.slice(1)}`);
  });
  copy(`${ROOT}/node_modules`, `${project.path}/node_modules`);
  const lines = specifiers.map((specifier) => `import ${JSON.stringify(specifier)};`);
  Deno.writeTextFileSync(`${project.path}/main.ts`, [...lines, 'console.log("resolved");'].join("\n"));
  const args = ["run", "--cached-only", "--quiet", "-A", `${project.path}/main.ts`];
  const { code, stdout, stderr } = await run(Deno.execPath(), args, { JSR_URL: NO_JSR });
  assert.deepEqual({ code, stdout }, { code: 0, stdout: "resolved\n" }, stderr);
  assert.ok(
    specifiers.includes("@std/cli/parse-args") && specifiers.includes("@std/toml"),
    String(specifiers),
  );
});

Deno.test("what JSR put into vendor/ is left alone, and a stand-in follows its source", async () => {
  await using project = new Project();
  const root = project.path;
  const folder = `${root}/vendor/registry/@std`;
  const real = packages[0];
  Deno.mkdirSync(`${folder}/${real.name}`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/${real.name}/${real.version}_meta.json`, "real");
  const others = packages.slice(1).map(({ name, version }) => `${name}@${version}`);
  assert.deepEqual(await layOut(root, packages, "vendor/registry"), others);
  Deno.writeTextFileSync(`${root}/offline/toml/mod.ts`, "// changed\n");
  assert.deepEqual(await layOut(root, packages, "vendor/registry"), others);
  const toml = packages.find(({ name }) => name === "toml")!;
  assert.equal(Deno.readTextFileSync(`${folder}/toml/${toml.version}/mod.ts`), "// changed\n");
  assert.equal(Deno.readTextFileSync(`${folder}/${real.name}/${real.version}_meta.json`), "real");
});

Deno.test("stand-ins laid out twice at once are complete, and announced in one line", async () => {
  await using project = new Project();
  const both = await Promise.all([project.vendorTool(), project.vendorTool()]);
  assert.deepEqual(both.map(({ code }) => code), [0, 0]);
  const said = both.map(({ stderr }) => stderr).join("");
  assert.match(said, /^JSR is not reachable: using the stand-ins [^\n]*\n$/);
  const left = Array.from(Deno.readDirSync(`${project.path}/${NO_JSR_FOLDER}/@std`), ({ name }) => name);
  assert.deepEqual(left.sort(), packages.map(({ name }) => name).sort());
});

Deno.test("nothing is laid out where JSR answers", async () => {
  await using project = new Project();
  await using jsr = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("{}"));
  const args = ["run", "--no-config", "-A", `${project.path}/tools/vendor.ts`, "--if-unreachable=90000"];
  const ran = await run(Deno.execPath(), args, { JSR_URL: `http://127.0.0.1:${jsr.addr.port}` });
  assert.deepEqual(ran, { code: 0, stdout: "", stderr: "" });
  assert.equal(exists(`${project.path}/vendor`), false);
});

Deno.test("denow runs the Deno that DENOW_DENO names, with its arguments as they are and its exit code", async () => {
  await using project = new Project();
  await project.vendor();
  const args = ["run", "two words", "", "*", "a\\b", "--", "-x"];
  const deno = project.fakeDeno("other folder/my deno", "2.6.0");
  const { stdout, stderr } = await project.denow(args, { DENOW_DENO: deno });
  assert.deepEqual(stdout.split("\n").slice(2, -1), args, stderr);
  const failing = project.program("failing", 'case $1 in --version) echo "deno 2.6.0" ;; *) exit 42 ;; esac');
  assert.equal((await project.denow(["run"], { DENOW_DENO: failing })).code, 42);
  const { code, stderr: error } = await project.denow([], { DENOW_DENO: "/nowhere/deno" });
  assert.equal(code, 1);
  assert.match(error, /^denow: DENOW_DENO is \/nowhere\/deno, .*set it to/);
});

Deno.test("denow takes the Deno on PATH if it is 2.6 or newer, and the one in .deno/ otherwise", async () => {
  await using project = new Project();
  await project.vendor();
  project.fakeDeno(".deno/2.6.10/deno", "2.6.10");
  for (const version of ["2.6.0", "2.9.6", "2.10.1", "3.0.0"]) {
    project.fakeDeno("bin/deno", version);
    assert.equal((await project.denow(["eval"])).stdout.split("\n")[0], version);
  }
  for (const version of ["2.5.9", "1.46.3", "odd"]) {
    project.fakeDeno("bin/deno", version);
    assert.equal((await project.denow(["eval"])).stdout.split("\n")[0], "2.6.10");
  }
});

Deno.test("denow takes exactly DENOW_VERSION", async () => {
  await using project = new Project();
  await project.vendor();
  project.fakeDeno("bin/deno", "2.9.6");
  project.fakeDeno(".deno/2.6.10/deno", "2.6.10");
  assert.equal((await project.denow(["eval"], { DENOW_VERSION: "2.6.10" })).stdout.split("\n")[0], "2.6.10");
  assert.equal((await project.denow(["eval"], { DENOW_VERSION: "2.9.6" })).stdout.split("\n")[0], "2.9.6");
  const { code, stderr } = await project.denow(["eval"], { DENOW_VERSION: "2.7.0" });
  assert.equal(code, 1);
  assert.match(stderr, /the deno on PATH is version 2\.9\.6; this project needs 2\.7\.0/);
});

Deno.test("denow says what was tried and what to do where Deno cannot be installed, and leaves nothing", async () => {
  await using project = new Project();
  project.program("bin/python3", "echo 'pip: no such index' >&2", '[ "$*" = "-m pip --version" ]');
  const { code, stdout, stderr } = await project.denow(["run"]);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(
    stderr,
    /PyPI: pip: no such index\n {2}npm: npm is not installed\n {2}the installer: curl is not installed\n/,
  );
  assert.match(stderr, /put it on PATH or name it in DENOW_DENO\.\n$/);
  assert.deepEqual([...Deno.readDirSync(`${project.path}/.deno`)], []);
});

Deno.test("denow installs Deno from PyPI once, also when called twice at once", async () => {
  await using project = new Project();
  await project.vendor();
  project.fakeDeno("wheel", "2.6.10");
  project.program(
    "bin/python3",
    'while [ "$1" != --target ]; do [ $# -gt 0 ] || exit 0; shift; done',
    // Neither is ready before the other has begun.
    `mkdir "${project.path}/one" 2>/dev/null || mkdir "${project.path}/other"`,
    `for n in $(seq 3000); do [ -e "${project.path}/other" ] && break; sleep 0.02; done`,
    `mkdir -p "$2/bin" && cat "${project.path}/wheel" >"$2/bin/deno" && chmod +x "$2/bin/deno"`,
  );
  for (const name of ["chmod", "seq", "sleep"]) {
    Deno.symlinkSync(`/usr/bin/${name}`, `${project.path}/bin/${name}`);
  }
  const both = await Promise.all([project.denow(["eval", "a"]), project.denow(["eval", "b"])]);
  for (const { code, stdout, stderr } of both) {
    assert.equal(code, 0, stderr);
    assert.equal(stdout.split("\n")[0], "2.6.10");
    assert.equal(stderr, "denow: installing Deno 2.6.10 from PyPI into .deno/, once\n");
  }
  assert.equal((await project.denow(["eval"])).stderr, "");
  const left = Array.from(Deno.readDirSync(`${project.path}/.deno`), ({ name }) => name);
  assert.deepEqual(left.sort(), ["2.6.10", "vendor.lock"]);
});

Deno.test("denow runs tasks and tests in the project's folder, and anything else where it was called", async () => {
  await using project = new Project();
  await project.vendor();
  const deno = project.fakeDeno("deno", "2.6.10");
  const folder = Deno.realPathSync(project.path);
  const called = async (args: string[], cwd: string) =>
    (await project.denow(args, { DENOW_DENO: deno }, cwd)).stdout.split("\n")[1];
  assert.equal(await called(["task", "test"], "/"), folder);
  assert.equal(await called(["test"], "/"), folder);
  assert.equal(await called(["run", "x.ts"], "/"), "/");
  assert.equal(await called(["test"], `${folder}/tools`), `${folder}/tools`);
});

Deno.test("denow sees to vendor/ only where something is missing or a stand-in has changed", async () => {
  await using project = new Project();
  const deno = project.fakeDeno("deno", "2.6.10");
  const calls = async () => {
    const { stdout } = await project.denow(["eval"], { DENOW_DENO: deno });
    return stdout.split("\n").filter((line) => line === "2.6.10").length;
  };
  assert.equal(await calls(), 2);
  await project.vendor();
  assert.equal(await calls(), 1);
  const later = new Date(Date.now() + 10_000);
  Deno.utimeSync(`${project.path}/offline/toml/mod.ts`, later, later);
  assert.equal(await calls(), 2);
});

Deno.test("the modules of a compiled program have no types, and each line where the source has it", async () => {
  const source = [
    'import type { A } from "./a.ts";',
    'import { b } from "../b.ts";',
    "export class Pair<T> {",
    "  constructor(readonly left: T, private right?: T) {}",
    "}",
    'export const load = async (name: string): Promise<unknown> => await import("./c.ts");',
    'throw new Error(`line 7 of ${"x.ts"}` as string);',
  ];
  const code = withoutTypes(source.join("\n")).split("\n");
  assert.equal(code.length, source.length);
  assert.match(code[1], /"\.\.\/b\.js"|^$/);
  assert.match(code[5], /await import\("\.\/c\.js"\)/);
  assert.match(code[6], /line 7 of \$\{"x\.ts"\}/);
  const url = `data:text/javascript,${encodeURIComponent(code.slice(2).join("\n"))}`;
  await assert.rejects(import(url), /line 7/);
});

Deno.test("a compiled program has the packages that it imports, what it loads of them, and their licenses", async () => {
  const text = JSON.stringify({
    name: "x",
    imports: { "pg": "npm:pg@1", "@std/a": "jsr:@std/a@1", "axe": "npm:axe@1" },
  });
  const trimmed = programConfig(text, 'import a from "@std/a/b";\nawait import("pg");');
  assert.deepEqual(JSON.parse(trimmed), {
    name: "x",
    imports: { "pg": "npm:pg@1", "@std/a": "jsr:@std/a@1" },
  });
  const folder = await Deno.makeTempDir();
  try {
    const files = ["index.js", "index.d.ts", "README.md", "LICENSE", "package.json", "index.js.map"];
    const packaged = `${folder}/node_modules/.deno/pg@1/node_modules/pg`;
    await Deno.mkdir(packaged, { recursive: true });
    for (const file of files) await Deno.writeTextFile(`${packaged}/${file}`, `the ${file}`);
    await Deno.writeTextFile(`${folder}/node_modules/.deno/pg@1/.initialized`, "");
    await leaveOutOfPackages(folder);
    const left = [...Deno.readDirSync(packaged)].map(({ name }) => name).sort();
    assert.deepEqual(left, ["index.js", "package.json"]);
    assert.ok(exists(`${folder}/node_modules/.deno/pg@1/.initialized`));
    const licenses = JSON.parse(await Deno.readTextFile(`${folder}/${LICENSES}`));
    assert.deepEqual(licenses, { "pg@1": "the LICENSE" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the runtime is what stands before the payload of a compiled program", () => {
  const runtime = [1, 2, 3, 4, 5];
  const program = new Uint8Array([...runtime, 9, 9, 9, ...new Array(16).fill(0)]);
  const view = new DataView(program.buffer, program.length - 16);
  view.setUint32(0, 0x501e, true);
  view.setBigUint64(8, 19n, true);
  assert.deepEqual([...cutRuntime(program)], runtime);
  for (const count of [0n, 15n, BigInt(program.length), 2n ** 63n]) {
    view.setBigUint64(8, count, true);
    assert.throws(() => cutRuntime(program), RangeError);
  }
  assert.throws(() => cutRuntime(new Uint8Array(100)), RangeError);
  assert.throws(() => cutRuntime(new Uint8Array(3)), RangeError);
});

Deno.test("programs that differ in nothing but the times of their files are made the same", () => {
  const programOf = (time: string) => {
    const text =
      `\x80\xff{"n":"a","o":[0,1],"u":true,"c":[12,3],"t":${time}}} code = '"t":1234567890123' {"o":[0,1],"t":${time}}`;
    const payload = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const program = new Uint8Array([...new TextEncoder().encode(text), ...payload, ...new Array(16).fill(0)]);
    const view = new DataView(program.buffer, program.length - 16);
    view.setUint32(0, 0x501e, true);
    view.setBigUint64(8, BigInt(payload.length + 16), true);
    return program;
  };
  const [one, other] = [programOf("1795470525552"), programOf("1695470525551")];
  const runtime = cutRuntime(one).slice();
  assert.equal(settleTimes(one), 2);
  settleTimes(other);
  assert.deepEqual(cutRuntime(one), runtime, "the runtime is left alone");
  assert.deepEqual(one.subarray(runtime.length), other.subarray(runtime.length));
  const text = new TextDecoder("latin1").decode(one.subarray(runtime.length));
  assert.ok(text.includes(`"c":[12,3],"t":1000000000000}`));
  assert.ok(text.includes(`code = '"t":1234567890123'`));
  assert.equal(settleTimes(new Uint8Array(100)), 0);
});

Deno.test("test cases are counted with their steps, whatever their names and messages hold", () => {
  const report = `<?xml version="1.0"?><testsuites tests="5"><testsuite name="./a_test.ts">
    <testcase name="passes" classname="./a_test.ts" time="0.1">
    </testcase>
    <testcase name="a &lt;failure&gt; &amp;amp; &quot;so&quot;" line="1"/>
    <testcase name="left out"><skipped/></testcase>
    <testcase name="fails"><failure message="&lt;/testcase&gt;">Error
    at x</failure></testcase>
    <testcase name="passes &gt; a step"></testcase>
  </testsuite></testsuites>`;
  assert.deepEqual(casesOf(report), [
    { name: "passes", outcome: "passed" },
    { name: 'a <failure> &amp; "so"', outcome: "passed" },
    { name: "left out", outcome: "skipped" },
    { name: "fails", outcome: "failed" },
    { name: "passes > a step", outcome: "passed" },
  ]);
});

Deno.test("a failed gate, a skipped test, a run without tests and a run that fails unsaid count as failed", () => {
  const passing = '<testcase name="a"></testcase>';
  const sum = (name: string, exitCode: number, report?: string | null) => {
    const { passed, failed } = addUp([{ name, exitCode, report }]);
    return [passed, failed];
  };
  assert.deepEqual(sum("lint", 0), [0, 0]);
  assert.deepEqual(sum("lint", 1), [0, 1]);
  assert.deepEqual(sum("r.xml", 0, passing), [1, 0]);
  assert.deepEqual(sum("r.xml", 1, passing), [1, 1]);
  assert.deepEqual(sum("r.xml", 0, passing + '<testcase name="b"><skipped/></testcase>'), [1, 1]);
  assert.deepEqual(sum("r.xml", 1, passing + '<testcase name="b"><failure/></testcase>'), [1, 1]);
  assert.deepEqual(sum("r.xml", 0, "<testsuites/>"), [0, 1]);
  assert.deepEqual(sum("r.xml", 1, null), [0, 1]);
  const { lines } = addUp([{ name: "/tmp/x/deno.xml", exitCode: 124, report: null }]);
  assert.deepEqual(lines, ["deno: no test ran (exit code 124)"]);
});
