/** Locks of files, as tests wait for them. */
import { pause, until } from "./waiting.ts";

/**
 * Waits until this process has neither that file nor one below that path open. Who gave up waiting for a lock lets it go when it comes, which
 * on a busy machine may be after the test.
 */
export async function unlocked(path: string): Promise<void> {
  if (Deno.build.os !== "linux") return await pause(50);
  const real = Deno.realPathSync(path);
  await until(() => !openFiles().some((file) => file.startsWith(real)));
}

function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  });
}
