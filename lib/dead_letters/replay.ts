/** Replays dead letters through their output, which is opened only for them. */
import { decodeLetter } from "./codec.ts";
import { type DeadLetterFiles, type LetterFile, lettersIn } from "./files.ts";
import { DeadLetterBox } from "./box.ts";
import { replaceFile } from "../journal/disk/format/files.ts";
import { MemoryJournal } from "../journal.ts";
import type { Logger } from "../base/log.ts";
import { Batch, type Metric, type Series, type SeriesDefinition, seriesOf } from "../points/measurement.ts";
import type { OutputPlugin } from "../plugin.ts";
import { runLoneOutput } from "./lone_output.ts";

/** Points of one batch, the most of a batch of the server. */
const BATCH_POINTS = 4096;
/** Memory for batches that wait for the output, in bytes. */
const BUFFER_BYTES = 1024 * 1024;

export interface ReplayOptions {
  plugin: OutputPlugin<unknown>;
  config: unknown;
  files: DeadLetterFiles;
  stateDirectory: string;
  log: Logger;
  /** Ends the replay; what is not written then is kept. */
  signal: AbortSignal;
}

/** The result of a replay. */
export interface ReplayResult {
  /** Points that the target accepted. */
  written: number;
  /** Points that the target refused again: they are dead letters again. */
  refused: number;
  /** Points that were not written before the end. */
  left: number;
  /** Lines that are not valid dead letters. They stay where they are. */
  damaged: number;
}

/** The batches of one file. The file is removed when all of them are stored or refused again. */
class FileInReplay {
  /** Uncommitted batches, plus one while the file is being read. */
  open = 1;
  letters = 0;
  readonly damaged: string[] = [];

  constructor(readonly path: string) {}
}

class ReplayBatch extends Batch {
  constructor(capacity: number, readonly file: FileInReplay, readonly done: (file: FileInReplay) => void) {
    super(capacity);
    file.open++;
  }

  /** It is committed. */
  override release(): void {
    super.release();
    this.done(this.file);
  }
}

/** @throws errors of the output when it is opened or runs; {Error} if another replay is running. */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { plugin, config, files, stateDirectory, log, signal } = options;
  const { files: taken, lock } = await files.takeForReplay();
  using _lock = lock;
  const journal = new MemoryJournal({ limitBytes: BUFFER_BYTES });
  const deadLetters = new DeadLetterBox({ directory: files.directory, maxBytes: files.maxBytes, log });
  const feeding = new Feeding(taken, journal);
  try {
    await runLoneOutput({
      plugin,
      config,
      journal,
      reader: journal.reader(plugin.name),
      log,
      deadLetters,
      stateDirectory,
      keepsOnDisk: false,
      signal,
      feed: (signal) => feeding.feed(signal),
    });
  } finally {
    await feeding.settled();
  }
  const refused = deadLetters.refusedPoints;
  const { letters, stored, damaged } = feeding;
  return { written: Math.max(0, stored - refused), refused, left: letters - stored, damaged };
}

/** Appends the letters of files to a journal, and removes each file when it is finished. */
class Feeding {
  letters = 0;
  /** Letters of files and batches that the output has committed. */
  stored = 0;
  damaged = 0;
  readonly #taken: readonly LetterFile[];
  readonly #journal: MemoryJournal;
  readonly #metrics = new Map<string, Metric>();
  #removing: Promise<void> = Promise.resolve();

  constructor(taken: readonly LetterFile[], journal: MemoryJournal) {
    this.#taken = taken;
    this.#journal = journal;
  }

  async feed(signal: AbortSignal): Promise<void> {
    for (const { path } of this.#taken) {
      const file = new FileInReplay(path);
      let batch = this.#batch(file);
      for (const line of await lettersIn(path)) {
        const letter = decodeLetter(line);
        if (typeof letter === "string") {
          file.damaged.push(line);
          continue;
        }
        this.letters++;
        const series = this.#seriesOf(letter.series);
        if (typeof letter.value === "bigint") {
          batch.pushU64(series, letter.seconds, letter.nanos, letter.value);
        } else batch.push(series, letter.seconds, letter.nanos, letter.value);
        if (batch.length < BATCH_POINTS) continue;
        if (signal.aborted) return;
        await this.#journal.append(batch);
        batch = this.#batch(file);
      }
      if (signal.aborted) return;
      await this.#journal.append(batch);
      this.damaged += file.damaged.length;
      this.#done(file);
    }
    this.#journal.end();
  }

  /** Resolves when finished files are removed. */
  async settled(): Promise<void> {
    await this.#removing;
  }

  #batch(file: FileInReplay): Batch {
    const batch = new ReplayBatch(256, file, (file) => {
      this.stored += batch.length;
      this.#done(file);
    });
    return batch;
  }

  #done(file: FileInReplay): void {
    if (--file.open > 0) return;
    this.#removing = this.#removing.then(async () => {
      if (file.damaged.length > 0) await replaceFile(file.path, file.damaged.join("\n") + "\n");
      else await Deno.remove(file.path);
    });
  }

  /** Returns the series with one object per metric. */
  #seriesOf({ metric, ...rest }: SeriesDefinition): Series {
    const key = JSON.stringify([metric.name, metric.type, metric.unit.base, metric.unit.prefix]);
    let known = this.#metrics.get(key);
    if (!known) this.#metrics.set(key, known = metric);
    return seriesOf(known, rest);
  }
}
