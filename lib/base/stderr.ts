/** Standard error, where the log goes: a process that measures never waits for whoever reads it. */
import { delay } from "@std/async/delay";
import { within } from "./waiting.ts";

/** Text that waits for standard error, in bytes: about two thousand lines. Lines beyond are lost. */
const MAX_WAITING_BYTES = 256 * 1024;
/** A pipe that takes nothing now, and does not make the writer wait, is tried again so often, in ms. */
const BUSY_RETRY_MS = 100;

export interface LineTarget {
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes lines. At first the caller waits for each of them, which keeps what a command prints in order. From
 * {@linkcode LineWriter.queue} on they wait in a bounded queue instead: a full disk, a pipe that nobody reads and a stopped
 * terminal cost lines, which are counted, and nothing else.
 */
export class LineWriter {
  readonly #target: LineTarget;
  readonly #encoder = new TextEncoder();
  #isQueueing = false;
  #queue: Uint8Array[] = [];
  /** Bytes in the queue and under way. */
  #waitingBytes = 0;
  #writing: Promise<void> | null = null;
  #lost = 0;
  /** The last line could not be written. */
  #isFailing = false;
  /** The target has the beginning of a line, and not its end. */
  #isMidLine = false;

  constructor(target: LineTarget) {
    this.#target = target;
  }

  /** Writes a line, or several; what cannot be written is counted. Never throws. */
  readonly write = (text: string): void => {
    const bytes = this.#encoder.encode(text);
    if (!this.#isQueueing) return this.#writeNow(bytes);
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#queue.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain().finally(() => this.#writing = null);
  };

  /** From now on nobody waits for a line. */
  queue(): void {
    this.#isQueueing = true;
  }

  /** Lines that were lost since this was last asked; 0 while further ones are being lost. */
  readonly takeLost = (): number => {
    if (this.#isFailing || this.#waitingBytes > MAX_WAITING_BYTES / 2) return 0;
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  };

  /** Waits until all lines are written, `ms` at most. @returns whether they are. */
  async flush(ms: number): Promise<boolean> {
    return this.#writing === null || await within(this.#writing, ms);
  }

  #writeNow(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) done += this.#target.writeSync(bytes.subarray(done));
    } catch {
      this.#lost++;
    }
  }

  async #drain(): Promise<void> {
    for (let line; (line = this.#queue.shift());) {
      await this.#writeLine(line);
      this.#waitingBytes -= line.length;
    }
  }

  async #writeLine(line: Uint8Array): Promise<void> {
    const bytes = this.#isMidLine ? Uint8Array.of(10, ...line) : line;
    for (let done = 0; done < bytes.length;) {
      try {
        done += await this.#target.write(bytes.subarray(done));
        this.#isMidLine = done < bytes.length;
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) await delay(BUSY_RETRY_MS);
        else {
          this.#lost++;
          this.#isFailing = true;
          return;
        }
      }
    }
    this.#isFailing = false;
  }
}

/** Standard error of this process. */
export const STDERR = new LineWriter(Deno.stderr);
