/** Files of /proc and /sys: kept open where possible, read into one buffer. */
import { type MonotonicClock, PROCESS_CLOCK } from "../../base/clock.ts";
import { parseLimit } from "../../net/descriptors.ts";
import { Scanner, textOf } from "./scan.ts";

/** Files that a process may usually have open, where the limit cannot be read. */
const USUAL_LIMIT = 1024;

/** The part of {@linkcode Deno.FsFile} that is used. */
export interface OpenFile {
  readSync(buffer: Uint8Array): number | null;
  seekSync(offset: number, whence: Deno.SeekMode): number;
  close(): void;
}

/** Where the files are. Tests give other trees than the machine's, or another `open`. */
export interface ProcRoots {
  /** @default {"/proc"} */
  readonly proc?: string;
  /** @default {"/sys"} */
  readonly sys?: string;
  /** @default {"/dev"} */
  readonly dev?: string;
  /** The libraries of vendors. @default where the system has libraries */
  readonly lib?: string;
  /** The programs of vendors. @default the PATH */
  readonly bin?: string;
  /** @default Deno.openSync */
  readonly open?: (path: string) => OpenFile;
}

/** Why there is no file, or no number of bytes. */
export type Failure = typeof GONE | typeof DENIED | typeof TOO_MANY_OPEN;
/** There is no such file, or its process has ended. */
export const GONE = 0;
/** The file may not be read by this user. */
export const DENIED = -1;
/** This process has too many open files. */
export const TOO_MANY_OPEN = -2;
/** Any other error: a driver may return any. */
const FAILED = -3;

/** Enough for any file of a process; larger files enlarge the buffer. */
const BUFFER_BYTES = 64 * 1024;

/** Files that are closed when this process has too many open, so that others can be opened. */
const RESERVE = 16;

