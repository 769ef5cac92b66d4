/** How much memory a transform may take for what it keeps: the key `memory`, and what holds where it is not set. */
import { memoryShare, usableMemoryBytes } from "../base/memory.ts";
import { optional, size } from "../schema.ts";

const PART = 8;

/** @param doc What the memory is for, and what happens when there is more. */
export function memoryKey(doc: string) {
  return optional(size({
    doc:
      `${doc} Default: an eighth of the memory that this process may use beyond 150 MiB, but at most 1 GiB.`,
    default: "256MiB",
    min: "1MiB",
  }));
}

interface WithMemory {
  readonly memory?: number | undefined;
}

/** The limit in effect, in bytes. */
export function memoryOf({ memory }: WithMemory): number {
  return memory ?? transformBytes(usableMemoryBytes());
}

/** For `resolve` of a plugin. */
export function resolveMemory(config: WithMemory): { memory?: number } {
  return config.memory === undefined ? { memory: memoryOf(config) } : {};
}

/**
 * The limit for a process that may use that much memory. It goes in steps of a tenth or so, because a stage completes
 * everything when its configuration changes, and the memory of a machine differs a little with each kernel.
 */
export function transformBytes(usableBytes: number): number {
  const bytes = memoryShare(usableBytes, PART);
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.floor(bytes / step) * step;
}
