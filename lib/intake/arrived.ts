/** What a socket can hold when the process stops. */

/** Of Linux without settings of its own, in bytes. */
const USUAL_BYTES = 6 * 1024 * 1024;
let known: number | undefined;

/**
 * How many bytes the kernel keeps for a connection that nobody reads, at most (man 7 tcp, `tcp_rmem`). Who has sent more
 * since a stop began has sent it after that.
 */
export function mostArrivedBytes(): number {
  return known ??= Math.max(USUAL_BYTES, settingOf("/proc/sys/net/ipv4/tcp_rmem"));
}

function settingOf(path: string): number {
  try {
    return Number(Deno.readTextFileSync(path).trim().split(/\s+/)[2]) || 0;
  } catch {
    return 0;
  }
}
