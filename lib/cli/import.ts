/** `alumet-relay import`: writes the points of files to outputs. */
import { createHash } from "node:crypto";
import { findStateBase, roleOf, STATE_FLAG } from "../agent/state_directory.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { DeadLetterBox, deadLetterDirectory } from "../dead_letters.ts";
import type { Logger } from "../base/log.ts";
import type { OutputPlugin } from "../plugin.ts";
import { PROGRAM } from "./declarations.ts";
import { type FileFormat, fileFormat } from "./export/formats.ts";
import { readPoints } from "./import/files.ts";
import { writePoints } from "./import/writing.ts";
import { load, logFor } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import { stopOnSignal } from "./stop_signals.ts";
import type { Surroundings } from "./world.ts";

/** Another value makes each file one that nobody has seen: to be changed when points are put into other batches. */
const ID_VERSION = "alumet-relay import 1\n";
const HASHED_BYTES = 1024 * 1024;
/** How often progress is printed, in ms. */
const PROGRESS_MS = 500;

interface ImportedFile {
  readonly path: string;
  readonly format: FileFormat;
  /** Of its content, 32 hexadecimal digits. */
  readonly id: string;
  readonly points: number;
}

interface Target {
  readonly plugin: OutputPlugin<unknown>;
  readonly config: unknown;
}

/** @returns the exit code: 0 if all outputs have all points, 65 if some were set aside, 69 if some are missing. */
export async function importPoints(line: CommandLine, world: Surroundings): Promise<number> {
  if (line.words.length === 0) throw usage("import needs a FILE, such as points.parquet");
  if (line.words.includes("-")) {
    throw usage("Cannot import standard input: a file is read twice; name a file");
  }
  const formats = line.words.map((path) => ({
    path,
    format: fileFormat("import", path, line.value("format")),
  }));
  const { config } = await load(line, world, { requirePipeline: false });
  const plugins = config.plugins.map(({ plugin }) => plugin);
  const isSent = line.value("relay-out") !== undefined;
  const targets = config.plugins.filter(({ plugin }) =>
    plugin.kind === "output" && (!isSent || plugin.sends)
  );
  if (targets.length === 0) {
    throw usage(
      `Cannot import: no output is enabled; name a file with --config, or write ${PROGRAM} import --relay-out HOST:PORT`,
    );
  }
  const base = findStateBase(line.value("state-dir"), world.env);
  const stateDirectory = base && `${base.path}/${roleOf(plugins)}`;
  if (stateDirectory) await makeDirectory(stateDirectory);
  const progress = new Progress(world);
  const files: ImportedFile[] = [];
  for (const { path, format } of formats) files.push(await check(path, format, progress));
  using stop = stopOnSignal();
  let code: number = EXIT.ok;
  const log = logFor(line, world, () => "warn");
  const { max_size: maxBytes } = config.general.dead_letters;
  for (const file of files) {
    for (const target of targets as Target[]) {
      const written = await write(file, target, {
        stateDirectory,
        maxBytes,
        log,
        progress,
        stop: stop.signal,
      });
      progress.end();
      world.stdout(`${file.path}: ${written.text}\n`);
      code = Math.max(code, written.code);
    }
  }
  return code;
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o750 });
  } catch (error) {
    throw new ExitError(
      EXIT.unavailable,
      `Cannot use the state directory ${path}: ${messageOf(error)}; name another one with ${STATE_FLAG}`,
      { cause: error },
    );
  }
}

/** Reads a file to its end. @throws {ExitError} 65 for the first row that is not a point, 69 if it cannot be read. */
async function check(path: string, format: FileFormat, progress: Progress): Promise<ImportedFile> {
  let points = 0;
  for await (
    const batch of readPoints(path, format, (share) => progress.show(`Checking ${path}`, share, points))
  ) {
    points += batch.length;
    batch.release();
  }
  progress.end();
  return { path, format, points, id: await idOf(path) };
}

async function idOf(path: string): Promise<string> {
  const hash = createHash("sha256").update(ID_VERSION);
  const bytes = new Uint8Array(HASHED_BYTES);
  using file = await Deno.open(path);
  for (let count; (count = await file.read(bytes)) !== null;) hash.update(bytes.subarray(0, count));
  return hash.digest("hex").slice(0, 32);
}

interface Run {
  readonly stateDirectory: string | null;
  readonly maxBytes: number;
  readonly log: Logger;
  readonly progress: Progress;
  readonly stop: AbortSignal;
}

async function write(
  { path, format, id, points }: ImportedFile,
  { plugin, config }: Target,
  { stateDirectory, maxBytes, log, progress, stop }: Run,
): Promise<{ code: number; text: string }> {
  const { name } = plugin;
  const deadLetters = new DeadLetterBox({
    directory: stateDirectory && deadLetterDirectory(stateDirectory, name),
    maxBytes,
    log: log.for(name),
  });
  let read = 0;
  const batches = readPoints(path, format, (share) => progress.show(`${path} to ${name}`, share, read));
  const counted = async function* () {
    for await (const batch of batches) {
      read += batch.length;
      yield batch;
    }
  };
  const { stored, skipped } = await writePoints(counted(), id, { plugin, config }, {
    log: log.for(name),
    stateDirectory,
    deadLetters,
    signal: stop,
  }).catch((error) => {
    progress.end();
    const reason = `Cannot import ${path} to ${name}: ${messageOf(error)}`;
    throw new ExitError(error instanceof ExitError ? error.exitCode : EXIT.unavailable, reason, {
      cause: error,
    });
  });
  const refused = deadLetters.refusedPoints;
  const parts = [`${count(stored - skipped - refused)} written to ${name}`];
  if (skipped > 0) parts.push(`${skipped} were there already`);
  if (refused > 0) parts.push(`${refused} set aside (dead-letters show ${name})`);
  if (stored < points) parts.push(`${points - stored} not written, because the import was stopped`);
  return {
    code: stored < points ? EXIT.unavailable : refused > 0 ? EXIT.data : EXIT.ok,
    text: parts.join(", "),
  };
}

const count = (points: number) => `${points} point${points === 1 ? "" : "s"}`;

/** One line on a terminal. */
class Progress {
  readonly #world: Surroundings;
  #printedMs = performance.now();
  #isShown = false;

  constructor(world: Surroundings) {
    this.#world = world;
  }

  show(what: string, share: number, points: number): void {
    if (!this.#world.terminal() || performance.now() < this.#printedMs + PROGRESS_MS) return;
    this.#printedMs = performance.now();
    this.#isShown = true;
    this.#world.stderr(`\r${what}: ${Math.floor(share * 100)}%, ${points} points `);
  }

  end(): void {
    if (this.#isShown) this.#world.stderr("\r\x1b[K");
    this.#isShown = false;
  }
}

function usage(message: string): ExitError {
  return new ExitError(EXIT.usage, message);
}
