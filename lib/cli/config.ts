/** `alumet-relay config`: checks the configuration, shows its values, writes a default file. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { configOptions, load } from "./loading.ts";
import { createFile, replaceFile } from "./replace_file.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

export async function configCheck(line: CommandLine, world: Surroundings): Promise<number> {
  const { config, options } = await load(line, world);
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const { adviceLines } = await import("../config/advice.ts");
  const { patienceLines } = await import("../config/patience.ts");
  for (const line of patienceLines(config)) world.stderr(`Note: ${line}\n`);
  const { stagedProblem } = await import("../agent/pipe.ts");
  const problem = stagedProblem(config.plugins);
  if (problem !== undefined) throw new ExitError(EXIT.config, problem);
  const advice = adviceLines(config);
  if (advice.length > 0 && line.has("strict")) {
    throw new ExitError(EXIT.config, advice.map((line) => `Not safe: ${line}`).join("\n"));
  }
  for (const line of advice) world.stderr(`Note: ${line}\n`);
  const { metricNotes } = await import("../config/metric_notes.ts");
  for (const line of metricNotes(config)) world.stderr(`Note: ${line}\n`);
  const { forecastLines } = await import("./forecast.ts");
  for (const text of await forecastLines(config, line, world)) world.stderr(`Note: ${text}\n`);
  const names = (kind: string) =>
    options.plugins.filter((plugin) =>
      plugin.kind === kind && config.plugins.some((c) => c.plugin === plugin)
    )
      .map(({ name }) => name).join(", ");
  const stages = ["input", "transform", "output"].map(names).filter((stage) => stage !== "");
  world.stderr(`${config.file ?? "The command line"} is valid: ${stages.join(" → ")}\n`);
  return EXIT.ok;
}

export async function configShow(line: CommandLine, world: Surroundings): Promise<number> {
  const { config, options } = await load(line, world, { requirePipeline: false });
  const { printEffectiveConfig } = await import("../config/print.ts");
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const { resolver } = await import("../agent/resolve.ts");
  const { findStateBase } = await import("../agent/state_directory.ts");
  const resolved = resolver(config, findStateBase(line.value("state-dir"), world.env));
  world.stdout(printEffectiveConfig({ ...options, config, resolved }));
  return EXIT.ok;
}

export async function configRegen(line: CommandLine, world: Surroundings): Promise<number> {
  const { DEFAULT_CONFIG_FILE } = await import("../config.ts");
  const { DEFAULT_OUTPUT, defaultInputs } = await import("../config/flags.ts");
  const { printDefaultConfig } = await import("../config/print.ts");
  const { file: path = DEFAULT_CONFIG_FILE, ...flags } = await configOptions(line, world);
  // Without such flags: what works at once and opens nothing to the network.
  const selected = flags.only ?? flags.relayIn ?? flags.relayOut ?? flags.outputFile;
  const only = selected === undefined ? [...defaultInputs(flags.plugins), DEFAULT_OUTPUT] : flags.only;
  const { config, options } = await load(line, world, {
    ...{ only, file: null, requirePipeline: false, isTemplate: true },
  });
  const text = printDefaultConfig({ ...options, config });
  const noteLacks = () => config.lacks?.forEach((what) => world.stderr(`To be completed: ${what}\n`));
  if (path === "-" || path === null) {
    world.stdout(text);
    noteLacks();
    return EXIT.ok;
  }
  try {
    if (line.has("force")) replaceFile(path, text);
    else createFile(path, text);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new ExitError(EXIT.usage, `Cannot write ${path}: ${whatExists(path)}`);
    }
    throw new ExitError(EXIT.unavailable, `Cannot write ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  world.stderr(`Wrote ${path}\n`);
  noteLacks();
  return EXIT.ok;
}

function whatExists(path: string): string {
  try {
    Deno.statSync(path);
    return "it already exists; --force replaces it";
  } catch {
    return "it is a link to a file that does not exist; remove the link, or name that file";
  }
}
