/** The newest files below a folder. */

/** Entries that are looked at: a folder may have very many. */
const MOST_ENTRIES = 16_384;

export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly changedMs: number;
}

/**
 * @param folder Empty: the working directory; what cannot be read has no files.
 * @param isWanted By the path in the folder.
 */
export async function newestFiles(
  folder: string,
  isWanted: (path: string) => boolean,
  most: number,
): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const folders = [""];
  for (let entries = 0; folders.length > 0 && entries < MOST_ENTRIES;) {
    const below = folders.pop()!;
    try {
      for await (const { name, isDirectory, isFile } of Deno.readDir(`${folder || "."}/${below}`)) {
        if (++entries > MOST_ENTRIES) break;
        const path = `${below}${name}`;
        if (isDirectory) folders.push(`${path}/`);
        if (!isFile || !isWanted(path)) continue;
        const { size, mtime } = await Deno.stat(`${folder}${path}`);
        found.push({ path: `${folder}${path}`, bytes: size, changedMs: mtime?.getTime() ?? 0 });
      }
    } catch { /* It is not there, or somebody else's. */ }
  }
  return found.sort((a, b) => b.changedMs - a.changedMs).slice(0, most);
}
