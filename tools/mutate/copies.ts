/**
 * Copies of the project that have one file changed, and their tests, many in one process: `deno test` gives each module
 * of tests an isolate, so copies share no state. Threads and programs that a test starts are those of its copy.
 */
import { processCpuMs } from "../test/cpu.ts";
import { testFiles } from "../test/files.ts";
import { entryOf, passedIn } from "./report.ts";
import type { MutationTarget } from "./targets.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/**
 * Tests hang if they take this much more of the processors than all of them do with the code itself; or, where they wait
 * for something, that much time.
 */
const SLOWDOWN = 4;
const LEAST_LIMIT_MS = 3000;
const WAITING = 20;
const UNCHANGED_LIMIT_MS = 600_000;
/** Code that takes memory without end should not take that of the machine. */
const HEAP_MIB = 1024;
/** What copies do without: what is built, and the history. */
const NOT_COPIED: readonly string[] = [".git", "coverage", "dist"];

export class Copies implements AsyncDisposable {
  readonly #path: string = Deno.makeTempDirSync({ prefix: "alumet-relay-mutate-" });
  readonly #target: MutationTarget;
  #count = 0;
  #limitMs = UNCHANGED_LIMIT_MS;

  private constructor(target: MutationTarget) {
    this.#target = target;
  }

  /** Runs the tests of a target once. @throws {Error} if they fail before anything is changed */
  static async open(target: MutationTarget): Promise<Copies> {
    const copies = new Copies(target);
    try {
      await copies.#tryUnchanged();
      return copies;
    } catch (error) {
      await copies[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #tryUnchanged(): Promise<void> {
    const { file, tests } = this.#target;
    // What is downloaded stays where it is; what is compiled of the copies goes with them.
    const { denoDir } = JSON.parse(new TextDecoder().decode(
      new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync().stdout,
    ));
    Deno.mkdirSync(`${this.#path}/deno`);
    for (const name of ["npm", "remote"]) {
      Deno.symlinkSync(`${denoDir}/${name}`, `${this.#path}/deno/${name}`);
    }

    const { passed, cpuMs } = await this.#run([await this.#copy(await Deno.readTextFile(ROOT + file))]);
    if (!passed[0]) {
      throw new Error(`The tests of ${file} fail before anything is changed: ${tests.join(" ")}`);
    }
    this.#limitMs = Math.max(LEAST_LIMIT_MS, SLOWDOWN * cpuMs);
  }

  /** @returns whether the tests pass with each of these texts as the file, in their order */
  async tryAll(texts: readonly string[]): Promise<boolean[]> {
    const copies = await Promise.all(texts.map((text) => this.#copy(text)));
    const results: boolean[] = [];
    while (results.length < copies.length) {
      const { passed } = await this.#run(copies.slice(results.length));
      results.push(...passed);
    }
    await Promise.all(copies.map((copy) => Deno.remove(`${this.#path}/${copy}`, { recursive: true })));
    return results;
  }

  /** @returns the name of the new folder */
  async #copy(text: string): Promise<string> {
    const { file, tests, filter } = this.#target;
    const copy = String(this.#count++).padStart(5, "0");
    linkAllBut(file.split("/"), ROOT, `${this.#path}/${copy}`);
    await Deno.writeTextFile(`${this.#path}/${copy}/${file}`, text);
    const modules = (await testFiles(tests.map((path) => ROOT + path))).map((path) =>
      path.slice(ROOT.length)
    );
    // They are imported when it runs: what cannot be parsed is no trouble for the other copies.
    await Deno.writeTextFile(
      `${this.#path}/${copy}/${entryOf(copy)}`,
      `import { register } from "${new URL("register.ts", import.meta.url)}";\n` +
        `await register(import.meta.url, ${JSON.stringify(modules)}, ${JSON.stringify(filter)});\n`,
    );
    return copy;
  }

  /** @returns whether the tests of the first copies pass: of all, or until one makes the process end or hang */
  async #run(copies: readonly string[]): Promise<{ passed: boolean[]; cpuMs: number }> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "--allow-all", "--no-check", "--reporter=tap"],
        `--v8-flags=--max-old-space-size=${HEAP_MIB}`,
        ...copies.map((copy) => `../${copy}/${entryOf(copy)}`),
      ],
      // Programs that tests start find the configuration of Deno there.
      cwd: `${this.#path}/${copies[0]}`,
      // A few random cases of each kind: there are many changes.
      env: { DENO_DIR: `${this.#path}/deno`, FUZZ_MAX_CASES: "200", NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let report = "";
    let heard = { cpuMs: 0, atMs: performance.now() };
    const watch = setInterval(() => {
      const isBusy = processCpuMs(child.pid) - heard.cpuMs > this.#limitMs;
      if (isBusy || performance.now() - heard.atMs > WAITING * this.#limitMs) child.kill("SIGKILL");
    }, 200);
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      report += text;
      heard = { cpuMs: processCpuMs(child.pid), atMs: performance.now() };
    }
    await child.status.finally(() => clearInterval(watch));
    const last = copies.findLastIndex((copy) => exists(`${this.#path}/${copy}/begun`));
    if (last < 0) throw new Error("Cannot run deno test");
    const names = passedIn(report);
    return { passed: copies.slice(0, last + 1).map((copy) => names.has(copy)), cpuMs: heard.cpuMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path, { recursive: true });
  }
}

/** Makes a folder of links to what another one has, and the folders on the way to a file that it leaves out. */
function linkAllBut([name, ...rest]: readonly string[], from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name: other } of Deno.readDirSync(from)) {
    if (other !== name && !NOT_COPIED.includes(other)) Deno.symlinkSync(`${from}/${other}`, `${to}/${other}`);
  }
  if (rest.length > 0) linkAllBut(rest, `${from}/${name}`, `${to}/${name}`);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
