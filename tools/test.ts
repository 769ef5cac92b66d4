/**
 * Runs tests: `test.ts [--jobs=N] [--filter=TEXT] [--junit-path=FILE] [PATH...]`. Without paths, all below tests/.
 *
 * Each file has a process of its own, so files share neither a working directory nor signals nor an environment, and
 * several run at once: tests wait more than they compute. Prints a line for each file, with its time and what it took
 * of the processors, and everything that a file printed if one of its tests failed. Types are not checked:
 * `deno task check` does that, once.
 */
import { parseArgs } from "@std/cli/parse-args";
import { casesOf, merged } from "./junit.ts";
import { childrenCpuMs } from "./test/cpu.ts";
import { inOrder, testFiles } from "./test/files.ts";
import { type Outcome, runFile } from "./test/run.ts";

/** Files at once, for each processor. */
const JOBS_PER_PROCESSOR = 2;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function countsOf(outcomes: readonly Outcome[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { report } of outcomes) for (const { outcome } of casesOf(report)) counts[outcome]++;
  return counts;
}

function textOf({ passed, failed, skipped }: Counts): string {
  return [`${passed} passed`, `${failed} failed`, ...skipped > 0 ? [`${skipped} skipped`] : []].join(", ");
}

/** The time of a run, with that of the processors where it is known. */
const timeOf = (ms: number, cpuMs: number) =>
  [seconds(ms), ...cpuMs > 0 ? [`${seconds(cpuMs)} of processor time`] : []].join(", ");

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function print(outcome: Outcome): void {
  const { file, ok, ms, cpuMs, output } = outcome;
  console.log(`${ok ? "ok  " : "FAIL"} ${file}: ${textOf(countsOf([outcome]))}, ${timeOf(ms, cpuMs)}`);
  if (!ok) console.log(output);
}

/** A folder for what files share: tests/kit/run_directory.ts uses it. What runs there ends when it is removed. */
async function runDirectory(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "alumet-relay-run-" });
  // A database does not run as root, and has its files in it.
  await Deno.chmod(directory, 0o755);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      Deno.removeSync(directory, { recursive: true });
      Deno.exit(signal === "SIGINT" ? 130 : 143);
    });
  }
  return directory;
}

async function main(args: string[]): Promise<number> {
  const options = parseArgs(args, {
    string: ["jobs", "filter", "junit-path"],
    unknown: (name, _key, value) => {
      if (value === undefined) return true;
      throw new RangeError(`${name}: unknown option; there are --jobs, --filter and --junit-path`);
    },
  });
  const files = inOrder(await testFiles(options._.length > 0 ? options._.map(String) : ["tests"]));
  const jobs = Number(options.jobs ?? JOBS_PER_PROCESSOR * navigator.hardwareConcurrency);
  if (!(Number.isInteger(jobs) && jobs > 0)) {
    throw new RangeError(`--jobs=${options.jobs}: not a number of jobs`);
  }
  const more = options.filter === undefined ? [] : [`--filter=${options.filter}`];

  const began = performance.now();
  const directory = await runDirectory();
  const waiting = files.values();
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: jobs }, async () => {
    // They share the iterator: each takes the next file.
    for (const file of waiting) {
      const outcome = await runFile(file, { more, runDirectory: directory });
      outcomes.push(outcome);
      print(outcome);
    }
  }));

  await Deno.remove(directory, { recursive: true });
  const path = options["junit-path"];
  if (path !== undefined) await Deno.writeTextFile(path, merged(outcomes.map(({ report }) => report)));
  const counts = countsOf(outcomes);
  const bad = outcomes.filter(({ ok }) => !ok);
  for (const { missing } of outcomes) for (const line of missing) console.log(`skipped: ${line}`);
  for (const { report } of bad) {
    for (const { name, outcome } of casesOf(report)) if (outcome === "failed") console.log(`failed: ${name}`);
  }
  const time = timeOf(performance.now() - began, childrenCpuMs());
  console.log(`${textOf(counts)} in ${outcomes.length} files (${time})`);
  return bad.length > 0 || counts.passed === 0 ? 1 : 0;
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`test: ${error.message}`);
    return 64;
  });
  Deno.exit(code);
}
