/** Whether standard error leads to the journal of systemd, which then knows the time of each line and wants its priority. */

/**
 * systemd says in `$JOURNAL_STREAM` which file it gave the service as standard error, by device and inode. Something in
 * between (a shell script with a pipe) may have put another one in its place.
 *
 * @param stderr What fstat(2) says of standard error.
 */
export function isJournalStream(
  env: (name: string) => string | undefined,
  stderr: () => { dev: number; ino: number | null } = () => Deno.statSync("/proc/self/fd/2"),
): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(env("JOURNAL_STREAM") ?? "") ?? [];
  if (device === undefined) return false;
  try {
    const { dev, ino } = stderr();
    return dev === Number(device) && ino === Number(inode);
  } catch {
    // Standard error is closed, or there is no /proc.
    return false;
  }
}
