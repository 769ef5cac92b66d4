/** The agent as a service: reads its configuration again on SIGHUP, and notifies a service manager. */
import { type AgentOptions, runAgent } from "./agent.ts";
import type { AgentSettings, RunningAgent } from "./agent/settings.ts";
import { SpareMemory } from "./agent/spare_memory.ts";
import { ExitError } from "./base/errors.ts";
import type { Logger } from "./base/log.ts";
import { type Facts, Seeing } from "./seeing.ts";
import type { ServiceManager } from "./systemd/manager.ts";

/** How a service reads its configuration again. */
export interface Reload {
  /** Reads and checks it. @throws {ExitError} with a line for each problem. */
  read(): Promise<AgentSettings>;
  /** Called with the settings in effect from now on. */
  taken(settings: AgentSettings): void;
}

/** What a service needs of its process. */
export interface ServiceProcess {
  env: (name: string) => string | undefined;
  /** Ends it, with the last lines of its log. */
  exit: NonNullable<AgentOptions["exit"]>;
}

/**
 * Runs until it is stopped.
 *
 * @returns The exit code. Errors have been logged.
 */
export async function runService(
  settings: AgentSettings,
  log: Logger,
  reload: Reload,
  facts: Facts,
  { env, exit }: ServiceProcess,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const receives = settings.plugins.some(({ plugin }) => plugin.kind === "input" && plugin.receives);
  // Where clients send, they would wait for it, and the heap may be large.
  const spare = stack.use(SpareMemory.open(receives ? undefined : collectGarbage));
  const manager = env("NOTIFY_SOCKET")
    ? (await import("./systemd/manager.ts")).ServiceManager.open(env, log)
    : null;
  if (manager) stack.use(manager);

  let seeing: Seeing;
  try {
    seeing = stack.use(await Seeing.open(settings.general.http, receives, facts, log.for("http")));
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    log.error(error.message);
    return error.exitCode;
  }

  let agent: RunningAgent | null = null;
  let stopped = false;
  let asked = false;
  let busy = false;
  const stop = new AbortController();
  const reread = async () => {
    if (!agent || busy) return;
    busy = true;
    while (asked && !stopped) {
      asked = false;
      await takeOver(agent, reload, log, manager);
    }
    busy = false;
  };

  const hadTerminal = Deno.stdin.isTerminal();
  const onHangup = () => {
    if (hadTerminal && !Deno.stdin.isTerminal()) {
      log.info("Stopping", { signal: "SIGHUP", reason: "the terminal is gone" });
      return stop.abort();
    }
    // If the agent is not running yet, this happens when it is.
    asked = true;
    reread();
  };
  // By default a write beyond `ulimit -f` ends the process; now it is an error, like that of a full disk.
  const onFileTooLarge = () => {};
  Deno.addSignalListener("SIGXFSZ", onFileTooLarge);
  stack.defer(() => Deno.removeSignalListener("SIGXFSZ", onFileTooLarge));
  Deno.addSignalListener("SIGHUP", onHangup);
  stack.defer(() => Deno.removeSignalListener("SIGHUP", onHangup));

  return await runAgent(settings, log, {
    stop: stop.signal,
    dropPermissions: true,
    exit,
    onRunning: (running) => {
      agent = running;
      spare?.giveBack();
      manager?.running(running);
      seeing.running(running);
      reread();
    },
    onStopping: () => {
      stopped = true;
      manager?.stopping();
      seeing.stopping();
    },
  });
}

/** Where the program has V8's function for it (tools/v8_flags.ts): with its pages, which a usual collection keeps. */
function collectGarbage(): void {
  const { gc } = globalThis as { gc?: (how: { type: "major"; flavor: "last-resort" }) => void };
  gc?.({ type: "major", flavor: "last-resort" });
}

/** Reads the configuration again, and applies what can change; one with problems changes nothing. Never rejects. */
async function takeOver(
  agent: RunningAgent,
  reload: Reload,
  log: Logger,
  manager: Pick<ServiceManager, "reloading" | "reloaded"> | null,
): Promise<void> {
  try {
    manager?.reloading();
    const { taken, restart } = await agent.reconfigure(await reload.read());
    reload.taken(agent.settings);
    log.info("Configuration read again", { changed: taken.join(", ") || "nothing" });
    if (restart.length > 0) {
      log.warn(`Needs a restart to take effect: ${restart.join(", ")}`);
    }
  } catch (error) {
    const known = error instanceof ExitError;
    const text = known ? error.message : String((error as Error)?.stack ?? error);
    for (const line of known ? text.split("\n") : [text]) log.error(line);
    log.error("Cannot read the configuration again, the previous one stays in effect");
  } finally {
    manager?.reloaded();
  }
}
