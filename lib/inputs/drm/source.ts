/** Measures GPUs by the files of their drivers, and what processes use of them. */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import { EnergyCounter, JUMPED } from "../polling/energy_counter.ts";
import type { ProcFiles } from "../polling/files.ts";
import { NumberFile } from "../polling/number_file.ts";
import { type Metric, type Points, type Series, seriesOf } from "../polling/points.ts";
import { isAsleep, isFoundAsleep } from "../polling/sleeping.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { DrmClients } from "./clients.ts";
import { Occupancies } from "./occupancy.ts";
import { ProcessPoints } from "./process_points.ts";
import {
  type Driver,
  GPU_FILES,
  type GpuFile,
  METRICS,
  PROCESS_METRICS,
  type Quantity,
} from "./quantities.ts";

type Metrics = Readonly<Record<Quantity, Metric>>;

/** One quantity of a GPU. */
class Reading {
  readonly #spec: GpuFile;
  readonly #isU64: boolean;
  readonly #energy: EnergyCounter | null;
  /** How long it was idle until then. */
  #idle: { readonly idleMs: number; readonly atMs: number } | undefined;

  constructor(spec: GpuFile, readonly file: NumberFile, readonly series: Series) {
    this.#spec = spec;
    this.#isU64 = series.metric.type === "u64";
    // Files of energy count microjoules.
    const joules = (steps: number) => steps / 1e6;
    this.#energy = spec.quantity === "energy" ? new EnergyCounter({ joules }) : null;
  }

  get hasJumped(): boolean {
    return this.#energy?.hasJumped ?? false;
  }

  /** False if the file cannot be read. */
  push(points: Points, nowMs: number): boolean {
    const now = this.file.count();
    if (now === undefined) return false;
    const { divisor = 1, countsIdleMs } = this.#spec;
    if (countsIdleMs) {
      const percent = this.#activity(Number(now), nowMs);
      if (percent !== undefined) points.f64(this.series, percent);
    } else if (this.#energy) {
      const joules = this.#energy.advance(now, nowMs);
      if (joules !== undefined) points.f64(this.series, Math.round(joules * 1e6) / divisor);
    } else if (!this.#isU64) points.f64(this.series, Number(now) / divisor);
    else points.u64(this.series, divisor === 1 ? now : Math.round(Number(now) / divisor));
    return true;
  }

  /** The share of the time since the previous call in which it was not idle, to a tenth of a percent. */
  #activity(idleMs: number, atMs: number): number | undefined {
    const before = this.#idle;
    this.#idle = { idleMs, atMs };
    if (!before) return undefined;
    const share = (idleMs - before.idleMs) / (atMs - before.atMs);
    return share >= 0 && share < Infinity ? Math.round(1000 * (1 - Math.min(1, share))) / 10 : undefined;
  }

  /** The time until the next call is not part of an activity. */
  interrupt(): void {
    this.#idle = undefined;
  }
}

/** A GPU that is read. */
class Gpu {
  constructor(readonly device: string, readonly readings: readonly Reading[]) {}

  close(): void {
    for (const { file } of this.readings) file.close();
  }
}

export interface DrmOptions {
  /** The name of the input. */
  readonly name: string;
  /** Of whom the GPUs are, for the log. */
  readonly vendor: string;
  readonly drivers: readonly Driver[];
  /** Whether to measure what processes use. */
  readonly processes: boolean;
}

export class DrmSource implements PolledSource {
  readonly name: string;
  readonly #measuring: Measuring;
  readonly #options: DrmOptions;
  readonly #gpus: Devices<Gpu>;
  readonly #clients: DrmClients | null;
  readonly #occupancies: Occupancies | null;
  readonly #processPoints: ProcessPoints | null;
  readonly #complaint: Complaint;
  readonly #jumps: Complaint;

