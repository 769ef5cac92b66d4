/** Runs the program, and measures what it and its descendants use. */
import { hideCgroupVariable } from "../../base/memory.ts";
import { delay } from "@std/async/delay";
import { messageOf } from "../../base/errors.ts";
import { machineCpuSeconds, ProcessTree } from "./process_tree.ts";
import { childrenCpuSeconds } from "./libc.ts";
import type { Signals } from "./signals.ts";

/** Exit codes of shells. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Longest time between two looks at the processes, and the first one, in ms. */
const LOOK_MS = 100;
const FIRST_LOOK_MS = 5;
/** Looking may take this share of a CPU: on a machine with very many processes, looks are rarer. */
const LOOK_SHARE = 0.02;

/** What a run used. */
export interface ProgramRun {
  /** 128 + N if signal N ended it. */
  readonly exitCode: number;
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
export async function runProgram(program: readonly string[], signals: Signals): Promise<ProgramRun> {
  const before = { cpu: childrenCpuSeconds(), machine: machineCpuSeconds(), ms: performance.now() };
  const child = start(program);
  signals.child = child;
  const tree = new ProcessTree(child.pid);
  const ended = new AbortController();
  const looking = lookUntil(ended.signal, tree);
  const { code } = await child.status;
  const seconds = (performance.now() - before.ms) / 1000;
  signals.child = null;
  ended.abort();
  await looking;
  tree.look();
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
      const where = command.includes("/") ? "there is no such file" : "there is no such program in PATH";
      throw new StartError(NOT_FOUND, `Cannot run ${command}: ${where}`, { cause: error });
    }
    const why = error instanceof Deno.errors.PermissionDenied
      ? "it is not executable (chmod +x makes it so)"
      : messageOf(error);
    throw new StartError(NOT_EXECUTABLE, `Cannot run ${command}: ${why}`, { cause: error });
  }
}

async function lookUntil(signal: AbortSignal, tree: ProcessTree): Promise<void> {
  for (let waitMs = FIRST_LOOK_MS; !signal.aborted;) {
    await delay(waitMs, { signal }).catch(() => {});
    if (signal.aborted) return;
    const beganMs = performance.now();
    tree.look();
    waitMs = Math.max(Math.min(2 * waitMs, LOOK_MS), (performance.now() - beganMs) / LOOK_SHARE);
  }
}
