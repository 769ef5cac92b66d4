/** How much the parts of a divided GPU (MIG) are used, as GPUs since Hopper count it (GPM): the difference of two samples. */
import { bytesOf, CODE, type Handle, NvmlError, type NvmlLibrary } from "./library.ts";
import type { PartUse } from "./sample.ts";

const SUPPORT_VERSION = 1;
const METRICS_VERSION = 1;

/** What is asked for, by the vendor's numbers. */
const METRICS = { gpu: 1, sm: 2, memory: 10 } as const;
type Name = keyof typeof METRICS;
const NAMES = Object.keys(METRICS) as Name[];

const HEADER_BYTES = 24;
const METRIC_BYTES = 40;
/** The struct has room for all metrics, of which later libraries have more. */
const MOST_METRICS = 512;

const MOST_PERCENT = 100;

export class PartUses {
  readonly #library: NvmlLibrary;
  readonly #gpu: Handle;
  /** The last sample of each part. */
  readonly #samples = new Map<number, Handle>();
  #isSupported = false;

  constructor(library: NvmlLibrary, gpu: Handle) {
    this.#library = library;
    this.#gpu = gpu;
  }

  /** The use of these parts since the previous call: those that were there then. @throws {NvmlError} */
  async of(gpuInstances: readonly number[]): Promise<PartUse[]> {
    for (const gpuInstance of this.#samples.keys()) {
      if (!gpuInstances.includes(gpuInstance)) this.#keep(gpuInstance, undefined);
    }
    const uses: PartUse[] = [];
    for (const gpuInstance of gpuInstances) {
      const use = await this.#next(gpuInstance);
      if (use) uses.push(use);
    }
    return uses;
  }

  async #next(gpuInstance: number): Promise<PartUse | undefined> {
    await this.#needSupport();
    const sample = await this.#library.allocateSample();
    const code = await this.#library.call("nvmlGpmMigSampleGet", this.#gpu, gpuInstance, sample);
    if (code !== CODE.ok) {
      this.#library.freeSample(sample);
      throw new NvmlError(code);
    }
    const before = this.#samples.get(gpuInstance);
    try {
      return before && { gpuInstance, ...await this.#between(before, sample) };
    } finally {
      this.#keep(gpuInstance, sample);
    }
  }

  /** Keeps a sample in the place of the one before. */
  #keep(gpuInstance: number, sample: Handle | undefined): void {
    const before = this.#samples.get(gpuInstance);
    if (before) this.#library.freeSample(before);
    if (sample) this.#samples.set(gpuInstance, sample);
    else this.#samples.delete(gpuInstance);
  }

  async #needSupport(): Promise<void> {
    if (this.#isSupported) return;
    const support = new DataView(new ArrayBuffer(8));
    support.setUint32(0, SUPPORT_VERSION, true);
    await this.#library.need("nvmlGpmQueryDeviceSupport", this.#gpu, bytesOf(support));
    if (support.getUint32(4, true) === 0) throw new NvmlError(CODE.notSupported);
    this.#isSupported = true;
  }

  async #between(before: Handle, after: Handle): Promise<Partial<Record<Name, number>>> {
    const request = new DataView(new ArrayBuffer(HEADER_BYTES + MOST_METRICS * METRIC_BYTES));
    request.setUint32(0, METRICS_VERSION, true);
    request.setUint32(4, NAMES.length, true);
    request.setBigUint64(8, Deno.UnsafePointer.value(before), true);
    request.setBigUint64(16, Deno.UnsafePointer.value(after), true);
    const placeOf = (n: number) => HEADER_BYTES + n * METRIC_BYTES;
    NAMES.forEach((name, n) => request.setUint32(placeOf(n), METRICS[name], true));
    await this.#library.need("nvmlGpmMetricsGet", bytesOf(request));
    const use: Partial<Record<Name, number>> = {};
    NAMES.forEach((name, n) => {
      const code = request.getUint32(placeOf(n) + 4, true);
      const percent = request.getFloat64(placeOf(n) + 8, true);
      // A part that was made again has counters that went back.
      if (code === CODE.ok && percent >= 0 && percent <= MOST_PERCENT) use[name] = Math.round(percent);
    });
    return use;
  }
}
