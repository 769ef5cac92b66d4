/** The `csv` output: a file with the format and the keys of Alumet's csv plugin. */
import type { Clock } from "../clock.ts";
import { EXIT, ExitError, messageOf } from "../errors.ts";
import type { BatchReader } from "../journal.ts";
import type { Logger } from "../log.ts";
import { type Batch, reserveCacheSlots } from "../measurement.ts";
import { definePlugin, type Output, type PluginContext } from "../plugin.ts";
import { flag, type Infer, live, table, text } from "../schema.ts";
import { attributeColumns, CACHE_SLOTS, type CsvFormat, CsvRenderer, RowBuffer } from "./csv_format.ts";

/** Bytes gathered for one write. */
const WRITE_BYTES = 256 * 1024;
/** Without `force_flush`, rows wait for others for at most this long, in ms. */
const LAZY_FLUSH_MS = 1000;
/** Wait before a write that failed is tried again, in ms. */
const RETRY_MS = 1000;
/** How often an error that lasts is said again, in ms. */
const COMPLAIN_MS = 60_000;
/** Files beside the configured one that are looked at. */
const MAX_SIBLINGS = 10_000;

const oneCharacter = (value: string) => {
  if ([...value].length !== 1) return "must be one character";
  if (value === '"' || value === "\n" || value === "\r") return "must not be a quote or a line break";
};

const config = table({
  output_path: text({
    doc: "The file, absolute or relative to the working directory.",
    default: "alumet-output.csv",
  }),
  force_flush: live(
    flag({ doc: "Write at once what has arrived, rather than once a second.", default: true }),
  ),
  append_unit_to_metric_name: flag({ doc: "Write `energy_J` rather than `energy`.", default: true }),
  use_unit_display_name: flag({
    doc: "Write units as people read them (`kWh`), not by name.",
    default: true,
  }),
  csv_delimiter: text({ doc: "Between columns.", default: ";", check: oneCharacter }),
  csv_late_delimiter: text({
    doc: "Between the entries of the column __late_attributes.",
    default: ",",
    check: oneCharacter,
  }),
}, { doc: "Writes measurements to a CSV file." });

type CsvConfig = Infer<typeof config>;

/** `measures.csv`, `measures-1.csv`, `measures-2.csv` … */
function* candidates(path: string): Generator<string> {
  yield path;
  const [, stem, extension] = path.match(/^(.*?)(\.[^./]*)?$/s)!;
  for (let n = 1; n <= MAX_SIBLINGS; n++) yield `${stem}-${n}${extension ?? ""}`;
}

type CsvContext = Pick<PluginContext, "log" | "clock">;

export interface CsvStats extends Record<string, number> {
  points: number;
  bytes: number;
}

/**
 * Appends rows to a file. A batch is committed when its rows are written; while the disk is full they are kept, and
 * written when there is room.
 */
export class CsvOutput implements Output {
  readonly stats: CsvStats = { points: 0, bytes: 0 };
  readonly #log: Logger;
  readonly #clock: Clock;
  #config: CsvConfig;
  readonly #slot = reserveCacheSlots(CACHE_SLOTS);
  #path: string;
  #file: Deno.FsFile;
  #renderer: CsvRenderer | null = null;
  #buffer = new RowBuffer(WRITE_BYTES);
  #spare = new RowBuffer(WRITE_BYTES);
  /** Batches whose last row is in the buffer, and rows in it. */
  #batches = 0;
  #rows = 0;
  #writing: Promise<void> = Promise.resolve();
  /** When a write to a file of a disk was begun that has not returned. */
  #writingSince: number | undefined;
  #isFile = false;

  private constructor(config: CsvConfig, file: Deno.FsFile, { log, clock }: CsvContext) {
    this.#config = config;
    this.#path = config.output_path;
    this.#file = file;
    this.#log = log;
    this.#clock = clock;
  }

