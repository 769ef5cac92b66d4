/** The program as users run it: a process with arguments, an environment, a log, signals and an exit code. */
import { isAbsolute, join } from "node:path";
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS } from "./waiting.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BINARY = Deno.env.get("ALUMET_RELAY_BIN") || undefined;

/** The compiled program that the environment variable ALUMET_RELAY_BIN names. */
export const binary = BINARY && (isAbsolute(BINARY) ? BINARY : join(Deno.cwd(), BINARY));

/** What starts the program: the compiled one, or the sources with the Deno that runs the tests. */
export const PROGRAM: readonly string[] = binary
  ? [binary]
  : [Deno.execPath(), "run", "--quiet", "-A", `${ROOT}main.ts`];

const LIFETIME_MS = 300_000;
/** On a busy machine a stop in good order may take longer than the default, which would cost points. */
const PATIENT_STOP = ["--config-override", "shutdown_timeout=80s"];
/** Lines of a log in a message. */
const MAX_SHOWN = 60;

export interface StartOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Starts with `env` alone. @default {false} */
  clearEnv?: boolean;
  /** A command that ends by executing the one behind it, in the same process: `ip netns exec NAME`. */
  wrapper?: readonly string[];
  /** @default {PROGRAM} */
  program?: readonly string[];
  /** How long a program that ends by itself may take. @default {PATIENCE_MS} */
  patienceMs?: number;
  /** A process that is older is killed, and with its sockets ends whatever waits for it. @default {300000} */
  lifetimeMs?: number;
}

/** A line of the log, of `--log-format json`; of the text format only `text` is known. */
export interface LogLine {
  readonly text: string;
  readonly level: string;
  readonly part: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

function parseLine(text: string): LogLine {
  const nothing = { text, level: "", part: "", message: "" };
  if (!text.startsWith("{")) return nothing;
  try {
    return { ...nothing, ...JSON.parse(text) };
  } catch {
    return nothing;
  }
}

function commandOf(args: readonly string[], options: StartOptions): { program: string; args: string[] } {
  const { wrapper = [], program = PROGRAM } = options;
  const [first, ...rest] = [...wrapper, ...program, ...args];
  return { program: first, args: rest };
}

/** The environment of a process; `state` is where it keeps what outlives it, if `env` does not say otherwise. */
function environmentOf({ env = {}, clearEnv = false }: StartOptions, state: string) {
  if (clearEnv) return { env, clearEnv };
  return {
    env: {
      // A Deno that looks for its next version would only disturb.
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
      STATE_DIRECTORY: "",
      XDG_STATE_HOME: state,
      ...env,
    },
    clearEnv,
  };
}

/** A process that runs; it does not outlive the test. */
export class Program implements AsyncDisposable {
  readonly #lines: LogLine[] = [];
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #title: string;
  readonly #watchers = new Set<() => void>();
  readonly #lifetime: ReturnType<typeof setTimeout>;
  /** Its own: what one program leaves is not found by the next. */
  readonly #state = new TempDir();
  #ended = false;

