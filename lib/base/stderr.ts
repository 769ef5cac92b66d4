/** Standard error, which takes the log. A process that measures never waits for its reader. */
import { delay } from "@std/async/delay";
import { within } from "./waiting.ts";

/** The most text that waits for standard error, in bytes: about two thousand lines. Further lines are lost. */
const MAX_WAITING_BYTES = 256 * 1024;
/** Wait before the next write to a non-blocking pipe that is full, in ms. */
const BUSY_RETRY_MS = 100;
/** A reader that is slow is waited for this many times as long as one that reads nothing. */
const SLOW_SHARE = 20;

export interface LineTarget {
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes lines. At first the caller waits for each line, which keeps the output of a command in order. After
 * {@linkcode LineWriter.queue} lines wait in a bounded queue instead: a full disk, a pipe that nobody reads or a stopped
 * terminal costs lines, which are counted, and nothing else.
 */
export class LineWriter {
  readonly #target: LineTarget;
  readonly #encoder = new TextEncoder();
  #isQueueing = false;
  #queue: Uint8Array[] = [];
  /** Bytes in the queue and of the line that is being written. */
  #waitingBytes = 0;
  #writing: Promise<void> | null = null;
  #lost = 0;
  /** The last line could not be written. */
  #isFailing = false;
  /** The target has only the beginning of the last line. */
  #isMidLine = false;
  #hasEnded = false;

  constructor(target: LineTarget) {
    this.#target = target;
  }

  /** Writes one or more lines. What cannot be written is counted. Never throws. */
  readonly write = (text: string): void => {
    if (this.#hasEnded) return;
    const bytes = this.#encoder.encode(text);
    if (!this.#isQueueing) return this.#writeNow(bytes);
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#queue.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain();
  };

  /** Callers no longer wait for lines. */
  queue(): void {
    this.#isQueueing = true;
  }

  /** No line comes behind those so far: what a process says of its end is the last that it says. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Returns the lines lost since the last call; 0 while more lines are being lost. */
  readonly takeLost = (): number => {
    if (this.#isFailing || this.#waitingBytes > MAX_WAITING_BYTES / 2) return 0;
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  };

  /**
   * Waits until all lines are written, but no longer than `ms` for the next one to be taken (each may take a while on a
   * busy machine), and 20 times as long for all.
   *
   * @returns whether they are.
   */
  async flush(ms: number): Promise<boolean> {
    const endMs = performance.now() + SLOW_SHARE * ms;
    while (this.#writing) {
      const waiting = this.#waitingBytes;
      if (await within(this.#writing, ms)) continue;
      if (this.#waitingBytes === waiting || performance.now() >= endMs) return false;
    }
    return true;
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
    // In the same turn that finds the queue empty: a line that comes later starts another drain.
    this.#writing = null;
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
