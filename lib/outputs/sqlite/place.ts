/** The database's file, and whether the path still leads to it: somebody may remove, rename or replace it meanwhile. */
import { StoreError } from "./store_error.ts";

export class Place implements Disposable {
  readonly #path: string;
  readonly #inode: number | null;
  readonly #device: number;
  /**
   * Says how many names the file has. To be closed after the database: closing any handle of a file gives up all locks
   * that the process has on it.
   */
  readonly #file: Deno.FsFile;

  /** To be called when the database is open. @throws what the file system throws. */
  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path);
    const { ino, dev } = this.#file.statSync();
    this.#inode = ino;
    this.#device = dev;
  }

  /** The file has no name any more: what is written to it is gone when it is closed. */
  get isRemoved(): boolean {
    return this.#file.statSync().nlink === 0;
  }

  /** @throws {StoreError} `moved` if the path leads somewhere else, or nowhere. */
  check(): void {
    try {
      const { ino, dev } = Deno.statSync(this.#path);
      if (ino === this.#inode && dev === this.#device) return;
    } catch (error) {
      // Whatever else it is, the database is still open.
      if (!(error instanceof Deno.errors.NotFound)) return;
    }
    throw this.error();
  }

  error(): StoreError {
    return new StoreError(
      "moved",
      this.isRemoved ? "the file was removed" : "the file was renamed or replaced",
    );
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
