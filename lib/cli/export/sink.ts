/** Where exported points go. */
import type { PointBlock } from "./points.ts";

export interface PointSink {
  /** Takes the points of a block, which is used again afterwards. @throws errors of the file system. */
  add(block: PointBlock): void;
  /** Writes what is at the end of the file. */
  end(): void;
}
