/** What the ends say of themselves when they stop: counts of what is lost, and books that must balance. */
import type { LogLine } from "../../tests/kit/process.ts";

/** From the log of one process. */
export interface Said {
  /** Points that were dropped by policy. */
  readonly dropped: number;
  /** Points that were lost by damage. */
  readonly damaged: number;
  readonly problems: readonly string[];
}

const count = (line: LogLine | undefined, field: string) => Number(line?.[field] ?? 0);

/**
 * Reads the log of a process that was stopped in good order. What each client has in the journal, by the accounts,
 * must be what the journal itself says is in it; and what was stored what the output says that it has written.
 */
export function readLog(lines: readonly LogLine[]): Said {
  const summary = (part: string) => lines.find((line) => line.part === part && line.message === "Summary");
  const journal = summary("journal");
  const last = lines.findLast(({ message }) => message === "Stopped" || message === "Stopping at once");
  const books = lines.filter(({ part, message }) => part === "journal" && message === "Books");
  const problems: string[] = [];
  if (!journal || !last) problems.push("it has not said what it did");
  else if (books.length > 0) {
    const kept = books.reduce((sum, line) => sum + count(line, "kept"), 0);
    if (kept !== count(last, "kept_in_journal") + count(last, "given_up")) {
      problems.push(`the accounts of ${books.length} clients have ${kept} points kept: ${last.text}`);
    }
    for (const line of books) {
      if (count(line, "kept") < 0) problems.push(`less than none is kept: ${line.text}`);
    }
  }
  if (count(last, "given_up") > 0) problems.push(`points were given up: ${last!.text}`);
  return {
    dropped: count(journal, "dropped_points"),
    damaged: count(journal, "damaged_points"),
    problems,
  };
}
