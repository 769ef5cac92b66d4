/** Turns what was read of a GPU into points, in Alumet's order. */
import type { Attribute, Points, Series } from "../polling/points.ts";
import type { U64 } from "../polling/scan.ts";
import { GpuSeries, type MemoryKind, type Metrics } from "./metrics.ts";
import type { CodecUtilization, Memory, ProcessMemory, Sample } from "./sample.ts";

/** More is no percentage: some drivers give anything for a process that has just ended. */
const MOST_PERCENT = 100;

export class Emitter {
  readonly #metrics: Metrics;
  readonly #busId: string;
  readonly #gpu: GpuSeries;
  /** By GPU instance: those of the last sample. */
  #partitions = new Map<number, GpuSeries>();

  constructor(metrics: Metrics, busId: string) {
    this.#metrics = metrics;
    this.#busId = busId;
    this.#gpu = new GpuSeries(metrics, "gpu", busId);
  }

  /** The series of its power. */
  get power(): Series {
    return this.#gpu.of("power");
  }

  /** The series of its energy. */
  get energy(): Series {
    return this.#gpu.of("energy");
  }

  /** @param energyMj The energy since the last sample, in millijoules. */
  push(points: Points, sample: Sample, energyMj: number | undefined): void {
    const gpu = this.#gpu;
    const push = (series: Series, value: U64 | undefined) => {
      if (value !== undefined) points.u64(series, value);
    };
    if (energyMj !== undefined) points.f64(gpu.of("energy"), energyMj);
    push(gpu.of("power"), sample.powerMw);
    if (sample.temperature !== undefined) push(gpu.of("temperature"), sample.temperature);
    if (sample.utilization?.gpu !== undefined) push(gpu.of("gpuUtilization"), sample.utilization.gpu);
    if (sample.utilization?.memory !== undefined) {
      push(gpu.of("memoryUtilization"), sample.utilization.memory);
    }
    this.#pushMemory(points, gpu, sample.memory);
    this.#pushCodec(points, "decoder", sample.decoder);
    this.#pushCodec(points, "encoder", sample.encoder);
    const { computeProcesses, graphicsProcesses } = sample;
    if (computeProcesses) push(gpu.of("computeProcesses"), computeProcesses.length);
    if (graphicsProcesses) push(gpu.of("graphicsProcesses"), graphicsProcesses.length);
    this.#keepPartitions(sample);
    for (const process of computeProcesses ?? []) this.#pushProcess(points, "compute", process);
    for (const process of graphicsProcesses ?? []) this.#pushProcess(points, "graphics", process);
    this.#pushUtilization(points, sample);
    sample.clocks?.forEach((hertz, i) => push(gpu.clock(i), hertz));
    for (const { gpuInstance, memory } of sample.partitions ?? []) {
      this.#pushMemory(points, this.#partition(gpuInstance), memory);
    }
    for (const { gpuInstance, gpu, sm, memory } of sample.partUse ?? []) {
      const part = this.#partition(gpuInstance);
      push(part.of("gpuUtilization"), gpu);
      push(part.of("memoryUtilization"), memory);
      push(part.of("smUtilization"), sm);
    }
  }

  #pushMemory(points: Points, series: GpuSeries, memory: Memory | undefined): void {
    if (!memory) return;
    for (const kind of ["free", "reserved", "total", "used"] satisfies MemoryKind[]) {
      const bytes = memory[kind];
      if (bytes !== undefined) points.u64(series.memory(kind), bytes);
    }
  }

  #pushCodec(points: Points, name: "decoder" | "encoder", use: CodecUtilization | undefined): void {
    if (!use) return;
    points.u64(this.#gpu.of(`${name}Utilization`), use.percent);
    if (use.periodUs !== undefined) points.u64(this.#gpu.of(`${name}Period`), use.periodUs);
  }

  #pushProcess(points: Points, context: string, process: ProcessMemory): void {
    const { pid, bytes, gpuInstance, computeInstance } = process;
    if (bytes === undefined) return;
    const attributes: Attribute[] = [["context", context]];
    if (computeInstance !== undefined) attributes.push(["compute_instance_id", BigInt(computeInstance)]);
    const series = gpuInstance === undefined ? this.#gpu : this.#partition(gpuInstance);
    points.u64(series.process("processMemory", pid, attributes), bytes);
  }

  #pushUtilization(points: Points, { processUtilization = [] }: Sample): void {
    for (const { pid, sm, memory, encoder, decoder } of processUtilization) {
      const push = (metric: keyof Metrics, percent: number) => {
        if (percent <= MOST_PERCENT) points.u64(this.#gpu.process(metric, pid), percent);
      };
      push("smUtilization", sm);
      push("memoryUtilization", memory);
      push("encoderUtilization", encoder);
      push("decoderUtilization", decoder);
    }
  }

  #partition(gpuInstance: number): GpuSeries {
    let series = this.#partitions.get(gpuInstance);
    if (!series) {
      series = new GpuSeries(this.#metrics, "gpu_partition", `${this.#busId}/${gpuInstance}`);
      this.#partitions.set(gpuInstance, series);
    }
    return series;
  }

  /** Forgets the parts that are no longer there. */
  #keepPartitions({ partitions, computeProcesses = [], graphicsProcesses = [] }: Sample): void {
    if (this.#partitions.size === 0 || !partitions) return;
    const parts = [...partitions, ...computeProcesses, ...graphicsProcesses];
    const used = new Set(parts.map(({ gpuInstance }) => gpuInstance));
    for (const id of this.#partitions.keys()) if (!used.has(id)) this.#partitions.delete(id);
  }
}
