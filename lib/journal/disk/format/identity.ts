/** The identity of a journal on disk: its id, its host, and the first number of its last start. */
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
  /** The outputs that the journal has had; absent if an older version wrote the file. */
  readonly outputs?: readonly string[];
  /** Earlier starts, the last one first; those before are not known. */
  readonly runs: readonly Run[];
}

/** The numbers of one start: from its first to before the largest that any file knew at the next start. */
type Run = readonly [first: number, end: number];

/** No journal has larger numbers. */
export const MAX_NUMBER = 2 ** 52;
/**
 * Record numbers that each start skips. Outputs may have committed batches that were never written, with numbers that no
 * file knows, and an output that keeps its position elsewhere may report them hours later; no number may stand for two
 * batches. At a million records per second this is a quarter of an hour.
 */
export const SPARE_NUMBERS = 1_000_000_000;
/**
 * A start skips up to this many more numbers at random, so that two copies of a journal use different numbers after their
 * next starts.
 */
const RANDOM_NUMBERS = 100 * SPARE_NUMBERS;
/** Starts that the file remembers. */
const MAX_RUNS = 12;
/** Length of the padded file, so that the next one is not longer. */
const FILE_BYTES = 1024;
/** More bytes than the file has, however many outputs there are. */
const MAX_BYTES = 1024 ** 2;

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

/** The identity in the directory; `undefined` if there is none, `null` if it is unreadable. */
export function readIdentity(files: Files, directory: string): Identity | null | undefined {
  try {
    return parse(new TextDecoder().decode(files.readStart(pathOf(directory), MAX_BYTES)));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? undefined : null;
  }
}

/** @throws errors of the file system. */
export async function saveIdentity(files: Files, directory: string, identity: Identity): Promise<void> {
  const text = JSON.stringify(identity) + "\n";
  await replaceOrOverwrite(pathOf(directory), text.padEnd(FILE_BYTES), files);
  await syncDirectory(directory, files);
}

/**
 * Decides the identity of the journal in a directory. A directory that was copied to another host gets an id of its own:
 * if two processes had the same id, the data of one would be taken for duplicates of the other's.
 *
 * @param known Greater than every record number in other files.
 * @param options `outputs`: the outputs from now on, by default the previous ones; `random`: at least 0 and less than 1.
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
    log.warn("Cannot read the id of the journal, it gets a new one", { path: pathOf(directory), id });
  } else if (before && before.host !== host) {
    log.warn("The journal was made on another host and gets a new id", { id, host, made_on: before.host });
  }
  // Nobody can know numbers of a directory that never was a journal.
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
    // The next start will not know these numbers, so it should begin with others.
    return { ...identity, numbers: numbers + SPARE_NUMBERS * (1 + Math.floor(random() * 1000)) };
  }
  return identity;
}

/**
 * Whether a journal may have given this number to a batch. Batches that it sent, and did not write before it was killed,
 * have numbers that no file knows; there are fewer than {@linkcode SPARE_NUMBERS} of them.
 */
export function mayHaveUsed({ numbers, runs }: Identity, number: number): boolean {
  if (number >= numbers) return true;
  for (const [first, end] of runs) if (number >= first) return number < end + SPARE_NUMBERS;
  return true;
}
