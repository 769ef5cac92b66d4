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
  readonly #collectGarbage: () => void;
  readonly #pages: ProgramPages | null;
  #timer: Timer;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>, collectGarbage: () => void) {
    this.#library = library;
    this.#collectGarbage = collectGarbage;
    this.#pages = ProgramPages.open(library.symbols.madvise);
    this.giveBack();
    this.#timer = Timer.after(FIRST_MS, () => {
      this.giveBack();
      this.#giveBackAgain();
    }).unref();
  }

  /**
   * `null` where the C library may not be called.
   *
   * @param collectGarbage Collects all garbage and gives its pages back: see {@linkcode SpareMemory.giveBackAll}.
   */
  static open(collectGarbage: () => void = () => {}): SpareMemory | null {
    const library = openLibc(SYMBOLS);
    return library && new SpareMemory(library, collectGarbage);
  }

  /** Garbage, too: V8 waits until there is as much of it as memory in use, which takes a process with little to do long. */
  giveBackAll(): void {
    this.#collectGarbage();
    this.giveBack();
  }

  giveBack(): void {
    this.#library.symbols.malloc_trim?.(0n);
    this.#pages?.giveBack();
  }

  #giveBackAgain(): void {
    this.#timer = Timer.after(AGAIN_MS, () => {
      this.giveBackAll();
      this.#giveBackAgain();
    }).unref();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#pages?.[Symbol.dispose]();
    this.#library.close();
  }
}
