/** What is read of a GPU at one time. What a GPU does not have, or could not be read, is missing. */
import type { U64 } from "../polling/scan.ts";

export interface Sample {
  /** Counts since the driver was loaded, in millijoules. */
  energyMj?: U64;
  /** Milliwatts. */
  powerMw?: number;
  /** °C. */
  temperature?: number;
  utilization?: Utilization;
  memory?: Memory;
  decoder?: CodecUtilization;
  encoder?: CodecUtilization;
  computeProcesses?: readonly ProcessMemory[];
  graphicsProcesses?: readonly ProcessMemory[];
  processUtilization?: readonly ProcessUtilization[];
  /** Hertz, by the names of {@linkcode CLOCKS}. */
  clocks?: readonly number[];
  /** The parts of a GPU that is divided (MIG). */
  partitions?: readonly Partition[];
  /** How much these parts were used since the last sample. */
  partUse?: readonly PartUse[];
}

export type Quantity = keyof Sample;

/** Percent. */
export interface Utilization {
  readonly gpu?: number | undefined;
  readonly memory?: number | undefined;
}

/** Bytes. */
export interface Memory {
  readonly free?: U64 | undefined;
  readonly reserved?: U64 | undefined;
  readonly total?: U64 | undefined;
  readonly used?: U64 | undefined;
}

export interface CodecUtilization {
  readonly percent: number;
  /** Over which time that is, in microseconds. */
  readonly periodUs?: number | undefined;
}

export interface ProcessMemory {
  readonly pid: number;
  /** Bytes; `undefined` where the driver does not say it. */
  readonly bytes: U64 | undefined;
  /** The part of the GPU, and the part of that: `undefined` on GPUs that are not divided. */
  readonly gpuInstance?: number | undefined;
  readonly computeInstance?: number | undefined;
}

/** Percent. */
export interface ProcessUtilization {
  readonly pid: number;
  readonly sm: number;
  readonly memory: number;
  readonly encoder: number;
  readonly decoder: number;
}

export interface Partition {
  readonly gpuInstance: number;
  readonly memory: Memory;
}

/** Percent. */
export interface PartUse {
  readonly gpuInstance: number;
  /** Of the time. */
  readonly gpu?: number;
  /** Of its multiprocessors. */
  readonly sm?: number;
  /** Of the bandwidth of its memory. */
  readonly memory?: number;
}

export const CLOCKS = ["Graphics", "SM", "Memory", "Video"] as const;

/** A GPU that can be read. */
export interface Gpu {
  /** Its PCI address, as the vendor writes it: `00000000:3B:00.0`. */
  readonly busId: string;
  /** `NVIDIA A100-SXM4-40GB`; empty where it is not known. */
  readonly name: string;
  /**
   * Reads all quantities that it has. Those that fail are missing, and `onFailure` is told; a GPU that is gone rejects.
   */
  read(onFailure: (quantity: Quantity, error: Error) => void): Promise<Sample>;
}

/** Where GPUs are found. */
export interface Backend extends Disposable {
  /** The library or the program, for the log. */
  readonly path: string;
  /** How often GPUs are looked for, in ms. */
  readonly findAgainMs: number;
  /**
   * The GPUs that are there now; the same ones as objects as long as they stay. `onFailure` is told of one that fails.
   *
   * @throws {Error} where nothing can be found out
   */
  find(onFailure: (error: unknown) => void): Promise<readonly Gpu[]>;
}
