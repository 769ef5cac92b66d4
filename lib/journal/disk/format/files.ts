/** The file system as the journal uses it; tests provide one that fails. */
import { fileSystemOf } from "../../../base/file_system.ts";

/** An open file. */
export type JournalFile =
  & Pick<Deno.FsFile, "read" | "write" | "seek" | "sync" | "syncData" | "truncate" | "close">
  & Disposable;

/** Every function throws the errors of the file system. */
export interface Files {
  open(path: string, options?: Deno.OpenOptions): Promise<JournalFile>;
  /** The first bytes of a file, at most `length`. */
  readStart(path: string, length: number): Uint8Array<ArrayBuffer>;
  list(directory: string): Promise<string[]>;
  stat(path: string): Promise<Pick<Deno.FileInfo, "size" | "mtime">>;
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  copy(from: string, to: string): Promise<void>;
  truncate(path: string, length: number): Promise<void>;
  remove(path: string): void;
  /** Bytes that this process may still write to the file system of a directory. */
  freeBytes(directory: string): Promise<number>;
}

/** The real file system. */
export const SYSTEM_FILES: Files = {
  open: (path, options) => Deno.open(path, options),
  readStart(path, length) {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(length);
    let done = 0;
    for (let read; done < length && (read = file.readSync(bytes.subarray(done)));) done += read;
    return bytes.subarray(0, done);
  },
  async list(directory) {
    const names: string[] = [];
    for await (const { name, isFile } of Deno.readDir(directory)) if (isFile) names.push(name);
    return names.sort();
  },
  stat: (path) => Deno.stat(path),
  makeDirectory: (path) => Deno.mkdir(path, { recursive: true, mode: 0o750 }),
  rename: (from, to) => Deno.rename(from, to),
  copy: (from, to) => Deno.copyFile(from, to),
  truncate: (path, length) => Deno.truncate(path, length),
  remove: (path) => Deno.removeSync(path),
  freeBytes: (directory) => Promise.resolve(fileSystemOf(directory)?.freeBytes ?? Infinity),
};

/** Writes all of the bytes. */
export async function writeAll(file: Pick<JournalFile, "write">, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/**
 * Replaces a small file as a whole: after a crash or a power failure it is the old one or the new one.
 *
 * @throws errors of the file system; the old file stays as it was.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  files: Files = SYSTEM_FILES,
): Promise<void> {
  const temporary = path + TEMPORARY;
  try {
    {
      using file = await files.open(temporary, { create: true, write: true, truncate: true });
      await writeAll(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
      await file.syncData();
    }
    await files.rename(temporary, path);
  } catch (error) {
    try {
      files.remove(temporary);
    } catch { /* it was not made */ }
    throw error;
  }
}

/**
 * Replaces a small file. If there is no room for a second file, it overwrites the old one in place, which needs no room if
 * the new one is not longer. The reader must recognise half a file, because a power failure may leave one then.
 *
 * @throws errors of the file system if neither is possible; the old file is then probably as it was.
 */
export async function replaceOrOverwrite(path: string, text: string, files: Files): Promise<void> {
  try {
    return await replaceFile(path, text, files);
  } catch (error) {
    let size: number;
    try {
      ({ size } = await files.stat(path));
    } catch {
      throw error;
    }
    const bytes = new TextEncoder().encode(text.padEnd(size));
    if (bytes.length > size) throw error;
    using file = await files.open(path, { write: true });
    await writeAll(file, bytes);
    await file.syncData();
  }
}

/** The end of the names of incomplete files. */
export const TEMPORARY = ".tmp";

/** Syncs a directory, so that new names survive a power failure. */
export async function syncDirectory(directory: string, files: Files = SYSTEM_FILES): Promise<void> {
  using folder = await files.open(directory);
  await folder.sync();
}
