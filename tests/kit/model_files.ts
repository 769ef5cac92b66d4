/**
 * A file system in memory, for tests that decide when it does something, and when the process dies: each change waits for its
 * turn, a dead process changes nothing more, and a new name outlives the process once its directory is synced.
 */
import { settle } from "./fake_clock.ts";
import type { Files, JournalFile } from "../../lib/journal/disk/format/files.ts";

type Content = Uint8Array<ArrayBuffer>;

const unasked = (): never => {
  throw new Error("It was not asked for");
};

/** One life of it. */
export class ModelFiles implements Files {
  /** There is no room for another byte. */
  isFull = false;
  readonly #disk: Map<string, Content>;
  /** What this process sees. */
  readonly #files: Map<string, Content>;
  #isDead = false;
  readonly #waiting: (() => void)[] = [];

  /** @param disk What outlives the process. */
  constructor(disk: Map<string, Content>) {
    this.#disk = disk;
    this.#files = new Map(disk);
  }

  /** Changes that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Makes as many changes, one after the other, as long as there are some. */
  async steps(count: number): Promise<void> {
    for (; count > 0; count--) {
      this.#waiting.shift()?.();
      await settle();
    }
  }

  die(): void {
    this.#isDead = true;
    this.#waiting.length = 0;
  }

  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (!this.#isDead) this.#waiting.push(resolve);
    });
  }

  async open(path: string, { write = false }: Deno.OpenOptions = {}): Promise<JournalFile> {
    await this.#turn();
    if (write) this.#files.set(path, new Uint8Array());
    return {
      read: unasked,
      seek: unasked,
      truncate: unasked,
      syncData: () => this.#turn(),
      write: async (bytes) => {
        await this.#turn();
        if (this.isFull) throw new Error("No space left on device (os error 28)");
        this.#files.set(path, new Uint8Array([...this.#files.get(path)!, ...bytes]));
        return bytes.length;
      },
      // Of a directory.
      sync: async () => {
        await this.#turn();
        this.#disk.clear();
        for (const [path, content] of this.#files) this.#disk.set(path, content);
      },
      close() {},
      [Symbol.dispose]() {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turn();
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  readStart(path: string): Content {
    const content = this.#files.get(path);
    if (!content) throw new Deno.errors.NotFound(path);
    return content;
  }

  list = unasked;
  stat = unasked;
  makeDirectory = unasked;
  copy = unasked;
  truncate = unasked;
  freeBytes = unasked;
}
