/** What the ends say of themselves when they stop: counts of what is lost, and books that must balance. */
import type { LogLine } from "../../tests/kit/process.ts";

/** From the log of one process. */
export interface Said {
  /** Points that were dropped by policy. */
  readonly dropped: number;
  readonly problems: readonly string[];
}

const LOSS = "Points of the journal were lost to damage";

const count = (line: LogLine | undefined, field: string) => Number(line?.[field] ?? 0);

/** Points that a process says are lost by damage, each loss as soon as it is found. */
export function damagedIn(lines: readonly LogLine[]): number {
  const errors = lines.filter(({ part, level }) => part === "journal" && level === "error");
  return errors.reduce(
    (sum, line) => sum + count(line, line.message === LOSS ? "points" : "lost_points"),
    0,
  );
}

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
    const left = count(last, "left_with_clients");
    if (kept !== count(last, "kept_in_journal") + count(last, "given_up") + left) {
      problems.push(`the accounts of ${books.length} clients have ${kept} points kept: ${last.text}`);
    }
    for (const line of books) {
      if (count(line, "kept") < 0) problems.push(`less than none is kept: ${line.text}`);
    }
  }
  if (count(journal, "damaged_points") !== damagedIn(lines)) {
    problems.push(`${damagedIn(lines)} damaged points are in its log: ${journal?.text}`);
  }
  if (count(last, "given_up") > 0) problems.push(`points were given up: ${last!.text}`);
  return {
    dropped: count(journal, "dropped_points"),
    problems,
  };
}
