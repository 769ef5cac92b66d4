/** A file system in memory without directories, each of whose actions may be made to fail. */
import type { Files, JournalFile } from "../../lib/journal/disk/format/files.ts";

type Action = "open" | "read" | "write" | "sync" | "rename" | "remove" | "stat";

export class MemoryFiles implements Files {
  readonly content = new Map<string, Uint8Array<ArrayBuffer>>();
  /** When files were changed, in ms since the epoch; `null` where that is not known. */
  readonly changedMs = new Map<string, number | null>();
  /** What was done, in order: the action and the path. */
  readonly done: string[] = [];
  /** Actions with their paths that fail. */
  readonly failing = new Set<string>();
  /** Bytes that are read or written at once, at most. */
  atOnce = Infinity;

  put(path: string, content: string | Uint8Array<ArrayBuffer>): void {
    this.content.set(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  text(path: string): string {
    return new TextDecoder().decode(this.content.get(path));
  }

  #do(action: Action, path: string): void {
    this.done.push(`${action} ${path}`);
    if (this.failing.has(`${action} ${path}`)) throw new Error(`${action} fails`);
  }

  #of(path: string): Uint8Array<ArrayBuffer> {
    const content = this.content.get(path);
    if (!content) throw new Deno.errors.NotFound(path);
    return content;
  }

  // deno-lint-ignore require-await
  async open(path: string, options: Deno.OpenOptions = {}): Promise<JournalFile> {
    this.#do("open", path);
    const { create, write, truncate } = options;
    if (write && !create) this.#of(path);
    if (create && !this.content.has(path) || truncate) this.put(path, "");
    let at = 0;
    // deno-lint-ignore require-await
    const sync = async () => this.#do("sync", path);
    const close = () => this.done.push(`close ${path}`);
    return {
      // deno-lint-ignore require-await
      read: async (into) => {
        this.#do("read", path);
        const piece = this.#of(path).subarray(at, at + Math.min(into.length, this.atOnce));
        into.set(piece);
        at += piece.length;
        return piece.length || null;
      },
      // deno-lint-ignore require-await
      write: async (bytes) => {
        this.#do("write", path);
        if (!write) throw new Error(`${path} was not opened for writing`);
        const piece = bytes.subarray(0, this.atOnce);
        const before = this.#of(path);
        const after = new Uint8Array(Math.max(before.length, at + piece.length));
        after.set(before);
        after.set(piece, at);
        at += piece.length;
        this.content.set(path, after);
        return piece.length;
      },
      seek: (offset) => Promise.resolve(at = Number(offset)),
      // deno-lint-ignore require-await
      truncate: async (length = 0) => void this.content.set(path, this.#of(path).slice(0, length)),
      sync,
      syncData: sync,
      close,
      [Symbol.dispose]: close,
    };
  }

  readStart(path: string, length: number): Uint8Array<ArrayBuffer> {
    this.#do("read", path);
    return this.#of(path).slice(0, length);
  }

  list(directory: string): Promise<string[]> {
    const names = [...this.content.keys()].map((path) => path.slice(directory.length + 1));
    return Promise.resolve(names.sort());
  }

  // deno-lint-ignore require-await
  async stat(path: string): Promise<Pick<Deno.FileInfo, "size" | "mtime">> {
    this.#do("stat", path);
    const changedMs = this.changedMs.get(path) ?? null;
    return { size: this.#of(path).length, mtime: changedMs === null ? null : new Date(changedMs) };
  }

  // deno-lint-ignore require-await
  async rename(from: string, to: string): Promise<void> {
    this.#do("rename", from);
    this.content.set(to, this.#of(from));
    this.content.delete(from);
  }

  remove(path: string): void {
    this.#do("remove", path);
    this.#of(path);
    this.content.delete(path);
  }

  makeDirectory = () => Promise.resolve();
  copy = (from: string, to: string) => Promise.resolve(this.put(to, this.#of(from)));
  truncate = (path: string, length: number) =>
    Promise.resolve(this.put(path, this.#of(path).slice(0, length)));
  freeBytes = () => Promise.resolve(Infinity);
}
