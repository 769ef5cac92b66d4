/**
 * The thread that encodes files, as seen from the output. It is started for the first file, and ends when it has nothing to
 * do: files are an hour apart where nothing else is configured, and others need the memory until then.
 */
import { abortable } from "@std/async/abortable";
import { Timer } from "../../base/timers.ts";
import { within } from "../../base/waiting.ts";
import { buffersOf, newColumns, type PointColumns } from "../threads/point_columns.ts";
import { Thread } from "../threads/thread.ts";
import type { Answer, Chunk, Request } from "./messages.ts";

/** Rows of a chunk. */
const CHUNK_ROWS = 16_384;
/** How long it may have nothing to do, in ms. */
const IDLE_MS = 10_000;
/** How long it may take to finish what it does and to close its file, in ms. */
const CLOSE_MS = 10_000;

/** Fills columns with the next rows of a file. @returns `null` when there are no more. */
export type Fill = (columns: PointColumns) => Chunk | null;

export class Encoder implements AsyncDisposable {
  #thread: Thread<Request, Answer> | null = null;
  #idle: Timer | undefined;
  #columns: PointColumns | null = null;

  /** Since when the thread owes an answer, in `performance.now()` ms. */
  get waitingSince(): number | undefined {
    return this.#thread?.waitingSince;
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
    for (let chunk; (chunk = fill(this.#columns ?? newColumns(CHUNK_ROWS)));) {
      this.#columns = null;
      const answer = await this.#ask({ type: "add", chunk }, signal, buffersOf(chunk.columns));
      this.#columns = answer.columns ?? null;
    }
    const { size } = await this.#ask({ type: "end" }, signal);
    this.#idle = Timer.after(IDLE_MS, () => this.#end(new Error("The thread has ended"))).unref();
    return size!;
  }

  /** What the thread is doing cannot be interrupted, but need not be waited for. */
  async #ask(request: Request, signal: AbortSignal, transfer: Transferable[] = []): Promise<Answer> {
    signal.throwIfAborted();
    if (!this.#thread || this.#thread.hasEnded) this.#thread = this.#start();
    const answer = await abortable(this.#thread.ask(request, transfer), signal);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  #start(): Thread<Request, Answer> {
    return new Thread({
      url: import.meta.resolve("./encoding_worker.ts"),
      name: "parquet",
      task: "encodes files",
    });
  }

  #end(error: Error): void {
    this.#thread?.end(error);
    this.#thread = this.#columns = null;
  }

  /** Waits for what is under way, and leaves no file open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#idle?.[Symbol.dispose]();
    if (this.#thread) await within(this.#thread.ask({ type: "close" }).catch(() => {}), CLOSE_MS);
    this.#end(new Error("The output is closed"));
  }
}
