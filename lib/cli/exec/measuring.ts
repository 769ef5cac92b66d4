/** Runs inputs around something that is measured, and adds up what they measure. */
import type { AgentSettings } from "../../agent/settings.ts";
import type { Logger } from "../../base/log.ts";
import { Shared } from "../../base/shared.ts";
import { PLUGIN_FLAGS } from "../../config/flags.ts";
import { type WatchedProcesses, watchedProcesses } from "../../inputs/polling/watched_processes.ts";
import { runInputs, watched, type WatchedInput } from "../inputs.ts";
import { logFor } from "../loading.ts";
import type { CommandLine } from "../parse.ts";
import type { Surroundings } from "../world.ts";
import { CountMeter } from "./counts.ts";
import { EnergyMeter } from "./energy.ts";
import type { ProgramRun } from "./program.ts";
import type { MeasuredRun } from "./report.ts";

/** What takes part in a measurement. */
export interface MeasuredParts {
  readonly inputs: readonly WatchedInput[];
  /** Transforms and outputs for the points. */
  readonly others: AgentSettings["plugins"];
  readonly log: Logger | undefined;
}

/**
 * The inputs that measure energy, and those that the configuration enables to follow commands. Where a flag names an
 * output, all inputs and transforms that the configuration enables, and that output.
 *
 * @throws {ExitError} if the configuration is wrong.
 */
export async function measuredParts(line: CommandLine, world: Surroundings): Promise<MeasuredParts> {
  const { inputs, config } = await watched(line, world);
  const named = PLUGIN_FLAGS.filter(({ flag }) => line.value(flag.slice(2)) !== undefined);
  const outputs = config.plugins.filter(({ plugin }) =>
    plugin.kind === "output" && named.some(({ plugin: name }) => name === plugin.name)
  );
  const transforms = config.plugins.filter(({ plugin }) => plugin.kind === "transform");
  const hasOutputs = outputs.length > 0;
  return {
    inputs: inputs.filter(({ plugin, config: keys }) => {
      const isEnabled = config.plugins.some((candidate) => candidate.plugin === plugin);
      return plugin.measuresEnergy || isEnabled && (hasOutputs || plugin.followsCommands?.(keys));
    }),
    others: hasOutputs ? [...transforms, ...outputs] : [],
    log: hasOutputs ? logFor(line, world, () => "warn") : undefined,
  };
}

/** Measures from before the work begins to after it has ended; the work says which processes it is about. */
export async function measureWhile(
  { inputs, others, log }: MeasuredParts,
  work: (processes: WatchedProcesses) => Promise<ProgramRun>,
): Promise<MeasuredRun> {
  const energy = new EnergyMeter();
  const counts = new CountMeter();
  const stop = new AbortController();
  const shared = new Shared();
  const processes = shared.of(watchedProcesses);
  processes.isExpected = true;
  let working: Promise<ProgramRun> | undefined;
  const take = (batch: Parameters<EnergyMeter["take"]>[0]) => {
    energy.take(batch);
    counts.take(batch);
  };
  await runInputs(inputs, take, {
    stop: stop.signal,
    signals: false,
    shared,
    others,
    log,
    onRunning() {
      working = work(processes);
      working.catch(() => {}).finally(() => stop.abort());
    },
  });
  // Whether inputs run or not, the program does.
  const run = await (working ?? work(processes));
  return {
    ...run,
    energy: inputs.flatMap(({ plugin, input }) => energy.of(plugin.name, input?.findings ?? [])),
    counts: counts.counts,
  };
}
