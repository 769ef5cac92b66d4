/** What an error of the database means: decided by its SQLSTATE (PostgreSQL, appendix A), never by its text. */

/**
 * `refused`: these rows will not be taken, ever. `schema`: a table or column is not as we left it. `later`: the rows are
 * not the reason, and another try may find it mended, by itself or by somebody who acts.
 */
export type Verdict = "refused" | "schema" | "later";

/** 22: data exception. 23: a constraint. 54: too large, too many columns. P0: raised by a trigger. */
const REFUSED_CLASSES = ["22", "23", "54", "P0"];
/** Of these classes, what speaks of the table rather than of the row: columns of other types than ours. */
const OF_THE_TABLE = ["22P03", "22P04"];
/** Undefined column, table, function or object, invalid schema; wrong kind of object, mismatch of types. */
const SCHEMA = ["42703", "42P01", "42883", "42704", "3F000", "42809", "42804", ...OF_THE_TABLE];
/** A statement ran into a limit of time, or was cancelled. */
export const QUERY_CANCELED = "57014";
export const INVALID_PASSWORD = "28P01";
export const INSUFFICIENT_PRIVILEGE = "42501";

/** The SQLSTATE of anything that was thrown; `""` where it did not come from the database. */
export function sqlstateOf(error: unknown): string {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  // Errors of sockets have codes too, but no severity.
  return typeof code === "string" && code.length === 5 && severity !== undefined ? code : "";
}

/** A value is not in another table: of our own key, a metric that was deleted meanwhile. */
const FOREIGN_KEY_VIOLATION = "23503";
const OWN_FOREIGN_KEY = "series_metric_id_fkey";
/** A row breaks a CHECK, which is named then, or there is no partition for it, as without points_default. */
const CHECK_VIOLATION = "23514";

export function judge(error: unknown): Verdict {
  const code = sqlstateOf(error);
  const { constraint } = (error ?? {}) as { constraint?: string };
  if (SCHEMA.includes(code)) return "schema";
  if (code === FOREIGN_KEY_VIOLATION && constraint === OWN_FOREIGN_KEY) return "schema";
  if (code === CHECK_VIOLATION && !constraint) return "schema";
  if (REFUSED_CLASSES.includes(code.slice(0, 2))) return "refused";
  return "later";
}

/** What the database said, in one line, with its code. */
export function describe(error: unknown): string {
  const { message, detail } = error as { message?: string; detail?: string };
  const code = sqlstateOf(error);
  if (code === "") return message || String(error);
  return `${message}${detail ? `: ${detail}` : ""} (SQLSTATE ${code})`;
}
