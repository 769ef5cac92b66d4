/** Small files that are replaced as a whole. */

/**
 * Replaces a file: after a crash or a power failure it is the old one or the new one.
 *
 * @throws What the file system throws; the old file is left as it was.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    using file = await Deno.open(temporary, { create: true, write: true, truncate: true });
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.syncData();
  }
  await Deno.rename(temporary, path);
}

/** Makes names in a directory that are new, renamed or removed survive a power failure. */
export async function syncDirectory(directory: string): Promise<void> {
  using folder = await Deno.open(directory);
  await folder.sync();
}
