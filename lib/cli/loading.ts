/** What most commands begin with: the configuration that the flags come to, and a log. */
import { EXIT, ExitError } from "../base/errors.ts";
import { createLogger, type LogFormat, type Logger, type LogLevel } from "../base/log.ts";
import type { ConfigOptions, Configuration } from "../config.ts";
import type { general } from "../config/general.ts";
import type { Infer } from "../schema.ts";
import { PROGRAM } from "./declarations.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** The values outside of `[plugins]`. */
export type General = Infer<typeof general>;
type GeneralKey = typeof general;

/** The configuration's part of the flags. */
export async function configOptions(
  line: CommandLine,
  world: Surroundings,
): Promise<ConfigOptions<GeneralKey>> {
  const only = line.value("plugins")?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (only?.length === 0) throw new ExitError(EXIT.usage, "Cannot use --plugins: no name is in the list");
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
 * @throws {ExitError} 64 where the command line is wrong, 78 where the configuration is.
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
      `Cannot use --config - with ${line.command.name}: it is for config regen`,
    );
  }
  const { loadConfig } = await import("../config.ts");
  return { config: loadConfig(options), options };
}

/**
 * A log to standard error, as the flags say.
 *
 * @param level The level that the configuration names, where `--log-level` does not say it.
 */
export function logFor(line: CommandLine, world: Surroundings, level?: () => LogLevel | undefined): Logger {
  const given = line.value("log-level") as LogLevel | undefined;
  return createLogger(PROGRAM, {
    level: () => given ?? level?.() ?? "info",
    format: line.value("log-format") as LogFormat | undefined,
    color: world.color(),
    journal: world.journal(),
    write: world.stderr,
    takeLost: world.takeLostLines,
  });
}
