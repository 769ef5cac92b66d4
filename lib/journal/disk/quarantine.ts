/** A folder of bounded size for damaged segments, so that somebody can examine them. */
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Files } from "./format/files.ts";

const FOLDER = "quarantine";
/** Above this size the oldest files are deleted, in bytes. */
const MAX_BYTES = 256 * 1024 ** 2;
const MAX_FILES = 100;

export interface QuarantineContent {
  files: number;
  bytes: number;
}

export class Quarantine {
  readonly #folder: string;
  readonly #files: Files;
  readonly #log: Logger;
  readonly #maxBytes: number;

  constructor(directory: string, files: Files, log: Logger, maxBytes = MAX_BYTES) {
    this.#folder = `${directory}/${FOLDER}`;
    this.#files = files;
    this.#log = log;
    this.#maxBytes = maxBytes;
  }

  /**
   * Moves or copies a file to quarantine. Never throws, because the journal must continue.
   *
   * @returns What went wrong, or `null`.
   */
  async add(path: string, how: "move" | "copy", nowMs: number): Promise<string | null> {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const target = `${this.#folder}/${String(nowMs).padStart(15, "0")}-${name}`;
    try {
      await this.#files.makeDirectory(this.#folder);
      if (how === "move") await this.#files.rename(path, target);
      else await this.#files.copy(path, target);
    } catch (error) {
      try {
        // Half a copy is useless and takes space.
        if (how === "copy") this.#files.remove(target);
      } catch { /* there is none */ }
      return messageOf(error);
    }
    await this.#clean().catch(() => {});
    return null;
  }

  async content(): Promise<QuarantineContent> {
    const list = await this.#list().catch(() => []);
    return { files: list.length, bytes: list.reduce((sum, { size }) => sum + size, 0) };
  }

  /** Ordered by name, which begins with the time. */
  async #list(): Promise<{ path: string; size: number }[]> {
    const list = [];
    for (const name of await this.#files.list(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      list.push({ path, size: (await this.#files.stat(path)).size });
    }
    return list;
  }

  /** Deletes the oldest files above the limits. The newest file always stays. */
  async #clean(): Promise<void> {
    const list = await this.#list();
    let bytes = list.reduce((sum, { size }) => sum + size, 0);
    for (let count = list.length; count > 1 && (bytes > this.#maxBytes || count > MAX_FILES); count--) {
      const { path, size } = list.shift()!;
      this.#files.remove(path);
      bytes -= size;
      this.#log.warn("The quarantine of the journal is full, its oldest file is deleted", {
        path,
        bytes: size,
      });
    }
  }
}
