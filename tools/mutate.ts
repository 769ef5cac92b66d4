/**
 * Changes the code in small ways, one at a time, and runs the tests that should notice:
 * `deno task mutate [--sample=N] [--seed=N] [--jobs=N] [FILE[:LINE[-LINE]][@TEST[,TEST]]...]`.
 *
 * Without files, all of tools/mutate/targets.ts; with lines, the changes of these lines; with tests, these instead of the
 * file's own. `--sample` takes N changes of each file, chosen by the seed. Works on copies in a temporary folder. A change
 * that no test notices is printed: add a test, or, if it changes nothing that anybody could see, an entry with the reason
 * to tools/mutate/equivalent/. Not part of CI.
 */
import { parseArgs } from "@std/cli/parse-args";
import { Copies } from "./mutate/copies.ts";
import { EQUIVALENT } from "./mutate/equivalent.ts";
import { type Mutant, mutantsOf } from "./mutate/mutations.ts";
import { type MutationTarget, TARGETS } from "./mutate/targets.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/** Copies whose tests run in one process. */
const MOST_COPIES = 40;

export type Result = "killed" | "survived" | "equivalent";

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

/**
 * @throws {RangeError} if the text is not FILE, FILE:LINE or FILE:LINE-LINE, with @TEST,TEST behind it or not, or the file
 * is not a target and has no tests named.
 */
export function wantedOf(text: string): Wanted {
  const [, file, first, last = first, tests] = /^(.*?)(?::(\d+)(?:-(\d+))?)?(?:@(.+))?$/.exec(text)!;
  const target = tests ? { file, tests: tests.split(",") } : TARGETS.find((target) => target.file === file);
  if (!target) {
    throw new RangeError(`${file}: not in tools/mutate/targets.ts; add @TEST to name its tests here`);
  }
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

  const jobs = Number(options.jobs ?? navigator.hardwareConcurrency);

  const total: Record<Result, number> = { killed: 0, survived: 0, equivalent: 0 };
  for (const { target, isWanted } of wanted) {
    const all = mutantsOf(await Deno.readTextFile(ROOT + target.file)).filter(({ line }) => isWanted(line));
    const chosen = sampleOf(all, sample, seed);
    const waiting = chosen.filter((mutant) => !isEquivalent(target.file, mutant));
    const counts: Record<Result, number> = {
      killed: 0,
      survived: 0,
      equivalent: chosen.length - waiting.length,
    };
    await using copies = await Copies.open(target);
    const share = Math.min(MOST_COPIES, Math.ceil(waiting.length / jobs));
    await Promise.all(Array.from({ length: jobs }, async () => {
      while (waiting.length > 0) {
        const mutants = waiting.splice(0, share);
        const passed = await copies.tryAll(mutants.map(({ text }) => text));
        mutants.forEach(({ line, before, after }, i) => {
          counts[passed[i] ? "survived" : "killed"]++;
          if (passed[i]) console.log(`${target.file}:${line}: ${before}\n    → ${after}`);
        });
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
