/** COPY … FROM STDIN for a client of npm:pg: statements with one COPY among them, and chunks as they are made. */
import type { Connection, Submittable } from "./pg.ts";

/** Bytes before the payload of a message: its type, and its length. */
export const COPY_HEADER_BYTES = 5;
const COPY_DATA = 0x64;

/** Where chunks are put together. A chunk is used again when it has been written. */
export interface CopyChunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  /** Place behind what is filled; begins behind {@linkcode COPY_HEADER_BYTES}. */
  length: number;
}

/** Fills the chunk with what comes next. @returns whether there was anything. */
export type FillChunk = (chunk: CopyChunk) => boolean;

/** Chunks that may be under way to the socket. */
const CHUNKS = 3;

/** The chunks of one connection. A statement that failed may leave some under way. */
export class ChunkPool {
  readonly #free: CopyChunk[];
  #waiting: (() => void) | null = null;

  /** @param bytes Of each chunk. */
  constructor(bytes: number) {
    this.#free = Array.from({ length: CHUNKS }, () => {
      const chunk = new Uint8Array(bytes);
      return { bytes: chunk, view: new DataView(chunk.buffer), length: COPY_HEADER_BYTES };
    });
  }

  /** None is under way. */
  get isIdle(): boolean {
    return this.#free.length === CHUNKS;
  }

  take(): CopyChunk | undefined {
    const chunk = this.#free.pop();
    if (chunk) chunk.length = COPY_HEADER_BYTES;
    return chunk;
  }

  give(chunk: CopyChunk): void {
    this.#free.push(chunk);
    this.wake();
  }

  /** Resolves when a chunk is given back, or at {@linkcode wake}. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting = resolve);
  }

  wake(): void {
    this.#waiting?.();
    this.#waiting = null;
  }
}

export class CopyIn implements Submittable {
  /** The tags of the statements, such as `COPY 3` and `COMMIT`. Rejects with what the database says. */
  readonly done: Promise<string[]>;
  readonly #text: string;
  readonly #pool: ChunkPool;
  readonly #fill: FillChunk;
  readonly #tags: string[] = [];
  readonly #resolve: (tags: string[]) => void;
  readonly #reject: (error: unknown) => void;
  #error: unknown = undefined;
  #failed = false;

  constructor(text: string, pool: ChunkPool, fill: FillChunk) {
    this.#text = text;
    this.#pool = pool;
    this.#fill = fill;
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Connection): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: Connection): void {
    void this.#feed(connection);
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#tags.push(text);
  }

  /** The database refuses, or the connection is lost. */
  handleError(error: unknown): void {
    this.#fail(error);
    // The client forgets a query that failed, and tells it nothing more.
    this.#finish();
  }

  handleReadyForQuery(): void {
    this.#finish();
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
    this.#pool.wake();
  }

  #finish(): void {
    if (this.#failed) this.#reject(this.#error);
    else this.#resolve(this.#tags);
  }

  async #feed(connection: Connection): Promise<void> {
    const pool = this.#pool;
    const { stream } = connection;
    try {
      while (true) {
        const chunk = pool.take();
        if (!chunk) {
          await pool.change();
          if (this.#failed) return;
          continue;
        }
        if (!this.#fill(chunk)) {
          pool.give(chunk);
          break;
        }
        chunk.bytes[0] = COPY_DATA;
        chunk.view.setInt32(1, chunk.length - 1);
        stream.write(chunk.bytes.subarray(0, chunk.length), () => pool.give(chunk));
      }
      while (!pool.isIdle) {
        await pool.change();
        if (this.#failed) return;
      }
      connection.endCopyFrom();
    } catch (error) {
      // Only our own code can be the reason: the database must not take half of it for the whole.
      this.#fail(error);
      connection.sendCopyFail("alumet-relay could not go on");
    }
  }
}
