/** `alumet-relay probe`: what there is to measure on this machine, and what may not be read. */
import { delay } from "@std/async/delay";
import { runAgent } from "../agent.ts";
import { messageOf } from "../base/errors.ts";
import { createLogger, printable } from "../base/log.ts";
import { table } from "../schema.ts";
import { unitDisplayName } from "../points/units.ts";
import {
  definePlugin,
  type Finding,
  type Input,
  type InputPlugin,
  type OutputPlugin,
  type Plugin,
} from "../plugin.ts";
import { load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** How long is measured, in ms: counters need two polls. */
const MEASURE_MS = 1000;
const STOP_MS = 5000;

/** A line of the result. */
interface Probed {
  readonly input: string;
  /** What was found; `null` where nothing was. */
  readonly found: string | null;
  readonly file: string | null;
  /** Whether it can be read. */
  readonly readable: boolean;
  /** A u64 above 2^53 as text. */
  readonly value: number | string | null;
  readonly unit: string | null;
  readonly problem: string | null;
  /** What to do about it. */
  readonly advice: string | null;
}

/** An input that measures, and what came of opening it. */
interface Watched {
  readonly plugin: InputPlugin<unknown>;
  readonly config: unknown;
  input: Input | null;
  problem: string | null;
}

export async function probe(line: CommandLine, world: Surroundings): Promise<number> {
  const { config, options } = await load(line, world, { requirePipeline: false });
  const { only } = options;
  const watched = (await world.plugins()).filter(measures).filter(({ name }) => !only || only.includes(name))
    .map((plugin): Watched => {
      const configured = config.plugins.find((candidate) => candidate.plugin === plugin)?.config;
      return { plugin, config: configured ?? plugin.config.defaultValue(), input: null, problem: null };
    });
  const values = new Map<number, Probed["value"]>();
  const code = await measure(watched, values);
  const probed = watched.flatMap((watched) => linesOf(watched, values));
  world.stdout(line.has("json") ? JSON.stringify(probed, null, 2) + "\n" : tableOf(probed));
  return code;
}

/** The last column is not cut: it has what is to be copied. */
function tableOf(probed: readonly Probed[]): string {
  const rows = [
    ["input", "found", "value", "file, or what to do"],
    ...probed.map((line) => [
      line.input,
      line.found ?? "nothing",
      stateOf(line),
      line.advice ?? (line.found === null ? line.problem : line.file) ?? "",
    ]),
  ].map((row) => row.map(printable));
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)) + 2);
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("").trimEnd() + "\n").join(
    "",
  );
}

function measures(plugin: Plugin): plugin is InputPlugin<unknown> {
  return plugin.kind === "input" && plugin.isLocal === true;
}

/** Its value, or why there is none. */
function stateOf({ found, value, unit, problem }: Probed): string {
  if (found === null) return "";
  if (problem !== null) return problem;
  if (value === null) return "measured";
  const text = typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  return `${text} ${unit}`.trim();
}

/** Runs the inputs, and takes the last value of each series, by its number. */
async function measure(watched: readonly Watched[], values: Map<number, Probed["value"]>): Promise<number> {
  const stop = new AbortController();
  const ended = runAgent(
    {
      general: { shutdown_timeout: STOP_MS },
      plugins: [
        ...watched.map((watched) => ({ plugin: opening(watched), config: watched.config })),
        { plugin: taking(values), config: {} },
      ],
    },
    createLogger("probe", { write: () => {} }),
    {
      stop: stop.signal,
      onRunning: () =>
        void delay(MEASURE_MS, { signal: stop.signal }).catch(() => {}).then(() => stop.abort()),
    },
  );
  return await ended;
}

/** The input's plugin, which remembers what it opens. One that cannot be opened keeps no other from measuring. */
function opening(watched: Watched): InputPlugin<unknown> {
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

function taking(values: Map<number, Probed["value"]>): Plugin {
  return definePlugin<Record<never, never>, OutputPlugin<Record<never, never>>>({
    name: "probe",
    kind: "output",
    description: "Takes the last value of each series",
    config: table({}, { doc: "Nothing." }),
    open: () =>
      Promise.resolve({
        async run(reader, signal) {
          do {
            for (let batch; (batch = reader.next()); reader.commit(1)) {
              for (let row = 0; row < batch.length; row++) {
                const isExact = batch.exact?.has(row);
                values.set(batch.series[row], isExact ? String(batch.exactValue(row)) : batch.values[row]);
              }
            }
          } while (!signal.aborted && await reader.wait(undefined, signal) === "ready");
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  });
}

function linesOf(
  { plugin, input, problem }: Watched,
  values: ReadonlyMap<number, Probed["value"]>,
): Probed[] {
  const findings = input?.findings ?? [];
  if (findings.length > 0) return findings.map((finding) => lineOf(plugin.name, finding, values));
  return [{
    input: plugin.name,
    found: null,
    file: null,
    readable: false,
    value: null,
    unit: null,
    problem,
    advice: problem === null ? plugin.absentHint ?? null : null,
  }];
}

function lineOf(
  input: string,
  { what, file, series, problem, allow }: Finding,
  values: ReadonlyMap<number, Probed["value"]>,
): Probed {
  const value = (series && values.get(series.number)) ?? null;
  return {
    input,
    found: what,
    file,
    readable: problem === undefined,
    value,
    unit: series && value !== null ? unitDisplayName(series.metric.unit) : null,
    problem: problem ?? (series && value === null ? "no value" : null),
    advice: allow ?? null,
  };
}
