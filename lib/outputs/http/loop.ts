/**
 * The loop of an output that posts points: takes batches from the journal, gathers their points until a request is full
 * or they have waited long enough, and has it delivered. One request is under way at a time, so points arrive in their
 * order; the next one is gathered meanwhile. Batches are committed when the request with their last point is delivered.
 */
import { onAbort } from "../../base/waiting.ts";
import type { BatchReader } from "../../journal.ts";
import type { Batch } from "../../points/measurement.ts";
import type { PluginContext } from "../../plugin.ts";

/** Points, or what was rendered of them, for one request. */
export interface Gathered {
  /** Number of points. */
  readonly length: number;
  clear(): void;
}

/** In what outputs that post points differ. */
export interface RequestHandler<T extends Gathered> {
  /** An empty one: called twice, for what is gathered and what is under way. */
  create(): T;
  /** The longest that points wait for others, in ms: asked each time. */
  flushIntervalMs(): number;
  /**
   * Gathers the points of a batch from row `from` on, as many as fit, and returns the first row that does not fit, or
   * the batch's length. Rows that cannot be sent are set aside. At least one row fits where nothing is gathered.
   */
  fill(gathered: T, batch: Batch, from: number, signal: AbortSignal): number | Promise<number>;
  /**
   * Whether not to wait for more.
   *
   * @param taken Points of the batches that ended in this request, those that were set aside among them.
   */
  isFull(gathered: T, taken: number): boolean;
  /** Delivers points (one at least), or sets aside what is refused. @throws the signal's reason once it is aborted. */
  deliver(gathered: T, signal: AbortSignal): Promise<void>;
  /** Try at once what is being waited with: there will be no better moment. */
  hurry(): void;
}

/** A request: its points, and what is safe when they are delivered. */
interface Request<T> {
  readonly gathered: T;
  /** Batches whose last point is here, or was set aside before. */
  finished: number;
  /** Points of these batches. */
  taken: number;
}

type LoopContext = Pick<PluginContext, "clock" | "deadLetters">;

export class RequestLoop<T extends Gathered> {
  readonly #handler: RequestHandler<T>;
  readonly #context: LoopContext;
  /** What is being gathered, and what is under way. Between two batches the first is empty if it finishes none. */
  #next: Request<T>;
  #spare: Request<T>;
  /** When the first batch of what is being gathered came, in monotonic ms. */
  #since = 0;
  #sending: Promise<void> = Promise.resolve();
  /** Aborted at the end, and when sending has failed while batches are waited for. */
  #stop = new AbortController();

  constructor(handler: RequestHandler<T>, context: LoopContext) {
    this.#handler = handler;
    this.#context = context;
    this.#next = { gathered: handler.create(), finished: 0, taken: 0 };
    this.#spare = { gathered: handler.create(), finished: 0, taken: 0 };
  }

  /** Runs as {@linkcode Output.run} says. */
  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const stop = this.#stop = new AbortController();
    using _stopping = onAbort(signal, () => stop.abort(signal.reason));
    try {
      await this.#pump(reader, stop.signal);
      await this.#sending;
    } catch (error) {
      stop.abort(error);
      await this.#sending.catch(() => {});
      if (!signal.aborted) throw error;
    }
  }

  async #pump(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const now = () => this.#context.clock.monotonicMs();
    const due = () => this.#since + this.#handler.flushIntervalMs();
    const isEmpty = () => this.#next.finished === 0;
    while (true) {
      const state = await reader.wait(isEmpty() ? Infinity : due() - now(), signal);
      signal.throwIfAborted();
      if (state === "ended") this.#handler.hurry();
      for (let batch; state === "ready" && (batch = reader.next());) {
        await this.#take(batch, reader, signal);
        if (now() >= due()) break;
      }
      if (!isEmpty() && (state !== "ready" || now() >= due())) await this.#flush(reader, signal);
      if (state === "ended") return;
    }
  }

  async #take(batch: Batch, reader: BatchReader, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    if (this.#next.finished === 0) this.#since = clock.monotonicMs();
    for (let row = 0; row < batch.length;) {
      row = await this.#handler.fill(this.#next.gathered, batch, row, signal);
      if (row === batch.length) break;
      await this.#flush(reader, signal);
      this.#since = clock.monotonicMs();
    }
    const next = this.#next;
    next.finished++;
    next.taken += batch.length;
    if (this.#handler.isFull(next.gathered, next.taken)) await this.#flush(reader, signal);
  }

  /** Sends what has been gathered, when the request before has ended; meanwhile gathering continues. */
  async #flush(reader: BatchReader, signal: AbortSignal): Promise<void> {
    await this.#sending;
    const next = this.#next;
    this.#next = this.#spare;
    this.#spare = next;
    this.#sending = this.#send(next, reader, signal);
    // Whoever waits for a batch meanwhile is told.
    this.#sending.catch((error) => this.#stop.abort(error));
  }

  async #send(request: Request<T>, reader: BatchReader, signal: AbortSignal): Promise<void> {
    const { deadLetters } = this.#context;
    if (request.gathered.length > 0) await this.#handler.deliver(request.gathered, signal);
    if (deadLetters.pending > 0) await deadLetters.sync();
    signal.throwIfAborted();
    const { finished } = request;
    request.gathered.clear();
    request.finished = request.taken = 0;
    reader.commit(finished);
  }
}
