/** What most commands begin with: the configuration that the flags select, and a log. */
import { EXIT, ExitError } from "../base/errors.ts";
import { createLogger, type LogFormat, type Logger, type LogLevel, type LogOptions } from "../base/log.ts";
import type { ConfigOptions, Configuration } from "../config.ts";
import type { general } from "../config/general.ts";
import type { Infer } from "../schema.ts";
import { PROGRAM } from "./declarations.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** The values outside of `[plugins]`. */
export type General = Infer<typeof general>;
type GeneralKey = typeof general;

/** The flags that select and change the configuration. */
export async function configOptions(
  line: CommandLine,
  world: Surroundings,
): Promise<ConfigOptions<GeneralKey>> {
  const only = line.value("plugins")?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (only?.length === 0) throw new ExitError(EXIT.usage, "Cannot use --plugins: the list is empty");
  const { general } = await import("../config/general.ts");
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

/**
 * Reads and checks the configuration.
 *
 * @throws {ExitError} 64 if the command line is wrong, 78 if the configuration is.
 */
export async function load(
  line: CommandLine,
  world: Surroundings,
  more: Partial<ConfigOptions<GeneralKey>> = {},
): Promise<{ config: Configuration<General>; options: ConfigOptions<GeneralKey> }> {
  const options = { ...await configOptions(line, world), ...more };
  if (options.file === "-") {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --config - with ${line.command.name}: only config regen takes it`,
    );
  }
  const { loadConfig } = await import("../config.ts");
  return { config: loadConfig(options), options };
}

/**
 * A log to standard error, with the level and format of the flags.
 *
 * @param level The level of the configuration, used if `--log-level` is not given.
 * @param watch Sees every line that is written.
 */
export function logFor(
  line: CommandLine,
  world: Surroundings,
  level?: () => LogLevel | undefined,
  watch?: LogOptions["watch"],
): Logger {
  const given = line.value("log-level") as LogLevel | undefined;
  return createLogger(PROGRAM, {
    level: () => given ?? level?.() ?? "info",
    format: line.value("log-format") as LogFormat | undefined,
    color: world.color(),
    journal: world.journal(),
    write: world.stderr,
    takeLost: world.takeLostLines,
    watch,
  });
}
