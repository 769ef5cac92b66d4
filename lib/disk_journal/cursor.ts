/** Cursors: how far each output has come, in small files that are replaced as a whole. */
import { crc32c } from "../crc32c.ts";
import { replaceFile } from "./atomic_file.ts";
import { MAX_NUMBER } from "./identity.ts";

/** Everything before `position` is committed; `points` is how many points the journal has had up to there. */
export interface Cursor {
  position: number;
  points: number;
}

/** The file of an output's cursor. */
export function cursorPath(directory: string, name: string): string {
  return `${directory}/${encodeURIComponent(name)}.cursor`;
}

/** Replaces the file: after a crash it is the old one or the new one. */
export async function saveCursor(path: string, { position, points }: Cursor): Promise<void> {
  await replaceFile(path, JSON.stringify({ position, points, check: checkOf(position, points) }) + "\n");
}

/** The cursors in a directory by their files' paths; `null` where a file is damaged. */
export async function loadCursors(directory: string): Promise<Map<string, Cursor | null>> {
  const cursors = new Map<string, Cursor | null>();
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile || !name.endsWith(".cursor")) continue;
    const path = `${directory}/${name}`;
    cursors.set(path, parseCursor(await Deno.readTextFile(path).catch(() => "")));
  }
  return cursors;
}

function checkOf(position: number, points: number): number {
  return crc32c(new TextEncoder().encode(`${position} ${points}`));
}

function parseCursor(text: string): Cursor | null {
  try {
    const { position, points, check } = JSON.parse(text);
    const good = Number.isSafeInteger(position) && position >= 0 && position <= MAX_NUMBER &&
      Number.isSafeInteger(points) && points >= 0 && check === checkOf(position, points);
    return good ? { position, points } : null;
  } catch {
    return null;
  }
}
