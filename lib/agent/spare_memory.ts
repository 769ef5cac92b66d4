/** Memory that the process has and does not use: what the start and bursts have taken goes back to the kernel. */
import { openLibc } from "../base/libc.ts";
import { Timer } from "../base/timers.ts";
import { ProgramPages } from "./program_pages.ts";

const SYMBOLS = {
  // Not every C library has it.
  malloc_trim: { parameters: ["usize"], result: "i32", optional: true },
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
} as const;

/** The first polls are over by then. */
const FIRST_MS = 10_000;
const AGAIN_MS = 300_000;

export class SpareMemory implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #pages: ProgramPages | null;
  #timer: Timer;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#library = library;
    this.#pages = ProgramPages.open(library.symbols.madvise);
    this.giveBack();
    this.#timer = Timer.after(FIRST_MS, () => this.#giveBackAgain()).unref();
  }

  /** `null` where the C library may not be called. */
  static open(): SpareMemory | null {
    const library = openLibc(SYMBOLS);
    return library && new SpareMemory(library);
  }

  giveBack(): void {
    this.#library.symbols.malloc_trim?.(0n);
    this.#pages?.giveBack();
  }

  #giveBackAgain(): void {
    this.giveBack();
    this.#timer = Timer.after(AGAIN_MS, () => this.#giveBackAgain()).unref();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#pages?.[Symbol.dispose]();
    this.#library.close();
  }
}
