/** Finds the command in the arguments, and loads the modules that it needs. */
import { PROGRAM, VERSION } from "./cli/declarations.ts";
import { type CommandLine, parseCommandLine } from "./cli/parse.ts";
import type { Surroundings } from "./cli/world.ts";
export type { Surroundings };
import { EXIT, ExitError, messageOf } from "./base/errors.ts";
import { STDERR } from "./base/stderr.ts";
import { ERROR_PRIORITY } from "./base/log.ts";
import { isJournalStream } from "./systemd/journal_stream.ts";

/** How long the last lines of a log have to be written, in ms. */
const LAST_LINES_MS = 500;

/**
 * Writes all of a text to standard output, and gives up silently when nobody reads it (a pipe into `head`).
 *
 * @returns whether somebody reads it.
 * @throws {ExitError} if it cannot be written.
 */
function print(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw new ExitError(EXIT.unavailable, `Cannot write to standard output: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Ends the process once the last lines of its log are written, or standard error does not take them in time. */
async function exit(code: number): Promise<never> {
  STDERR.end();
  await STDERR.flush(LAST_LINES_MS);
  Deno.exit(code);
}

/**
 * Runs the program as this process. An error that nobody catches is logged, and ends it.
 *
 * @param world What differs from this process.
 */
export async function runProcess(
  args: readonly string[],
  world: Partial<Surroundings> = {},
): Promise<never> {
  const onUncaught = (error: unknown) => {
    STDERR.queue();
    STDERR.write(internalError(error) + "\n");
    void exit(EXIT.software);
  };
  addEventListener("error", (event) => {
    event.preventDefault();
    onUncaught(event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    onUncaught(event.reason);
  });
  return await exit(await main(args, world));
}

function internalError(error: unknown): string {
  return `${PROGRAM}: internal error: ${error instanceof Error ? error.stack : error}`;
}

const PROCESS: Surroundings = {
  stdout: print,
  stderr: STDERR.write,
  queueStderr: () => STDERR.queue(),
  takeLostLines: STDERR.takeLost,
  terminal: () => Deno.stdout.isTerminal(),
  stdin: async () => new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer()),
  color: () => Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR"),
  journal: () => isJournalStream((name) => Deno.env.get(name)),
  env: (name) => Deno.env.get(name),
  services: () =>
    ["client", "server"].map((role) => `alumet-relay-${role}`)
      .map((service) => ({ path: `/var/lib/${service}`, from: `the service ${service}` }))
      .filter(({ path }) => isThere(path)),
  plugins: async () => (await import("./plugins.ts")).plugins,
  run: async (settings, log, reload, facts) =>
    await (await import("./service.ts")).runService(settings, log, reload, facts, {
      env: (name) => Deno.env.get(name),
      exit,
    }),
};

/** Whether there is a file, readable or not. */
function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/**
 * Runs the program with these arguments.
 *
 * @returns The exit code. Errors have been written to standard error.
 */
export async function main(
  args: readonly string[],
  surroundings: Partial<Surroundings> = {},
): Promise<number> {
  const world = { ...PROCESS, ...surroundings };
  try {
    const line = parseCommandLine(args);
    const command = await COMMANDS[line.command.name]();
    return await command(line, world);
  } catch (error) {
    const known = error instanceof ExitError;
    const text = known ? error.message : internalError(error);
    world.stderr((world.journal() ? text.replace(/^/gm, ERROR_PRIORITY) : text) + "\n");
    return known ? error.exitCode : EXIT.software;
  }
}

type Command = (line: CommandLine, world: Surroundings) => Promise<number>;

/** Loads the function that runs a command, and no other modules. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  "run": async () => (await import("./cli/run.ts")).run,
  "config check": async () => (await import("./cli/config.ts")).configCheck,
  "config show": async () => (await import("./cli/config.ts")).configShow,
  "config regen": async () => (await import("./cli/config.ts")).configRegen,
  "status": async () => (await import("./cli/agents/status.ts")).status,
  "top": async () => (await import("./cli/agents/top.ts")).top,
  "tap": async () => (await import("./cli/agents/tap.ts")).tap,
  "probe": async () => (await import("./cli/probe.ts")).probe,
  "exec": async () => (await import("./cli/exec.ts")).exec,
  "watch": async () => (await import("./cli/watch.ts")).watch,
  "send": async () => (await import("./cli/send.ts")).send,
  "plugins list": async () => (await import("./cli/plugins.ts")).pluginsList,
  "token new": async () => (await import("./cli/token.ts")).newToken,
  "journal status": async () => (await import("./cli/journal.ts")).journal,
  "journal check": async () => (await import("./cli/journal.ts")).journal,
  "journal repair": async () => (await import("./cli/journal.ts")).journal,
  "journal dump": async () => (await import("./cli/journal.ts")).journal,
  "dead-letters list": async () => (await import("./cli/dead_letters.ts")).list,
  "dead-letters show": async () => (await import("./cli/dead_letters.ts")).show,
  "dead-letters purge": async () => (await import("./cli/dead_letters.ts")).purge,
  "dead-letters replay": async () => (await import("./cli/dead_letters_replay.ts")).replay,
  "query": async () => (await import("./cli/query.ts")).query,
  "export": async () => (await import("./cli/export.ts")).exportPoints,
  "import": async () => (await import("./cli/import.ts")).importPoints,
  "systemd-unit": async () => (await import("./cli/systemd_unit.ts")).systemdUnit,
  "completions": async () => (await import("./cli/completions.ts")).completions,
  "man": async () => printing((await import("./cli/man.ts")).manPage(VERSION)),
  "help": async () => {
    const { commandHelp, programHelp } = await import("./cli/help.ts");
    return (line, world) =>
      printing(line.topics.length > 0 ? commandHelp(line.topics) : programHelp(VERSION))(line, world);
  },
  "version": () => Promise.resolve(printing(`${PROGRAM} ${VERSION}\n`)),
};

/** A command that prints a text. */
function printing(text: string): Command {
  return (_line, { stdout }) => {
    stdout(text);
    return Promise.resolve(EXIT.ok);
  };
}
