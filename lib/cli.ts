/** What the program does with its arguments. Modules that only some commands need are loaded when they do. */
import denoConfig from "../deno.json" with { type: "json" };
import { PROGRAM } from "./cli/declarations.ts";
import { type CommandLine, parseCommandLine } from "./cli/parse.ts";
import type { Surroundings } from "./cli/world.ts";
export type { Surroundings };
import type { ConfigOptions, Configuration } from "./config.ts";
import type { general } from "./config/general.ts";
import { EXIT, ExitError } from "./base/errors.ts";
import { createLogger, ERROR_PRIORITY, type LogFormat, type Logger, type LogLevel } from "./base/log.ts";
import type { Infer } from "./schema.ts";
import { isJournalStream } from "./systemd/journal_stream.ts";

type General = Infer<typeof general>;
type GeneralKey = typeof general;

/**
 * Writes all of a text, and gives up in silence when nobody reads it (a pipe into `head`).
 *
 * @returns whether somebody does.
 */
function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

const PROCESS: Surroundings = {
  stdout: (text) => write(Deno.stdout, text),
  stderr: (text) => void write(Deno.stderr, text),
  terminal: () => Deno.stdout.isTerminal(),
  stdin: () => new Response(Deno.stdin.readable).text(),
  color: () => Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR"),
  journal: () => isJournalStream((name) => Deno.env.get(name)),
  env: (name) => Deno.env.get(name),
  plugins: async () => (await import("./plugins.ts")).plugins,
  run: async (settings, log, reload) =>
    await (await import("./service.ts")).runService(settings, log, reload, (name) => Deno.env.get(name)),
};

/**
 * Runs the program with these arguments.
 *
 * @returns The exit code. Everything that went wrong has been said on standard error.
 */
export async function main(
  args: readonly string[],
  surroundings: Partial<Surroundings> = {},
): Promise<number> {
  const world = { ...PROCESS, ...surroundings };
  try {
    const line = parseCommandLine(args);
    return await COMMAND_FUNCTIONS[line.command.name](line, world);
  } catch (error) {
    const known = error instanceof ExitError;
    const text = known
      ? error.message
      : `${PROGRAM}: an error in this program: ${error instanceof Error ? error.stack : error}`;
    world.stderr((world.journal() ? text.replace(/^/gm, ERROR_PRIORITY) : text) + "\n");
    return known ? error.exitCode : EXIT.software;
  }
}

const COMMAND_FUNCTIONS: Readonly<
  Record<string, (line: CommandLine, world: Surroundings) => Promise<number>>
> = {
  "run": run,
  "config check": configCheck,
  "config show": configShow,
  "config regen": configRegen,
  "plugins list": pluginsList,
  "token new": async (line, world) => (await import("./cli/token.ts")).newToken(line, world),
  "journal status": journal,
  "journal check": journal,
  "journal repair": journal,
  "journal dump": journal,
  "dead-letters list": async (line, world) => await (await import("./cli/dead_letters.ts")).list(line, world),
  "dead-letters show": async (line, world) => await (await import("./cli/dead_letters.ts")).show(line, world),
  "dead-letters purge": async (line, world) =>
    await (await import("./cli/dead_letters.ts")).purge(line, world),
  "dead-letters replay": async (line, world) => {
    const { config } = await load(line, world, { requirePipeline: false });
    for (const note of config.notes) world.stderr(`Note: ${note}\n`);
    return await (await import("./cli/dead_letters.ts")).replay(line, world, config, logFor(line, world));
  },
  async query(line, world) {
    const { query } = await import("./cli/query.ts");
    return await query(line, world, await configuredDatabase(line, world));
  },
  "systemd-unit": systemdUnit,
  completions: async (line, world) => await (await import("./cli/completions.ts")).completions(line, world),
  async man(_line, { stdout }) {
    stdout((await import("./cli/man.ts")).manPage(denoConfig.version));
    return EXIT.ok;
  },
  async help(line, { stdout }) {
    const { commandHelp, programHelp } = await import("./cli/help.ts");
    stdout(line.topics.length > 0 ? commandHelp(line.topics) : programHelp(denoConfig.version));
    return EXIT.ok;
  },
  version(_line, { stdout }) {
    stdout(`${PROGRAM} ${denoConfig.version}\n`);
    return Promise.resolve(EXIT.ok);
  },
};

