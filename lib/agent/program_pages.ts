/**
 * Pages of the program's own file that are mapped into the process. A start needs about twice as many as what follows. The
 * kernel keeps a page that goes back in its cache of files, and maps it again, without reading it, when it is used.
 */

/** `madvise` of the C library: address, length in bytes, advice; 0 for success. */
type Madvise = (address: bigint, lengthBytes: bigint, advice: number) => number;

const MADV_DONTNEED = 4;
/** The first line of a mapping that is private and read-only: address range, rights, offset, device, inode, path. */
const READ_ONLY = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ \d+ +$/;
/** How much of a mapping differs from its file. */
const CHANGED = "\nAnonymous:";
const BUFFER_BYTES = 65_536;

/** Addresses, from the first to the one after the last. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Where pages of a file are mapped that nothing can have changed: not where the loader has written addresses, nor where a
 * debugger has set a breakpoint.
 *
 * @param smaps The text of `/proc/PID/smaps`.
 */
export function unchangedRanges(smaps: string, path: string): AddressRange[] {
  const ranges: AddressRange[] = [];
  for (let at = 0; (at = smaps.indexOf(`${path}\n`, at)) !== -1; at += path.length) {
    const [, start, end] = READ_ONLY.exec(smaps.slice(smaps.lastIndexOf("\n", at) + 1, at)) ?? [];
    const changed = smaps.indexOf(CHANGED, at);
    if (start === undefined || changed === -1) continue;
    const kilobytes = parseInt(smaps.slice(changed + CHANGED.length, smaps.indexOf("\n", changed + 1)));
    if (kilobytes === 0) ranges.push({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) });
  }
  return ranges;
}

export class ProgramPages implements Disposable {
  readonly #madvise: Madvise;
  readonly #path: string;
  /** Stays open: a process that has dropped permissions cannot open it again. */
  readonly #smaps: Deno.FsFile;

  private constructor(madvise: Madvise, path: string, smaps: Deno.FsFile) {
    this.#madvise = madvise;
    this.#path = path;
    this.#smaps = smaps;
  }

  /** `null` where the kernel does not say what is mapped. */
  static open(madvise: Madvise): ProgramPages | null {
    try {
      const path = Deno.readLinkSync("/proc/self/exe");
      return new ProgramPages(madvise, path, Deno.openSync("/proc/self/smaps"));
    } catch {
      return null;
    }
  }

  giveBack(): void {
    for (const { start, end } of unchangedRanges(this.#readMappings(), this.#path)) {
      this.#madvise(start, end - start, MADV_DONTNEED);
    }
  }

  #readMappings(): string {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(BUFFER_BYTES);
    let text = "";
    this.#smaps.seekSync(0, Deno.SeekMode.Start);
    for (let length; (length = this.#smaps.readSync(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.#smaps.close();
  }
}
