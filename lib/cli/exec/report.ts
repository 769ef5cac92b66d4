/** What `exec` says at the end: an object for programs, a table for people. */
import { printable } from "../../base/log.ts";
import type { Count } from "./counts.ts";
import type { Energy } from "./energy.ts";
import type { ProgramRun } from "./program.ts";

/** A run, and the energy of the machine meanwhile. */
export interface MeasuredRun extends ProgramRun {
  readonly energy: readonly Energy[];
  readonly counts: readonly Count[];
}

/** How much CO₂ electricity causes, in g per kWh, and where. */
export interface Intensity {
  readonly g_per_kwh: number;
  readonly country: string | null;
  /** That the number is of. */
  readonly year: number | null;
}

/** A mean over the runs, and the standard deviation of a run; `null` for fewer than two runs. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number | null;
}

export interface EnergyReport {
  readonly input: string;
  readonly what: string;
  /** Of the whole machine. */
  readonly joules: Spread;
  /** The program's share by CPU time. */
  readonly share_joules: Spread | null;
  readonly co2_g: Spread | null;
  readonly share_co2_g: Spread | null;
}

export interface CountReport {
  readonly what: string;
  readonly count: Spread;
}

export interface Report {
  readonly command: readonly string[];
  readonly runs: number;
  /** Of the last run; `null` for a process that was watched. */
  readonly exit_code: number | null;
  readonly duration_s: Spread;
  readonly cpu_time_s: Spread;
  /** Part of the CPU time of the whole machine, 0 to 1; `null` where that is not known. */
  readonly cpu_share: Spread | null;
  /** The highest of all runs; `null` where each ended before it could be looked at. */
  readonly peak_memory_bytes: number | null;
  readonly intensity: Intensity | null;
  readonly energy: readonly EnergyReport[];
  /** What was counted for the program, such as instructions. */
  readonly counts: readonly CountReport[];
}

const JOULES_PER_KWH = 3.6e6;

/** The mean of at least one value, and the standard deviation of the sample. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)) };
}

/** The program's part of the CPU time of the machine, 0 to 1; NaN where the kernel has counted none. */
function shareOf({ cpuSeconds, machineCpuSeconds }: ProgramRun): number {
  return machineCpuSeconds > 0 ? Math.min(1, cpuSeconds / machineCpuSeconds) : NaN;
}

/** @param runs At least one. */
export function reportOf(
  command: readonly string[],
  runs: readonly MeasuredRun[],
  intensity: Intensity | null,
): Report {
  const shares = spreadOf(runs.map(shareOf));
  return {
    command,
    runs: runs.length,
    exit_code: runs[runs.length - 1].exitCode,
    duration_s: spreadOf(runs.map(({ seconds }) => seconds)),
    cpu_time_s: spreadOf(runs.map(({ cpuSeconds }) => cpuSeconds)),
    cpu_share: Number.isNaN(shares.mean) ? null : shares,
    peak_memory_bytes: runs.reduce((peak, { peakBytes }) => Math.max(peak, peakBytes), 0) || null,
    intensity,
    energy: energyOf(runs, intensity),
    counts: countsOf(runs),
  };
}

/** What all runs have. */
function countsOf(runs: readonly MeasuredRun[]): CountReport[] {
  return runs[0].counts.flatMap(({ what }) => {
    const found = runs.flatMap(({ counts }) => counts.filter((count) => count.what === what));
    return found.length < runs.length ? [] : [{ what, count: spreadOf(found.map(({ count }) => count)) }];
  });
}

/** What all runs have. */
function energyOf(runs: readonly MeasuredRun[], intensity: Intensity | null): EnergyReport[] {
  return runs[0].energy.flatMap(({ input, what }) => {
    const found = runs.map(({ energy }) =>
      energy.find((candidate) => candidate.input === input && candidate.what === what)
    );
    if (found.includes(undefined)) return [];
    const joules = spreadOf(found.map((energy) => energy!.joules));
    const shares = spreadOf(found.map((energy, i) => energy!.joules * shareOf(runs[i])));
    const share_joules = Number.isNaN(shares.mean) ? null : shares;
    return [{
      input,
      what,
      joules,
      share_joules,
      co2_g: intensity && gramsOf(joules, intensity),
      share_co2_g: intensity && share_joules && gramsOf(share_joules, intensity),
    }];
  });
}

function gramsOf({ mean, deviation }: Spread, { g_per_kwh }: Intensity): Spread {
  const grams = (joules: number) => joules / JOULES_PER_KWH * g_per_kwh;
  return { mean: grams(mean), deviation: deviation === null ? null : grams(deviation) };
}

/** A table for people, with a line for each quantity and each part of the machine. */
export function tableOf(report: Report): string {
  const { command, runs, exit_code, duration_s, cpu_time_s, cpu_share, energy, intensity, counts } = report;
  const { peak_memory_bytes: peakBytes } = report;
  const perCpu = duration_s.mean > 0 ? ` (${digits(cpu_time_s.mean / duration_s.mean)} CPUs)` : "";
  const code = exit_code === null ? "as long as it was watched" : `exit code ${exit_code}`;
  const ended = runs === 1 ? code : `${runs} runs, ${code}`;
  const rows = [
    ["duration", shown(duration_s, "s")],
    ["CPU time", shown(cpu_time_s, "s") + perCpu],
    ["peak memory", peakBytes === null ? "not known" : `${digits(peakBytes / 2 ** 20)} MiB`],
    [
      "share of CPU time",
      cpu_share ? `${shown(percent(cpu_share), "%")} of the machine's` : "not known",
    ],
    ...intensity ? [["carbon intensity", describeIntensity(intensity)]] : [],
    ...counts.map(({ what, count }) => [printable(what), shown(count, "").trimEnd()]),
  ];
  const lines = ["", `${command.map(printable).join(" ")}: ${ended}`, ...columns(rows)];
  if (energy.length === 0) {
    lines.push(
      "No energy is measured here: alumet-relay probe prints what there is, and how to allow reading it.",
    );
  } else {
    lines.push(...columns([
      ["energy", "machine", "this command", ...intensity ? ["CO₂ of this command"] : []],
      ...energy.map(({ what, joules, share_joules, share_co2_g }) => [
        printable(what),
        shown(joules, "J"),
        share_joules ? shown(share_joules, "J") : "not known",
        ...intensity ? [share_co2_g ? shown(share_co2_g, "g") : "not known"] : [],
      ]),
    ]));
  }
  return lines.join("\n") + "\n";
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)) + 2);
  return rows.map((row) =>
    row.map((cell, i) => cell + " ".repeat(widths[i] - [...cell].length)).join("").trimEnd()
  );
}

const percent = ({ mean, deviation }: Spread): Spread => ({
  mean: 100 * mean,
  deviation: deviation === null ? null : 100 * deviation,
});

function describeIntensity({ g_per_kwh, country, year }: Intensity): string {
  return `${digits(g_per_kwh)} g CO₂ per kWh${country === null ? "" : ` (${country}, ${year})`}`;
}

function shown({ mean, deviation }: Spread, unit: string): string {
  return `${digits(mean)}${deviation === null ? "" : ` ± ${digits(deviation)}`} ${unit}`;
}

/** Four digits, without an exponent. */
function digits(value: number): string {
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return String(Number(value.toFixed(Math.min(decimals, 9))));
}
