/** File descriptors of this process: how many it may have, and how many it has. */

export interface Descriptors {
  /** The soft limit (RLIMIT_NOFILE). */
  readonly limit: number;
  /** Open now. */
  readonly used: number;
}

/** What the process needs for itself: segments of the journal, databases, files, its own connections. */
const MIN_RESERVE = 32;
/** The share of the limit that is reserved, where that is more. */
const RESERVE_SHARE = 0.1;

/** `null` where the system does not tell. */
export function descriptors(): Descriptors | null {
  try {
    const limit = parseLimit(Deno.readTextFileSync("/proc/self/limits"));
    return limit === null ? null : { limit, used: [...Deno.readDirSync("/proc/self/fd")].length };
  } catch {
    return null;
  }
}

/** The soft limit of open files in the text of `/proc/self/limits`; `null` if it has none. */
export function parseLimit(text: string): number | null {
  const [, limit] = /^Max open files\s+(\d+|unlimited)\s/m.exec(text) ?? [];
  if (limit === undefined) return null;
  return limit === "unlimited" ? Infinity : Number(limit);
}

/** The part of what others may take that one listener beside the relay's may have. */
const LISTENER_SHARE = 1 / 4;

/** How many connections a listener may have of those that are wanted, so that the process keeps enough for itself. */
export function connectionsWithin(wanted: number, open: Descriptors | null = descriptors()): number {
  if (open === null) return wanted;
  return Math.max(1, Math.min(wanted, Math.floor(available(open) * LISTENER_SHARE)));
}

/** How many descriptors others may take, so that the process keeps enough for itself; at least 1. */
export function available({ limit, used }: Descriptors): number {
  const reserve = Math.max(MIN_RESERVE, Math.ceil(limit * RESERVE_SHARE));
  return limit === Infinity ? Infinity : Math.max(1, limit - used - reserve);
}
