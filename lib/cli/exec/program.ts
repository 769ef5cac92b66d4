/** Runs the program, and measures what it and its descendants use. */
import { hideCgroupVariable } from "../../base/memory.ts";
import { delay } from "@std/async/delay";
import { messageOf } from "../../base/errors.ts";
import { didYouMean, nearest } from "../../base/suggest.ts";
import type { WatchedProcesses } from "../../inputs/polling/watched_processes.ts";
import { machineCpuSeconds, ProcessTree } from "./process_tree.ts";
import { childrenCpuSeconds } from "./libc.ts";
import type { Signals } from "./signals.ts";

/** Exit codes of shells. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Longest time between two looks at the processes, and the first one, in ms. */
const LOOK_MS = 100;
const FIRST_LOOK_MS = 5;
/** Time between two looks at the processes that were found already, in ms. */
const REFRESH_MS = 20;
/** Looking may take this share of a CPU: on a machine with very many processes, looks are rarer. */
const LOOK_SHARE = 0.02;

/** What a run used. */
export interface ProgramRun {
  /** 128 + N if signal N ended it; `null` for a program that another process has started. */
  readonly exitCode: number | null;
  readonly seconds: number;
  /** CPU time, of the program and its descendants. */
  readonly cpuSeconds: number;
  /** CPU time of the whole machine meanwhile. */
  readonly machineCpuSeconds: number;
  readonly peakBytes: number;
}

/** The program could not be started. */
export class StartError extends Error {
  override readonly name = "StartError";

  constructor(readonly exitCode: number, message: string, options: ErrorOptions) {
    super(message, options);
  }
}

/**
 * Runs the program from its start to its end, with the standard input, output and error of this process.
 *
 * @throws {StartError}
 */
export async function runProgram(
  program: readonly string[],
  signals: Signals,
  processes: WatchedProcesses,
): Promise<ProgramRun> {
  processes.prepare();
  const before = { cpu: childrenCpuSeconds(), machine: machineCpuSeconds(), ms: performance.now() };
  const child = start(program);
  signals.child = child;
  const tree = new ProcessTree(child.pid, "/proc", processes);
  const ended = new AbortController();
  const looking = lookUntil(ended.signal, tree);
  const { code } = await child.status;
  const seconds = (performance.now() - before.ms) / 1000;
  signals.child = null;
  ended.abort();
  await looking;
  tree.look();
  tree.endAll();
  return {
    exitCode: code,
    seconds,
    cpuSeconds: childrenCpuSeconds() - before.cpu + tree.unwaitedCpuSeconds(),
    machineCpuSeconds: machineCpuSeconds() - before.machine,
    peakBytes: tree.peakBytes,
  };
}

function start([command, ...args]: readonly string[]): Deno.ChildProcess {
  hideCgroupVariable();
  try {
    return new Deno.Command(command, { args, stdin: "inherit", stdout: "inherit", stderr: "inherit" })
      .spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new StartError(NOT_FOUND, `Cannot run ${command}: ${whereNot(command)}`, { cause: error });
    }
    const why = error instanceof Deno.errors.PermissionDenied
      ? "it is not executable (chmod +x makes it so)"
      : messageOf(error);
    throw new StartError(NOT_EXECUTABLE, `Cannot run ${command}: ${why}`, { cause: error });
  }
}

/** Why there is no such program, and which one may be meant. */
function whereNot(command: string): string {
  const slash = command.lastIndexOf("/");
  if (slash >= 0) {
    if (isThere(command)) return "the program that its first line names does not exist";
    const folder = command.slice(0, slash + 1);
    const near = nearest(command.slice(slash + 1), namesIn(folder));
    return `there is no such file${near === undefined ? "" : `; did you mean ${folder}${near}?`}`;
  }
  const here = namesIn(".");
  if (here.includes(command)) {
    return `there is no such program in PATH; did you mean ./${command}, which is in this directory?`;
  }
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  return `there is no such program in PATH${didYouMean(command, folders.flatMap(namesIn))}`;
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function namesIn(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch {
    return [];
  }
}

/** Looks at the processes until the root has ended, or the signal is aborted. */
export async function lookUntil(signal: AbortSignal, tree: ProcessTree): Promise<void> {
  let lookMs = performance.now() + FIRST_LOOK_MS;
  for (let n = 1; !signal.aborted && tree.isRunning;) {
    const beganMs = performance.now();
    const isDue = beganMs >= lookMs;
    if (isDue) tree.look();
    else tree.refresh();
    const nowMs = performance.now();
    const tookMs = nowMs - beganMs;
    if (isDue) lookMs = nowMs + Math.max(Math.min(FIRST_LOOK_MS * 2 ** n++, LOOK_MS), tookMs / LOOK_SHARE);
    const waitMs = Math.min(lookMs - nowMs, Math.max(REFRESH_MS, tookMs / LOOK_SHARE));
    await delay(Math.max(0, waitMs), { signal }).catch(() => {});
  }
}
