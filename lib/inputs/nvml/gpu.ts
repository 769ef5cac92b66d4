/** One GPU of the library, and what can be read of it. */
import type { MonotonicClock } from "../../base/clock.ts";
import { Retry } from "../polling/retry.ts";
import type { U64 } from "../polling/scan.ts";
import {
  bytesOf,
  CODE,
  type FunctionName,
  type Handle,
  NvmlError,
  type NvmlLibrary,
  pointerIn,
  textIn,
} from "./library.ts";
import { PartUses } from "./part_use.ts";
import {
  CLOCKS,
  type CodecUtilization,
  type Gpu,
  type Memory,
  type Partition,
  type PartUse,
  type ProcessMemory,
  type ProcessUtilization,
  type Quantity,
  type Sample,
  type Utilization,
} from "./sample.ts";

/** NVML_FI_DEV_POWER_INSTANT. Otherwise, GPUs since Ampere give the mean of a second. */
const FIELD_POWER_INSTANT = 186;
const FIELD_BYTES = 40;

const MEMORY_V2_BYTES = 40;
const MEMORY_BYTES = 24;
const PROCESS_BYTES = 24;
const SAMPLE_BYTES = 32;
const PCI_BYTES = 68;
const NAME_BYTES = 96;
const BUS_ID = { at: 36, length: 32 };

/** All bits set: not known. */
const NO_INSTANCE = 0xffffffff;
const NO_MEMORY = 2n ** 64n - 1n;
const MAX_EXACT = 2n ** 53n;

/** Processes that may begin between counting them and reading them. */
const ROOM = 5;
/** More processes than a GPU can have: a larger number is not one. */
const MOST_PROCESSES = 65_536;
const MOST_PARTITIONS = 64;

/** How often a quantity that a GPU does not have is asked for again, in ms: its mode may have changed. */
const ASK_AGAIN_MS = 600_000;

const view = (bytes: number) => new DataView(new ArrayBuffer(bytes));
const exact = (value: bigint): U64 => value > MAX_EXACT ? value : Number(value);

export class LibraryGpu implements Gpu {
  readonly #library: NvmlLibrary;
  readonly #handle: Handle;
  readonly #readings: readonly Reading[];
  readonly #partUses: PartUses;
  /** The parts that it had when it was read last. */
  #gpuInstances: readonly number[] = [];
  #isLost = false;
  #hasInstantPower = true;
  #hasMemoryV2 = true;
  /** The time of the newest sample of a process that was seen, in microseconds. */
  #sampledUs = 0n;

