/**
 * Which configuration a stage's transform had for which batches. What is kept in the journal for the windows that were
 * open before the configuration was changed is read with the configuration that it was read with before.
 *
 * The file is written once in the life of a process, before the first batch is read with another configuration: a batch
 * whose results are stored must be read with the same configuration after any kill.
 */
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type Files, replaceFile, syncDirectory, SYSTEM_FILES } from "../../journal/disk/format/files.ts";

export interface Era {
  /** Number of the first batch. */
  readonly from: number;
  readonly config: unknown;
}

export interface ErasOptions {
  /** Where the journal is; `null` if it is in memory. */
  readonly directory: string | null;
  readonly config: unknown;
  /** The number of the next batch that will be appended: the first one with this configuration, if it is new. */
  readonly next: number;
  /** Batches before this number will not be read again. */
  readonly needed: number;
  /** The transform's. */
  readonly name: string;
  readonly log: Logger;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  /** @default the system's */
  readonly files?: Files | undefined;
}

/** More bytes than the file has. */
const MAX_BYTES = 1024 * 1024;
/** The wait before another try to save, in ms. */
const AGAIN_MS = 1000;

const pathOf = (directory: string) => `${directory}/transform.json`;

export class Eras {
  readonly #options: ErasOptions;
  readonly #files: Files;
  readonly #list: readonly Era[];
  readonly #isSaved: boolean;

  constructor(options: ErasOptions) {
    const { directory, config, next, needed, log, files = SYSTEM_FILES } = options;
    this.#options = options;
    this.#files = files;
    const before = directory === null ? [] : read(pathOf(directory), files, log);
    const last = before.at(-1);
    this.#isSaved = directory === null || last !== undefined && isSame(last.config, config);
    const list = this.#isSaved && last ? before : [...before, { from: last ? next : 0, config }];
    this.#list = list.slice(Math.max(0, list.findLastIndex(({ from }) => from <= needed)));
  }

  get first(): Era {
    return this.#list[0];
  }

  /** The configuration for a batch. */
  of(number: number): Era {
    return this.#list.findLast(({ from }) => from <= number) ?? this.#list[0];
  }

  get isChanging(): boolean {
    return this.#list.length > 1;
  }

  /**
   * To be called before the first batch is read. Where the disk is full, it tries again until there is room: the journals
   * take nothing either.
   *
   * @param isOver Nothing more comes, so a stop need not wait.
   * @returns `false` if it is not saved: the signal is aborted, or it is over.
   */
  async save(signal: AbortSignal, isOver: () => boolean): Promise<boolean> {
    const { name, directory, log, clock } = this.#options;
    if (directory === null || this.#isSaved) return true;
    const complaint = new Complaint(clock);
    while (!signal.aborted) {
      try {
        await this.#write(directory);
        complaint.end(() => log.info("The configuration of a transform is saved", { transform: name }));
        return true;
      } catch (error) {
        complaint.add(() => {
          log.error("Cannot save the configuration of a transform beside its journal, the transform waits", {
            transform: name,
            path: pathOf(directory),
            error: messageOf(error),
          });
        });
      }
      if (isOver()) return false;
      await clock.sleep(AGAIN_MS, signal);
    }
    return false;
  }

  async #write(directory: string): Promise<void> {
    await replaceFile(pathOf(directory), textOf(this.#list) + "\n", this.#files);
    await syncDirectory(directory, this.#files);
  }
}

/**
 * A key without a value is written as `null`: what came before it was set is read without it. A key that is not there is
 * one that the version that wrote the file did not have.
 */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, value) => value === undefined ? null : value);
}

function withoutNulls(value: unknown): unknown {
  if (value === null) return undefined;
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutNulls(inner)]));
}

/** Whether an earlier configuration, which may lack keys of this version, is the same. */
function isSame(earlier: unknown, config: unknown): boolean {
  return textOf({ ...config as object, ...earlier as object }) === textOf(config);
}

function read(path: string, files: Files, log: Logger): Era[] {
  try {
    const list = withoutNulls(
      JSON.parse(new TextDecoder().decode(files.readStart(path, MAX_BYTES))),
    ) as Era[];
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
