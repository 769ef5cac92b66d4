/** Where outputs begin that are new to a journal. */
import { messageOf } from "../../base/errors.ts";
import type { Census } from "./format/census.ts";
import { cursorPath, outputOf, saveCursor } from "./format/cursor.ts";
import type { Identity } from "./format/identity.ts";
import type { Settings } from "./options.ts";
import type { Recovered } from "./recover.ts";

/** What is known when a journal is opened. */
export interface Opening extends Pick<Settings, "directory" | "files" | "log" | "outputs" | "newOutputs"> {
  /** The identity in the directory; `undefined` or `null` if there is none. */
  readonly identity: Identity | null | undefined;
  /** Positions by the files of the cursors. */
  readonly cursors: Map<string, number | null>;
  readonly found: Recovered;
  /** Behind every record number that a file knows of. */
  readonly known: number;
}

/** The past outputs of the journal. */
function pastOutputs({ identity, cursors }: Opening): Set<string> {
  return new Set([...identity?.outputs ?? [], ...[...cursors.keys()].map(outputOf)]);
}

/** The past outputs of the journal and those of this start; `undefined` if they are unknown. */
export function outputsOf(opening: Opening): string[] | undefined {
  return opening.outputs && [...new Set([...pastOutputs(opening), ...opening.outputs])];
}

/**
 * Saves the cursors of new outputs. A new output begins at the end of the journal, because the others take what is in it.
 * If none of the earlier outputs is enabled, it takes over the points that the slowest of them has not taken, because no
 * other output would.
 *
 * Call this before the list of outputs is saved: an output that is in the list and has no cursor begins with the oldest
 * batch.
 *
 * @returns What was written before the position of each new output, by name, without those that begin with the oldest
 * batch.
 */
export async function beginNewOutputs(opening: Opening): Promise<Map<string, Census>> {
  const { directory, files, log, identity, outputs = [], cursors, found } = opening;
  const beginnings = new Map<string, Census>();
  // Without the list, an output without a cursor may be one that has not taken anything yet.
  if (!identity?.outputs || found.end.points === found.begin.points) return beginnings;
  const past = pastOutputs(opening);
  for (const output of outputs.filter((name) => !past.has(name))) {
    const place = placeOf(output, past, opening);
    if (!place) continue;
    const path = cursorPath(directory, output);
    try {
      await saveCursor(files, path, place.position);
    } catch (error) {
      log.warn("Cannot save a cursor of the journal", { path, error: messageOf(error) });
    }
    cursors.set(path, place.position);
    beginnings.set(output, place.census);
  }
  return beginnings;
}

/** A position, and what had been written before it. */
interface Place {
  readonly position: number;
  readonly census: Census;
}

/** Where a new output begins, which the log says too; `undefined` for the oldest batch. */
function placeOf(output: string, past: ReadonlySet<string>, opening: Opening): Place | undefined {
  const { log, outputs = [], newOutputs, known, found: { begin, end } } = opening;
  const kept = end.points - begin.points;
  if (newOutputs === "oldest") {
    log.info("A new output begins with the oldest point in the journal", { output, points: kept });
    return undefined;
  }
  if (outputs.some((name) => past.has(name))) {
    log.info(
      "A new output begins with the next point; the others take the older ones (journal.new_outputs)",
      {
        output,
        passed_over: kept,
      },
    );
    return { position: known, census: end };
  }
  const place = leastTaken(past, opening);
  log.info("A new output takes over the points of outputs that are no longer enabled", {
    output,
    before: [...past].join(","),
    points: end.points - (place?.census ?? begin).points,
  });
  return place;
}

/** The position of the slowest output; `undefined` if one of them has taken nothing. */
function leastTaken(names: Iterable<string>, { directory, cursors, found }: Opening): Place | undefined {
  let least: Place | undefined;
  for (const name of names) {
    const path = cursorPath(directory, name);
    const [position, census] = [cursors.get(path) ?? undefined, found.starts.get(path)];
    if (position === undefined || !census) return undefined;
    if (!least || position < least.position) least = { position, census };
  }
  return least;
}
