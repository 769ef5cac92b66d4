/**
 * Where each followed file stands, in a file of the state directory. The journal on disk has the exact place of what it
 * has taken; this file says which file that was, and has the place for a journal in memory.
 */
import { messageOf } from "../../base/errors.ts";
import { Complaint } from "../../base/complaint.ts";
import type { MonotonicClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";

/** A file as it can be recognised. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
  /** Hash of its first line. */
  readonly first: string;
  /** How often it was truncated. */
  readonly generation: number;
}

export interface SavedPosition extends FileIdentity {
  /** Bytes whose points are safe. */
  readonly offset: number;
}

export class Positions {
  readonly #path: string | null;
  readonly #log: Logger;
  readonly #complaint: Complaint;
  readonly #files = new Map<string, SavedPosition>();
  #saving: Promise<void> = Promise.resolve();

  /** @param path `null` where nothing can be kept. */
  constructor(path: string | null, log: Logger, clock: MonotonicClock) {
    this.#path = path;
    this.#log = log;
    this.#complaint = new Complaint(clock);
    if (path === null) {
      log.warn("There is no state directory: after a restart, files are read again from the beginning");
      return;
    }
    try {
      const files = JSON.parse(Deno.readTextFileSync(path));
      for (const [name, saved] of Object.entries(files)) if (isPosition(saved)) this.#files.set(name, saved);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      log.error("Cannot read the places in followed files, they are read again from the beginning", {
        path,
        reason: messageOf(error),
      });
    }
  }

  of(path: string): SavedPosition | undefined {
    return this.#files.get(path);
  }

  /** Resolves when what was saved so far is on disk, or cannot be written. */
  get settled(): Promise<void> {
    return this.#saving;
  }

  /** Keeps a place. Resolves when it is on disk, or cannot be written. */
  async save(path: string, position: SavedPosition): Promise<void> {
    this.#files.set(path, position);
    if (this.#path === null) return;
    const target = this.#path;
    this.#saving = this.#saving.then(async () => {
      try {
        const temporary = `${target}.new`;
        await Deno.writeTextFile(temporary, JSON.stringify(Object.fromEntries(this.#files)), { mode: 0o600 });
        await Deno.rename(temporary, target);
        this.#complaint.end(() => this.#log.info("The places in followed files can be kept again"));
      } catch (error) {
        this.#complaint.add(() => {
          this.#log.error("Cannot keep the places in followed files", {
            path: target,
            reason: messageOf(error),
          });
        });
      }
    });
    await this.#saving;
  }
}

function isPosition(value: unknown): value is SavedPosition {
  const { device, inode, first, generation, offset } = (value ?? {}) as Partial<SavedPosition>;
  return [device, inode, generation, offset].every((number) => Number.isSafeInteger(number)) &&
    typeof first === "string";
}
