/** How much memory the process may use to remember series. */
import { usableMemoryBytes } from "../base/memory.ts";

const SHARE = 4;
const MAX_BYTES = 1024 ** 3;
const MIB = 1024 ** 2;

/** Most bytes for all series if the configuration does not set them, in whole MiB. */
export function defaultSeriesBytes(): number {
  return Math.floor(Math.min(MAX_BYTES, usableMemoryBytes() / SHARE) / MIB) * MIB;
}
