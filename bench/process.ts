/** Processes that are measured, through /proc. */

import { V8_FLAGS } from "../tools/v8_flags.ts";
import { pause } from "../tests/kit/waiting.ts";

/** The program. */
export const MAIN = new URL("../main.ts", import.meta.url).pathname;

/** CPU time and peak memory of a process so far. */
export interface Usage {
  /** User and system time of all threads, in seconds. */
  cpuSeconds: number;
  /** Peak resident set, in MiB. */
  peakMiB: number;
}

const CLOCK_TICKS = 100;

export function usageOf(pid: number): Usage {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS,
    peakMiB: Number(status.match(/VmHWM:\s+(\d+) kB/)![1]) / 1024,
  };
}

/**
 * Starts a Deno program with the flags that the product is compiled with (for {@linkcode MAIN}: the compiled one, if
 * ALUMET_RELAY_BIN says where it is), and resolves when its standard error says that it is running.
 */
export async function start(args: string[], running = "Running"): Promise<Deno.ChildProcess> {
  const binary = Deno.env.get("ALUMET_RELAY_BIN");
  const compiled = binary !== undefined && args[0] === MAIN;
  const state = await Deno.makeTempDir({ prefix: "alumet-relay-bench-" });
  const child = new Deno.Command(compiled ? binary : Deno.execPath(), {
    args: compiled ? args.slice(1) : ["run", "-A", "--no-check", V8_FLAGS, ...args],
    env: { STATE_DIRECTORY: "", XDG_STATE_HOME: state },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  child.status.finally(() => Deno.removeSync(state, { recursive: true }));
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(running)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The program ended before it ran:\n${text}`);
    text += value;
  }
  // What else it says is read, so that it never waits for us.
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return child;
}

export async function run(args: string[]): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", ...args] })
    .output();
  if (!success) throw new Error(`Failed: ${args.join(" ")}`);
}

export async function stop(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await child.status;
}

export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Waits until a file has `bytes` bytes. */
export async function untilSize(path: string, bytes: number, ms = 120_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (true) {
    const size = (await Deno.stat(path).catch(() => null))?.size ?? 0;
    if (size === bytes) return;
    if (size > bytes || performance.now() > deadline) {
      throw new Error(`${path} has ${size} bytes, not ${bytes}`);
    }
    await pause(2);
  }
}
