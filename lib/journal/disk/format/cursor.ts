/** Cursors: the position of each output, in small files that are replaced as a whole. */
import { crc32c } from "../../../base/crc32c.ts";
import { type Files, replaceOrOverwrite } from "./files.ts";
import { MAX_NUMBER } from "./identity.ts";

const EXTENSION = ".cursor";
/** Length of the padded file, so that the next one is not longer. */
const FILE_BYTES = 64;

/** The file of an output's cursor. */
export function cursorPath(directory: string, output: string): string {
  return `${directory}/${encodeURIComponent(output)}${EXTENSION}`;
}

/** The output whose cursor is in that file. */
export function outputOf(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf("/") + 1, -EXTENSION.length));
}

/** Saves that an output has committed everything before `position`. @throws errors of the file system. */
export async function saveCursor(files: Files, path: string, position: number): Promise<void> {
  const text = JSON.stringify({ position, check: checkOf(position) }) + "\n";
  await replaceOrOverwrite(path, text.padEnd(FILE_BYTES), files);
}

/** The positions in a directory by the paths of their files; `null` if a file is damaged. */
export async function loadCursors(files: Files, directory: string): Promise<Map<string, number | null>> {
  const cursors = new Map<string, number | null>();
  for (const name of await files.list(directory)) {
    if (!name.endsWith(EXTENSION)) continue;
    const path = `${directory}/${name}`;
    cursors.set(path, readCursor(files, path));
  }
  return cursors;
}

function checkOf(position: number): number {
  return crc32c(new TextEncoder().encode(String(position)));
}

/** More bytes than the file of a cursor has. */
const MAX_BYTES = 1024;

function readCursor(files: Files, path: string): number | null {
  try {
    outputOf(path);
    const { position, check } = JSON.parse(new TextDecoder().decode(files.readStart(path, MAX_BYTES)));
    const good = Number.isSafeInteger(position) && position >= 0 && position <= MAX_NUMBER &&
      check === checkOf(position);
    return good ? position : null;
  } catch {
    return null;
  }
}
