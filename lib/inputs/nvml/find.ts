/** How GPUs are found: by the library, or else by nvidia-smi. */
import type { MonotonicClock } from "../../base/clock.ts";
import type { within } from "../../base/waiting.ts";
import type { Measuring } from "../polling/source.ts";
import type { NvmlConfig } from "./config.ts";
import { LibraryGpu } from "./gpu.ts";
import { NvmlLibrary } from "./library.ts";
import type { Backend, Gpu } from "./sample.ts";
import { Smi } from "./smi.ts";

/** More GPUs than a machine has: a larger number is not one. */
const MOST_GPUS = 256;
/** A driver may be loaded, and a GPU added, later. */
export const FIND_AGAIN_MS = 60_000;
/** How the driver is there: on Linux itself, and in Linux of Windows. */
const DEVICES = ["nvidiactl", "dxg"];

/** `null` where there is no sign of NVIDIA. @param isInTime Whether a program answers within that many ms. */
export function findBackend(
  { mode, poll_interval }: NvmlConfig,
  { files, clock }: Measuring,
  isInTime: typeof within,
): Backend | null {
  const isMinimal = mode === "minimal";
  const library = NvmlLibrary.open(files.lib);
  if (library) return new LibraryBackend(library, { isMinimal, clock });
  if (!files.list(files.dev).some((name) => DEVICES.includes(name))) return null;
  const program = files.program("nvidia-smi");
  if (program === undefined) return null;
  return new Smi(program, { isMinimal, intervalMs: poll_interval, clock, isInTime });
}

class LibraryBackend implements Backend {
  readonly findAgainMs = FIND_AGAIN_MS;
  readonly #library: NvmlLibrary;
  readonly #options: { readonly isMinimal: boolean; readonly clock: MonotonicClock };
  #gpus: readonly LibraryGpu[] = [];

  constructor(library: NvmlLibrary, options: { isMinimal: boolean; clock: MonotonicClock }) {
    this.#library = library;
    this.#options = options;
  }

  get path(): string {
    return this.#library.path;
  }

  async find(onFailure: (error: unknown) => void): Promise<readonly Gpu[]> {
    await this.#library.init();
    const count = Math.min(await this.#library.countGpus(), MOST_GPUS);
    const gpus = new Map<string, LibraryGpu>();
    for (let index = 0; index < count; index++) {
      try {
        const gpu = await LibraryGpu.open(this.#library, index, this.#options);
        const known = this.#gpus.find((known) => known.isSame(gpu));
        gpus.set(gpu.busId, known ?? gpu);
      } catch (error) {
        onFailure(error);
      }
    }
    this.#gpus = [...gpus.values()];
    return this.#gpus;
  }

  [Symbol.dispose](): void {
    this.#library[Symbol.dispose]();
  }
}
