/** Who a journal on disk is: its id, the host that it belongs to, and where the numbers of its last start began. */
import { messageOf } from "../../../base/errors.ts";
import { newJournalId } from "../../contract.ts";
import type { Logger } from "../../../base/log.ts";
import { type Files, replaceOrOverwrite, syncDirectory } from "./files.ts";

export interface Identity {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** The name of the host where the id was made. */
  readonly host: string;
  /** The first record number of the last start. */
  readonly numbers: number;
  /** The outputs that the journal has had; absent where a version that did not write them down made the file. */
  readonly outputs?: readonly string[];
  /** Earlier starts, the last one first; nothing is known of those before. */
  readonly runs: readonly Run[];
}

/** The numbers of one start: from its first one to before the end of what any file knew of at the next start. */
type Run = readonly [first: number, end: number];

/** Numbers above this are of no journal. */
export const MAX_NUMBER = 2 ** 52;
/**
 * How many record numbers are left out at each start. Outputs may have committed batches that never came to disk, more
 * of them than any file knows of, and an output that keeps its position elsewhere may only say so hours later; no
 * number may stand for two batches. At a million records a second, these are the records of a quarter of an hour.
 */
export const SPARE_NUMBERS = 1_000_000_000;
/**
 * Up to this many more numbers are left out, at random: two journals that are copies of each other use other numbers
 * from their next starts on.
 */
const RANDOM_NUMBERS = 100 * SPARE_NUMBERS;
/** Starts that the file remembers. */
const MAX_RUNS = 12;
/** So much that the next one is not longer. */
const FILE_BYTES = 1024;
/** More than the file has. */
const MAX_BYTES = 4096;

const pathOf = (directory: string) => `${directory}/journal.id`;

function parse(text: string): Identity | null {
  try {
    const { id, host, numbers, outputs, runs } = JSON.parse(text);
    const isNumber = (value: unknown) =>
      Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= MAX_NUMBER;
    if (!/^[0-9a-f]{32}$/.test(id) || typeof host !== "string" || !isNumber(numbers)) return null;
    const isRun = (run: unknown) => Array.isArray(run) && run.length === 2 && run.every(isNumber);
    const areRuns = Array.isArray(runs) && runs.every(isRun);
    const identity = { id, host, numbers, runs: areRuns ? runs : [] };
    const areNames = Array.isArray(outputs) && outputs.every((name) => typeof name === "string");
    return areNames ? { ...identity, outputs } : identity;
  } catch {
    return null;
  }
}

/** What the directory says of itself; `undefined` where it says nothing, `null` where that cannot be read. */
export function readIdentity(files: Files, directory: string): Identity | null | undefined {
  try {
    return parse(new TextDecoder().decode(files.readStart(pathOf(directory), MAX_BYTES)));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? undefined : null;
  }
}

/** @throws What the file system throws. */
export async function saveIdentity(files: Files, directory: string, identity: Identity): Promise<void> {
  const text = JSON.stringify(identity) + "\n";
  await replaceOrOverwrite(pathOf(directory), text.padEnd(FILE_BYTES), files);
  await syncDirectory(directory, files);
}

/**
 * Who the journal in a directory is from now on. A directory that was copied to another host gets an id of its own: two
 * processes with one id would have their data taken for duplicates of each other's.
 *
 * @param known Behind every record number that other files know of.
 * @param options `outputs`: the outputs from now on, those that it has had by default; `random`: at least 0 and less
 * than 1.
 */
export async function identify(
  files: Files,
  directory: string,
  host: string,
  known: number,
  log: Logger,
  { outputs, random = Math.random }: { outputs?: readonly string[] | undefined; random?: () => number } = {},
): Promise<Identity> {
  const before = readIdentity(files, directory);
  const id = before?.host === host ? before.id : newJournalId();
  if (before === null) {
    log.warn("The id of the journal cannot be read, it has a new one", { path: pathOf(directory), id });
  } else if (before && before.host !== host) {
    log.warn("The journal was made on another host and gets a new id", { id, host, made_on: before.host });
  }
  // A directory that never was a journal has no numbers that anybody could know.
  const isNew = before === undefined && known === 0;
  const numbers = isNew
    ? 0
    : Math.max(known, before?.numbers ?? 0) + SPARE_NUMBERS + Math.floor(random() * RANDOM_NUMBERS);
  const last: Run[] = before ? [[before.numbers, Math.max(known, before.numbers)]] : [];
  const runs = [...last, ...before?.runs ?? []].slice(0, MAX_RUNS);
  const identity: Identity = { id, host, numbers, outputs: outputs ?? before?.outputs, runs };
  try {
    await saveIdentity(files, directory, identity);
  } catch (error) {
    log.warn("Cannot save the id of the journal", { path: pathOf(directory), error: messageOf(error) });
    // The next start will know nothing of these numbers: they should not be those that it begins with.
    return { ...identity, numbers: numbers + SPARE_NUMBERS * (1 + Math.floor(Math.random() * 1000)) };
  }
  return identity;
}

/**
 * Whether a journal may have given a batch that number. What it sent and did not write to disk before it was killed has
 * numbers that no file knows of; they are less than {@linkcode SPARE_NUMBERS}.
 */
export function mayHaveUsed({ numbers, runs }: Identity, number: number): boolean {
  if (number >= numbers) return true;
  for (const [first, end] of runs) if (number >= first) return number < end + SPARE_NUMBERS;
  return true;
}
