/** Flags that are a time, or how long ago it was. */
import { DurationError, parseDuration } from "../base/duration.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import { parseIsoMs } from "../base/iso_time.ts";

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * The time in nanoseconds since the Unix epoch, not before it. A time without a zone is one of UTC, as all times that this program
 * prints.
 *
 * @throws {ExitError} 64 if it is neither a time nor an age
 */
export function timeOf(text: string, flag: string, nowMs: number): bigint {
  const [match, date, minute = "00:00", second = ":00", fraction = "", zone = "Z"] = TIME.exec(text) ?? [];
  const ms = match === undefined ? NaN : parseIsoMs(`${date}T${minute}${second}${zone}`);
  if (!Number.isNaN(ms)) return sinceEpoch(BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0")));
  try {
    if (match === undefined) return sinceEpoch(BigInt(nowMs) * 1_000_000n - parseDuration(text));
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
  }
  throw new ExitError(
    EXIT.usage,
    `${flag} ${text}: expected a time such as 2026-11-01 or 2026-11-01T12:00:00Z, or an age such as 12h`,
  );
}

const sinceEpoch = (ns: bigint) => ns > 0n ? ns : 0n;
