/** Runs one file of tests in a process of its own. */
import { casesOf, failureReport } from "../junit.ts";
import { cpuMsOf } from "./cpu.ts";
import { temporaryFolder } from "./temporary.ts";

/** The longest time for a file, in ms. What is not ready then hangs. */
const LIMIT_MS = 600_000;

/**
 * A shell keeps the order of the two streams, and knows the processor time of what ran in it. Takes the path of a file
 * for that time, the limit in seconds, and the command.
 */
const SCRIPT = `limit=$1
shift
timeout --foreground --signal=KILL "$limit" "$@" 2>&1
code=$?
times >"$0"
exit "$code"`;

export interface Outcome {
  readonly file: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Processor time of the file and of the processes that it started and waited for, in ms. */
  readonly cpuMs: number;
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
  const folder = temporaryFolder(file);
  const timesPath = `${directory}/times`;
  try {
    const command = [Deno.execPath(), "test", "--allow-all", "--no-check", `--junit-path=${reportPath}`];
    const { success, stdout } = await new Deno.Command("sh", {
      args: ["-c", SCRIPT, timesPath, `${limitMs / 1000}`, ...command, ...more, file],
      // Deno 2.8 and newer look for leaks only where asked to.
      env: {
        DENO_TEST_SANITIZE_OPS: "1",
        DENO_TEST_SANITIZE_RESOURCES: "1",
        ...folder === undefined ? {} : { TMPDIR: folder },
        ...runDirectory === undefined ? {} : { ALUMET_TEST_RUN_DIRECTORY: runDirectory },
      },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    const ms = performance.now() - began;
    const output = new TextDecoder().decode(stdout);
    let report = await Deno.readTextFile(reportPath).catch(() => "");
    if (!success && !casesOf(report).some(({ outcome }) => outcome === "failed")) {
      report += failureReport(
        file,
        ms >= limitMs ? `not ready after ${limitMs} ms` : "ended without a report of a failure",
      );
    }
    const missing = output.split("\n").filter((line) => /^\S+_test\.ts:\d+: needs /.test(line));
    const cpuMs = cpuMsOf(await Deno.readTextFile(timesPath).catch(() => ""));
    return { file, ok: success, ms, cpuMs, output, report, missing };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
