/** A file system and clocks that a test breaks. */
import { type Files, type JournalFile, SYSTEM_FILES } from "../../../lib/journal/disk/format/files.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { withDirectory } from "../../kit/journal.ts";

/** A disk of its own, of 256 KiB where nothing else is said, mounted at a directory for as long as the work takes. */
export async function withDisk(work: (directory: string) => Promise<void>, size = "256k"): Promise<void> {
  await withDirectory(async (directory) => {
    if (!await mounted(directory, size)) {
      if (Deno.env.get("CI")) throw new Error("Cannot mount a tmpfs, which CI must be able to");
      console.log("skipped: a tmpfs cannot be mounted here");
      return;
    }
    try {
      await work(directory);
    } finally {
      await new Deno.Command("umount", { args: [directory] }).output();
    }
  });
}

export async function mounted(directory: string, size: string): Promise<boolean> {
  const args = ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory];
  try {
    return (await new Deno.Command("mount", { args }).output()).success;
  } catch {
    return false;
  }
}

/** The system's files, which fail when they are told to. */
export class FaultyFiles implements Files {
  /** Says with which error a call fails. */
  fault: (call: string, path: string) => Error | undefined = () => undefined;
  /** What each sync of data waits for. */
  beforeSync: (() => Promise<void>) | undefined;
  readonly calls: string[] = [];

  #check(call: string, path: string): void {
    this.calls.push(call);
    const error = this.fault(call, path);
    if (error) throw error;
  }

  async open(path: string, options?: Deno.OpenOptions): Promise<JournalFile> {
    this.#check("open", path);
    const file = await SYSTEM_FILES.open(path, options);
    return {
      read: (bytes) => this.#then("read", path, () => file.read(bytes)),
      write: (bytes) => this.#then("write", path, () => file.write(bytes)),
      seek: (offset, whence) => file.seek(offset, whence),
      sync: () => this.#then("sync", path, () => file.sync()),
      syncData: () =>
        this.#then("sync", path, async () => {
          await this.beforeSync?.();
          await file.syncData();
        }),
      truncate: (length) => this.#then("truncate", path, () => file.truncate(length)),
      close: () => file.close(),
      [Symbol.dispose]: () => file.close(),
    };
  }

  // deno-lint-ignore require-await
  async #then<T>(call: string, path: string, work: () => Promise<T>): Promise<T> {
    this.#check(call, path);
    return work();
  }

  readStart(path: string, length: number): Uint8Array<ArrayBuffer> {
    this.#check("readStart", path);
    return SYSTEM_FILES.readStart(path, length);
  }

  list(directory: string): Promise<string[]> {
    return this.#then("list", directory, () => SYSTEM_FILES.list(directory));
  }

  stat(path: string): Promise<Pick<Deno.FileInfo, "size" | "mtime">> {
    return this.#then("stat", path, () => SYSTEM_FILES.stat(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#then("makeDirectory", path, () => SYSTEM_FILES.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#then("rename", from, () => SYSTEM_FILES.rename(from, to));
  }

  copy(from: string, to: string): Promise<void> {
    return this.#then("copy", from, () => SYSTEM_FILES.copy(from, to));
  }

  truncate(path: string, length: number): Promise<void> {
    return this.#then("truncate", path, () => SYSTEM_FILES.truncate(path, length));
  }

  remove(path: string): void {
    this.#check("remove", path);
    SYSTEM_FILES.remove(path);
  }

  freeBytes(directory: string): Promise<number> {
    return this.#then("freeBytes", directory, () => SYSTEM_FILES.freeBytes(directory));
  }
}

export const systemError = (code: string, message: string) => Object.assign(new Error(message), { code });
export const EIO = () => systemError("EIO", "Input/output error (os error 5)");
export const EACCES = () => new Deno.errors.PermissionDenied("Permission denied (os error 13)");

/** A log whose lines are kept. */
export function keptLog() {
  const lines: string[] = [];
  return { lines, log: createLogger("journal", { write: (line) => lines.push(line) }) };
}

/** Both clocks, set by hand. */
export class HandTimes {
  wall = Date.parse("2026-03-01T00:00:00Z");
  monotonic = 1_000_000;
  wallMs = () => this.wall;
  monotonicMs = () => this.monotonic;

  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}
