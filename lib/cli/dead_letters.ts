/** `alumet-relay dead-letters`: points that databases have permanently refused. */
import { decodeLetter } from "../dead_letters/codec.ts";
import { DeadLetterFiles, lettersIn, outputsIn } from "../dead_letters/files.ts";
import { DEAD_LETTERS_FOLDER, deadLetterDirectory } from "../dead_letters.ts";
import { DurationError, parseDuration } from "../base/duration.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { escapedJson, printable } from "../base/log.ts";
import { formatSize } from "../base/size.ts";
import { type Role, STATE_FLAG } from "../agent/state_directory.ts";
import { didYouMean } from "../base/suggest.ts";
import type { CommandLine } from "./parse.ts";
import { Search } from "./state.ts";
import type { Surroundings } from "./world.ts";

/** The dead letters of one output, of the processes of one role. */
interface LetterPlace {
  readonly output: string;
  readonly role: Role;
  /** Of the processes of that role. */
  readonly stateDirectory: string;
  readonly files: DeadLetterFiles;
}

/** Most reasons to print for one output. */
const MAX_REASONS = 10;

/** Where there are dead letters of the named output, or of all outputs. */
export async function places(line: CommandLine, world: Surroundings): Promise<LetterPlace[]> {
  const search = new Search(line, world);
  const found: LetterPlace[] = [];
  const names = new Set<string>();
  const folders = await search.find(DEAD_LETTERS_FOLDER);
  for (const { base, role, path } of folders) {
    for (const name of await search.try(base, () => outputsIn(path)) ?? []) {
      const output = decodeURIComponent(name);
      const stateDirectory = `${base.path}/${role}`;
      const files = new DeadLetterFiles(deadLetterDirectory(stateDirectory, output));
      const all = await search.try(base, () => files.all());
      if (!all || all.length === 0) continue;
      names.add(output);
      if (line.argument === undefined || line.argument === output) {
        found.push({ output, role, stateDirectory, files });
      }
    }
  }
  if (line.argument !== undefined && found.length === 0 && names.size > 0) {
    const near = didYouMean(line.argument, [...names]) ||
      `; there are dead letters of ${[...names].join(", ")}`;
    throw new ExitError(EXIT.usage, `There are no dead letters of ${line.argument}${near}`);
  }
  if (found.length === 0) search.checkAllSeen("dead letters", STATE_FLAG);
  search.note();
  return found;
}

/** `1 point`, `2 points` */
export const points = (count: number) => `${count} point${count === 1 ? "" : "s"}`;
const timeOf = (ms: number) => new Date(ms).toISOString().slice(0, 19) + "Z";

/** Prints counts, times and reasons for each output. */
export async function list(line: CommandLine, world: Surroundings): Promise<number> {
  const found = await places(line, world);
  if (found.length === 0) world.stdout("There are no dead letters\n");
  for (const { output, role, files } of found) {
    const reasons = new Map<string, number>();
    let [count, damaged, bytes, oldest, newest] = [0, 0, 0, Infinity, -Infinity];
    for (const file of await files.all()) {
      bytes += file.bytes;
      for (const text of await lettersIn(file.path)) {
        const letter = decodeLetter(text);
        if (typeof letter === "string") {
          damaged++;
          continue;
        }
        count++;
        oldest = Math.min(oldest, letter.refusedAtMs);
        newest = Math.max(newest, letter.refusedAtMs);
        reasons.set(letter.reason, (reasons.get(letter.reason) ?? 0) + 1);
      }
    }
    const when = count > 0 ? `, refused from ${timeOf(oldest)} to ${timeOf(newest)}` : "";
    world.stdout(`${output} (${role}): ${points(count)}, ${formatSize(bytes)}${when}\n`);
    const sorted = [...reasons].sort((a, b) => b[1] - a[1]);
    const rows = sorted.slice(0, MAX_REASONS).map(([reason, n]) => [n, printable(reason)]);
    const others = sorted.slice(MAX_REASONS).reduce((sum, [, n]) => sum + n, 0);
    if (others > 0) rows.push([others, `${sorted.length - MAX_REASONS} other reasons`]);
    if (damaged > 0) rows.push([damaged, "damaged lines"]);
    for (const [n, reason] of rows) world.stdout(`${String(n).padStart(10)}  ${reason}\n`);
  }
  return EXIT.ok;
}

/** Prints the letters as lines of JSON. */
export async function show(line: CommandLine, world: Surroundings): Promise<number> {
  const found = await places(line, world);
  if (found.length === 0) world.stderr("There are no dead letters\n");
  for (const { files } of found) {
    for (const { path } of await files.all()) {
      const lines = await lettersIn(path);
      if (lines.length > 0) world.stdout(lines.map(shownLine).join("\n") + "\n");
    }
  }
  return EXIT.ok;
}

/** A line that a terminal can show; one that is damaged is not JSON. */
function shownLine(line: string): string {
  return typeof decodeLetter(line) === "string" ? printable(line) : escapedJson(line);
}

/** Removes old letters, or all. */
export async function purge(line: CommandLine, world: Surroundings): Promise<number> {
  const age = line.value("older-than");
  if ((age === undefined) === !line.has("all")) {
    throw new ExitError(EXIT.usage, "Cannot purge: give --older-than AGE, such as 30days, or --all");
  }
  const before = age === undefined ? Infinity : Date.now() - ageMs(age);
  const isOld = (text: string) => {
    const letter = decodeLetter(text);
    // The age of a damaged line is unknown.
    return typeof letter === "string" ? before === Infinity : letter.refusedAtMs < before;
  };
  const found = await places(line, world);
  if (!line.has("yes")) {
    let count = 0;
    for (const { files } of found) {
      for (const { path } of await files.all()) count += (await lettersIn(path)).filter(isOld).length;
    }
    world.stderr(`${points(count)} would be permanently removed; add --yes to remove them\n`);
    return EXIT.usage;
  }
  for (const { output, role, files } of found) {
    try {
      world.stdout(`${output} (${role}): ${points(await files.purge(isOld))} removed\n`);
    } catch (error) {
      throw new ExitError(EXIT.unavailable, `Cannot purge ${files.directory}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  if (found.length === 0) world.stdout("There are no dead letters\n");
  return EXIT.ok;
}

function ageMs(text: string): number {
  try {
    return Number(parseDuration(text)) / 1e6;
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
    throw new ExitError(EXIT.usage, `Cannot use --older-than ${text}: ${error.message}`);
  }
}
