/** Sleeping for less than timers can: theirs have whole milliseconds. */
import { openLibc } from "../../base/libc.ts";

/** Runs in a thread of its own, so that nothing else waits. */
const SYMBOLS = { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } } as const;

/** The longest time that is slept at once, in ms: it cannot be ended before. */
const LONGEST_MS = 100;

export class PreciseSleep implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  #isClosed = false;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#library = library;
  }

  /** `null` where there is no C library, or no permission to call it. */
  static open(): PreciseSleep | null {
    const library = openLibc(SYMBOLS);
    return library && new PreciseSleep(library);
  }

  /** Resolves after `ms`, to about a tenth of a millisecond, or after 100 ms if that is less. */
  async sleep(ms: number): Promise<void> {
    await this.#library.symbols.usleep(Math.max(0, Math.round(Math.min(ms, LONGEST_MS) * 1000)));
  }

  /** Nobody must be sleeping. May be called twice. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#library.close();
  }
}
