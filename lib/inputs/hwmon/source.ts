/** Measures every sensor of power and energy. */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import { EnergyCounter, JUMPED } from "../polling/energy_counter.ts";
import { NumberFile } from "../polling/number_file.ts";
import {
  type Attribute,
  f64Metric,
  JOULE,
  type Metric,
  type Points,
  type Series,
  seriesOf,
  WATT,
} from "../polling/points.ts";
import { isAsleep, isFoundAsleep } from "../polling/sleeping.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { type Chip, chipsOf } from "./chips.ts";
import { type SensorFiles, sensorsOf } from "./sensors.ts";

/** Drivers of GPUs, whose devices are resources of their own. */
const GPU_DRIVERS = new Set(["amdgpu", "i915", "xe", "nouveau", "radeon"]);
const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** From the units of the files to those of the metrics. */
const MICRO = 1e6;
const MILLI = 1e3;

/** A sensor may be that of a whole rack. */
const MICROJOULES = { mostWatts: 1e6, joules: (steps: number) => steps / MICRO };

/** A sensor that is read. */
class Sensor {
  readonly #kind: "power" | "energy";
  readonly #files: readonly NumberFile[];
  readonly #energy = new EnergyCounter(MICROJOULES);

  /** @param gpu The folder of the GPU that it belongs to, if it does */
  constructor(
    { kind }: SensorFiles,
    files: readonly NumberFile[],
    readonly series: Series,
    readonly gpu: string | undefined,
  ) {
    this.#kind = kind;
    this.#files = files;
  }

  get file(): string {
    return this.#files[0].path;
  }

  /** Whether a file could not be read. */
  get hasFailed(): boolean {
    return this.#files.some(({ failure }) => failure !== undefined);
  }

  /** Whether this process may not read it. */
  isDenied(): boolean {
    return this.#files.some((file) => file.count() === undefined && file.failure === "denied");
  }

  /** Whether the last energy is not plausible. */
  get hasJumped(): boolean {
    return this.#energy.hasJumped;
  }

  /** Watts, or joules since the last value; `undefined` where there is nothing to say. */
  read(nowMs: number): number | undefined {
    if (this.#kind === "energy") {
      const steps = this.#files[0].count();
      return steps === undefined ? undefined : this.#energy.advance(steps, nowMs);
    }
    const values = this.#files.map((file) => file.number());
    if (values.includes(undefined)) return undefined;
    const [value, current] = values as number[];
    return current === undefined ? value / MICRO : value / MILLI * (current / MILLI);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

export class HwmonSource implements PolledSource {
  readonly name = "hwmon";
  readonly #measuring: Measuring;
  readonly #metrics: Readonly<Record<SensorFiles["kind"], Metric>>;
  readonly #sensors: Devices<Sensor>;
  readonly #complaint: Complaint;
  readonly #jumps: Complaint;

  /** Registers the metrics. */
  constructor(measuring: Measuring) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    this.#metrics = {
      power: registry.register(f64Metric("hwmon_power", WATT, "Power that a sensor of the board reports")),
      energy: registry.register(
        f64Metric(
          "hwmon_energy",
          JOULE,
          "Energy since the previous measurement, as a sensor of the board reports it",
        ),
      ),
    };
    this.#complaint = new Complaint(clock);
    this.#jumps = new Complaint(clock);
    this.#sensors = new Devices(clock, () => this.#find());
  }

  *#find() {
    for (const chip of chipsOf(this.#measuring.files)) {
      for (const sensor of sensorsOf(chip)) {
        yield {
          key: [chip.path, chip.name, chip.device, ...sensor.inputs].join("\0"),
          open: () => this.#open(chip, sensor),
        };
      }
    }
  }

  #open(chip: Chip, sensor: SensorFiles): Sensor | undefined {
    const { files, findings } = this.#measuring;
    const gpu = isGpu(chip) ? chip.deviceFolder : undefined;
    const chipName = `the chip ${chip.name} ${chip.device}`;
    if (gpu !== undefined && isFoundAsleep(this.#measuring, gpu, chipName)) return undefined;
    const label = sensor.labelFile && files.text(`${chip.path}/${sensor.labelFile}`)?.trim();
    const series = this.#seriesOf(chip, sensor, label);
    const opened = new Sensor(
      sensor,
      sensor.inputs.map((name) => new NumberFile(files, `${chip.path}/${name}`)),
      series,
      gpu,
    );
    const what = `${sensor.kind} of ${chip.name || "a sensor"}${label ? ` (${label})` : ""}`;
    if (opened.isDenied()) {
      findings.denied(what, opened.file, `sudo chmod o+r ${opened.file}`);
      opened.close();
      return undefined;
    }
    findings.measured(what, opened.file, series);
    return opened;
  }

  #seriesOf(chip: Chip, sensor: SensorFiles, label: string | undefined): Series {
    const attributes: Attribute[] = [["chip", chip.name], ["device", chip.device], ["sensor", sensor.name]];
    if (label) attributes.push(["label", label]);
    return seriesOf(this.#metrics[sensor.kind], {
      ...isGpu(chip) ? { resourceKind: "gpu", resourceId: chip.device } : {},
      attributes,
    });
  }

  get isIdle(): boolean {
    return this.#sensors.size === 0;
  }

  poll(points: Points): void {
    const { clock, log, files } = this.#measuring;
    this.#sensors.refresh();
    const nowMs = clock.monotonicMs();
    for (const sensor of this.#sensors) {
      const { file, gpu } = sensor;
      if (gpu !== undefined && isAsleep(files, gpu)) continue;
      const value = sensor.read(nowMs);
      if (value !== undefined) points.f64(sensor.series, value);
      else if (sensor.hasFailed) {
        this.#complaint.add((failed) => log.warn("Cannot read a sensor", { file, failed }));
      } else if (sensor.hasJumped) {
        this.#jumps.add((jumps) => log.warn(JUMPED, { file, jumps }));
      }
    }
  }

  close(): void {
    this.#sensors.close();
  }
}

/** A GPU that sleeps is not read; other chips sleep between two readings anyway. */
function isGpu({ name, device }: Chip): boolean {
  return GPU_DRIVERS.has(name) && PCI_ADDRESS.test(device);
}
