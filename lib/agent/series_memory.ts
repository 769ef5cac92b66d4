/** How much memory the process may use to remember series. */
import { OWN_BYTES, usableMemoryBytes } from "../base/memory.ts";

const SHARE = 4;
const MIN_BYTES = 4 * 1024 ** 2;
const MAX_BYTES = 1024 ** 3;
const MIB = 1024 ** 2;

/** Most bytes for all series if the configuration does not set them, in whole MiB. */
export function defaultSeriesBytes(): number {
  return seriesBytes(usableMemoryBytes());
}

/** The same for a process that may use that much memory. */
export function seriesBytes(usableBytes: number): number {
  const bytes = Math.max(MIN_BYTES, Math.min(MAX_BYTES, (usableBytes - OWN_BYTES) / SHARE));
  return Math.floor(bytes / MIB) * MIB;
}
