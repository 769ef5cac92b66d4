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
}

/** Numbers above this are of no journal. */
export const MAX_NUMBER = 2 ** 52;
/**
 * How many record numbers are left out at each start. Outputs may have committed batches that never came to disk, more
 * of them than any file knows of, and an output that keeps its position elsewhere may only say so hours later; no
 * number may stand for two batches. At a million records a second, these are the records of a quarter of an hour.
 */
export const SPARE_NUMBERS = 1_000_000_000;
/** So much that the next one is not longer. */
const FILE_BYTES = 512;
/** More than the file has. */
const MAX_BYTES = 4096;

const pathOf = (directory: string) => `${directory}/journal.id`;

function parse(text: string): Identity | null {
  try {
    const { id, host, numbers, outputs } = JSON.parse(text);
    const good = /^[0-9a-f]{32}$/.test(id) && typeof host === "string" && Number.isSafeInteger(numbers) &&
      numbers >= 0 && numbers <= MAX_NUMBER;
    if (!good) return null;
    const areNames = Array.isArray(outputs) && outputs.every((name) => typeof name === "string");
    return areNames ? { id, host, numbers, outputs } : { id, host, numbers };
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
 * @param outputs The outputs from now on. @default those that it has had
 */
export async function identify(
  files: Files,
  directory: string,
  host: string,
  known: number,
  log: Logger,
  outputs?: readonly string[],
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
  const numbers = isNew ? 0 : Math.max(known, before?.numbers ?? 0) + SPARE_NUMBERS;
  const identity: Identity = { id, host, numbers, outputs: outputs ?? before?.outputs };
  try {
    await saveIdentity(files, directory, identity);
  } catch (error) {
    log.warn("Cannot save the id of the journal", { path: pathOf(directory), error: messageOf(error) });
    // The next start will know nothing of these numbers: they should not be those that it begins with.
    return { ...identity, numbers: numbers + SPARE_NUMBERS * (1 + Math.floor(Math.random() * 1000)) };
  }
  return identity;
}