  /** @throws {ExitError} when the file cannot be opened for writing. */
  static async open(config: CsvConfig, context: CsvContext): Promise<CsvOutput> {
    try {
      const file = await Deno.open(config.output_path, { append: true, create: true, read: true });
      return new CsvOutput(config, file, context);
    } catch (error) {
      throw new ExitError(
        EXIT.unavailable,
        `Cannot open ${config.output_path} for writing (plugins.csv.output_path): ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** The file that is written to. */
  get path(): string {
    return this.#path;
  }

  get stalledSince(): number | undefined {
    return this.#writingSince;
  }

  reconfigure(config: CsvConfig): void {
    this.#config = config;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    while (true) {
      const waitMs = this.#rows > 0 ? LAZY_FLUSH_MS : Infinity;
      const state = await reader.wait(waitMs, signal);
      if (state === "aborted" || signal.aborted) return await this.#writing;
      for (let batch; state === "ready" && !signal.aborted && (batch = reader.next());) {
        await this.#take(batch, reader, signal);
      }
      if (this.#rows > 0 && (this.#config.force_flush || state !== "ready")) {
        await this.#flush(reader, signal);
      }
      if (state === "ended") return await this.#writing;
    }
  }

  async #take(batch: Batch, reader: BatchReader, signal: AbortSignal): Promise<void> {
    this.#renderer ??= await this.#begin(batch, signal);
    for (let row = 0; row < batch.length;) {
      const next = this.#renderer.render(batch, row, this.#buffer);
      this.#rows += next - row;
      row = next;
      if (row < batch.length) await this.#flush(reader, signal);
      if (signal.aborted) return;
    }
    this.#batches++;
  }

  /** The first batch decides the columns; then the file is chosen, and its header written. */
  async #begin(batch: Batch, signal: AbortSignal): Promise<CsvRenderer> {
    const format: CsvFormat = {
      delimiter: this.#config.csv_delimiter,
      lateDelimiter: this.#config.csv_late_delimiter,
      appendUnit: this.#config.append_unit_to_metric_name,
      unitDisplayName: this.#config.use_unit_display_name,
    };
    const renderer = new CsvRenderer(attributeColumns(batch), format, this.#slot);
    let complained = -Infinity;
    while (true) {
      try {
        await this.#choose(renderer.header, signal);
        return renderer;
      } catch (error) {
        if (performance.now() - complained > COMPLAIN_MS) {
          complained = performance.now();
          this.#log.error("Cannot begin the file, trying on", { file: this.#path, reason: messageOf(error) });
        }
        await this.#clock.sleep(RETRY_MS, signal);
        signal.throwIfAborted();
      }
    }
  }

  /** Opens the first file beside the configured one that is new, or that has the same header. */
  async #choose(header: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    for (const path of candidates(this.#config.output_path)) {
      if (path !== this.#path) {
        this.#file.close();
        this.#file = await Deno.open(path, { append: true, create: true, read: true });
        this.#path = path;
      }
      const { size, isFile } = await this.#file.stat();
      // Whoever reads a pipe may take its time.
      this.#isFile = isFile;
      if (size === 0) {
        await this.#writeAll(header, header.length, signal);
      } else if (await this.#beginsWith(header)) {
        await this.#endLine(size, signal);
        this.#log.info("Appending to a file that has the same columns", { file: path, bytes: size });
      } else continue;
      if (path !== this.#config.output_path) {
        this.#log.warn("The file has other columns, writing beside it", {
          file: this.#config.output_path,
          written_to: path,
        });
      }
      return;
    }
    throw new Error(`there are ${MAX_SIBLINGS} files beside it already`);
  }

  async #beginsWith(header: Uint8Array): Promise<boolean> {
    await this.#file.seek(0, Deno.SeekMode.Start);
    const bytes = new Uint8Array(header.length);
    for (let done = 0; done < bytes.length;) {
      const count = await this.#file.read(bytes.subarray(done));
      if (count === null) return false;
      done += count;
    }
    return bytes.every((byte, i) => byte === header[i]);
  }

  /** A process that was killed may have left half a row: the next one must not be glued to it. */
  async #endLine(size: number, signal: AbortSignal): Promise<void> {
    await this.#file.seek(size - 1, Deno.SeekMode.Start);
    const last = new Uint8Array(1);
    await this.#file.read(last);
    if (last[0] === 10) return;
    this.#log.warn("The file ends in half a row, which is left as it is", { file: this.#path });
    await this.#writeAll(new Uint8Array([10]), 1, signal);
  }

  /** Hands the buffer to the disk; rows go on being rendered into the other one. Waits for the write before. */
  async #flush(reader: BatchReader, signal: AbortSignal): Promise<void> {
    await this.#writing;
    const buffer = this.#buffer;
    const batches = this.#batches;
    const rows = this.#rows;
    this.#buffer = this.#spare;
    this.#spare = buffer;
    this.#batches = this.#rows = 0;
    this.#writing = this.#writeAll(buffer.bytes, buffer.length, signal).then((written) => {
      if (!written) return;
      buffer.length = 0;
      this.stats.points += rows;
      reader.commit(batches);
    });
  }

  /** Writes until all is written. @returns `false` when the signal was aborted before. */
  async #writeAll(bytes: Uint8Array<ArrayBuffer>, length: number, signal: AbortSignal): Promise<boolean> {
    let complained = -Infinity;
    let failed = false;
    for (let done = 0; done < length;) {
      if (signal.aborted) {
        await this.#cutHalfRow(bytes.subarray(0, done));
        return false;
      }
      try {
        if (this.#isFile) this.#writingSince = performance.now();
        const count = await this.#file.write(bytes.subarray(done, length));
        done += count;
        this.stats.bytes += count;
      } catch (error) {
        if (performance.now() - complained > COMPLAIN_MS) {
          complained = performance.now();
          this.#log.error("Cannot write, keeping the rows and trying on", {
            file: this.#path,
            reason: messageOf(error),
          });
        }
        failed = true;
        this.#writingSince = undefined;
        await this.#clock.sleep(RETRY_MS, signal);
      }
    }
    this.#writingSince = undefined;
    if (failed) this.#log.info("Writing goes on", { file: this.#path });
    return true;
  }

  /** Takes back the row of which only the beginning could be written. */
  async #cutHalfRow(written: Uint8Array): Promise<void> {
    const half = written.length - (written.lastIndexOf(10) + 1);
    if (half === 0) return;
    try {
      const { isFile, size } = await this.#file.stat();
      if (isFile) await this.#file.truncate(size - half);
    } catch { /* whoever appends to the file next sees it */ }
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#file.close();
    } catch { /* closed before */ }
  }
}

export const csv = definePlugin({
  name: "csv",
  kind: "output",
  description: "Writes measurements to a CSV file",
  config,
  open: (options: CsvConfig, context: PluginContext) => CsvOutput.open(options, context),
});
