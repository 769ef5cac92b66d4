/** `alumet-relay send`: sends lines to a relay server once, and waits until the server has them. */
import { runAgent } from "../agent.ts";
import type { RelayClientConfig } from "../client/config.ts";
import { DurationError, parseDuration } from "../base/duration.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { lines } from "../inputs/lines.ts";
import { config as linesConfig } from "../inputs/lines/config.ts";
import { LinesInput, type StandardInput } from "../inputs/lines/input.ts";
import type { InputPlugin, OutputPlugin } from "../plugin.ts";
import { PROGRAM } from "./declarations.ts";
import { load, logFor } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** How long the server may take to acknowledge everything. */
const DEFAULT_TIMEOUT = "10s";

const GATHER_MS = 200;

/** @returns The exit code: 0 if the server has all points, 65 if a line is bad and it has all others, 69 if it has not. */
export async function send(line: CommandLine, world: Surroundings): Promise<number> {
  const { config } = await load(line, world, { requirePipeline: false });
  const output = config.plugins.find(({ plugin }) => plugin.kind === "output" && plugin.sends);
  if (!output) {
    throw new ExitError(
      EXIT.usage,
      `Cannot send: no server is named; write ${PROGRAM} send --relay-out HOST:PORT, or name a file with --config`,
    );
  }
  const { limits, precision, rules } = (config.plugins.find(({ plugin }) => plugin === lines)?.config ??
    linesConfig.defaultValue()) as ReturnType<
      typeof linesConfig.defaultValue
    >;
  const stdin = new Watched(line.argument === undefined ? Deno.stdin : reading(line.argument));
  let input: LinesInput | undefined;
  const once: InputPlugin<unknown> = {
    ...lines,
    open: async (_, context) =>
      input = await LinesInput.open(
        { ...linesConfig.defaultValue(), stdin: true, limits, precision, rules },
        context,
        stdin,
      ),
  };
  const log = logFor(line, world, () => "warn");
  const code = await runAgent({
    // Nothing is kept: who runs it is told, and can send it again.
    general: { shutdown_timeout: timeoutOf(line), series: config.general.series },
    plugins: [
      { plugin: once, config: {} },
      {
        plugin: output.plugin as OutputPlugin<unknown>,
        config: promptly(output.config as RelayClientConfig),
      },
    ],
  }, log);
  if (code !== EXIT.ok) return code;
  if (!stdin.hasEnded) {
    throw new ExitError(EXIT.unavailable, "Not everything was read and sent: a signal came");
  }
  const { badLines = 0, refusedPoints = 0 } = input?.stats ?? {};
  return badLines + refusedPoints > 0 ? EXIT.data : EXIT.ok;
}

/** What comes slowly through a pipe is not gathered for long. */
function promptly(config: RelayClientConfig): RelayClientConfig {
  return { ...config, buffer_timeout: Math.min(config.buffer_timeout, GATHER_MS) };
}

/** Knows whether everything was read. */
class Watched implements StandardInput {
  hasEnded = false;

  constructor(readonly source: StandardInput) {}

  async read(into: Uint8Array): Promise<number | null> {
    const count = await this.source.read(into);
    if (count === null) this.hasEnded = true;
    return count;
  }
}

/** A text as standard input. */
function reading(text: string): StandardInput {
  let left = new TextEncoder().encode(text);
  return {
    read(into) {
      if (left.length === 0) return Promise.resolve(null);
      const count = Math.min(left.length, into.length);
      into.set(left.subarray(0, count));
      left = left.subarray(count);
      return Promise.resolve(count);
    },
  };
}

function timeoutOf(line: CommandLine): number {
  const text = line.value("timeout") ?? DEFAULT_TIMEOUT;
  try {
    return Number(parseDuration(text)) / 1e6;
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
    throw new ExitError(EXIT.usage, `Cannot use --timeout ${text}: ${messageOf(error)}`);
  }
}
