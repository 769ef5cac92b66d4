/** How much memory the process may use to remember series. */
import { memoryShare, usableMemoryBytes } from "../base/memory.ts";

const PART = 4;
const MIB = 1024 ** 2;

/** Most bytes for all series if the configuration does not set them, in whole MiB. */
export function defaultSeriesBytes(): number {
  return seriesBytes(usableMemoryBytes());
}

/** The same for a process that may use that much memory. */
export function seriesBytes(usableBytes: number): number {
  return Math.floor(memoryShare(usableBytes, PART) / MIB) * MIB;
}
