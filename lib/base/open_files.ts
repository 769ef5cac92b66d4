/** How many files a process may have open. */

/** The soft limit of open files in the text of /proc/self/limits (man 5 proc_pid_limits); 1024 where it says nothing. */
export function openFilesLimit(limits: string | undefined): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? "");
  if (!match) return 1024;
  return match[1] === "unlimited" ? Infinity : Number(match[1]);
}

/** The limit of this process. To be asked before permissions are given up. */
export function ownOpenFilesLimit(): number {
  try {
    return openFilesLimit(Deno.readTextFileSync("/proc/self/limits"));
  } catch {
    return openFilesLimit(undefined);
  }
}
