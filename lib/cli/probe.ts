/** `alumet-relay probe`: what there is to measure on this machine, and what may not be read. */
import { delay } from "@std/async/delay";
import { printable } from "../base/log.ts";
import type { Batch } from "../points/measurement.ts";
import { unitDisplayName } from "../points/units.ts";
import type { Finding } from "../plugin.ts";
import { runInputs, type WatchedInput, watchedInputs } from "./inputs.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** How long is measured, in ms: counters need two polls. */
const MEASURE_MS = 1000;

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

export async function probe(line: CommandLine, world: Surroundings): Promise<number> {
  const watched = await watchedInputs(line, world);
  const values = new Map<number, number | bigint>();
  const stop = new AbortController();
  const code = await runInputs(watched, (batch) => keep(batch, values), {
    stop: stop.signal,
    onRunning: () => void delay(MEASURE_MS, { signal: stop.signal }).catch(() => {}).then(() => stop.abort()),
  });
  // With nothing to run it is over at once.
  stop.abort();
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

/** Takes the last value of each series, by its number; of energies, which are those since the poll before, their sum. */
function keep(batch: Batch, values: Map<number, number | bigint>): void {
  for (let row = 0; row < batch.length; row++) {
    const number = batch.series[row];
    const value = batch.exact?.has(row) ? batch.exactValue(row) : batch.values[row];
    const isEnergy = batch.store.metricOf(number).unit.base === "J";
    values.set(number, isEnergy ? Number(values.get(number) ?? 0) + Number(value) : value);
  }
}

/** Its value, or why there is none. */
function stateOf({ found, value, unit, problem }: Probed): string {
  if (found === null) return "";
  if (problem !== null) return problem;
  if (value === null) return "measured";
  const text = typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  return `${text} ${unit}`.trim();
}

function linesOf(
  { plugin, input, problem }: WatchedInput,
  values: ReadonlyMap<number, number | bigint>,
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
  values: ReadonlyMap<number, number | bigint>,
): Probed {
  const exact = (series && values.get(series.number)) ?? null;
  const value = typeof exact === "bigint" ? String(exact) : exact;
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
