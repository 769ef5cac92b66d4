/** The agent as a service: SIGHUP makes it read its configuration again, and a service manager is told how it does. */
import { type AgentOptions, runAgent } from "./agent.ts";
import type { AgentSettings, RunningAgent } from "./agent/settings.ts";
import { ExitError } from "./base/errors.ts";
import type { Logger } from "./base/log.ts";
import type { ServiceManager } from "./systemd/manager.ts";

/** How a service gets its configuration again. */
export interface Reload {
  /** Reads and checks all of it. @throws {ExitError} with a line for each thing that is wrong. */
  read(): Promise<AgentSettings>;
  /** Told what is in effect from now on. */
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
  { env, exit }: ServiceProcess,
): Promise<number> {
  using stack = new DisposableStack();
  const manager = env("NOTIFY_SOCKET")
    ? (await import("./systemd/manager.ts")).ServiceManager.open(env, log)
    : null;
  if (manager) stack.use(manager);

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
    // Before it runs there is nothing to change yet: it is done then.
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
      manager?.running(running);
      reread();
    },
    onStopping: () => {
      stopped = true;
      manager?.stopping();
    },
  });
}

/** Reads the configuration again, and takes over what can change; a wrong one changes nothing. Never rejects. */
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
    log.error("The configuration could not be read again, the one before stays in effect");
  } finally {
    manager?.reloaded();
  }
}
