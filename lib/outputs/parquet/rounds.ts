/**
 * Rounds of files: all points up to a position in the journal, written together.
 *
 * The files of a round are written and synced under temporary names. Then the position is saved, with the names that they
 * are to have: from then on the round counts. Then they are renamed. A process that is killed before the position is saved
 * leaves files that the next one removes, and the points come again from the journal; one that is killed afterwards
 * leaves files that the next one renames. So each point is in one file, and each file is whole.
 *
 * Somebody may move or remove the folder in between. It takes files along that have no names yet, and the round counts
 * there only: what {@linkcode Rounds.publish} does not find is to be written again, as another round.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { splitExtension } from "../files/path.ts";
import { type FilePosition, type PositionFile, syncFolder } from "../files/position.ts";
import type { Encoder } from "./encoder.ts";
import type { FilePoints, Sorting } from "./sorting.ts";

/** The folder of files without their names, beside the position. */
const TEMPORARY_FOLDER = ".parquet-tmp";

export interface Round {
  readonly sorting: Sorting;
  /** Those of its files that are to be written. */
  readonly files: readonly FilePoints[];
  /** Id of the journal; empty for one in memory. */
  readonly journal: string;
  /** Of the last batch. */
  readonly position: number;
}

/** Files of a round that are on disk under temporary names. */
export interface Prepared {
  readonly journal: string;
  readonly position: number;
  /** In the order of the round. */
  readonly files: readonly FilePosition[];
}

export class Rounds {
  readonly #positions: PositionFile;
  readonly #folder: string;
  readonly #encoder: Encoder;
  /** The time in the names of the last round, in ms. */
  #namedMs = 0;
  /** Paths of the last round whose files have their names. */
  readonly #named = new Set<string>();

  private constructor(positions: PositionFile, folder: string, encoder: Encoder) {
    this.#positions = positions;
    this.#folder = folder;
    this.#encoder = encoder;
  }

  /** Ends the round of a process that was killed. @throws what the file system throws. */
  static async open(positions: PositionFile, root: string, encoder: Encoder): Promise<Rounds> {
    const rounds = new Rounds(positions, `${root}${TEMPORARY_FOLDER}`, encoder);
    await rounds.publish(positions.latest?.files ?? []);
    return rounds;
  }

  /** Where a reader of this journal goes on: the last batch that files have, or -1. */
  positionIn(journal: string): number {
    const { latest } = this.#positions;
    return latest?.journal === journal ? latest.position : -1;
  }

  /**
   * Writes the files of a round.
   *
   * @throws what the file system says, or the signal's reason; nothing is left of the files then.
   */
  async prepare(
    { sorting, files: wanted, journal, position }: Round,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const names = await this.#names(wanted, nowMs);
    await Deno.mkdir(this.#folder, { recursive: true });
    const files: FilePosition[] = [];
    try {
      for (const [i, points] of wanted.entries()) {
        const path = this.#positions.relative(names[i]);
        files.push({ path, inode: 0, born: null, size: 0 });
        const about = { "alumet_relay.journal": journal, "alumet_relay.position": String(position) };
        const size = await this.#encoder.write(this.#temporary(path), about, sorting.fill(points), signal);
        files[i] = { ...files[i], size };
      }
      await syncFolder(`${this.#folder}/x`);
      return { journal, position, files };
    } catch (error) {
      for (const { path } of files) await Deno.remove(this.#temporary(path)).catch(() => {});
      throw error;
    }
  }

  /**
   * From here on the round counts. After an error that may be so or not: the same round is to be tried again. Where the
   * folder is not there any more, nothing is done.
   *
   * @returns whether the round counts.
   * @throws what the file system throws.
   */
  async settle({ journal, position, files }: Prepared): Promise<boolean> {
    this.#named.clear();
    if (!await this.#positions.isThere()) return false;
    await this.#positions.write({ journal, position, clean: false, files });
    return true;
  }

  /**
   * Gives the files of the round that counts their names, those that do not have them yet.
   *
   * @returns the paths of files that are not there.
   * @throws what the file system throws.
   */
  async publish(files: readonly FilePosition[]): Promise<Set<string>> {
    const missing = new Set<string>();
    await Deno.mkdir(this.#folder, { recursive: true });
    const folders = new Set<string>();
    for (const { path } of files) {
      const temporary = this.#temporary(path);
      if (!await exists(temporary)) {
        if (!this.#named.has(path)) missing.add(path);
        continue;
      }
      const name = this.#positions.absolute(path);
      await makeFolder(dirname(name));
      await Deno.rename(temporary, name);
      this.#named.add(path);
      folders.add(dirname(name));
    }
    for (const folder of folders) await syncFolder(`${folder}/x`);
    // What is left belongs to rounds that do not count.
    for await (const { name } of Deno.readDir(this.#folder)) await Deno.remove(`${this.#folder}/${name}`);
    return missing;
  }

  /** Each try has names of its own. */
  #temporary(path: string): string {
    return `${this.#folder}/${createHash("sha256").update(path).digest("hex").slice(0, 32)}.tmp`;
  }

  /** Names that no file has, and none had, even if it was moved elsewhere: with the time of writing. */
  async #names(files: readonly FilePoints[], nowMs: number): Promise<string[]> {
    let timeMs = Math.max(Math.floor(nowMs), this.#namedMs + 1);
    while (true) {
      const stamp = new Date(timeMs).toISOString().replace(/[-:.]/g, "");
      const names = files.map(({ path }) => {
        const [stem, extension] = splitExtension(path);
        return `${stem}-${stamp}${extension}`;
      });
      const taken = await Promise.all(names.map(exists));
      this.#namedMs = timeMs++;
      if (!taken.includes(true)) return names;
    }
  }
}

/** Makes a folder and those above it, so that a power failure cannot take them away. */
async function makeFolder(folder: string): Promise<void> {
  if (await exists(folder)) return;
  const above = dirname(folder);
  if (above !== folder) await makeFolder(above);
  await Deno.mkdir(folder, { recursive: true });
  await syncFolder(folder);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