/** What the readers of one /proc share: the buffer, and the files that stay open. */
export class ProcFiles {
  readonly proc: string;
  readonly sys: string;
  readonly dev: string;
  /** The folder with the libraries of vendors; `undefined`: where the system has libraries. */
  readonly lib: string | undefined;
  readonly clock: MonotonicClock;
  readonly scanner: Scanner = new Scanner();
  /** Holds what was read last. */
  buffer: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER_BYTES);
  /** Called once, when the first file cannot stay open. */
  onLimit: () => void = () => {};
  /** Files that are open, of all inputs of this process: they share the limit. */
  static #allKept = 0;
  readonly #bin: string | undefined;
  readonly #open: (path: string) => OpenFile;
  readonly #kept = new Set<ProcFile>();
  #keepLimit: number;
  #limitSaid = false;

  constructor(roots: ProcRoots = {}, clock: MonotonicClock = PROCESS_CLOCK) {
    this.clock = clock;
    this.proc = roots.proc ?? "/proc";
    this.sys = roots.sys ?? "/sys";
    this.dev = roots.dev ?? "/dev";
    this.lib = roots.lib;
    this.#bin = roots.bin;
    this.#open = roots.open ?? ((path) => Deno.openSync(path));
    // The other half is for the rest of the process: sockets, databases, segments. Deno raises the soft limit to the
    // hard one when it starts, as Alumet does.
    this.#keepLimit = Math.floor(
      (parseLimit(this.text(`${this.proc}/self/limits`) ?? "") ?? USUAL_LIMIT) / 2,
    );
  }

  /** Number of files that are open. */
  get kept(): number {
    return this.#kept.size;
  }

  /** Opens the file; a {@linkcode Failure} is an expected reason why it cannot be opened. */
  open(path: string): OpenFile | Failure {
    try {
      return this.#open(path);
    } catch (error) {
      const failure = failureOf(error);
      if (failure === undefined) throw error;
      return failure;
    }
  }

  /** The target of a symbolic link; {@linkcode GONE} where there is something else than a link. */
  link(path: string): string | Failure {
    try {
      return Deno.readLinkSync(path);
    } catch (error) {
      const failure = (error as { code?: string }).code === "EINVAL" ? GONE : failureOf(error);
      if (failure === undefined) throw error;
      return failure;
    }
  }

  /** Counts the file among those that stay open; false if there are enough of them. */
  keep(file: ProcFile): boolean {
    if (ProcFiles.#allKept >= this.#keepLimit) {
      this.#sayLimit();
      return false;
    }
    this.#kept.add(file);
    ProcFiles.#allKept++;
    return true;
  }

  /** The file has been closed. */
  closed(file: ProcFile): void {
    if (this.#kept.delete(file)) ProcFiles.#allKept--;
  }

  /** This process cannot open more files: closes some, and keeps fewer open from now on. */
  makeRoom(): void {
    const kept = [...this.#kept];
    kept.slice(Math.max(0, kept.length - RESERVE)).forEach((file) => file.close());
    this.#keepLimit = ProcFiles.#allKept;
    this.#sayLimit();
  }

  #sayLimit(): void {
    if (this.#limitSaid) return;
    this.#limitSaid = true;
    this.onLimit();
  }

  /** The whole file as text, or `undefined` where it cannot be read. For what is read once or rarely. */
  text(path: string): string | undefined {
    try {
      return Deno.readTextFileSync(path);
    } catch {
      return undefined;
    }
  }

  /** The path of a program, or `undefined` where it is not installed. */
  program(name: string): string | undefined {
    const folders = (this.#bin ?? Deno.env.get("PATH") ?? "").split(":");
    return folders.map((folder) => `${folder}/${name}`).find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
  }

  /** The names in a folder, in any order; a {@linkcode Failure} where it cannot be read. */
  names(path: string): string[] | Failure {
    try {
      return Array.from(Deno.readDirSync(path), ({ name }) => name);
    } catch (error) {
      return error instanceof Deno.errors.PermissionDenied ? DENIED : GONE;
    }
  }

  /** The names in a folder, in order; none where it cannot be read. */
  list(path: string): string[] {
    try {
      return Array.from(Deno.readDirSync(path), ({ name }) => name).sort(compareNames);
    } catch {
      return [];
    }
  }
}

/** Compares names such that `hwmon10` comes after `hwmon9`. */
const { compare: compareNames } = new Intl.Collator("en", { numeric: true });

function failureOf(error: unknown): Failure | undefined {
  if (error instanceof Deno.errors.NotFound) return GONE;
  if (error instanceof Deno.errors.PermissionDenied) return DENIED;
  switch ((error as { code?: string }).code) {
    case "ESRCH":
    case "ENOTDIR":
      return GONE;
    case "EMFILE":
    case "ENFILE":
      return TOO_MANY_OPEN;
  }
  return undefined;
}

/** One file of /proc, opened when it is first read, and kept open while the limit allows it. */
export class ProcFile {
  readonly path: string;
  readonly #files: ProcFiles;
  #open: OpenFile | null = null;
  #canRewind = true;

  constructor(files: ProcFiles, path: string) {
    this.#files = files;
    this.path = path;
  }

  /**
   * Reads from the start into the shared buffer, by one call of the system (`whole`: by as many as it takes), and
   * starts the shared scanner there. Returns the number of bytes, or {@linkcode GONE}, {@linkcode DENIED} or
   * {@linkcode TOO_MANY_OPEN}.
   */
  read(whole = false): number {
    const files = this.#files;
    let length = GONE as number;
    if (this.#open !== null) {
      length = this.#canRewind ? this.#fill(this.#open, whole, true) : GONE;
      if (length === GONE) this.close();
    }
    if (this.#open === null) {
      // A file that was open may fail though its process lives: after exec(), smaps_rollup is that of the old memory
      // (ESRCH), and some kernels cannot rewind below /proc/net. A process that has ended has no path any more.
      let opened = files.open(this.path);
      if (opened === TOO_MANY_OPEN) {
        files.makeRoom();
        opened = files.open(this.path);
      }
      if (typeof opened === "number") {
        files.scanner.start(files.buffer, 0);
        return opened;
      }
      length = this.#fill(opened, whole, false);
      if (length > 0 && this.#canRewind && files.keep(this)) this.#open = opened;
      else opened.close();
    }
    files.scanner.start(files.buffer, length);
    return length;
  }

  /** {@linkcode ProcFile.read}, with {@linkcode FAILED} for any other error. */
  tryRead(whole = false): number {
    try {
      return this.read(whole);
    } catch {
      this.#files.scanner.start(this.#files.buffer, 0);
      return FAILED;
    }
  }

  /** The whole file as text, read again; `undefined` where it cannot be read. */
  text(): string | undefined {
    const length = this.tryRead(true);
    return length > 0 ? textOf(this.#files.buffer.subarray(0, length)) : undefined;
  }

  /** Reads, or returns {@linkcode GONE}: Deno gives ESRCH ("No such process") neither a class nor a code here. */
  #fill(file: OpenFile, whole: boolean, rewind: boolean): number {
    const files = this.#files;
    if (rewind) {
      try {
        file.seekSync(0, Deno.SeekMode.Start);
      } catch {
        this.#canRewind = false;
        return GONE;
      }
    }
    try {
      let length = file.readSync(files.buffer) ?? 0;
      while (whole && length > 0) {
        if (length === files.buffer.length) {
          const larger = new Uint8Array(2 * length);
          larger.set(files.buffer);
          files.buffer = larger;
        }
        const more = file.readSync(files.buffer.subarray(length));
        if (!more) break;
        length += more;
      }
      return length;
    } catch {
      return GONE;
    }
  }

  /** Closes the file; it is opened again when it is read. May be called twice. */
  close(): void {
    if (this.#open === null) return;
    this.#open.close();
    this.#open = null;
    this.#files.closed(this);
  }
}