/** The configuration's part of the flags. */
async function configOptions(line: CommandLine, world: Surroundings): Promise<ConfigOptions<GeneralKey>> {
  const only = line.value("plugins")?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (only?.length === 0) throw new ExitError(EXIT.usage, "Cannot use --plugins: no name is in the list");
  const { general } = await import("./config/general.ts");
  return {
    plugins: await world.plugins(),
    general,
    file: line.value("config") ?? (world.env("ALUMET_CONFIG") || undefined),
    requireFile: line.has("no-default-config"),
    overrides: line.values("config-override"),
    only,
    outputFile: line.value("output-file"),
    relayOut: line.value("relay-out"),
    relayIn: line.value("relay-in"),
    env: world.env,
  };
}

async function load(
  line: CommandLine,
  world: Surroundings,
  more: Partial<ConfigOptions<GeneralKey>> = {},
): Promise<{ config: Configuration<General>; options: ConfigOptions<GeneralKey> }> {
  const options = { ...await configOptions(line, world), ...more };
  if (options.file === "-") {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --config - with ${line.command.name}: it is for config regen`,
    );
  }
  const { loadConfig } = await import("./config.ts");
  return { config: loadConfig(options), options };
}

/** The path that the configuration gives the sqlite output. */
async function configuredDatabase(line: CommandLine, world: Surroundings): Promise<string | undefined> {
  if (line.value("database") !== undefined) return undefined;
  const { config } = await load(line, world, { requirePipeline: false });
  const output = config.plugins.find(({ plugin }) => plugin.name === "sqlite");
  return (output?.config as { path?: string } | undefined)?.path || undefined;
}

async function journal(line: CommandLine, world: Surroundings): Promise<number> {
  const { runJournalCommand } = await import("./cli/journal.ts");
  const configured = async () =>
    (await load(line, world, { requirePipeline: false })).config.general.journal.path;
  return await runJournalCommand(line, world, line.value("path") ?? await configured());
}

function logFor(line: CommandLine, world: Surroundings, level?: () => LogLevel | undefined): Logger {
  const given = line.value("log-level") as LogLevel | undefined;
  return createLogger(PROGRAM, {
    level: () => given ?? level?.() ?? "info",
    format: line.value("log-format") as LogFormat | undefined,
    color: world.color(),
    journal: world.journal(),
    write: world.stderr,
  });
}

async function run(line: CommandLine, world: Surroundings): Promise<number> {
  let general: General | undefined;
  const log = logFor(line, world, () => general?.log_level);
  const { findStateBase } = await import("./agent/state_directory.ts");
  const stateBase = findStateBase(line.value("state-dir"), world.env);
  const settingsOf = ({ general, plugins }: Configuration<General>) => ({ general, plugins, stateBase });
  let config: Configuration<General>;
  try {
    ({ config } = await load(line, world));
  } catch (error) {
    // A mistake in the command line is for the person who typed it, one in a file for whoever reads the log.
    if (!(error instanceof ExitError) || error.exitCode === EXIT.usage) throw error;
    for (const problem of error.message.split("\n")) log.error(problem);
    return error.exitCode;
  }
  general = config.general;
  log.info(`${PROGRAM} ${denoConfig.version}`, { config: config.file });
  for (const note of config.notes) log.warn(note);
  return await world.run(settingsOf(config), log, {
    read: async () => {
      const { config } = await load(line, world);
      for (const note of config.notes) log.warn(note);
      return settingsOf(config);
    },
    taken: (settings) => void (general = settings.general as General),
  });
}

async function configCheck(line: CommandLine, world: Surroundings): Promise<number> {
  const { config, options } = await load(line, world);
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const { adviceLines } = await import("./config/advice.ts");
  const advice = adviceLines(config);
  if (advice.length > 0 && line.has("strict")) {
    throw new ExitError(EXIT.config, advice.map((line) => `Not safe: ${line}`).join("\n"));
  }
  for (const line of advice) world.stderr(`Note: ${line}\n`);
  const names = (kind: string) =>
    options.plugins.filter((plugin) =>
      plugin.kind === kind && config.plugins.some((c) => c.plugin === plugin)
    )
      .map(({ name }) => name).join(", ");
  const stages = ["input", "transform", "output"].map(names).filter((stage) => stage !== "");
  world.stderr(`${config.file ?? "The command line"} is right: ${stages.join(" → ")}\n`);
  return EXIT.ok;
}

async function configShow(line: CommandLine, world: Surroundings): Promise<number> {
  const { config, options } = await load(line, world, { requirePipeline: false });
  const { printEffectiveConfig } = await import("./config/print.ts");
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  world.stdout(printEffectiveConfig({ ...options, config }));
  return EXIT.ok;
}

async function configRegen(line: CommandLine, world: Surroundings): Promise<number> {
  const { DEFAULT_CONFIG_FILE } = await import("./config.ts");
  const { DEFAULT_INPUT, DEFAULT_OUTPUT } = await import("./config/select.ts");
  const { printDefaultConfig } = await import("./config/print.ts");
  const { file: path = DEFAULT_CONFIG_FILE, ...flags } = await configOptions(line, world);
  // Without any wish: what works at once and opens nothing to the network.
  const wished = flags.only ?? flags.relayIn ?? flags.relayOut ?? flags.outputFile;
  const only = wished === undefined
    ? [DEFAULT_INPUT, DEFAULT_OUTPUT].filter((name) => flags.plugins.some((plugin) => plugin.name === name))
    : flags.only;
  const { config, options } = await load(line, world, { only, file: null, requirePipeline: false });
  const text = printDefaultConfig({ ...options, config });
  if (path === "-" || path === null) {
    world.stdout(text);
    return EXIT.ok;
  }
  try {
    await Deno.writeTextFile(path, text, { createNew: !line.has("force") });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new ExitError(EXIT.usage, `Cannot write ${path}: it exists; --force replaces it`);
    }
    throw new ExitError(EXIT.unavailable, `Cannot write ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  world.stderr(`Wrote ${path}\n`);
  return EXIT.ok;
}

async function systemdUnit(line: CommandLine, world: Surroundings): Promise<number> {
  const { installedProgram, requireActivation, systemdUnit, unitEnvironment, unitKind } = await import(
    "./cli/systemd_unit.ts"
  );
  const kind = unitKind(line);
  const { config } = await load(line, { ...world, env: unitEnvironment(kind, world.env) });
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const text = systemdUnit(kind, line, config, { cwd: Deno.cwd(), program: installedProgram() });
  if (kind === "socket") await requireActivation();
  world.stdout(text);
  return EXIT.ok;
}

async function pluginsList(line: CommandLine, world: Surroundings): Promise<number> {
  const rows = line.has("status")
    ? await (async () => {
      const { describeSource } = await import("./config.ts");
      const { config, options } = await load(line, world, { requirePipeline: false });
      return options.plugins.map((plugin) => {
        const running = config.plugins.find((candidate) => candidate.plugin === plugin);
        return [
          plugin.name,
          plugin.kind,
          running ? `enabled (${describeSource(running.source)})` : "disabled",
        ];
      });
    })()
    : (await world.plugins()).map(({ name, kind, description }) => [name, kind, description]);
  const width = (column: number) => Math.max(0, ...rows.map((row) => row[column].length)) + 2;
  const [first, second] = [width(0), width(1)];
  world.stdout(
    rows.map(([name, kind, text]) => `${name.padEnd(first)}${kind.padEnd(second)}${text}\n`).join(""),
  );
  return EXIT.ok;
}
