/** The thread that writes the database, as seen from the output. */
import { within } from "../../base/waiting.ts";
import type {
  Answer,
  Failure,
  Limits,
  PointColumns,
  PointGroup,
  Request,
  StoreOptions,
  StoreStats,
} from "./messages.ts";
import { StoreError } from "./store_error.ts";

/** How long the thread may take to finish what it does and to close the database, in ms. */
const CLOSE_MS = 10_000;

interface Pending {
  readonly since: number;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** What has become of a group; its columns may be used again. */
export type Written =
  & { readonly columns: PointColumns }
  & ({ readonly stats: StoreStats; readonly error?: undefined } | { readonly error: StoreError });

export class Writer implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #ended: Error | null = null;
  #closing: Promise<void> | null = null;

  constructor() {
    this.#worker = new Worker(import.meta.resolve("./worker.ts"), { type: "module", name: "sqlite" });
    this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(`The thread that writes the database has failed: ${event.message}`));
    };
  }

  /** @throws {StoreError} */
  async open(options: StoreOptions): Promise<StoreStats> {
    return await this.#result({ type: "open", options }) as StoreStats;
  }

  /** Number of the last batch of a journal that is stored, or -1. */
  async position(journal: string): Promise<number> {
    return await this.#result({ type: "position", journal }) as number;
  }

  /** Number of the last batch of a client that is stored, or 0. */
  async sequence(instance: string): Promise<number> {
    return await this.#result({ type: "sequence", instance }) as number;
  }

  /** Stores a group. Its columns are the thread's until then, and come back whatever becomes of them. */
  async write(group: PointGroup): Promise<Written> {
    const { series, seconds, nanos, values } = group.columns;
    const buffers = [series.buffer, seconds.buffer, nanos.buffer, values.buffer];
    const { result, failure, columns } = await this.#ask({ type: "write", group }, buffers);
    if (failure) return { columns: columns!, error: errorOf(failure) };
    return { columns: columns!, stats: result as StoreStats };
  }

  /** What is kept from now on. */
  limit(limits: Limits): void {
    this.#ask({ type: "limits", limits }).catch(() => {});
  }

  /** Since when the thread owes an answer, in `performance.now()` ms. */
  get waitingSince(): number | undefined {
    const [first] = this.#pending.values();
    return first?.since;
  }

  async #result(request: Request): Promise<unknown> {
    const { result, failure } = await this.#ask(request);
    if (failure) throw errorOf(failure);
    return result;
  }

  #ask(request: Request, transfer: Transferable[] = []): Promise<Answer> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { since: performance.now(), resolve, reject });
      this.#worker.postMessage({ id, ...request }, transfer);
    });
  }

  #receive(answer: Answer): void {
    this.#pending.get(answer.id)?.resolve(answer);
    this.#pending.delete(answer.id);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** Waits for what is under way, and closes the database. May be called twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await within(this.#ask({ type: "close" }).catch(() => {}), CLOSE_MS);
    this.#worker.terminate();
    this.#end(new Error("The database is closed"));
  }
}

function errorOf({ problem, message, refused }: Failure): StoreError {
  return new StoreError(problem, message, undefined, refused);
}
