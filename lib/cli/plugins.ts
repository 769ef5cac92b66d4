/** `alumet-relay plugins list`: all plugins, or which of them the configuration enables. */
import { EXIT } from "../base/errors.ts";
import { load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

export async function pluginsList(line: CommandLine, world: Surroundings): Promise<number> {
  const rows = line.has("status")
    ? await (async () => {
      const { describeSource } = await import("../config.ts");
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
