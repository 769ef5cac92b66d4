/** `alumet-relay export`: writes points of the sqlite output's database to a file that other tools read. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { PROGRAM, VERSION } from "./declarations.ts";
import { type FileFormat, fileFormat } from "./export/formats.ts";
import { PointReader } from "./export/points.ts";
import type { PointSink } from "./export/sink.ts";
import { TextSink } from "./export/text.ts";
import type { CommandLine } from "./parse.ts";
import { findDatabase, openDatabase } from "./query_database.ts";
import { stopOnSignal } from "./stop_signals.ts";
import { timeOf } from "./time_flag.ts";
import type { Surroundings } from "./world.ts";

const STANDARD_OUTPUT = "-";
/** How often progress is printed, in ms. */
const PROGRESS_MS = 500;

/** @throws {ExitError} 64 for flags that make no sense, 69 when a file cannot be read or written. */
export async function exportPoints(line: CommandLine, world: Surroundings): Promise<number> {
  const file = line.argument;
  if (!file) throw usage("export needs a FILE, such as points.parquet");
  const format = formatOf(file, line.value("format"));
  const nowMs = Date.now();
  const time = (flag: string) => {
    const text = line.value(flag);
    return text === undefined ? undefined : timeOf(text, `--${flag}`, nowMs);
  };
  const range = {
    metric: line.value("metric"),
    host: line.value("host"),
    from: time("since"),
    to: time("until"),
  };
  if (range.from !== undefined && range.to !== undefined && range.from >= range.to) {
    throw usage("--since must be a time before --until");
  }
  const path = await findDatabase(line, world);
  const db = await openDatabase(path);
  try {
    const reader = open(() => new PointReader(db, range), path);
    if (file === STANDARD_OUTPUT) {
      let isRead = true;
      const write = (text: string) => void (isRead = world.stdout(text) !== false);
      const sink = new TextSink(write, format as "csv" | "jsonl");
      try {
        for (const block of reader.blocks()) {
          if (!isRead) break;
          sink.add(block);
        }
      } catch (error) {
        if (error instanceof ExitError) throw error;
        throw new ExitError(EXIT.unavailable, `Cannot export: ${messageOf(error)}`, { cause: error });
      }
      return EXIT.ok;
    }
    const points = await writeFile(file, format, reader, world);
    const { size } = await Deno.stat(file);
    world.stdout(`${points} points are in ${file} (${size} bytes)\n`);
    return EXIT.ok;
  } finally {
    db.close();
  }
}

function open(reader: () => PointReader, path: string): PointReader {
  try {
    return reader();
  } catch (error) {
    const reason = `${path} is not a database of ${PROGRAM}: ${messageOf(error)}`;
    throw new ExitError(EXIT.unavailable, reason, { cause: error });
  }
}

/** Writes beside the file, and moves it there when it is complete. @returns the number of points. */
async function writeFile(
  file: string,
  format: FileFormat,
  reader: PointReader,
  world: Surroundings,
): Promise<number> {
  const temporary = `${file}.${Deno.pid}.tmp`;
  let points = 0;
  using stop = stopOnSignal();
  try {
    await refuseExisting(file);
    using target = Deno.openSync(temporary, { write: true, createNew: true });
    const write = (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length;) done += target.writeSync(bytes.subarray(done));
    };
    const sink = await sinkFor(format, write);
    let printedMs = performance.now();
    for (const block of reader.blocks()) {
      sink.add(block);
      points += block.length;
      await new Promise<void>((resolve) => setTimeout(resolve));
      if (stop.signal.aborted) throw new Error("the export was stopped");
      if (!world.terminal() || performance.now() < printedMs + PROGRESS_MS) continue;
      printedMs = performance.now();
      const share = reader.totalPoints > 0 ? reader.readPoints / reader.totalPoints : 1;
      world.stderr(`\r${Math.floor(share * 100)}%, ${points} points `);
    }
    sink.end();
    target.syncDataSync();
    if (world.terminal()) world.stderr("\r\x1b[K");
    await Deno.rename(temporary, file);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    if (error instanceof ExitError) throw error;
    throw new ExitError(EXIT.unavailable, `Cannot export to ${file}: ${messageOf(error)}`, { cause: error });
  }
  return points;
}

async function refuseExisting(file: string): Promise<void> {
  const exists = await Deno.lstat(file).then(() => true, () => false);
  if (exists) throw usage(`${file} is there already: name another file, or remove it`);
}

async function sinkFor(format: FileFormat, write: (bytes: Uint8Array) => void): Promise<PointSink> {
  if (format !== "parquet") {
    const encoder = new TextEncoder();
    return new TextSink((text) => write(encoder.encode(text)), format);
  }
  // Only who needs it loads it.
  const { ParquetSink } = await import("./export/parquet.ts");
  return new ParquetSink(write, `${PROGRAM} ${VERSION}`);
}

function formatOf(file: string, flag: string | undefined): FileFormat {
  const format = fileFormat("export", file, flag);
  if (format === "parquet" && file === STANDARD_OUTPUT) {
    throw usage("Parquet cannot be written to standard output: name a file");
  }
  return format;
}

function usage(message: string): ExitError {
  return new ExitError(EXIT.usage, message);
}
