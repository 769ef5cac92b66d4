/**
 * Rounds of files: all points up to a position in the journal, written together.
 *
 * The files of a round are written and synced under temporary names. Then the position is saved, with the names that they
 * are to have: from then on the round counts. Then they are renamed. A process that is killed before the position is saved
 * leaves files that the next one removes, and the points come again from the journal; one that is killed afterwards
 * leaves files that the next one renames. So each point is in one file, and each file is whole.
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
  /** Id of the journal; empty for one in memory. */
  readonly journal: string;
  /** Of the last batch. */
  readonly position: number;
}

/** Files of a round that are on disk under temporary names. */
export interface Prepared {
  readonly journal: string;
  readonly position: number;
  readonly files: readonly FilePosition[];
  readonly bytes: number;
}

export class Rounds {
  readonly #positions: PositionFile;
  readonly #folder: string;
  readonly #encoder: Encoder;
  /** The time in the names of the last round, in ms. */
  #namedMs = 0;

  private constructor(positions: PositionFile, folder: string, encoder: Encoder) {
    this.#positions = positions;
    this.#folder = folder;
    this.#encoder = encoder;
  }

  /** Ends the round of a process that was killed. @throws what the file system throws. */
  static async open(positions: PositionFile, root: string, encoder: Encoder): Promise<Rounds> {
    const rounds = new Rounds(positions, `${root}${TEMPORARY_FOLDER}`, encoder);
    await rounds.publish();
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
    { sorting, journal, position }: Round,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const names = await this.#names(sorting.files, nowMs);
    await Deno.mkdir(this.#folder, { recursive: true });
    const files: FilePosition[] = [];
    let bytes = 0;
    try {
      for (const [i, points] of sorting.files.entries()) {
        const path = this.#positions.relative(names[i]);
        files.push({ path, inode: 0, born: null, size: 0 });
        const about = { "alumet_relay.journal": journal, "alumet_relay.position": String(position) };
        const size = await this.#encoder.write(this.#temporary(path), about, sorting.fill(points), signal);
        files[i] = { ...files[i], size };
        bytes += size;
      }
      await syncFolder(`${this.#folder}/x`);
      return { journal, position, files, bytes };
    } catch (error) {
      for (const { path } of files) await Deno.remove(this.#temporary(path)).catch(() => {});
      throw error;
    }
  }

  /**
   * From here on the round counts. After an error that may be so or not: the same round is to be tried again.
   *
   * @throws what the file system throws.
   */
  async settle({ journal, position, files }: Prepared): Promise<void> {
    await this.#positions.write({ journal, position, clean: false, files });
  }

  /** Gives the files of the last round their names, those that do not have them yet. @throws what the file system throws. */
  async publish(): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true });
    const folders = new Set<string>();
    for (const { path } of this.#positions.latest?.files ?? []) {
      const temporary = this.#temporary(path);
      if (!await exists(temporary)) continue;
      const name = this.#positions.absolute(path);
      await makeFolder(dirname(name));
      await Deno.rename(temporary, name);
      folders.add(dirname(name));
    }
    for (const folder of folders) await syncFolder(`${folder}/x`);
    // What is left belongs to rounds that do not count.
    for await (const { name } of Deno.readDir(this.#folder)) await Deno.remove(`${this.#folder}/${name}`);
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