  /** Logs as JSON, and has time to stop, unless `args` say otherwise. */
  constructor(args: readonly string[], options: StartOptions = {}) {
    const command = commandOf([
      ...args,
      ...args.includes("--log-format") ? [] : ["--log-format", "json"],
      ...args.some((arg) => arg.includes("shutdown_timeout")) ? [] : PATIENT_STOP,
    ], options);
    this.#title = args.join(" ");
    this.#child = new Deno.Command(command.program, {
      args: command.args,
      cwd: options.cwd,
      ...environmentOf(options, this.#state.path),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#reading = this.#read();
    this.#lifetime = setTimeout(() => this.#kill(), options.lifetimeMs ?? LIFETIME_MS);
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      this.#lines.push(...parts.map(parseLine));
      for (const watch of this.#watchers) watch();
    }
    if (rest !== "") this.#lines.push(parseLine(rest));
    this.#ended = true;
    for (const watch of this.#watchers) watch();
  }

  /** All lines of a process that has ended. @throws while it runs: more of them may be on their way */
  get lines(): readonly LogLine[] {
    if (!this.#ended) throw new Error(`It still runs, so wait for line(…) or exit(): ${this.log}`);
    return this.#lines;
  }

  /** The lines whose text matches, of a process that has ended. @throws while it runs */
  matching(pattern: RegExp): LogLine[] {
    return this.lines.filter(({ text }) => pattern.test(text));
  }

  /** Those that have arrived so far: enough to see that there is none, or to wait with `until`; never that there is one. */
  soFar(pattern: RegExp): LogLine[] {
    return this.#lines.filter(({ text }) => pattern.test(text));
  }

  /** Everything that the process said, for a message. */
  get log(): string {
    const lines = this.#lines.map(({ text }) => `  ${text}`);
    if (lines.length > MAX_SHOWN) lines.splice(MAX_SHOWN / 2, lines.length - MAX_SHOWN, "  …");
    return [this.#title, ...lines].join("\n");
  }

  /** Waits for the first line that matches; with `count` for that many, and returns the last of them. */
  async line(pattern: RegExp, { ms = PATIENCE_MS, count = 1 } = {}): Promise<LogLine> {
    const found = Promise.withResolvers<LogLine>();
    const watch = () => {
      const lines = this.soFar(pattern);
      if (lines.length >= count) found.resolve(lines[count - 1]);
      else if (this.#ended) found.reject(new Error(`Ended without a line ${pattern}: ${this.log}`));
    };
    this.#watchers.add(watch);
    watch();
    try {
      return await atMost(ms, found.promise, () => `a line ${pattern} of ${this.log}`);
    } finally {
      this.#watchers.delete(watch);
    }
  }

  /** The counters that a plugin logs when the process has stopped. */
  summary(part: string): Record<string, number> {
    const line = this.lines.find((line) => line.part === part && line.message === "Summary");
    if (!line) throw new Error(`No summary of ${part}: ${this.log}`);
    return line as unknown as Record<string, number>;
  }

  /** Points that all inputs which measure have made, by their last lines. */
  get measuredPoints(): number {
    const summaries = this.lines.filter(({ message, polls }) => message === "Summary" && polls !== undefined);
    return summaries.reduce((sum, { points }) => sum + Number(points), 0);
  }

  signal(name: Deno.Signal): void {
    this.#child.kill(name);
  }

  /** Waits for the end, and returns the exit code, or the name of the signal that ended the process. */
  async exit(ms = PATIENCE_MS): Promise<number | Deno.Signal> {
    const { code, signal } = await atMost(ms, this.#child.status, () => `the end of ${this.log}`);
    await atMost(ms, this.#reading, () => `the end of the log of ${this.log}`);
    return signal ?? code;
  }

  /** Sends a signal, and waits for the end. */
  async stop(name: Deno.Signal = "SIGTERM", ms = PATIENCE_MS): Promise<number | Deno.Signal> {
    this.signal(name);
    return await this.exit(ms);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#lifetime);
    this.#kill();
    await this.#child.status;
    await this.#reading;
    await this.#state[Symbol.asyncDispose]();
  }
}

/** What a process that ended by itself has left. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs the program until it ends by itself. */
export async function runProgram(args: readonly string[], options: StartOptions = {}): Promise<Ran> {
  const command = commandOf(args, options);
  await using state = new TempDir();
  const began = performance.now();
  const child = new Deno.Command(command.program, {
    args: command.args,
    cwd: options.cwd,
    ...environmentOf(options, state.path),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  try {
    const { code, stdout, stderr } = await atMost(
      options.patienceMs ?? PATIENCE_MS,
      output,
      () => `the end of ${args.join(" ")}`,
    );
    const ms = performance.now() - began;
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr), ms };
  } catch (error) {
    child.kill("SIGKILL");
    await output;
    throw error;
  }
}

/** Runs any command. @throws with what it said, if it fails. */
export async function shell(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command.slice(1), { program: command.slice(0, 1) });
  if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}: ${stderr}`);
  return stdout;
}

/** The most memory that a process has had in use, in bytes. */
export function peakMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

/** The CPU time that a process has taken, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime and stime, in ticks that are a hundredth of a second on every Linux that Deno runs on.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
