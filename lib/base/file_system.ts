/** How large a file system is, how much of it is free, and whether it is one of this machine. */
import { statfsSync } from "node:fs";

export interface FileSystem {
  readonly totalBytes: number;
  /** What this user may still write. */
  readonly freeBytes: number;
  /** It is known to be on this machine: asking for the size of a file never waits for a server. */
  readonly isLocal: boolean;
}

/** What Linux calls file systems that need no server: linux/magic.h. */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
]);

/** The file system of a path. @returns `undefined` where the system does not tell. */
export function fileSystemOf(path: string): FileSystem | undefined {
  try {
    const { type, blocks, bavail, bsize } = statfsSync(path);
    const isLocal = Deno.build.os === "linux" && LOCAL_TYPES.has(type >>> 0);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, isLocal };
  } catch {
    return undefined;
  }
}

/**
 * What is known of a path. Where no server has to be waited for it takes no thread, whose end would wake the process.
 *
 * @param isLocal As {@linkcode FileSystem.isLocal}. @throws what the file system throws.
 */
export async function statOf(path: string, isLocal: boolean): Promise<Deno.FileInfo> {
  return isLocal ? Deno.statSync(path) : await Deno.stat(path);
}
