/** `alumet-relay run`: runs the agent. */
import { canReadAgain } from "../agent/special_paths.ts";
import { LogRing } from "../base/log_ring.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import type { Configuration } from "../config.ts";
import { PROGRAM, VERSION } from "./declarations.ts";
import { type General, load, logFor } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** Set by the chaos tool and the fuzzer: whoever reads a series after it was given back is found out. */
const POISON = "ALUMET_RELAY_POISON_SERIES";

/** @returns The exit code of the agent. */
export async function run(line: CommandLine, world: Surroundings): Promise<number> {
  world.queueStderr();
  if (world.env(POISON)) (await import("../points/series_store.ts")).seriesStore.poison();
  let general: General | undefined;
  const ring = new LogRing();
  const log = logFor(line, world, () => general?.log_level, (...entry) => ring.add(...entry));
  const { findStateBase } = await import("../agent/state_directory.ts");
  const stateBase = findStateBase(line.value("state-dir"), world.env);
  const settingsOf = ({ general, plugins }: Configuration<General>) => ({ general, plugins, stateBase });
  let config: Configuration<General>;
  try {
    ({ config } = await load(line, world));
  } catch (error) {
    // A mistake in the command line concerns the person who typed it, one in a file whoever reads the log.
    if (!(error instanceof ExitError) || error.exitCode === EXIT.usage) throw error;
    for (const problem of error.message.split("\n")) log.error(problem);
    return error.exitCode;
  }
  general = config.general;
  const { file } = config;
  log.info(`${PROGRAM} ${VERSION}`, { config: config.file });
  for (const note of config.notes) log.warn(note);
  return await world.run(settingsOf(config), log, {
    read: async () => {
      if (file !== undefined && !canReadAgain(file)) {
        throw new ExitError(
          EXIT.config,
          `Cannot read ${file} again: what is below /dev, /proc or /sys can be read at the start only; put the ` +
            "configuration into a file elsewhere, and start again with --config",
        );
      }
      const { config } = await load(line, world);
      for (const note of config.notes) log.warn(note);
      return settingsOf(config);
    },
    taken: (settings) => void (general = settings.general as General),
  }, { version: VERSION, host: Deno.hostname(), log: ring });
}
