/** The vendor's library (https://docs.nvidia.com/deploy/nvml-api): its functions, and how their structs lie in memory. */

const LIBRARY = "libnvidia-ml.so.1";
/** Where Windows has it for Linux. */
const WSL_LIBRARY = `/usr/lib/wsl/lib/${LIBRARY}`;

/** What functions return. */
export const CODE = {
  ok: 0,
  notSupported: 3,
  noPermission: 4,
  notFound: 6,
  tooSmall: 7,
  driverNotLoaded: 9,
  functionNotFound: 13,
  lost: 15,
  mismatch: 18,
  versionMismatch: 25,
} as const;

const MEANINGS: Readonly<Record<number, string>> = {
  1: "the library is not initialised",
  2: "invalid argument",
  3: "not supported",
  4: "permission denied",
  6: "not found",
  7: "the buffer is too small",
  9: "the driver is not loaded",
  10: "timeout",
  12: "a shared library is missing",
  13: "the library has no such function",
  15: "the GPU has fallen off the bus, or cannot be reached",
  16: "the GPU requires a reset",
  17: "the operating system blocks the GPU",
  18: "library and driver are of different versions: restart the machine after an update of the driver",
  25: "the library has another version of a struct",
  999: "unknown error",
};

/** A function of the library has failed. */
export class NvmlError extends Error {
  override readonly name = "NvmlError";

  constructor(readonly code: number) {
    super(`${MEANINGS[code] ?? "error"} (NVML ${code})`);
  }

  /** The GPU or the library does not have what was asked for. */
  get isAbsence(): boolean {
    return this.code === CODE.notSupported || this.code === CODE.functionNotFound;
  }
}

/** Calls may take 10 ms and more: they run in another thread. */
const define = <const P extends readonly Deno.NativeType[]>(...parameters: P) =>
  ({ parameters, result: "u32", nonblocking: true, optional: true }) as const;

const SYMBOLS = {
  nvmlShutdown: { parameters: [], result: "u32", optional: true },
  nvmlInit_v2: define(),
  nvmlDeviceGetCount_v2: define("buffer"),
  nvmlDeviceGetHandleByIndex_v2: define("u32", "buffer"),
  nvmlDeviceGetName: define("pointer", "buffer", "u32"),
  nvmlDeviceGetPciInfo_v3: define("pointer", "buffer"),
  nvmlDeviceGetTotalEnergyConsumption: define("pointer", "buffer"),
  nvmlDeviceGetPowerUsage: define("pointer", "buffer"),
  nvmlDeviceGetFieldValues: define("pointer", "i32", "buffer"),
  nvmlDeviceGetTemperature: define("pointer", "u32", "buffer"),
  nvmlDeviceGetUtilizationRates: define("pointer", "buffer"),
  nvmlDeviceGetMemoryInfo_v2: define("pointer", "buffer"),
  nvmlDeviceGetMemoryInfo: define("pointer", "buffer"),
  nvmlDeviceGetEncoderUtilization: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetDecoderUtilization: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetComputeRunningProcesses_v3: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetComputeRunningProcesses_v2: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetGraphicsRunningProcesses_v3: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetGraphicsRunningProcesses_v2: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetProcessUtilization: define("pointer", "buffer", "buffer", "u64"),
  nvmlDeviceGetClockInfo: define("pointer", "u32", "buffer"),
  nvmlDeviceGetMigMode: define("pointer", "buffer", "buffer"),
  nvmlDeviceGetMaxMigDeviceCount: define("pointer", "buffer"),
  nvmlDeviceGetMigDeviceHandleByIndex: define("pointer", "u32", "buffer"),
  nvmlDeviceGetGpuInstanceId: define("pointer", "buffer"),
  nvmlGpmQueryDeviceSupport: define("pointer", "buffer"),
  nvmlGpmSampleAlloc: define("buffer"),
  nvmlGpmMigSampleGet: define("pointer", "u32", "pointer"),
  nvmlGpmMetricsGet: define("buffer"),
  nvmlGpmSampleFree: { parameters: ["pointer"], result: "u32", optional: true },
} as const;

