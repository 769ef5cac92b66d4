/** Where outputs begin that a journal has never had. */
import { messageOf } from "../../base/errors.ts";
import type { Census } from "./format/census.ts";
import { cursorPath, outputOf, saveCursor } from "./format/cursor.ts";
import type { Identity } from "./format/identity.ts";
import type { Settings } from "./options.ts";
import type { Recovered } from "./recover.ts";

/** What is known when a journal is opened. */
export interface Opening extends Pick<Settings, "directory" | "files" | "log" | "outputs" | "newOutputs"> {
  /** What the directory says of itself; `undefined` or `null` where it says nothing. */
  readonly identity: Identity | null | undefined;
  /** Positions by the files of the cursors. */
  readonly cursors: Map<string, number | null>;
  readonly found: Recovered;
  /** Behind every record number that a file knows of. */
  readonly known: number;
}

/** The outputs that the journal has had. */
function pastOutputs({ identity, cursors }: Opening): Set<string> {
  return new Set([...identity?.outputs ?? [], ...[...cursors.keys()].map(outputOf)]);
}

/** The outputs that the journal has had, and those of this start; `undefined` where nothing says them. */
export function outputsOf(opening: Opening): string[] | undefined {
  return opening.outputs && [...new Set([...pastOutputs(opening), ...opening.outputs])];
}

/**
 * Saves the cursors of outputs that the journal has never had. Such an output begins at the end of the journal, because
 * the others take what is kept. Where none of the others is left, it takes over what the last of them had not taken:
 * nobody else would.
 *
 * @returns what had been written before the place where each of them begins, by their names. Outputs that begin with the
 * oldest batch are not in it. To be called before the list of outputs is saved: an output that is in the list and has no
 * cursor gets all that is kept.
 */
export async function beginNewOutputs(opening: Opening): Promise<Map<string, Census>> {
  const { directory, files, log, identity, outputs = [], cursors, found } = opening;
  const beginnings = new Map<string, Census>();
  // Without the list an output that has no cursor may be one that has not taken anything yet.
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

/** Where a new output begins; `undefined` for the oldest batch. The log says it. */
function placeOf(output: string, past: ReadonlySet<string>, opening: Opening): Place | undefined {
  const { log, outputs = [], newOutputs, known, found: { begin, end } } = opening;
  const kept = end.points - begin.points;
  if (newOutputs === "oldest") {
    log.info("A new output begins with the oldest point in the journal", { output, points: kept });
    return undefined;
  }
  if (outputs.some((name) => past.has(name))) {
    log.info("A new output begins with the next point, older ones are for the others (journal.new_outputs)", {
      output,
      passed_over: kept,
    });
    return { position: known, census: end };
  }
  const place = leastTaken(past, opening);
  log.info("A new output takes over what the outputs before it had not taken", {
    output,
    before: [...past].join(","),
    points: end.points - (place?.census ?? begin).points,
  });
  return place;
}

/** Where the output stands that has taken least; `undefined` where one of them has taken nothing. */
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