  private constructor(
    library: NvmlLibrary,
    handle: Handle,
    readonly busId: string,
    readonly name: string,
    isMinimal: boolean,
    clock: MonotonicClock,
  ) {
    this.#library = library;
    this.#handle = handle;
    this.#partUses = new PartUses(library, handle);
    const readings: Reading[] = [new Reading("powerMw", () => this.#power(), clock)];
    if (!isMinimal) {
      readings.push(
        new Reading("energyMj", () => this.#u64("nvmlDeviceGetTotalEnergyConsumption"), clock),
        new Reading("temperature", () => this.#u32("nvmlDeviceGetTemperature", 0), clock),
        new Reading("utilization", () => this.#utilization(), clock),
        new Reading("memory", () => this.#memory(this.#handle), clock),
        new Reading("decoder", () => this.#codec("nvmlDeviceGetDecoderUtilization"), clock),
        new Reading("encoder", () => this.#codec("nvmlDeviceGetEncoderUtilization"), clock),
        new Reading("computeProcesses", () => this.#processes("Compute"), clock),
        new Reading("graphicsProcesses", () => this.#processes("Graphics"), clock),
        new Reading("processUtilization", () => this.#processUtilization(), clock),
        new Reading("clocks", () => this.#clocks(), clock),
        new Reading("partitions", () => this.#partitions(), clock),
        new Reading("partUse", () => this.#partUse(), clock),
      );
    }
    this.#readings = readings;
  }

  /** @throws {NvmlError} */
  static async open(
    library: NvmlLibrary,
    index: number,
    options: { isMinimal: boolean; clock: MonotonicClock },
  ): Promise<LibraryGpu> {
    const handle = await library.handleOf(index);
    const pci = view(PCI_BYTES);
    await library.need("nvmlDeviceGetPciInfo_v3", handle, bytesOf(pci));
    const busId = textIn(pci, BUS_ID.at, BUS_ID.length);
    const name = view(NAME_BYTES);
    const isNamed = await library.call("nvmlDeviceGetName", handle, bytesOf(name), NAME_BYTES) === CODE.ok;
    const text = isNamed ? textIn(name, 0, NAME_BYTES) : "";
    return new LibraryGpu(library, handle, busId, text, options.isMinimal, options.clock);
  }

  async read(onFailure: (quantity: Quantity, error: Error) => void): Promise<Sample> {
    const sample: Sample = {};
    // One after the other: the driver serves one call of a GPU at a time.
    try {
      for (const reading of this.#readings) await reading.take(sample, onFailure);
    } catch (error) {
      this.#isLost = true;
      throw error;
    }
    return sample;
  }

  /** Whether it can go on in the place of another one that was found. */
  isSame({ busId, name }: LibraryGpu): boolean {
    return !this.#isLost && busId === this.busId && name === this.name;
  }

  async #u32(name: FunctionName, ...args: number[]): Promise<number> {
    const value = view(4);
    await this.#library.need(name, this.#handle, ...args, bytesOf(value));
    return value.getUint32(0, true);
  }

  async #u64(name: FunctionName): Promise<U64> {
    const value = view(8);
    await this.#library.need(name, this.#handle, bytesOf(value));
    return exact(value.getBigUint64(0, true));
  }

  async #power(): Promise<number> {
    if (this.#hasInstantPower) {
      const milliwatts = await this.#fieldValue(FIELD_POWER_INSTANT);
      if (milliwatts !== undefined) return milliwatts;
      this.#hasInstantPower = false;
    }
    return await this.#u32("nvmlDeviceGetPowerUsage");
  }

  /** `undefined` where the GPU or the driver does not have the field. */
  async #fieldValue(id: number): Promise<number | undefined> {
    const field = view(FIELD_BYTES);
    field.setUint32(0, id, true);
    const code = await this.#library.call("nvmlDeviceGetFieldValues", this.#handle, 1, bytesOf(field));
    if (code === CODE.lost) throw new NvmlError(code);
    if (code !== CODE.ok || field.getUint32(28, true) !== CODE.ok) return undefined;
    switch (field.getUint32(24, true)) {
      case 0:
        return field.getFloat64(32, true);
      case 1:
        return field.getUint32(32, true);
      case 2:
      case 3:
        return Number(field.getBigUint64(32, true));
      case 4:
        return Number(field.getBigInt64(32, true));
      default:
        return undefined;
    }
  }

  async #utilization(): Promise<Utilization> {
    const value = view(8);
    await this.#library.need("nvmlDeviceGetUtilizationRates", this.#handle, bytesOf(value));
    return { gpu: value.getUint32(0, true), memory: value.getUint32(4, true) };
  }

  async #memory(handle: Handle): Promise<Memory> {
    if (this.#hasMemoryV2) {
      const memory = view(MEMORY_V2_BYTES);
      memory.setUint32(0, MEMORY_V2_BYTES | (2 << 24), true);
      const code = await this.#library.call("nvmlDeviceGetMemoryInfo_v2", handle, bytesOf(memory));
      if (code === CODE.ok) {
        const [total, reserved, free, used] = [8, 16, 24, 32].map((at) =>
          exact(memory.getBigUint64(at, true))
        );
        return { free, reserved, total, used };
      }
      if (code !== CODE.functionNotFound && code !== CODE.versionMismatch) throw new NvmlError(code);
      this.#hasMemoryV2 = false;
    }
    const memory = view(MEMORY_BYTES);
    await this.#library.need("nvmlDeviceGetMemoryInfo", handle, bytesOf(memory));
    const [total, free, used] = [0, 8, 16].map((at) => exact(memory.getBigUint64(at, true)));
    return { free, total, used };
  }

  async #codec(name: FunctionName): Promise<CodecUtilization> {
    const [percent, period] = [view(4), view(4)];
    await this.#library.need(name, this.#handle, bytesOf(percent), bytesOf(period));
    return { percent: percent.getUint32(0, true), periodUs: period.getUint32(0, true) };
  }

  async #processes(kind: "Compute" | "Graphics"): Promise<ProcessMemory[]> {
    const name = `nvmlDeviceGet${kind}RunningProcesses` as const;
    const list = await this.#list(`${name}_v3`, PROCESS_BYTES) ??
      await this.#list(`${name}_v2`, PROCESS_BYTES);
    if (!list) throw new NvmlError(CODE.functionNotFound);
    return list.map((process) => {
      const bytes = process.getBigUint64(8, true);
      const [gpuInstance, computeInstance] = [16, 20].map((at) => process.getUint32(at, true)).map((id) =>
        id === NO_INSTANCE ? undefined : id
      );
      return {
        pid: process.getUint32(0, true),
        bytes: bytes === NO_MEMORY ? undefined : exact(bytes),
        gpuInstance,
        computeInstance,
      };
    });
  }

  /** The newest sample of each process since the last call. */
  async #processUtilization(): Promise<ProcessUtilization[]> {
    const list = await this.#list("nvmlDeviceGetProcessUtilization", SAMPLE_BYTES, this.#sampledUs);
    if (!list) throw new NvmlError(CODE.functionNotFound);
    const newest = new Map<number, DataView>();
    for (const sample of list) {
      const pid = sample.getUint32(0, true);
      const time = sample.getBigUint64(8, true);
      if (time <= this.#sampledUs) continue;
      const before = newest.get(pid)?.getBigUint64(8, true);
      if (before === undefined || before < time) newest.set(pid, sample);
    }
    for (const sample of newest.values()) {
      const time = sample.getBigUint64(8, true);
      if (time > this.#sampledUs) this.#sampledUs = time;
    }
    return [...newest].map(([pid, sample]) => {
      const [sm, memory, encoder, decoder] = [16, 20, 24, 28].map((at) => sample.getUint32(at, true));
      return { pid, sm, memory, encoder, decoder };
    });
  }

  /** The structs of a list whose length is asked for first; `undefined` where the library does not have the function. */
  async #list(name: FunctionName, bytes: number, ...since: bigint[]): Promise<DataView[] | undefined> {
    const count = view(4);
    const sizing = name === "nvmlDeviceGetProcessUtilization"
      ? await this.#library.call(name, this.#handle, null, bytesOf(count), ...since)
      : await this.#library.call(name, this.#handle, bytesOf(count), null);
    if (sizing === CODE.functionNotFound) return undefined;
    if (sizing === CODE.ok || sizing === CODE.notFound) return [];
    if (sizing !== CODE.tooSmall) throw new NvmlError(sizing);
    const room = Math.min(count.getUint32(0, true), MOST_PROCESSES) + ROOM;
    const list = view(room * bytes);
    count.setUint32(0, room, true);
    const code = name === "nvmlDeviceGetProcessUtilization"
      ? await this.#library.call(name, this.#handle, bytesOf(list), bytesOf(count), ...since)
      : await this.#library.call(name, this.#handle, bytesOf(count), bytesOf(list));
    if (code === CODE.notFound) return [];
    if (code !== CODE.ok) throw new NvmlError(code);
    const length = Math.min(count.getUint32(0, true), room);
    return Array.from({ length }, (_, i) => new DataView(list.buffer, i * bytes, bytes));
  }

  /** MHz times a million is more than 32 bits hold. */
  async #clocks(): Promise<number[]> {
    const clocks: number[] = [];
    for (let type = 0; type < CLOCKS.length; type++) {
      clocks.push(await this.#u32("nvmlDeviceGetClockInfo", type) * 1e6);
    }
    return clocks;
  }

  async #partitions(): Promise<Partition[]> {
    this.#gpuInstances = [];
    const [current, pending] = [view(4), view(4)];
    await this.#library.need("nvmlDeviceGetMigMode", this.#handle, bytesOf(current), bytesOf(pending));
    if (current.getUint32(0, true) !== 1) return [];
    const count = Math.min(await this.#u32("nvmlDeviceGetMaxMigDeviceCount"), MOST_PARTITIONS);
    const partitions = new Map<number, Partition>();
    for (let index = 0; index < count; index++) {
      const part = view(8);
      const code = await this.#library.call(
        "nvmlDeviceGetMigDeviceHandleByIndex",
        this.#handle,
        index,
        bytesOf(part),
      );
      if (code === CODE.notFound) continue;
      if (code !== CODE.ok) throw new NvmlError(code);
      const handle = pointerIn(part);
      const id = view(4);
      await this.#library.need("nvmlDeviceGetGpuInstanceId", handle, bytesOf(id));
      const gpuInstance = id.getUint32(0, true);
      // Several compute instances share the memory of a GPU instance.
      if (partitions.has(gpuInstance)) continue;
      partitions.set(gpuInstance, { gpuInstance, memory: await this.#memory(handle) });
    }
    this.#gpuInstances = [...partitions.keys()];
    return [...partitions.values()];
  }

  async #partUse(): Promise<PartUse[]> {
    return await this.#partUses.of(this.#gpuInstances);
  }
}

/** One quantity: one that fails is asked for less and less often, one that is absent rarely. */
class Reading {
  readonly #quantity: Quantity;
  readonly #read: () => Promise<unknown>;
  readonly #clock: MonotonicClock;
  readonly #retry: Retry;
  #absentUntilMs = -Infinity;

  constructor(quantity: Quantity, read: () => Promise<unknown>, clock: MonotonicClock) {
    this.#quantity = quantity;
    this.#read = read;
    this.#clock = clock;
    this.#retry = new Retry(clock);
  }

  /** @throws {NvmlError} if the GPU is lost */
  async take(sample: Sample, onFailure: (quantity: Quantity, error: Error) => void): Promise<void> {
    if (!this.#retry.isDue || this.#clock.monotonicMs() < this.#absentUntilMs) return;
    try {
      Object.assign(sample, { [this.#quantity]: await this.#read() });
      this.#retry.succeeded();
    } catch (error) {
      if (!(error instanceof NvmlError) || error.code === CODE.lost) throw error;
      if (error.isAbsence) {
        this.#absentUntilMs = this.#clock.monotonicMs() + ASK_AGAIN_MS;
        return;
      }
      this.#retry.failed();
      onFailure(this.#quantity, error);
    }
  }
}
