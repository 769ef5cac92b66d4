/**
 * Aggregation on both ends: whether each window has each of its points once, and each result is there once.
 *
 * The client makes sums and counts of `number_u64`, the server of `number_f64` and of what the client has made; so
 * there are `number_f64_sum` and `_count`, and `number_u64_sum_sum`, `_sum_count`, `_count_sum` and `_count_count`.
 */
import type { Life } from "./ledger.ts";
import { secondOf } from "./life.ts";
import type { StoredPoint } from "./outputs.ts";
import type { Outcome } from "./check.ts";

/** Length of the windows, in s of the points' times. */
const WINDOW_SECONDS = 20;
/** Points by second of the points' times: so windows end often, and a window's silence lasts longer than an outage. */
export const POINTS_PER_SECOND = 5;
const POINTS_PER_WINDOW = WINDOW_SECONDS * POINTS_PER_SECOND;
/** The metric and the letter of number n are those of the series n % 4. */
const SERIES = 4;

const plugin = (settings: Record<string, string>) =>
  Object.entries({ interval: `${WINDOW_SECONDS}s`, function: '["Sum", "Count"]', ...settings })
    .map(([key, value]) => `--config-override=plugins.aggregation.${key}=${value}`);

export const CLIENT_FLAGS: readonly string[] = [
  ...plugin({ metrics: '["number_u64"]' }),
  `--config-override=plugins.numbers.per_second=${POINTS_PER_SECOND}`,
];
export const SERVER_FLAGS: readonly string[] = plugin({ metrics: '["number_f64", "number_u64_*"]' });
/** For the last start, which has to leave nothing behind. */
export const LAST_FLAG = "--config-override=plugins.aggregation.complete_at_stop=true";

/** What a series of a life has in one window. */
interface Content {
  readonly count: number;
  readonly sum: number;
}

/** The numbers of a series below `end` in a window. */
function contentOf(series: number, window: number, end: number): Content {
  let [count, sum] = [0, 0];
  const begin = window * POINTS_PER_WINDOW;
  for (let number = begin; number < Math.min(end, begin + POINTS_PER_WINDOW); number++) {
    if (number % SERIES !== series) continue;
    count++;
    sum += number;
  }
  return { count, sum };
}

/** What is stored of one metric of one series in one window. */
interface Stored {
  rows: number;
  sum: number;
}

const MAX_PROBLEMS = 20;

/**
 * Of each life must be there the numbers from 0 to at least the last one that was durable, in windows: the counts of all
 * windows say how many that are, and then each window has one exact content.
 *
 * @param orderly Lives whose process was stopped, not killed.
 */
export function checkWindows(
  lives: readonly Life[],
  orderly: ReadonlySet<number>,
  points: Iterable<StoredPoint>,
): Outcome {
  const problems: string[] = [];
  const problem = (text: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push(text);
  };
  const stored = new Map<string, Stored>();
  const counts = new Map<number, number>();
  let rows = 0;
  for (const { life, metric, letter, seconds, number: value } of points) {
    rows++;
    const start = seconds - secondOf(0, POINTS_PER_SECOND);
    const type = metric.startsWith("number_u64_") ? 0 : metric.startsWith("number_f64_") ? 2 : NaN;
    const series = type + (letter === "b" ? 1 : 0);
    if (Number.isNaN(series) || start % WINDOW_SECONDS !== 0) {
      problem(`life ${life}: a result of no window: ${metric} at ${seconds}`);
      continue;
    }
    const key = `${life} ${series} ${start / WINDOW_SECONDS} ${metric}`;
    const own = stored.get(key) ?? { rows: 0, sum: 0 };
    stored.set(key, own);
    own.rows++;
    own.sum += value;
    if (metric === "number_f64_count" || metric === "number_u64_count_sum") {
      counts.set(life, (counts.get(life) ?? 0) + value);
    }
  }
  let [missing, neverDurable, points_] = [0, 0, 0];
  for (const { life, begun, taken, durable } of lives) {
    const end = counts.get(life) ?? 0;
    const promised = orderly.has(life) ? taken : durable;
    const facts = `begun ${begun}, taken ${taken}, durable ${durable}, stored ${end}`;
    points_ += end;
    neverDurable += Math.max(0, begun - Math.max(end, promised));
    if (end < promised) {
      missing += promised - end;
      problem(`life ${life} (${facts}): ${promised - end} points missing`);
    }
    if (end > begun) problem(`life ${life} (${facts}): more points than were produced`);
    for (let window = 0; window * POINTS_PER_WINDOW < end; window++) {
      for (let series = 0; series < SERIES; series++) {
        const content = contentOf(series, window, end);
        if (content.count === 0) continue;
        for (const [metric, sum] of expectedOf(series, content)) {
          const key = `${life} ${series} ${window} ${metric}`;
          const own = stored.get(key);
          stored.delete(key);
          if (own?.rows === 1 && own.sum === sum) continue;
          problem(
            `life ${life} (${facts}): window ${window}, series ${series}: ${metric} is ${own?.sum} in ${
              own?.rows ?? 0
            } rows, not ${sum} in one`,
          );
        }
      }
    }
  }
  for (const [key, { rows, sum }] of stored) {
    problem(`a result that nothing explains: ${key}: ${sum} in ${rows} rows`);
  }
  return { lives: lives.length, stored: points_, neverDurable, missing, again: 0, problems };
}

/** The metrics of the results for a window, and their values. */
function expectedOf(series: number, { count, sum }: Content): [metric: string, value: number][] {
  if (series >= 2) return [["number_f64_sum", sum], ["number_f64_count", count]];
  return [
    ["number_u64_sum_sum", sum],
    ["number_u64_sum_count", 1],
    ["number_u64_count_sum", count],
    ["number_u64_count_count", 1],
  ];
}
