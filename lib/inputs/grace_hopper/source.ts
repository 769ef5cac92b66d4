/** Measures the power meters of each socket, and computes the energy from it. */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import { NumberFile } from "../polling/number_file.ts";
import { f64Metric, type Metric, type Points, type Series, seriesOf, u64Metric } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { DEFAULT_ROOT, type GraceConfig } from "./config.ts";

/** What the meters measure, in the order of the points. */
const METERS = ["module", "grace", "cpu", "sysio"] as const;
type Meter = typeof METERS[number];
type Sensor = Meter | "dram";
const SENSORS: readonly Sensor[] = [...METERS, "dram"];

const METER_INFO = /^(module|grace|cpu|sysio) power socket (\d{1,5})$/i;

/** One meter. */
interface OpenMeter {
  readonly sensor: Meter;
  readonly socket: number;
  readonly file: NumberFile;
  close(): void;
}

/** One power over time, and its energy. */
class Gauge {
  #before: { readonly microwatts: number; readonly atMs: number } | undefined;

  constructor(readonly power: Series, readonly energy: Series) {}

  /** The energy is that of a straight line between two measurements. */
  push(points: Points, microwatts: number, nowMs: number): void {
    const before = this.#before;
    this.#before = { microwatts, atMs: nowMs };
    points.u64(this.power, microwatts);
    if (!before) return;
    const seconds = (nowMs - before.atMs) / 1000;
    points.f64(this.energy, (before.microwatts + microwatts) / 2000 * seconds);
  }
}

export class GraceSource implements PolledSource {
  readonly name = "grace-hopper";
  readonly #measuring: Measuring;
  readonly #root: string;
  readonly #power: Metric;
  readonly #energy: Metric;
  readonly #meters: Devices<OpenMeter>;
  readonly #gauges = new Map<string, Gauge>();
  readonly #complaint: Complaint;

  /** Registers the metrics. */
  constructor({ root_path }: GraceConfig, measuring: Measuring) {
    const { registry, clock, files } = measuring;
    this.#measuring = measuring;
    this.#root = root_path === DEFAULT_ROOT ? `${files.sys}/class/hwmon` : root_path;
    this.#power = registry.register(
      u64Metric("grace_instant_power", { base: "W", prefix: "micro" }, "Power consumption"),
    );
    this.#energy = registry.register(
      f64Metric("grace_energy_consumption", { base: "J", prefix: "milli" }, "Energy consumption"),
    );
    this.#complaint = new Complaint(clock);
    this.#meters = new Devices(clock, () => this.#find());
  }

  *#find() {
    const { files } = this.#measuring;
    for (const entry of files.list(this.#root)) {
      for (const folder of [`${this.#root}/${entry}/device`, `${this.#root}/${entry}`]) {
        const match = METER_INFO.exec(files.text(`${folder}/power1_oem_info`)?.trim() ?? "");
        if (!match) continue;
        const sensor = match[1].toLowerCase() as Meter;
        const socket = Number(match[2]);
        yield {
          key: `${sensor} ${socket}`,
          open: () => this.#open(sensor, socket, `${folder}/power1_average`),
        };
        break;
      }
    }
  }

  #open(sensor: Meter, socket: number, path: string): OpenMeter | undefined {
    const { files, findings } = this.#measuring;
    const file = new NumberFile(files, path);
    const what = `power of ${sensor}, socket ${socket}`;
    if (file.count() === undefined && file.failure === "denied") {
      findings.denied(what, path, `sudo chmod o+r ${path}`);
      file.close();
      return undefined;
    }
    findings.measured(what, path, this.#gauge(sensor, socket).power);
    return { sensor, socket, file, close: () => file.close() };
  }

  #gauge(sensor: Sensor, socket: number): Gauge {
    return this.#gaugeOf(`${sensor} ${socket}`, (metric) =>
      seriesOf(metric, {
        resourceKind: sensor === "dram" ? "dram" : "cpu_package",
        resourceId: String(socket),
        attributes: [["sensor", sensor]],
      }));
  }

  #total(sensor: string): Gauge {
    return this.#gaugeOf(sensor, (metric) => seriesOf(metric, { attributes: [["sensor", sensor]] }));
  }

  #gaugeOf(key: string, make: (metric: Metric) => Series): Gauge {
    let gauge = this.#gauges.get(key);
    if (!gauge) this.#gauges.set(key, gauge = new Gauge(make(this.#power), make(this.#energy)));
    return gauge;
  }

  get isIdle(): boolean {
    return this.#meters.size === 0;
  }

  poll(points: Points): void {
    const { clock } = this.#measuring;
    this.#meters.refresh();
    const nowMs = clock.monotonicMs();
    const sockets = this.#read(points);
    const totals = new Map<Sensor, number>();
    for (const [socket, watts] of sockets) {
      for (const sensor of SENSORS) {
        const value = watts[sensor];
        if (value !== undefined) this.#gauge(sensor, socket).push(points, value, nowMs);
        // A total needs a value of every socket.
        totals.set(sensor, (totals.get(sensor) ?? 0) + (value ?? NaN));
      }
    }
    const pushTotal = (name: string, value: number | undefined) => {
      if (value !== undefined && !Number.isNaN(value)) this.#total(name).push(points, value, nowMs);
    };
    for (const sensor of SENSORS) pushTotal(`${sensor}_total`, totals.get(sensor));
    const module = totals.get("module");
    pushTotal("total", module === undefined || Number.isNaN(module) ? totals.get("grace") : module);
  }

  /** The microwatts of each socket, in the order of their numbers. */
  #read(points: Points): [socket: number, watts: Partial<Record<Sensor, number>>][] {
    const sockets = new Map<number, Partial<Record<Sensor, number>>>();
    for (const { sensor, socket, file } of this.#meters) {
      let watts = sockets.get(socket);
      if (!watts) sockets.set(socket, watts = {});
      const value = file.count();
      if (value === undefined) {
        this.#complaint.add((failed) =>
          this.#measuring.log.warn("Cannot read a power meter", { file: file.path, failed })
        );
      } else if (Number.isSafeInteger(value)) watts[sensor] = Number(value);
      else points.u64(this.#gauge(sensor, socket).power, NaN);
    }
    for (const watts of sockets.values()) {
      const { grace, cpu, sysio } = watts;
      if (grace === undefined || cpu === undefined || sysio === undefined) continue;
      // Means over different moments may contradict each other.
      if (grace >= cpu + sysio) watts.dram = grace - cpu - sysio;
    }
    return [...sockets].sort(([a], [b]) => a - b);
  }

  close(): void {
    this.#meters.close();
  }
}
