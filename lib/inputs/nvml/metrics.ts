/** The metrics, by Alumet's names, and the series of one GPU. */
import type { MetricRegistry } from "../../points/registry.ts";
import {
  type Attribute,
  BYTE,
  f64Metric,
  JOULE,
  type Metric,
  MICROSECOND,
  PERCENT,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
  WATT,
} from "../polling/points.ts";
import { CLOCKS } from "./sample.ts";

const DEFINITIONS = {
  energy: f64Metric(
    "nvml_energy_consumption",
    { ...JOULE, prefix: "milli" },
    "Energy consumed since the previous measurement",
  ),
  power: u64Metric("nvml_instant_power", { ...WATT, prefix: "milli" }, "Power consumption"),
  temperature: u64Metric("nvml_temperature_gpu", { base: "Cel", prefix: "" }, "Temperature of the GPU"),
  gpuUtilization: u64Metric("nvml_gpu_utilization", PERCENT, "Time in which the GPU was busy"),
  memoryUtilization: u64Metric("nvml_memory_utilization", PERCENT, "Time in which its memory was busy"),
  memory: u64Metric("nvml_gpu_memory_info", BYTE, "Memory of the GPU"),
  decoderUtilization: u64Metric("nvml_decoder_utilization", PERCENT, "Use of the video decoder"),
  decoderPeriod: u64Metric("nvml_decoder_sampling_period", MICROSECOND, "Time that the use refers to"),
  encoderUtilization: u64Metric("nvml_encoder_utilization", PERCENT, "Use of the video encoder"),
  encoderPeriod: u64Metric("nvml_encoder_sampling_period", MICROSECOND, "Time that the use refers to"),
  computeProcesses: u64Metric("nvml_n_compute_processes", UNITY, "Number of processes that compute"),
  graphicsProcesses: u64Metric("nvml_n_graphic_processes", UNITY, "Number of processes that draw"),
  processMemory: u64Metric("nvml_used_gpu_memory", BYTE, "Memory of the GPU that a process uses"),
  smUtilization: u64Metric("nvml_sm_utilization", PERCENT, "Use of the multiprocessors by a process"),
  clock: u64Metric("nvml_clock_info", { base: "Hz", prefix: "" }, "Clock of a part of the GPU"),
} as const;

export type Metrics = Readonly<Record<keyof typeof DEFINITIONS, Metric>>;

/** Registers the metrics: with `isMinimal` those of power and energy alone. */
export function registerMetrics(registry: MetricRegistry, isMinimal: boolean): Metrics {
  const wanted = Object.entries(DEFINITIONS).filter(([name]) =>
    !isMinimal || name === "energy" || name === "power"
  );
  return Object.fromEntries(
    wanted.map(([name, definition]) => [name, registry.register(definition)]),
  ) as Metrics;
}

const MEMORY_KINDS = ["free", "reserved", "total", "used"] as const;
export type MemoryKind = typeof MEMORY_KINDS[number];

/** The series of a GPU, or of a part of one. */
export class GpuSeries {
  readonly #metrics: Metrics;
  readonly #resource: { readonly resourceKind: string; readonly resourceId: string };
  readonly #made = new Map<string, Series>();

  constructor(metrics: Metrics, resourceKind: "gpu" | "gpu_partition", resourceId: string) {
    this.#metrics = metrics;
    this.#resource = { resourceKind, resourceId };
  }

  of(metric: keyof Metrics): Series {
    return this.#once(metric, metric, []);
  }

  memory(kind: MemoryKind): Series {
    return this.#once(`memory ${kind}`, "memory", [["kind", kind]]);
  }

  clock(index: number): Series {
    return this.#once(`clock ${index}`, "clock", [["clock_type", CLOCKS[index]]]);
  }

  /** Processes come and go: their series are not kept here. */
  process(metric: keyof Metrics, pid: number, attributes: readonly Attribute[] = []): Series {
    return seriesOf(this.#metrics[metric], {
      ...this.#resource,
      consumerKind: "process",
      consumerId: String(pid),
      attributes,
    });
  }

  #once(key: string, metric: keyof Metrics, attributes: readonly Attribute[]): Series {
    let series = this.#made.get(key);
    if (!series) {
      this.#made.set(key, series = seriesOf(this.#metrics[metric], { ...this.#resource, attributes }));
    }
    return series;
  }
}
