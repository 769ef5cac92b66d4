/** What goes wrong with a database, by what must be done about it. */
import { messageOf } from "../../base/errors.ts";
import type { RefusedRow, StoreProblem } from "./messages.ts";

export class StoreError extends Error {
  override readonly name = "StoreError";

  /** @param refused Rows, where the problem is `refused`. */
  constructor(
    readonly problem: StoreProblem,
    message: string,
    options?: ErrorOptions,
    readonly refused: readonly RefusedRow[] = [],
  ) {
    super(message, options);
  }
}

/** Primary result codes of SQLite (https://sqlite.org/rescode.html) that do not pass by themselves, and what to do. */
const FATAL: Readonly<Record<number, string>> = {
  3: "check the rights of the file and of its directory",
  8: "make the file and its directory writable for this process, or name another file",
  11:
    "the file is damaged: move it away with its -wal and -shm files (the output creates a new one), and save its content " +
    "with `sqlite3 FILE .recover`",
  14: "check that its directory exists and can be written to",
  23: "check the rights of the file and of its directory",
  26: "name another file, or move this one away",
};

/** Result codes that pass: SQLITE_BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, PROTOCOL (of locks), SCHEMA. */
const PASSING = [5, 6, 7, 9, 10, 13, 15, 17];
/** SQLITE_TOOBIG, CONSTRAINT (RAISE of a trigger as well), MISMATCH: they speak of a row. */
const REFUSED = [18, 19, 20];
/** SQLITE_ERROR: a statement does not go with the tables. */
const SCHEMA = 1;
/** SQLITE_CANTOPEN: opening a file fails without a code. */
const CANNOT_OPEN = 14;

interface SqliteError extends Error {
  /** SQLite's extended result code; its lowest byte is the primary one. Errors of `exec` have none: it is not used. */
  errcode?: number;
}

/** Anything that was thrown, as a {@linkcode StoreError}. */
export function storeError(error: unknown, code = (error as SqliteError)?.errcode ?? 0): StoreError {
  if (error instanceof StoreError) return error;
  const primary = code & 0xff;
  const advice = FATAL[primary];
  if (advice !== undefined) {
    return new StoreError("fatal", `${messageOf(error)}; ${advice}`, { cause: error });
  }
  const problem = PASSING.includes(primary)
    ? "later"
    : REFUSED.includes(primary)
    ? "refused"
    : primary === SCHEMA
    ? "schema"
    : "defect";
  return new StoreError(problem, messageOf(error), { cause: error });
}

/** What the constructor of a database has thrown. */
export function openingError(error: unknown): StoreError {
  return storeError(error, CANNOT_OPEN);
}
