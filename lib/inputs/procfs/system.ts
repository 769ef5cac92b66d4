/** Facts of the machine, without a subprocess. */
import type { ProcFiles } from "../polling/files.ts";

const AT_NULL = 0n;
const AT_PAGESZ = 6n;
const AT_CLKTCK = 17n;

/** What the kernel passed to this process at its start (man 3 getauxval). */
export interface SystemFacts {
  /** Bytes of a memory page. */
  readonly pageSize: number;
  /** Units of the CPU times in /proc per second: USER_HZ, which is 100 wherever Deno runs. */
  readonly ticksPerSecond: number;
}

/** Reads pairs of native words, as in /proc/self/auxv. Deno runs on 64-bit little-endian machines only. */
export function parseAuxv(bytes: Uint8Array): SystemFacts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let pageSize = 4096;
  let ticksPerSecond = 100;
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const type = view.getBigUint64(at, true);
    const value = Number(view.getBigUint64(at + 8, true));
    if (type === AT_NULL) break;
    if (type === AT_PAGESZ && value > 0) pageSize = value;
    if (type === AT_CLKTCK && value > 0) ticksPerSecond = value;
  }
  return { pageSize, ticksPerSecond };
}

/** The facts of this machine; those of most machines where /proc/self/auxv cannot be read. */
export function systemFacts(files: ProcFiles): SystemFacts {
  try {
    return parseAuxv(Deno.readFileSync(`${files.proc}/self/auxv`));
  } catch {
    return parseAuxv(new Uint8Array());
  }
}
