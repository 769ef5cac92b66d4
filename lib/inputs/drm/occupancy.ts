/** How many of the compute units of AMD's GPUs each process occupies, by the kernel's driver for ROCm (kfd). */
import type { MonotonicClock } from "../../base/clock.ts";
import type { ProcFiles } from "../polling/files.ts";

/** GPUs are looked for again, in ms. */
const FIND_AGAIN_MS = 60_000;
/** The most processes that are looked at. */
const MOST_PROCESSES = 4096;
/** More compute units than a GPU has: a larger number is not one. */
const MOST_UNITS = 1_000_000;

export interface Occupancy {
  readonly pid: number;
  /** The PCI address of the GPU. */
  readonly device: string;
  /** Of all compute units of the GPU. */
  readonly percent: number;
}

interface ComputeGpu {
  readonly device: string;
  readonly units: number;
}

export class Occupancies {
  readonly #files: ProcFiles;
  readonly #clock: MonotonicClock;
  /** By the driver's number. */
  #gpus: ReadonlyMap<string, ComputeGpu> = new Map();
  #foundMs = -Infinity;

  constructor(files: ProcFiles, clock: MonotonicClock) {
    this.#files = files;
    this.#clock = clock;
  }

  get #root(): string {
    return `${this.#files.sys}/class/kfd/kfd`;
  }

  /** What each process that computes occupies now. */
  *now(): Generator<Occupancy> {
    const files = this.#files;
    const pids = files.list(`${this.#root}/proc`).filter((name) => /^[1-9]\d{0,9}$/.test(name));
    if (pids.length === 0) return;
    this.#find();
    for (const pid of pids.slice(0, MOST_PROCESSES)) {
      for (const [id, { device, units }] of this.#gpus) {
        const count = numberIn(files.text(`${this.#root}/proc/${pid}/stats_${id}/cu_occupancy`));
        if (count !== undefined) {
          yield { pid: Number(pid), device, percent: Math.min(100, 100 * count / units) };
        }
      }
    }
  }

  #find(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#foundMs < FIND_AGAIN_MS) return;
    this.#foundMs = nowMs;
    const nodes = `${this.#root}/topology/nodes`;
    const gpus = new Map<string, ComputeGpu>();
    for (const node of this.#files.list(nodes)) {
      const id = this.#files.text(`${nodes}/${node}/gpu_id`)?.trim() ?? "";
      const gpu = gpuOf(this.#files.text(`${nodes}/${node}/properties`) ?? "");
      // The number of a processor is 0.
      if (/^[1-9]\d{0,9}$/.test(id) && gpu) gpus.set(id, gpu);
    }
    this.#gpus = gpus;
  }
}

function gpuOf(properties: string): ComputeGpu | undefined {
  const value = (name: string) =>
    numberIn(new RegExp(`^${name} (\\d+)$`, "m").exec(properties)?.[1], 2 ** 32);
  const [simds, perUnit, location, domain = 0] = ["simd_count", "simd_per_cu", "location_id", "domain"].map(
    value,
  );
  if (!simds || !perUnit || location === undefined) return undefined;
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
  const [bus, slot, func] = [(location >> 8) & 0xff, (location >> 3) & 0x1f, location & 7];
  return {
    device: `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${func}`,
    units: Math.max(1, Math.floor(simds / perUnit)),
  };
}

function numberIn(text: string | undefined, most = MOST_UNITS): number | undefined {
  const digits = text?.trim();
  return digits !== undefined && /^\d{1,10}$/.test(digits) && Number(digits) <= most
    ? Number(digits)
    : undefined;
}