export type FunctionName = Exclude<keyof typeof SYMBOLS, "nvmlShutdown" | "nvmlGpmSampleFree">;
type Argument = number | bigint | Uint8Array<ArrayBuffer> | Deno.PointerValue;

/** A GPU of the library. */
export type Handle = Deno.PointerObject;

export class NvmlLibrary implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  /** Functions that it does not have. */
  readonly #missing = new Set<FunctionName>();
  /** Of counters. */
  readonly #samples = new Set<Handle>();
  #isInitialised = false;
  #calls = 0;
  #isClosed = false;

  private constructor(readonly path: string, library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#library = library;
  }

  /** @param folder Where it is, instead of where the system has libraries. @returns `null` if it is not installed */
  static open(folder?: string): NvmlLibrary | null {
    const paths = folder === undefined ? [LIBRARY, WSL_LIBRARY] : [`${folder}/${LIBRARY}`];
    for (const path of paths) {
      try {
        return new NvmlLibrary(path, Deno.dlopen(path, SYMBOLS));
      } catch {
        // The next one may be there.
      }
    }
    return null;
  }

  /** Calls a function, and keeps its buffers alive meanwhile. @returns its code */
  async call(name: FunctionName, ...args: Argument[]): Promise<number> {
    if (this.#missing.has(name) || this.#isClosed) return CODE.functionNotFound;
    this.#calls++;
    try {
      const symbol = this.#library.symbols[name] as (...args: Argument[]) => Promise<number>;
      return await symbol(...args);
    } catch (error) {
      // A symbol that the library does not have is null, or (one that does not block) a function that throws.
      if (!(error instanceof TypeError)) throw error;
      this.#missing.add(name);
      return CODE.functionNotFound;
    } finally {
      this.#calls--;
      args.length = 0;
    }
  }

  /** The same. @throws {NvmlError} if it fails. */
  async need(name: FunctionName, ...args: Argument[]): Promise<void> {
    const code = await this.call(name, ...args);
    if (code !== CODE.ok) throw new NvmlError(code);
  }

  /** To be called before anything else; again after it has failed. @throws {NvmlError} */
  async init(): Promise<void> {
    if (this.#isInitialised) return;
    await this.need("nvmlInit_v2");
    this.#isInitialised = true;
  }

  /** @throws {NvmlError} */
  async countGpus(): Promise<number> {
    const count = new DataView(new ArrayBuffer(4));
    await this.need("nvmlDeviceGetCount_v2", bytesOf(count));
    return count.getUint32(0, true);
  }

  /** @throws {NvmlError} */
  async handleOf(index: number): Promise<Handle> {
    const handle = new DataView(new ArrayBuffer(8));
    await this.need("nvmlDeviceGetHandleByIndex_v2", index, bytesOf(handle));
    return pointerIn(handle);
  }

  /** Room for counters at one time. @throws {NvmlError} */
  async allocateSample(): Promise<Handle> {
    const sample = new DataView(new ArrayBuffer(8));
    await this.need("nvmlGpmSampleAlloc", bytesOf(sample));
    const handle = pointerIn(sample);
    this.#samples.add(handle);
    return handle;
  }

  freeSample(sample: Handle): void {
    if (this.#samples.delete(sample)) this.#library.symbols.nvmlGpmSampleFree?.(sample);
  }

  /** While a call hangs in the driver, the library stays open. May be called twice. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#calls > 0) return;
    for (const sample of this.#samples) this.freeSample(sample);
    if (this.#isInitialised) this.#library.symbols.nvmlShutdown?.();
    this.#library.close();
  }
}

/** The bytes of a struct. */
export function bytesOf(view: DataView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer);
}

/** The pointer in a struct of one pointer. @throws {NvmlError} if it is null */
export function pointerIn(view: DataView<ArrayBuffer>): Handle {
  const handle = Deno.UnsafePointer.create(view.getBigUint64(0, true));
  if (!handle) throw new NvmlError(CODE.notFound);
  return handle;
}

const decoder = new TextDecoder();

/** A text that ends with a zero. */
export function textIn(view: DataView<ArrayBuffer>, at: number, length: number): string {
  const bytes = bytesOf(view).subarray(at, at + length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
