/** A file of /sys with one number, which stays open. */
import { DENIED, GONE, ProcFile, type ProcFiles } from "./files.ts";
import type { U64 } from "./scan.ts";

/** Why there is no number. */
export type NumberFailure = "gone" | "denied" | "failed";

export class NumberFile {
  /** Why the last read gave nothing. */
  failure: NumberFailure | undefined;
  readonly #files: ProcFiles;
  readonly #file: ProcFile;

  constructor(files: ProcFiles, path: string) {
    this.#files = files;
    this.#file = new ProcFile(files, path);
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads a number that counts: NaN where it is negative or above 2^64 - 1, `undefined` where there is none. */
  count(): U64 | undefined {
    if (!this.#read()) return undefined;
    const value = this.#files.scanner.number();
    if (value === undefined) this.failure = "failed";
    return value;
  }

  /** Reads a whole number that may be negative. */
  number(): number | undefined {
    if (!this.#read()) return undefined;
    const { bytes, end } = this.#files.scanner;
    const text = String.fromCharCode(...bytes.subarray(0, Math.min(end, 32))).trim();
    const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value)) return value;
    this.failure = "failed";
    return undefined;
  }

  #read(): boolean {
    const length = this.#file.tryRead();
    if (length > 0) this.failure = undefined;
    else this.failure = length === DENIED ? "denied" : length === GONE ? "gone" : "failed";
    return this.failure === undefined;
  }

  close(): void {
    this.#file.close();
  }
}