  /** Registers the metrics. */
  constructor(options: DrmOptions, measuring: Measuring) {
    const { registry, clock, files } = measuring;
    this.name = options.name;
    this.#measuring = measuring;
    this.#options = options;
    const register = <T extends string>(definitions: Readonly<Record<T, typeof METRICS[Quantity]>>) =>
      Object.fromEntries(
        Object.entries<typeof METRICS[Quantity]>(definitions).map(([name, definition]) => [
          name,
          registry.register(definition),
        ]),
      ) as Readonly<Record<T, Metric>>;
    const metrics: Metrics = register(METRICS);
    this.#processPoints = options.processes ? new ProcessPoints(register(PROCESS_METRICS)) : null;
    this.#clients = options.processes
      ? new DrmClients({ files, clock, onDenied: () => this.#sayDenied() })
      : null;
    const isAmd = options.drivers.includes("amdgpu");
    this.#occupancies = options.processes && isAmd ? new Occupancies(files, clock) : null;
    this.#complaint = new Complaint(clock);
    this.#jumps = new Complaint(clock);
    this.#gpus = new Devices(clock, () => this.#find(metrics));
  }

  *#find(metrics: Metrics) {
    const { files } = this.#measuring;
    const root = `${files.sys}/class/drm`;
    for (const card of files.list(root)) {
      if (!/^card\d{1,4}$/.test(card)) continue;
      const device = `${root}/${card}/device`;
      const driver = driverOf(files, device);
      if (!driver || !this.#options.drivers.includes(driver)) continue;
      const link = files.link(device);
      const address = typeof link === "string" ? link.slice(link.lastIndexOf("/") + 1) : card;
      const hwmon = files.list(`${device}/hwmon`)[0];
      yield {
        key: `${card} ${address} ${hwmon}`,
        open: () => this.#open(metrics, GPU_FILES[driver], address, `${root}/${card}`, hwmon),
      };
    }
  }

  #open(
    metrics: Metrics,
    specs: readonly GpuFile[],
    address: string,
    card: string,
    hwmon: string,
  ): Gpu | undefined {
    const { files, findings } = this.#measuring;
    const device = `${card}/device`;
    const what = `${this.#options.vendor} GPU ${address}`;
    if (isFoundAsleep(this.#measuring, device, what)) return undefined;
    const readings: Reading[] = [];
    for (const spec of specs) {
      const path = pathOf(files, spec, card, hwmon);
      if (path === undefined) continue;
      const series = seriesOf(metrics[spec.quantity], {
        resourceKind: "gpu",
        resourceId: address,
        attributes: spec.attributes,
      });
      readings.push(new Reading(spec, new NumberFile(files, path), series));
    }
    const best = [metrics.power, metrics.energy].map((metric) =>
      readings.find(({ series }) => series.metric === metric)
    );
    const first = best.find((reading) => reading) ?? readings.at(0);
    findings.measured(what, first?.file.path ?? `${device}/driver`, first?.series);
    return new Gpu(device, readings);
  }

  get isIdle(): boolean {
    return this.#gpus.size === 0;
  }

  poll(points: Points): void {
    this.#gpus.refresh();
    const nowMs = this.#measuring.clock.monotonicMs();
    for (const { device, readings } of this.#gpus) {
      const isLeftAlone = isAsleep(this.#measuring.files, device);
      for (const reading of readings) {
        if (isLeftAlone) reading.interrupt();
        else this.#push(reading, points, nowMs);
      }
    }
    if (this.#gpus.size === 0) return;
    for (const occupancy of this.#occupancies?.now() ?? []) {
      const name = this.#clients!.nameOf(occupancy.pid);
      // Processes of other containers have other numbers there.
      if (name !== undefined) this.#processPoints!.pushOccupancy(points, occupancy, name);
    }
    for (const use of this.#clients?.use(this.#options.drivers) ?? []) this.#processPoints!.push(points, use);
  }

  #push(reading: Reading, points: Points, nowMs: number): void {
    const { log } = this.#measuring;
    const file = reading.file.path;
    if (!reading.push(points, nowMs)) {
      this.#complaint.add((failed) => log.warn("Cannot read a file of a GPU", { file, failed }));
    } else if (reading.hasJumped) this.#jumps.add((jumps) => log.warn(JUMPED, { file, jumps }));
  }

  #sayDenied(): void {
    this.#measuring.findings.denied(
      "what processes of other users use of GPUs",
      `${this.#measuring.files.proc}/PID/fd`,
      "sudo setcap cap_sys_ptrace+ep PROGRAM, or run it as root",
    );
  }

  close(): void {
    this.#gpus.close();
    this.#clients?.close();
  }
}

/** The driver of a card; where the link is missing, amdgpu by the vendor. */
function driverOf(files: ProcFiles, device: string): Driver | undefined {
  const link = files.link(`${device}/driver`);
  const name = typeof link === "string" ? link.slice(link.lastIndexOf("/") + 1) : "";
  if (name === "") return files.text(`${device}/vendor`)?.trim() === "0x1002" ? "amdgpu" : undefined;
  return Object.hasOwn(GPU_FILES, name) ? name as Driver : undefined;
}

/** The path of the file that a GPU has for a quantity. */
function pathOf(
  files: ProcFiles,
  { names, labels, countsIdleMs }: GpuFile,
  card: string,
  hwmon: string,
): string | undefined {
  for (const name of names) {
    const path = name.replace(/^CARD/, card).replace(/^DEVICE/, `${card}/device`)
      .replace(/^HWMON/, `${card}/device/hwmon/${hwmon}`);
    if (files.text(path) === undefined) continue;
    // Where it is never powered down, the time in which it is says nothing.
    if (countsIdleMs && files.text(path.replace(/residency_ms$/, "enable"))?.trim() === "0") continue;
    const label = files.text(path.replace(/_input$/, "_label"))?.trim() ?? null;
    if (!labels || labels.includes(label)) return path;
  }
  return undefined;
}
