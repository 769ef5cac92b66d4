/** What all files of a run of the tests share: the first that needs it makes it, and it goes with the run. */
import { replaceFile } from "./temp_dir.ts";

/** The variable in which tools/test.ts names a folder that it removes at the end. */
export const RUN_DIRECTORY = "ALUMET_TEST_RUN_DIRECTORY";

/** The folder of this run, or `undefined` where a file is tested by itself. */
export const runDirectory = Deno.env.get(RUN_DIRECTORY) || undefined;

/** Returns what `make` has returned to the first caller of the run, in whichever process. It is kept as JSON. */
export async function madeOnce<T>(directory: string, name: string, make: () => Promise<T>): Promise<T> {
  const path = `${directory}/${name}.json`;
  using lock = await Deno.open(`${directory}/${name}.lock`, { create: true, write: true });
  await lock.lock(true);
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const made = await make();
    replaceFile(path, JSON.stringify(made));
    return made;
  } finally {
    await lock.unlock();
  }
}
