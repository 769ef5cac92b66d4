/** `alumet-relay dead-letters replay`: writes refused points again. */
import { roleOf } from "../agent/state_directory.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { DeadLetterFiles } from "../dead_letters/files.ts";
import { replay as replayLetters } from "../dead_letters/replay.ts";
import type { OutputPlugin } from "../plugin.ts";
import { places, points } from "./dead_letters.ts";
import { load, logFor } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import { stopOnSignal } from "./stop_signals.ts";
import type { Surroundings } from "./world.ts";

/** Writes the letters to the outputs of the configuration. */
export async function replay(
  line: CommandLine,
  world: Surroundings,
): Promise<number> {
  const { config } = await load(line, world, { requirePipeline: false });
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const { plugins, general } = config;
  const log = logFor(line, world);
  const role = roleOf(plugins.map(({ plugin }) => plugin));
  const found = (await places(line, world)).filter((place) => place.role === role);
  if (found.length === 0) {
    world.stdout(`There are no dead letters of ${line.argument ?? "any output"} (${role})\n`);
    return EXIT.ok;
  }
  using stop = stopOnSignal();
  let good = true;
  for (const { output, stateDirectory, files: { directory } } of found) {
    const configured = plugins.find(({ plugin }) => plugin.name === output && plugin.kind === "output");
    if (!configured) {
      world.stderr(`Cannot replay ${output}: the configuration does not enable [plugins.${output}]\n`);
      good = false;
      continue;
    }
    const result = await replayLetters({
      plugin: configured.plugin as OutputPlugin<unknown>,
      config: configured.config,
      files: new DeadLetterFiles(directory, general.dead_letters.max_size),
      stateDirectory,
      log: log.for(output),
      signal: stop.signal,
    }).catch((error) => {
      if (error instanceof ExitError) throw error;
      throw new ExitError(
        EXIT.unavailable,
        `Cannot replay ${output}: ${messageOf(error)}; nothing is lost`,
        {
          cause: error,
        },
      );
    });
    const { written, refused, left, damaged } = result;
    const rest = [
      refused > 0 && `${refused} refused again`,
      left > 0 && `${left} left for the next replay`,
      damaged > 0 && `${damaged} damaged line${damaged === 1 ? "" : "s"} left`,
    ].filter((part) => part !== false);
    world.stdout([`${output}: ${points(written)} written`, ...rest].join(", ") + "\n");
    good &&= rest.length === 0;
  }
  return good ? EXIT.ok : EXIT.unavailable;
}
