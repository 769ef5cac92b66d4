/**
 * What InfluxDB says of a request of which it does not take all, and how the lines that it takes are told from those
 * that it refuses.
 */
import type { HttpReply } from "../http/sender.ts";

/** Of an answer that is not JSON, in characters. */
const MAX_SHOWN = 200;

/** What a refusal says. */
export interface Refusal {
  /** Why, without the lines themselves and without counts: the same for all lines with the same fault. */
  readonly reason: string;
  /** All lines of the request are refused, and have this reason. */
  readonly all: boolean;
  /** Lines that could not be read, with what is wrong with each. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** `{"error":…}` of InfluxDB 1, `{"code":…,"message":…}` of InfluxDB 2, or the text itself. */
function messageIn({ text, status }: HttpReply): string {
  try {
    const { error, message } = JSON.parse(text);
    if (typeof error === "string" && error !== "") return error;
    if (typeof message === "string" && message !== "") return message;
  } catch { /* it is not JSON, or not complete */ }
  const shown = text.trim();
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown || `status ${status}`;
}

const UNREADABLE = /unable to parse '(.*)': (.*?)(?: dropped=\d+)?$/gm;

/** @param count Lines in the request. */
export function refusalOf(reply: HttpReply, count: number): Refusal {
  const message = messageIn(reply);
  const unreadable = new Map<string, string>();
  for (const [, line, why] of message.matchAll(UNREADABLE)) unreadable.set(line, `unable to parse: ${why}`);
  const dropped = Number(/ dropped=(\d+)$/.exec(message)?.[1] ?? 0);
  const [first] = unreadable.values();
  return {
    reason: first ?? message.replace(/ dropped=\d+$/, ""),
    // Each point that is dropped is counted once, and the good ones of the request are stored.
    all: count === 1 || (dropped === count && unreadable.size === 0),
    unreadable,
  };
}

/**
 * Where to cut lines of which some are refused: between two metrics, because a fault (another type than before, a name)
 * is that of a metric as a whole, or else in the middle.
 *
 * @param metrics The metric of each line; those of one metric stand together.
 */
export function cutOf(metrics: readonly unknown[]): number {
  const middle = metrics.length >> 1;
  for (let distance = 0; distance <= middle; distance++) {
    for (const at of [middle - distance, middle + distance]) {
      if (at > 0 && at < metrics.length && metrics[at] !== metrics[at - 1]) return at;
    }
  }
  return middle;
}
