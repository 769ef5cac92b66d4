/** Folders that appear and vanish (man 7 inotify), by calling the C library: what is asked for costs one call. */
import { openLibc } from "../../base/libc.ts";

const SYMBOLS = {
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

const IN_NONBLOCK_CLOEXEC = 0x80800;
/** Created, deleted, moved from and to; the folder itself deleted; only if it is a folder. */
const MASK = 0x100 | 0x200 | 0x40 | 0x80 | 0x400 | 0x01000000;
const IN_ISDIR = 0x40000000;
const IN_DELETE_SELF = 0x400;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;

const EVENT_BYTES = 16;
/** Events that are read at once: a queue of the kernel holds 16,384. */
const BUFFER_BYTES = 64 * 1024;

/** Watches folders for folders in them. */
export class DirectoryWatch implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #descriptor: number;
  readonly #paths = new Map<number, string>();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #encoder = new TextEncoder();
  #isClosed = false;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>, descriptor: number) {
    this.#library = library;
    this.#descriptor = descriptor;
  }

  /** `null` where there is no C library, no permission to call it, or no more of these in the kernel. */
  static open(): DirectoryWatch | null {
    const library = openLibc(SYMBOLS);
    if (!library) return null;
    const descriptor = library.symbols.inotify_init1(IN_NONBLOCK_CLOEXEC);
    if (descriptor >= 0) return new DirectoryWatch(library, descriptor);
    library.close();
    return null;
  }

  /** Number of folders that are watched. */
  get size(): number {
    return this.#paths.size;
  }

  /** Watches a folder; false where that is not possible, because it is gone or the kernel's limit is reached. */
  add(path: string): boolean {
    const watch = this.#library.symbols.inotify_add_watch(
      this.#descriptor,
      this.#encoder.encode(`${path}\0`),
      MASK,
    );
    if (watch < 0) return false;
    this.#paths.set(watch, path);
    return true;
  }

  /** The watched folders in which folders have come or gone since the last call; `null`: any of them may have. */
  changes(): Set<string> | null {
    const changed = new Set<string>();
    let isLost = false;
    for (;;) {
      const length = Number(this.#library.symbols.read(this.#descriptor, this.#buffer, BigInt(BUFFER_BYTES)));
      if (length <= 0) break;
      const view = new DataView(this.#buffer.buffer, 0, length);
      for (let at = 0; at + EVENT_BYTES <= length; at += EVENT_BYTES + view.getUint32(at + 12, true)) {
        const watch = view.getInt32(at, true);
        const mask = view.getUint32(at + 4, true);
        if (mask & IN_Q_OVERFLOW) isLost = true;
        const path = this.#paths.get(watch);
        if (path !== undefined && mask & (IN_ISDIR | IN_DELETE_SELF)) changed.add(path);
        if (mask & IN_IGNORED) this.#paths.delete(watch);
      }
    }
    return isLost ? null : changed;
  }

  /** May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#library.symbols.close(this.#descriptor);
    this.#library.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
