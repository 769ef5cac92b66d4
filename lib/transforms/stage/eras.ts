/**
 * Which configuration a stage's transform had for which batches. What is kept in the journal for the windows that were
 * open before the configuration was changed is read with the configuration that it was read with before.
 */
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type Files, replaceFile, SYSTEM_FILES } from "../../journal/disk/format/files.ts";

export interface Era {
  /** Number of the first batch. */
  readonly from: number;
  readonly config: unknown;
}

/** More bytes than the file has. */
const MAX_BYTES = 1024 * 1024;

export class Eras {
  readonly #path: string | null;
  readonly #files: Files;
  readonly #log: Logger;
  #list: Era[];

  private constructor(path: string | null, files: Files, log: Logger, list: Era[]) {
    this.#path = path;
    this.#files = files;
    this.#log = log;
    this.#list = list;
  }

  /**
   * @param directory Where the journal is; `null` if it is in memory.
   * @param next The number of the next batch that will be appended: the first one with this configuration, if it is new.
   */
  static async open(
    directory: string | null,
    config: unknown,
    next: number,
    log: Logger,
    files: Files = SYSTEM_FILES,
  ): Promise<Eras> {
    if (directory === null) return new Eras(null, files, log, [{ from: 0, config }]);
    const path = `${directory}/transform.json`;
    const list = read(path, files, log);
    const last = list.at(-1);
    if (last && JSON.stringify(last.config) === JSON.stringify(config)) {
      return new Eras(path, files, log, list);
    }
    list.push({ from: last ? next : 0, config });
    const eras = new Eras(path, files, log, list);
    await eras.#save();
    return eras;
  }

  get first(): Era {
    return this.#list[0];
  }

  /** The configuration for a batch. */
  of(number: number): Era {
    return this.#list.findLast(({ from }) => from <= number) ?? this.#list[0];
  }

  /** Batches before this number will not be read again. */
  async forgetBefore(number: number): Promise<void> {
    const count = this.#list.findLastIndex(({ from }) => from <= number);
    if (count <= 0) return;
    this.#list = this.#list.slice(count);
    await this.#save();
  }

  get isChanging(): boolean {
    return this.#list.length > 1;
  }

  async #save(): Promise<void> {
    if (this.#path === null) return;
    try {
      await replaceFile(this.#path, JSON.stringify(this.#list) + "\n", this.#files);
    } catch (error) {
      this.#log.warn("Cannot save the configuration of a transform beside its journal", {
        path: this.#path,
        error: messageOf(error),
      });
    }
  }
}

function read(path: string, files: Files, log: Logger): Era[] {
  try {
    const list: Era[] = JSON.parse(new TextDecoder().decode(files.readStart(path, MAX_BYTES)));
    if (!list.every(({ from }) => Number.isSafeInteger(from))) throw new RangeError("it has no numbers");
    return list;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      log.warn("Cannot read the configuration of a transform beside its journal, the present one is used", {
        path,
        error: messageOf(error),
      });
    }
    return [];
  }
}
