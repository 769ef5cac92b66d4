/** The thread that writes the database, as seen from the output. */
import { within } from "../../base/waiting.ts";
import { buffersOf, type PointColumns } from "../threads/point_columns.ts";
import { Thread } from "../threads/thread.ts";
import type { Answer, Failure, Limits, PointGroup, Request, StoreOptions, StoreStats } from "./messages.ts";
import { StoreError } from "./store_error.ts";

/** How long the thread may take to finish what it does and to close the database, in ms. */
const CLOSE_MS = 10_000;

/** What has become of a group; its columns may be used again. */
export type Written =
  & { readonly columns: PointColumns }
  & ({ readonly stats: StoreStats; readonly error?: undefined } | { readonly error: StoreError });

export class Writer implements AsyncDisposable {
  readonly #thread = new Thread<Request, Answer>({
    url: import.meta.resolve("./worker.ts"),
    name: "sqlite",
    task: "writes the database",
  });
  #closing: Promise<void> | null = null;

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
    const { result, failure, columns } = await this.#thread.ask(
      { type: "write", group },
      buffersOf(group.columns),
    );
    if (failure) return { columns: columns!, error: errorOf(failure) };
    return { columns: columns!, stats: result as StoreStats };
  }

  /** What is kept from now on. */
  limit(limits: Limits): void {
    this.#thread.ask({ type: "limits", limits }).catch(() => {});
  }

  /** Since when the thread owes an answer, in `performance.now()` ms. */
  get waitingSince(): number | undefined {
    return this.#thread.waitingSince;
  }

  async #result(request: Request): Promise<unknown> {
    const { result, failure } = await this.#thread.ask(request);
    if (failure) throw errorOf(failure);
    return result;
  }

  /** Waits for what is under way, and closes the database. May be called twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await within(this.#thread.ask({ type: "close" }).catch(() => {}), CLOSE_MS);
    this.#thread.end(new Error("The database is closed"));
  }
}

function errorOf({ problem, message, refused }: Failure): StoreError {
  return new StoreError(problem, message, undefined, refused);
}
