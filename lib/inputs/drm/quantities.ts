/**
 * What is measured of a GPU: metrics by Alumet's names for AMD, which stand for the same quantity of other GPUs, too, and
 * the files of the kernel (https://docs.kernel.org/gpu/amdgpu, https://docs.kernel.org/hwmon).
 */
import {
  type Attribute,
  BYTE,
  f64Metric,
  JOULE,
  NANOSECOND,
  PERCENT,
  u64Metric,
  WATT,
} from "../polling/points.ts";

const VOLT = { base: "V", prefix: "milli" };
const CELSIUS = { base: "Cel", prefix: "" };

/** The metrics, in the order of their registration. */
export const METRICS = {
  activity: f64Metric("amd_gpu_activity_usage", PERCENT, "Activity of a part of the GPU"),
  energy: f64Metric(
    "amd_gpu_energy_consumption",
    { ...JOULE, prefix: "milli" },
    "Energy consumed since the previous measurement",
  ),
  power: u64Metric("amd_gpu_power_consumption", WATT, "Power consumption"),
  voltage: u64Metric("amd_gpu_voltage", VOLT, "Voltage of the GPU"),
  memory: u64Metric("amd_gpu_memory_usage", BYTE, "Memory in use"),
  temperature: u64Metric("amd_gpu_temperature", CELSIUS, "Temperature"),
} as const;

/** The metrics of processes. */
export const PROCESS_METRICS = {
  occupancy: f64Metric(
    "amd_gpu_process_compute_unit_occupancy",
    PERCENT,
    "Compute units of a GPU that a process occupies",
  ),
  memory: u64Metric(
    "amd_gpu_process_memory_usage",
    BYTE,
    "Memory that a process uses of a GPU, of all kinds",
  ),
  graphics: u64Metric(
    "amd_gpu_process_engine_gfx",
    NANOSECOND,
    "Time of the graphics engine for a process since the previous measurement",
  ),
  encode: u64Metric(
    "amd_gpu_process_engine_usage_encode",
    NANOSECOND,
    "Time of the encoders for a process since the previous measurement",
  ),
  engine: u64Metric(
    "gpu_process_engine_time",
    NANOSECOND,
    "Time of another engine of a GPU for a process since the previous measurement",
  ),
  gtt: u64Metric(
    "amd_gpu_process_memory_usage_gtt",
    BYTE,
    "Memory of the system that a GPU has mapped for a process",
  ),
  cpu: u64Metric(
    "amd_gpu_process_memory_usage_cpu",
    BYTE,
    "Memory of the system that a process has for a GPU",
  ),
  vram: u64Metric("amd_gpu_process_memory_usage_vram", BYTE, "Memory of the GPU that a process uses"),
} as const;

export type Quantity = keyof typeof METRICS;

/** A file of a GPU, and how its number becomes the value. */
export interface GpuFile {
  readonly quantity: Quantity;
  /**
   * Names, relative to the device (`DEVICE/…`), its card (`CARD/…`) or its hwmon folder (`HWMON/…`): the first that exists is
   * read.
   */
  readonly names: readonly string[];
  readonly attributes: readonly Attribute[];
  /** Units of the file in one unit of the metric. @default {1} */
  readonly divisor?: number;
  /** The label that the hwmon file must have, as its number differs between GPUs; `null`: none at all. @default any */
  readonly labels?: readonly (string | null)[];
  /** The file counts milliseconds in which it was idle; the value is the share of the others. @default {false} */
  readonly countsIdleMs?: boolean;
}

const activity = (type: string, name: string): GpuFile => ({
  quantity: "activity",
  names: [`DEVICE/${name}`],
  attributes: [["activity_type", type]],
});
const memory = (type: string, name: string): GpuFile => ({
  quantity: "memory",
  names: [`DEVICE/${name}`],
  attributes: [["memory_type", type]],
});
const temperature = (zone: string, ...labels: (string | null)[]): GpuFile => ({
  quantity: "temperature",
  names: [1, 2, 3, 4].map((n) => `HWMON/temp${n}_input`),
  attributes: [["thermal_zone", zone]],
  divisor: 1000,
  labels,
});

const AMD_FILES: readonly GpuFile[] = [
  activity("graphic_core", "gpu_busy_percent"),
  activity("unified_memory_controller", "mem_busy_percent"),
  { quantity: "energy", names: ["HWMON/energy1_input"], attributes: [], divisor: 1000 },
  {
    quantity: "power",
    names: ["HWMON/power1_average", "HWMON/power1_input"],
    attributes: [],
    divisor: 1e6,
  },
  { quantity: "voltage", names: ["HWMON/in0_input"], attributes: [], labels: ["vddgfx"] },
  memory("memory_graphic_translation_table", "mem_info_gtt_used"),
  memory("memory_video_computing", "mem_info_vram_used"),
  temperature("thermal_global", "edge"),
  temperature("thermal_hotspot", "junction"),
  temperature("thermal_high_bandwidth_memory_0", "mem"),
];

/** The time in which a GPU of Intel was powered down: with xe, i915, and i915 of before Linux 5.19. */
const INTEL_IDLE = [
  "DEVICE/tile0/gt0/gtidle/idle_residency_ms",
  "CARD/gt/gt0/rc6_residency_ms",
  "CARD/power/rc6_residency_ms",
];

/** The first energy is that of the whole card, where there are two. */
const INTEL_FILES: readonly GpuFile[] = [
  {
    quantity: "activity",
    names: INTEL_IDLE,
    attributes: [["activity_type", "graphic_core"]],
    countsIdleMs: true,
  },
  {
    quantity: "energy",
    names: ["HWMON/energy1_input", "HWMON/energy2_input"],
    attributes: [],
    divisor: 1000,
  },
  { quantity: "power", names: ["HWMON/power1_input"], attributes: [], divisor: 1e6 },
  { quantity: "voltage", names: ["HWMON/in0_input", "HWMON/in1_input"], attributes: [] },
  temperature("thermal_global", "pkg", null),
  temperature("thermal_high_bandwidth_memory_0", "vram"),
];

/** The files of each driver, in the order of the points. */
export const GPU_FILES = { amdgpu: AMD_FILES, i915: INTEL_FILES, xe: INTEL_FILES } as const;
export type Driver = keyof typeof GPU_FILES;
