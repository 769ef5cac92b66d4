/** Cursors: how far each output has come, in small files that are replaced as a whole. */

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
  const temporary = `${path}.tmp`;
  {
    using file = await Deno.open(temporary, { create: true, write: true, truncate: true });
    const bytes = new TextEncoder().encode(JSON.stringify({ position, points }) + "\n");
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.syncData();
  }
  await Deno.rename(temporary, path);
}

/** The cursors in a directory by their files' paths; `null` where a file is damaged. */
export async function loadCursors(directory: string): Promise<Map<string, Cursor | null>> {
  const cursors = new Map<string, Cursor | null>();
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile || !name.endsWith(".cursor")) continue;
    const path = `${directory}/${name}`;
    cursors.set(path, parseCursor(await Deno.readTextFile(path)));
  }
  return cursors;
}

function parseCursor(text: string): Cursor | null {
  try {
    const { position, points } = JSON.parse(text);
    return Number.isSafeInteger(position) && position >= 0 && Number.isSafeInteger(points) && points >= 0
      ? { position, points }
      : null;
  } catch {
    return null;
  }
}
