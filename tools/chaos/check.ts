/** Whether an output has what was promised, and nothing else. */
import type { Life } from "./ledger.ts";
import { nanosOf } from "./life.ts";
import type { NumberedPoint } from "./outputs.ts";

/** What may be missing, and what may be there twice. */
export interface Allowance {
  /** Points that somebody has counted as dropped or damaged: as many may be missing, wherever they were. */
  readonly counted: number;
  /** Of these lives, points before this number may be there twice: an end was damaged where it knew of them. */
  readonly again?: ReadonlyMap<number, number>;
}

/** What was found; points of all lives together. */
export interface Outcome {
  readonly lives: number;
  readonly stored: number;
  /** Produced, and lost with a client that was killed before they were durable: nobody promised them. */
  readonly neverDurable: number;
  /** Promised, and not there. */
  readonly missing: number;
  /** There twice, where that may be. */
  readonly again: number;
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 20;

/** Numbers as ranges, for a message. */
function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length;) {
    let j = i;
    while (j + 1 < numbers.length && numbers[j + 1] === numbers[j] + 1) j++;
    parts.push(i === j ? `${numbers[i]}` : `${numbers[i]}–${numbers[j]}`);
    i = j + 1;
  }
  return parts.length > 10 ? `${parts.slice(0, 10).join(", ")} …` : parts.join(", ");
}

/**
 * Of each life must be there, each once and with its own time, the numbers from 0 to at least the last one that was
 * durable, and if it ended in good order the last one that was taken; what lies behind may be there too, without a gap,
 * up to the last one that was handed over. What is allowed besides, is.
 *
 * @param orderly Lives whose process was stopped, not killed.
 */
export function check(
  lives: readonly Life[],
  orderly: ReadonlySet<number>,
  points: Iterable<NumberedPoint>,
  { counted, again = new Map() }: Allowance,
): Outcome {
  const problems: string[] = [];
  const problem = (text: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push(text);
  };
  const counts = new Map(lives.map(({ life, begun }) => [life, new Uint8Array(begun)]));
  let stored = 0;
  for (const { life, number, nanos } of points) {
    stored++;
    const own = counts.get(life);
    if (!own || !(number < own.length)) problem(`life ${life}: point ${number} was never produced`);
    else {
      if (own[number] < 255) own[number]++;
      if (nanos !== nanosOf(number)) {
        problem(`life ${life}: point ${number} has the time of another one, ${nanos} ns`);
      }
    }
  }
  let missing = 0;
  let neverDurable = 0;
  let cameAgain = 0;
  for (const { life, begun, taken, durable } of lives) {
    const own = counts.get(life)!;
    const end = own.findLastIndex((count) => count > 0) + 1;
    const promised = Math.max(orderly.has(life) ? taken : durable, end);
    const absent: number[] = [];
    const twice: number[] = [];
    for (let number = 0; number < promised; number++) {
      if (own[number] === 0) absent.push(number);
      else if (own[number] === 2 && number < (again.get(life) ?? 0)) cameAgain++;
      else if (own[number] > 1) twice.push(number);
    }
    neverDurable += begun - promised;
    missing += absent.length;
    const facts = `begun ${begun}, taken ${taken}, durable ${durable}, ${
      orderly.has(life) ? "stopped" : "killed"
    }`;
    if (twice.length > 0) problem(`life ${life} (${facts}): ${twice.length} points twice: ${ranges(twice)}`);
    if (absent.length > 0 && counted === 0) {
      problem(`life ${life} (${facts}): ${absent.length} points missing: ${ranges(absent)}`);
    }
  }
  if (counted > 0 && missing > counted) {
    problem(`${missing} points are missing, and only ${counted} were counted as dropped or damaged`);
  }
  return { lives: lives.length, stored, neverDurable, missing, again: cameAgain, problems };
}
