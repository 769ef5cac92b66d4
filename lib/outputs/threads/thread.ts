/** A thread of an output, as seen from the output: it answers each request, in their order. */

interface Pending<Answer> {
  readonly since: number;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export interface ThreadOptions {
  readonly url: string;
  readonly name: string;
  /** What it does, for its errors: `writes the database`. */
  readonly task: string;
}

export class Thread<Request, Answer> {
  readonly #worker: Worker;
  /** Requests without an answer, in their order. */
  readonly #pending: Pending<Answer>[] = [];
  #ended: Error | null = null;

  constructor({ url, name, task }: ThreadOptions) {
    this.#worker = new Worker(url, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#pending.shift()?.resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(new Error(`The thread that ${task} has failed: ${event.message}`));
    };
  }

  /** Since when the thread owes an answer, in `performance.now()` ms. */
  get waitingSince(): number | undefined {
    return this.#pending[0]?.since;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  /** @throws why the thread has ended. */
  ask(request: Request, transfer: Transferable[] = []): Promise<Answer> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#pending.push({ since: performance.now(), resolve, reject });
      this.#worker.postMessage(request, transfer);
    });
  }

  /** Ends the thread at once; requests that wait fail with the error. */
  end(error: Error): void {
    this.#ended ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}
