/**
 * A file of /sys with one number, which stays open. While it cannot be read, it is tried less and less often: in between
 * there is no number, for the same reason.
 */
import { DENIED, GONE, ProcFile, type ProcFiles } from "./files.ts";
import { Retry } from "./retry.ts";
import type { U64 } from "./scan.ts";

/** Why there is no number. */
export type NumberFailure = "gone" | "denied" | "failed";

export class NumberFile {
  /** Why the last read gave nothing. */
  failure: NumberFailure | undefined;
  readonly #files: ProcFiles;
  readonly #file: ProcFile;
  readonly #retry: Retry;

  constructor(files: ProcFiles, path: string) {
    this.#files = files;
    this.#retry = new Retry(files.clock);
    this.#file = new ProcFile(files, path);
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads a number that counts: NaN where it is negative or above 2^64 - 1, `undefined` where there is none. */
  count(): U64 | undefined {
    return this.#read() ? this.#checked(this.#files.scanner.number()) : undefined;
  }

  /** Reads a whole number that may be negative. */
  number(): number | undefined {
    if (!this.#read()) return undefined;
    const { bytes, end } = this.#files.scanner;
    const text = String.fromCharCode(...bytes.subarray(0, Math.min(end, 32))).trim();
    const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : NaN;
    return this.#checked(Number.isSafeInteger(value) ? value : undefined);
  }

  #read(): boolean {
    if (!this.#retry.isDue) return false;
    const length = this.#file.tryRead();
    if (length <= 0) this.#failed(length === DENIED ? "denied" : length === GONE ? "gone" : "failed");
    return length > 0;
  }

  #checked<T>(value: T | undefined): T | undefined {
    if (value === undefined) return this.#failed("failed");
    this.failure = undefined;
    this.#retry.succeeded();
    return value;
  }

  #failed(failure: NumberFailure): undefined {
    this.failure = failure;
    this.#retry.failed();
  }

  close(): void {
    this.#file.close();
  }
}
