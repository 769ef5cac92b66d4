/** Durations as people write them (`30s`, `1h 30m`, `1.5s`), the same texts as the humantime crate that Alumet uses. */

/** The text is not a duration. The message says why, and does not repeat the text. */
export class DurationError extends SyntaxError {
  override readonly name = "DurationError";
}

const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;
const DAY = 24n * HOUR;
const YEAR = 31_557_600n * SECOND;
/** A twelfth of a year, as humantime counts it (30.44 days). */
const MONTH = 2_630_016n * SECOND;
const MAX_SECONDS = 2n ** 64n - 1n;
const MAX_NANOS = MAX_SECONDS * SECOND + SECOND - 1n;

const UNITS: ReadonlyMap<string, bigint> = new Map(
  ([
    [1n, "nanos nsec ns"],
    [1_000n, "usec us µs"],
    [1_000_000n, "millis msec ms"],
    [SECOND, "seconds second secs sec s"],
    [MINUTE, "minutes minute mins min m"],
    [HOUR, "hours hour hrs hr h"],
    [DAY, "days day d"],
    [7n * DAY, "weeks week wks wk w"],
    [MONTH, "months month M"],
    [YEAR, "years year yrs yr y"],
  ] as const).flatMap(([nanos, names]) => names.split(" ").map((name) => [name, nanos] as const)),
);

const PART = /\s*([0-9]+)(\.[0-9]+)?\s*([A-Za-zµ]*)/y;

/**
 * The nanoseconds that a text stands for.
 *
 * @throws {DurationError} if the text is not a duration, is not a whole number of nanoseconds, or exceeds 2^64 seconds.
 */
export function parseDuration(text: string): bigint {
  if (text === "0") return 0n;
  const end = text.trimEnd().length;
  if (end === 0) throw new DurationError("it is empty");
  let total = 0n;
  for (let at = 0; at < end;) {
    PART.lastIndex = at;
    const match = PART.exec(text);
    if (!match) {
      const rest = text.slice(at).trimStart();
      throw new DurationError(`a number is expected at ${JSON.stringify(rest.slice(0, 10))}`);
    }
    at = PART.lastIndex;
    const [part, whole, fraction = "", unit] = match;
    if (unit === "") {
      const next = text.slice(at, end).trimStart();
      if (next !== "") {
        throw new DurationError(
          `${JSON.stringify([...next][0])} has no place in ${JSON.stringify(part.trim())}`,
        );
      }
      throw new DurationError(`a unit is needed, for example ${whole}s or ${whole}ms`);
    }
    const nanos = UNITS.get(unit);
    if (nanos === undefined) throw new DurationError(unknownUnit(unit));
    const following = text[at];
    if (at < end && !/[\s0-9]/.test(following)) {
      throw new DurationError(
        `${JSON.stringify([...text.slice(at)][0])} has no place after ${JSON.stringify(unit)}`,
      );
    }
    const integer = BigInt(whole);
    if (integer >= 2n ** 64n) throw new DurationError("the number is too large");
    total += integer * nanos;
    if (fraction !== "") {
      const scale = 10n ** BigInt(fraction.length - 1);
      const product = BigInt(fraction.slice(1)) * nanos;
      if (product % scale !== 0n) throw new DurationError("it is finer than a nanosecond");
      total += product / scale;
    }
    if (total > MAX_NANOS) throw new DurationError("it is too long");
  }
  return total;
}

/** A warning about a duration that may mean something else than it seems, or `undefined`. */
export function durationNote(text: string): string | undefined {
  const [, months] = /(\d+)\s*M(?![A-Za-z])/.exec(text) ?? [];
  if (months === undefined) return undefined;
  return `${months}M is ${months} ${months === "1" ? "month" : "months"}; write ${months}min for minutes`;
}

/** What is wrong with a duration, or `undefined`: for the `check` of a key. */
export function durationProblem(text: string): string | undefined {
  try {
    parseDuration(text);
  } catch (error) {
    if (error instanceof DurationError) return error.message;
    throw error;
  }
}

function unknownUnit(unit: string): string {
  const lower = unit.toLowerCase();
  const hint = unit !== lower && UNITS.has(lower) ? `; did you mean ${lower}?` : "";
  return `unknown unit ${
    JSON.stringify(unit)
  } (there are ns, us, ms, s, min, h, days, weeks, months, years)${hint}`;
}

const STEPS = ([
  [DAY, "d"],
  [HOUR, "h"],
  [MINUTE, "m"],
  [SECOND, "s"],
  [1_000_000n, "ms"],
  [1_000n, "us"],
  [1n, "ns"],
] as const).map(([nanos, unit]) => ({ nanos, unit }));

/** The shortest text that {@linkcode parseDuration} reads as this number of milliseconds (fractions are nanoseconds). */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`Cannot write ${ms} ms as a duration`);
  let left = BigInt(Math.trunc(ms)) * 1_000_000n + BigInt(Math.round((ms % 1) * 1e6));
  const parts: string[] = [];
  for (const { nanos, unit } of STEPS) {
    const count = left / nanos;
    left %= nanos;
    if (count > 0n) parts.push(`${count}${unit}`);
  }
  return parts.join(" ") || "0s";
}
