/** What a connection may have brought when the process stops. */

/** Of Linux without settings of its own, in bytes. */
const USUAL_BYTES = 6 * 1024 * 1024;
let known: number | undefined;

/** Counts what is read of a connection since a stop began. */
export class ReadSinceStop {
  #bytes = 0;

  /** @returns whether the peer has gone on to send: it is more than can have arrived before. */
  add(bytes: number): boolean {
    return (this.#bytes += bytes) > mostArrivedBytes();
  }
}

/** How many bytes the kernel keeps for a connection that nobody reads, at most (man 7 tcp, `tcp_rmem`). */
function mostArrivedBytes(): number {
  return known ??= Math.max(USUAL_BYTES, settingOf("/proc/sys/net/ipv4/tcp_rmem"));
}

function settingOf(path: string): number {
  try {
    return Number(Deno.readTextFileSync(path).trim().split(/\s+/)[2]) || 0;
  } catch {
    return 0;
  }
}
