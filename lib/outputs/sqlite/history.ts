/** What the database has of the past, for the page: read by a thread that exists while somebody asks. */
import { Timer } from "../../base/timers.ts";
import type { History, PastHost, PastPower } from "../../plugin.ts";
import type { HistoryAnswer, HistoryRequest, Past, Question } from "./history/messages.ts";

/** Questions that wait for an answer; one more is refused. */
const MAX_WAITING = 4;
/** An answer that has not come by then comes no more, in ms: reading takes half of that at most. */
const ANSWER_MS = 15_000;
/** For how long an answer is given again, and how many are kept. */
const FRESH_MS = 20_000;
const MAX_KEPT = 4;
/** How long after the last question the thread and the answers are kept, in ms. */
const IDLE_MS = 30_000;

export class SqliteHistory implements History, Disposable {
  readonly #path: string;
  readonly #kept = new Map<string, { readonly atMs: number; readonly past: Promise<Past> }>();
  #worker: Worker | null = null;
  #before: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** Ends the wait for the answer that is being made. */
  #giveUp: ((reason: Error) => void) | null = null;
  #idle: Timer | undefined;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  host(name: string, spanSeconds: number): Promise<PastHost> {
    return this.#ask({ kind: "host", name }, spanSeconds) as Promise<PastHost>;
  }

  power(spanSeconds: number): Promise<PastPower> {
    return this.#ask({ kind: "power" }, spanSeconds) as Promise<PastPower>;
  }

  #ask(about: Question["about"], spanSeconds: number): Promise<Past> {
    const key = JSON.stringify([about, spanSeconds]);
    const nowMs = performance.now();
    for (const [key, { atMs }] of this.#kept) if (nowMs - atMs > FRESH_MS) this.#kept.delete(key);
    const known = this.#kept.get(key);
    if (known) return known.past;
    if (this.#isClosed) return Promise.reject(new Error("the database is closed"));
    if (this.#waiting >= MAX_WAITING) {
      return Promise.reject(new Error("others ask for older values already; try again"));
    }
    this.#waiting++;
    this.#idle?.[Symbol.dispose]();
    const past = this.#before.then(() =>
      this.#answer({ path: this.#path, question: { about, spanSeconds, nowSeconds: Date.now() / 1000 } })
    ).finally(() => {
      this.#waiting--;
      this.#rest();
    });
    this.#before = past.catch(() => this.#kept.delete(key));
    this.#kept.set(key, { atMs: nowMs, past });
    for (const key of this.#kept.keys()) if (this.#kept.size > MAX_KEPT) this.#kept.delete(key);
    return past;
  }

  /** One at a time. */
  async #answer(request: HistoryRequest): Promise<Past> {
    if (this.#isClosed) throw new Error("the database is closed");
    const worker = this.#worker ??= new Worker(import.meta.resolve("./history/worker.ts"), {
      type: "module",
      name: "sqlite history",
    });
    const { promise, resolve, reject } = Promise.withResolvers<HistoryAnswer>();
    this.#giveUp = reject;
    worker.onmessage = ({ data }: MessageEvent<HistoryAnswer>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    using _limit = Timer.after(
      ANSWER_MS,
      () => reject(new Error("the database does not answer in time")),
    );
    try {
      worker.postMessage(request);
      const answer = await promise;
      if ("problem" in answer) throw new Error(answer.problem);
      return answer.past;
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      this.#giveUp = null;
    }
  }

  /** Ends the thread when nobody has asked for a while. */
  #rest(): void {
    if (this.#isClosed || this.#waiting > 0) return;
    this.#idle = Timer.after(IDLE_MS, () => {
      this.#end();
      this.#kept.clear();
    }).unref();
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#idle?.[Symbol.dispose]();
    this.#kept.clear();
    this.#giveUp?.(new Error("the database is closed"));
    this.#end();
  }
}
