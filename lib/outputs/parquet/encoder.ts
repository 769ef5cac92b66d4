/**
 * The thread that encodes files, as seen from the output. It is started for the first file, and ends when it has nothing to
 * do: files are an hour apart where nothing else is configured, and others need the memory until then.
 */
import { abortable } from "@std/async/abortable";
import { Timer } from "../../base/timers.ts";
import { within } from "../../base/waiting.ts";
import type { Answer, Chunk, Request, RowColumns } from "./messages.ts";

/** Rows of a chunk. */
const CHUNK_ROWS = 16_384;
/** How long it may have nothing to do, in ms. */
const IDLE_MS = 10_000;
/** How long it may take to finish what it does and to close its file, in ms. */
const CLOSE_MS = 10_000;

interface Pending {
  readonly since: number;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** Fills columns with the next rows of a file. @returns `null` when there are no more. */
export type Fill = (columns: RowColumns) => Chunk | null;

export class Encoder implements AsyncDisposable {
  #worker: Worker | null = null;
  /** Requests without an answer, in their order. */
  readonly #pending: Pending[] = [];
  #idle: Timer | undefined;
  #columns: RowColumns | null = null;

  /** Since when the thread owes an answer, in `performance.now()` ms. */
  get waitingSince(): number | undefined {
    return this.#pending[0]?.since;
  }

  /**
   * Writes a file and syncs it, one file at a time.
   *
   * @param about What the file says of itself. @returns its size in bytes.
   * @throws what the file system says, or the signal's reason; then this object is to be disposed of.
   */
  async write(
    path: string,
    about: Readonly<Record<string, string>>,
    fill: Fill,
    signal: AbortSignal,
  ): Promise<number> {
    this.#idle?.[Symbol.dispose]();
    await this.#ask({ type: "begin", path, about }, signal);
    for (let chunk; (chunk = fill(this.#columns ?? newColumns()));) {
      const { series, seconds, nanos, values } = chunk.columns;
      const buffers = [series.buffer, seconds.buffer, nanos.buffer, values.buffer];
      this.#columns = null;
      ({ columns: this.#columns = null } = await this.#ask({ type: "add", chunk }, signal, buffers));
    }
    const { size } = await this.#ask({ type: "end" }, signal);
    this.#idle = Timer.after(IDLE_MS, () => this.#end(new Error("The thread has ended"))).unref();
    return size!;
  }

  /** What the thread is doing cannot be interrupted, but need not be waited for. */
  async #ask(request: Request, signal: AbortSignal, transfer: Transferable[] = []): Promise<Answer> {
    signal.throwIfAborted();
    const answer = await abortable(this.#send(request, transfer), signal);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  #send(request: Request, transfer: Transferable[] = []): Promise<Answer> {
    const worker = this.#worker ??= this.#start();
    return new Promise((resolve, reject) => {
      this.#pending.push({ since: performance.now(), resolve, reject });
      worker.postMessage(request, transfer);
    });
  }

  #start(): Worker {
    const worker = new Worker(import.meta.resolve("./encoding_worker.ts"), {
      type: "module",
      name: "parquet",
    });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.#pending.shift()?.resolve(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(`The thread that encodes files has failed: ${event.message}`));
    };
    return worker;
  }

  #end(error: Error): void {
    this.#worker?.terminate();
    this.#worker = this.#columns = null;
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }

  /** Waits for what is under way, and leaves no file open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#idle?.[Symbol.dispose]();
    if (this.#worker) await within(this.#send({ type: "close" }).catch(() => {}), CLOSE_MS);
    this.#end(new Error("The output is closed"));
  }
}

function newColumns(): RowColumns {
  return {
    length: 0,
    series: new Uint32Array(CHUNK_ROWS),
    seconds: new Float64Array(CHUNK_ROWS),
    nanos: new Uint32Array(CHUNK_ROWS),
    values: new Float64Array(CHUNK_ROWS),
  };
}
