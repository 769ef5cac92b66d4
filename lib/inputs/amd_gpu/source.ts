/** Measures each GPU of the driver amdgpu. */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import type { ProcFiles } from "../polling/files.ts";
import { NumberFile } from "../polling/number_file.ts";
import { type Metric, type Points, type Series, seriesOf } from "../polling/points.ts";
import { difference, type U64 } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { GPU_FILES, type GpuFile, METRICS, type Quantity } from "./quantities.ts";

const AMD_VENDOR = "0x1002";

type Metrics = Readonly<Record<Quantity, Metric>>;

/** One quantity of a GPU. */
class Reading {
  readonly #spec: GpuFile;
  readonly #isU64: boolean;
  #before: U64 | undefined;

  constructor(spec: GpuFile, readonly file: NumberFile, readonly series: Series) {
    this.#spec = spec;
    this.#isU64 = series.metric.type === "u64";
  }

  /** False if the file cannot be read. */
  push(points: Points): boolean {
    const now = this.file.count();
    if (now === undefined) return false;
    const before = this.#before;
    if (this.#spec.counts) this.#before = now;
    const steps = !this.#spec.counts ? now : before === undefined ? undefined : difference(now, before);
    if (steps === undefined) return true;
    const { divisor } = this.#spec;
    if (!this.#isU64) points.f64(this.series, Number(steps) / divisor);
    else points.u64(this.series, divisor === 1 ? steps : Math.round(Number(steps) / divisor));
    return true;
  }
}

/** A GPU that is read. */
class Gpu {
  constructor(readonly readings: readonly Reading[]) {}

  close(): void {
    for (const { file } of this.readings) file.close();
  }
}

export class AmdGpuSource implements PolledSource {
  readonly name = "amd-gpu";
  readonly #measuring: Measuring;
  readonly #gpus: Devices<Gpu>;
  readonly #complaint: Complaint;

  /** Registers the metrics. */
  constructor(measuring: Measuring) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    const metrics = Object.fromEntries(
      Object.entries(METRICS).map(([quantity, definition]) => [quantity, registry.register(definition)]),
    ) as Metrics;
    this.#complaint = new Complaint(clock);
    this.#gpus = new Devices(clock, () => this.#find(metrics));
  }

  *#find(metrics: Metrics) {
    const { files } = this.#measuring;
    const root = `${files.sys}/class/drm`;
    for (const card of files.list(root)) {
      if (!/^card\d{1,4}$/.test(card)) continue;
      const device = `${root}/${card}/device`;
      if (files.text(`${device}/vendor`)?.trim() !== AMD_VENDOR) continue;
      const link = files.link(device);
      const address = typeof link === "string" ? link.slice(link.lastIndexOf("/") + 1) : card;
      const hwmon = files.list(`${device}/hwmon`)[0];
      yield {
        key: `${card} ${address} ${hwmon}`,
        open: () => this.#open(metrics, address, device, `${device}/hwmon/${hwmon}`),
      };
    }
  }

  #open(metrics: Metrics, address: string, device: string, hwmon: string): Gpu | undefined {
    const { files, findings } = this.#measuring;
    const readings: Reading[] = [];
    for (const spec of GPU_FILES) {
      const path = pathOf(files, spec, device, hwmon);
      if (path === undefined) continue;
      const series = seriesOf(metrics[spec.quantity], {
        resourceKind: "gpu",
        resourceId: address,
        attributes: spec.attributes,
      });
      readings.push(new Reading(spec, new NumberFile(files, path), series));
    }
    if (readings.length === 0) return undefined;
    const first = readings.find(({ series }) => series.metric === metrics.power) ?? readings[0];
    findings.measured(`AMD GPU ${address}`, first.file.path, first.series);
    return new Gpu(readings);
  }

  get isIdle(): boolean {
    return this.#gpus.size === 0;
  }

  poll(points: Points): void {
    this.#gpus.refresh();
    for (const { readings } of this.#gpus) {
      for (const reading of readings) {
        if (reading.push(points)) continue;
        this.#complaint.add((failed) => {
          this.#measuring.log.warn("Cannot read a file of a GPU", { file: reading.file.path, failed });
        });
      }
    }
  }

  close(): void {
    this.#gpus.close();
  }
}

/** The path of the file that a GPU has for a quantity. */
function pathOf(
  files: ProcFiles,
  { names, label }: GpuFile,
  device: string,
  hwmon: string,
): string | undefined {
  for (const name of names) {
    const path = name.replace(/^DEVICE/, device).replace(/^HWMON/, hwmon);
    if (files.text(path) === undefined) continue;
    if (label === undefined || files.text(path.replace(/_input$/, "_label"))?.trim() === label) return path;
  }
  return undefined;
}
