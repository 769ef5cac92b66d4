/** Runs one file of tests in a process of its own. */
import { casesOf, failureReport } from "../junit.ts";

/** The longest time for a file, in ms. What is not ready then hangs. */
const LIMIT_MS = 600_000;

export interface Outcome {
  readonly file: string;
  readonly ok: boolean;
  readonly ms: number;
  /** What the process printed, both streams in their order. */
  readonly output: string;
  /** In JUnit's format; always with a failure if the file failed. */
  readonly report: string;
  /** What skipped tests need, each with its place. */
  readonly missing: readonly string[];
}

export interface RunOptions {
  /** Further options of `deno test`. */
  readonly more?: readonly string[];
  /** The longest time, in ms. @default {600000} */
  readonly limitMs?: number;
  /** A folder that all files of a run share. */
  readonly runDirectory?: string;
}

/** Runs the tests of a file. */
export async function runFile(file: string, options: RunOptions = {}): Promise<Outcome> {
  const first = await attempt(file, options);
  // To trace each operation takes as long again as the tests: only where there is a leak to be traced.
  if (first.ok || !first.output.includes("Leaks detected")) return first;
  const traced = await attempt(file, { ...options, more: [...options.more ?? [], "--trace-leaks"] });
  return { ...first, output: `${first.output}\nWith --trace-leaks:\n${traced.output}` };
}

async function attempt(file: string, options: RunOptions): Promise<Outcome> {
  const { more = [], limitMs = LIMIT_MS, runDirectory } = options;
  const began = performance.now();
  const directory = await Deno.makeTempDir({ prefix: "alumet-relay-report-" });
  const reportPath = `${directory}/report.xml`;
  try {
    // The shell keeps the order of the two streams.
    const args = ["-c", 'exec "$@" 2>&1', "sh", Deno.execPath(), "test", "--allow-all", "--no-check"];
    const child = new Deno.Command("sh", {
      args: [...args, `--junit-path=${reportPath}`, ...more, file],
      // Deno 2.8 and newer look for leaks only where asked to.
      env: {
        DENO_TEST_SANITIZE_OPS: "1",
        DENO_TEST_SANITIZE_RESOURCES: "1",
        ...runDirectory === undefined ? {} : { ALUMET_TEST_RUN_DIRECTORY: runDirectory },
      },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, limitMs);
    const { success, stdout } = await child.output().finally(() => clearTimeout(limit));
    const output = new TextDecoder().decode(stdout);
    let report = await Deno.readTextFile(reportPath).catch(() => "");
    if (!success && !casesOf(report).some(({ outcome }) => outcome === "failed")) {
      report += failureReport(
        file,
        late ? `not ready after ${limitMs} ms` : "ended without a report of a failure",
      );
    }
    const missing = output.split("\n").filter((line) => /^\S+_test\.ts:\d+: needs /.test(line));
    return { file, ok: success, ms: performance.now() - began, output, report, missing };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
