/** Where damaged segments are set aside, so that somebody may look at them: a folder that does not grow for ever. */
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Files } from "./format/files.ts";

const FOLDER = "quarantine";
/** The oldest files are deleted when there are more bytes. */
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
   * Moves a file there, or a copy of it. Never fails: the journal must go on.
   *
   * @returns what was wrong, or `null`.
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
        // Half a copy is of no use, and takes room.
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

  /** In the order of their names, which begin with the time. */
  async #list(): Promise<{ path: string; size: number }[]> {
    const list = [];
    for (const name of await this.#files.list(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      list.push({ path, size: (await this.#files.stat(path)).size });
    }
    return list;
  }

  /** The newest file stays, whatever its size. */
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
