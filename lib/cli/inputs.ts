/** Runs the inputs of this machine for commands that show what they measure; nothing is stored or sent. */
import { type AgentOptions, runAgent } from "../agent.ts";
import { messageOf } from "../base/errors.ts";
import type { AgentSettings } from "../agent/settings.ts";
import { createLogger, type Logger } from "../base/log.ts";
import { within } from "../base/waiting.ts";
import type { Batch } from "../points/measurement.ts";
import { definePlugin, type Input, type InputPlugin, type OutputPlugin, type Plugin } from "../plugin.ts";
import { table } from "../schema.ts";
import type { Configuration } from "../config.ts";
import { type General, load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** How long the first polls may take, in ms: a driver may have to be asked what there is. */
const FIRST_POLLS_MS = 6000;
/** How long inputs may take to stop, in ms. */
const STOP_MS = 5000;

/** An input that measures this machine, and what came of opening it. */
export interface WatchedInput {
  readonly plugin: InputPlugin<unknown>;
  readonly config: unknown;
  input: Input | null;
  problem: string | null;
}

/**
 * The inputs that measure this machine, with their keys of a configuration file, if there is one, and those of the file
 * that ask others. `--plugins` selects among them.
 *
 * @throws {ExitError} if the configuration is wrong.
 */
export async function watchedInputs(line: CommandLine, world: Surroundings): Promise<WatchedInput[]> {
  return (await watched(line, world)).inputs;
}

/** The inputs as {@linkcode watchedInputs} gives them, and the configuration. */
export async function watched(line: CommandLine, world: Surroundings): Promise<{
  inputs: WatchedInput[];
  config: Configuration<General>;
}> {
  const { config, options: { only } } = await load(line, world, { requirePipeline: false });
  const configOf = (plugin: Plugin) =>
    config.plugins.find((candidate) => candidate.plugin === plugin)?.config;
  const inputs = (await world.plugins()).filter(isInput).filter((plugin) =>
    plugin.isLocal || isAsked(plugin) && configOf(plugin)
  )
    .filter(({ name }) => !only || only.includes(name))
    .map((plugin) => {
      const configured = configOf(plugin);
      return { plugin, config: configured ?? plugin.config.defaultValue(), input: null, problem: null };
    });
  return { inputs, config };
}

function isInput(plugin: Plugin): plugin is InputPlugin<unknown> {
  return plugin.kind === "input";
}

/** Whether it asks others for its points, instead of waiting for them. */
function isAsked({ receives = false, waitsForRoom = receives }: InputPlugin<unknown>): boolean {
  return !waitsForRoom;
}

/** How {@linkcode runInputs} runs them. */
export interface RunOptions extends Pick<AgentOptions, "stop" | "signals" | "shared" | "onRunning"> {
  /** Transforms and outputs that get the points, too. @default none */
  readonly others?: AgentSettings["plugins"];
  /** Where problems of the others are logged. @default nowhere */
  readonly log?: Logger;
}

/**
 * Runs the inputs until `stop` is aborted, and hands over all of their points. `onRunning` is called after the first
 * poll of each. When there is nothing to run, it returns at once.
 *
 * @returns The exit code of the agent.
 */
export async function runInputs(
  watched: readonly WatchedInput[],
  take: (batch: Batch) => void,
  { others = [], log = createLogger("inputs", { write: () => {} }), onRunning, ...options }: RunOptions,
): Promise<number> {
  let hasEnded = false;
  const whenPolled = async (agent: Parameters<NonNullable<typeof onRunning>>[0]) => {
    await within(Promise.all(watched.map(({ input }) => input?.firstPoll)), FIRST_POLLS_MS);
    if (!hasEnded) onRunning?.(agent);
  };
  const code = await runAgent(
    {
      general: { shutdown_timeout: STOP_MS },
      plugins: [
        ...watched.map((watched) => ({ plugin: opening(watched), config: watched.config })),
        { plugin: taking(take), config: {} },
        ...others,
      ],
    },
    log,
    { ...options, onRunning: (agent) => void whenPolled(agent) },
  );
  hasEnded = true;
  return code;
}

/** The input's plugin, which remembers what it opens. One that cannot be opened keeps no other from measuring. */
function opening(watched: WatchedInput): InputPlugin<unknown> {
  const { plugin } = watched;
  return {
    ...plugin,
    async open(config, context) {
      try {
        return watched.input = await plugin.open(config, context);
      } catch (error) {
        watched.problem = messageOf(error);
        return { run: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() };
      }
    },
  };
}

function taking(take: (batch: Batch) => void): Plugin {
  return definePlugin<Record<never, never>, OutputPlugin<Record<never, never>>>({
    name: "points",
    kind: "output",
    description: "Takes all points",
    config: table({}, { doc: "Nothing." }),
    open: () =>
      Promise.resolve({
        async run(reader, signal) {
          do {
            for (let batch; (batch = reader.next()); reader.commit(1)) take(batch);
          } while (!signal.aborted && await reader.wait(undefined, signal) === "ready");
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  });
}
