/** How large a file system is, and how much of it is free. */
import { statfsSync } from "node:fs";

export interface FileSystem {
  readonly totalBytes: number;
  /** What this user may still write. */
  readonly freeBytes: number;
}

/** The file system of a path. @returns `undefined` where the system does not tell. */
export function fileSystemOf(path: string): FileSystem | undefined {
  try {
    const { blocks, bavail, bsize } = statfsSync(path);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    return undefined;
  }
}
