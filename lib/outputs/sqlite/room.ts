/** How large a database may be: it must not be the one that fills the disk. */
import { type FileSystem, fileSystemOf } from "../../base/file_system.ts";

/** The largest size where the configuration does not set one: this share of the file system. */
const DEFAULT_SHARE = 0.5;
/** What stays free for others: this share of the file system, or this much. */
const RESERVE_SHARE = 0.05;
const RESERVE_BYTES = 1024 ** 3;

/**
 * Most bytes that the points of a file may take. Where others have filled the disk, the file does not grow: new points
 * take the place of the oldest.
 *
 * @param maxBytes What the configuration says. @param fileBytes What the file takes now.
 */
export function roomFor(
  path: string,
  maxBytes: number | undefined,
  fileBytes: number,
  look: (path: string) => FileSystem | undefined = fileSystemOf,
): number {
  const disk = look(path);
  if (!disk) return maxBytes ?? Infinity;
  const { totalBytes, freeBytes } = disk;
  const reserveBytes = Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE);
  const mostBytes = maxBytes ?? totalBytes * DEFAULT_SHARE;
  return Math.min(mostBytes, fileBytes + Math.max(0, freeBytes - reserveBytes));
}
