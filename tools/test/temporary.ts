/** Where tests have their temporary files: in memory, because journals and databases wait for the disk all the time. */
import { statfsSync } from "node:fs";

const FOLDER = "/dev/shm";
/** What must be free there, and in the memory of the machine. */
const LEAST_BYTES = 4 * 1024 ** 3;
/**
 * Whole programs and packages have theirs on a disk, as they do in use; and there the files count for no memory limit.
 * Those of the agent too: to it, what is below /dev is a device.
 */
const ON_DISK = /^(?:\.\/)?tests\/(?:agent|end_to_end|project|systemd)\//;

/** Another folder than the usual one for the temporary files of these tests, or `undefined`. */
export function temporaryFolder(file: string): string | undefined {
  return ON_DISK.test(file) || Deno.env.get("TMPDIR") || !isRoomy() ? undefined : FOLDER;
}

/** There is room in memory, and programs that tests write there may run. */
function isRoomy(): boolean {
  try {
    const { bavail, bsize } = statfsSync(FOLDER);
    const mount = Deno.readTextFileSync("/proc/mounts").split("\n").findLast((line) =>
      line.split(" ")[1] === FOLDER
    );
    const options = mount?.split(" ")[3].split(",") ?? ["noexec"];
    return bavail * bsize >= LEAST_BYTES && Deno.systemMemoryInfo().available >= LEAST_BYTES &&
      !options.includes("noexec");
  } catch {
    return false;
  }
}
