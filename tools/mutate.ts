/**
 * Changes the code in small ways, one at a time, and runs the tests that should notice:
 * `deno task mutate [--sample=N] [--seed=N] [--jobs=N] [FILE[:LINE[-LINE]]...]`.
 *
 * Without files, all of tools/mutate/targets.ts; with lines, the mutants of these lines. `--sample` takes N mutants of each
 * file, chosen by the seed. Works on copies in a temporary folder. A mutant that no test notices is printed: add a test, or, if it changes nothing that
 * anybody could see, an entry with the reason to tools/mutate/equivalent/. Not part of CI.
 */
import { parseArgs } from "@std/cli/parse-args";
import { EQUIVALENT } from "./mutate/equivalent.ts";
import { type Mutant, mutantsOf } from "./mutate/mutations.ts";
import { type MutationTarget, TARGETS } from "./mutate/targets.ts";
import { childrenCpuMs, processCpuMs } from "./test/cpu.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/** What a copy of the project needs to run its tests. */
const COPIED = ["deno.json", "lib", "main.ts", "offline", "tests", "tools", "config.example.toml"];
/**
 * Tests of a mutant hang if they take this much more of the processors than those of the code itself; or, where they wait
 * for something, that much time.
 */
const SLOWDOWN = 5;
const LEAST_LIMIT_MS = 20_000;
const WAITING = 10;
const BASELINE_LIMIT_MS = 600_000;

export type Result = "killed" | "survived" | "equivalent";

/** A copy of the project, whose code may be changed. */
class Copy implements AsyncDisposable {
  readonly #path = Deno.makeTempDirSync({ prefix: "alumet-relay-mutate-" });

  constructor() {
    for (const name of COPIED) {
      const { success } = new Deno.Command("cp", { args: ["-r", `${ROOT}${name}`, this.#path] }).outputSync();
      if (!success) throw new Error(`Cannot copy ${name}`);
    }
    Deno.symlinkSync(`${ROOT}vendor`, `${this.#path}/vendor`);
  }

  /** Runs the tests of a target. @param limitMs Of processor time. @returns whether they pass within the limit */
  async passes({ tests, filter }: MutationTarget, limitMs: number): Promise<boolean> {
    const latestMs = performance.now() + WAITING * limitMs;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "--quiet", "--allow-all", "--no-check", "--fail-fast"],
        ...filter === undefined ? [] : ["--filter", filter],
        ...tests,
      ],
      cwd: this.#path,
      // A few random cases of each kind: there are many mutants.
      env: { FUZZ_MAX_CASES: "200" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const watch = setInterval(() => {
      if (processCpuMs(child.pid) > limitMs || performance.now() > latestMs) child.kill("SIGKILL");
    }, 1000);
    const { success } = await child.status.finally(() => clearInterval(watch));
    return success;
  }

  /** Runs the tests with the file changed. */
  async survives(target: MutationTarget, text: string, limitMs: number): Promise<boolean> {
    const path = `${this.#path}/${target.file}`;
    const before = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text);
    try {
      return await this.passes(target, limitMs);
    } finally {
      await Deno.writeTextFile(path, before);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path, { recursive: true });
  }
}

/** A choice that follows from the seed. */
function sampleOf<T>(list: readonly T[], count: number, seed: number): T[] {
  let state = seed >>> 0;
  const rank = list.map((item) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return { item, rank: state };
  });
  const chosen = new Set(rank.toSorted((a, b) => a.rank - b.rank).slice(0, count).map(({ item }) => item));
  return list.filter((item) => chosen.has(item));
}

/** A file of which mutants are wanted, and in which of its lines. */
export interface Wanted {
  readonly target: MutationTarget;
  readonly isWanted: (line: number) => boolean;
}

/** @throws {RangeError} if the text is not FILE, FILE:LINE or FILE:LINE-LINE, or the file is not a target. */
export function wantedOf(text: string): Wanted {
  const [, file, first, last = first] = /^(.*?)(?::(\d+)(?:-(\d+))?)?$/.exec(text)!;
  const target = TARGETS.find((target) => target.file === file);
  if (!target) throw new RangeError(`${file}: not in tools/mutate/targets.ts`);
  if (first === undefined) return { target, isWanted: () => true };
  return { target, isWanted: (line) => line >= Number(first) && line <= Number(last) };
}

function isEquivalent(file: string, { before, after }: Mutant): boolean {
  return EQUIVALENT.some((known) =>
    known.file === file && known.before === before && [known.after].flat().includes(after)
  );
}

async function main(args: string[]): Promise<number> {
  const options = parseArgs(args, {
    string: ["sample", "seed", "jobs"],
    unknown: (name, _key, value) => {
      if (value === undefined) return true;
      throw new RangeError(`${name}: unknown option; there are --sample, --seed and --jobs`);
    },
  });
  const wanted = options._.length > 0
    ? options._.map((text) => wantedOf(String(text)))
    : TARGETS.map((target): Wanted => ({ target, isWanted: () => true }));
  const sample = Number(options.sample ?? Infinity);
  const seed = Number(options.seed ?? 1);

  await using stack = new AsyncDisposableStack();
  const copies = Array.from(
    { length: Number(options.jobs ?? navigator.hardwareConcurrency) },
    () => stack.use(new Copy()),
  );
  const total: Record<Result, number> = { killed: 0, survived: 0, equivalent: 0 };
  for (const { target, isWanted } of wanted) {
    const began = childrenCpuMs();
    if (!await copies[0].passes(target, BASELINE_LIMIT_MS)) {
      throw new Error(
        `The tests of ${target.file} fail before anything is changed: ${target.tests.join(" ")}`,
      );
    }
    const limitMs = Math.max(LEAST_LIMIT_MS, SLOWDOWN * (childrenCpuMs() - began));
    const counts: Record<Result, number> = { killed: 0, survived: 0, equivalent: 0 };
    const all = mutantsOf(await Deno.readTextFile(ROOT + target.file)).filter(({ line }) => isWanted(line));
    const waiting = sampleOf(all, sample, seed).values();
    await Promise.all(copies.map(async (copy) => {
      for (const mutant of waiting) {
        if (isEquivalent(target.file, mutant)) {
          counts.equivalent++;
          continue;
        }
        const survived = await copy.survives(target, mutant.text, limitMs);
        counts[survived ? "survived" : "killed"]++;
        if (survived) console.log(`${target.file}:${mutant.line}: ${mutant.before}\n    → ${mutant.after}`);
      }
    }));
    console.log(`${target.file}: ${textOf(counts)}`);
    for (const [result, count] of Object.entries(counts)) total[result as Result] += count;
  }
  console.log(`all: ${textOf(total)}`);
  return total.survived > 0 ? 1 : 0;
}

function textOf({ killed, survived, equivalent }: Record<Result, number>): string {
  const percent = killed + survived > 0 ? Math.floor(100 * killed / (killed + survived)) : 100;
  return `${killed} killed, ${survived} survived (${percent} %), ${equivalent} equivalent`;
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`mutate: ${error.message}`);
    return 64;
  });
  Deno.exit(code);
}
