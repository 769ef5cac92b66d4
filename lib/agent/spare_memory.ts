/** Memory that the C library keeps for later: what the start and bursts have taken goes back to the kernel. */
import { openLibc } from "../base/libc.ts";
import { Timer } from "../base/timers.ts";

const SYMBOLS = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;

/** The start is over by then. */
const FIRST_MS = 10_000;
const AGAIN_MS = 300_000;

export class SpareMemory implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  #timer: Timer;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#library = library;
    this.#timer = Timer.after(FIRST_MS, () => this.#giveBackAgain()).unref();
  }

  /** `null` where the C library does not offer it. */
  static open(): SpareMemory | null {
    const library = openLibc(SYMBOLS);
    return library && new SpareMemory(library);
  }

  /** @returns whether there was some. */
  giveBack(): boolean {
    return this.#library.symbols.malloc_trim(0n) === 1;
  }

  #giveBackAgain(): void {
    this.giveBack();
    this.#timer = Timer.after(AGAIN_MS, () => this.#giveBackAgain()).unref();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#library.close();
  }
}
