/**
 * Transforms with a memory on all ends: whether each window has each of its points once, whether the shares of each energy
 * add up to it, and whether each result is there once.
 *
 * The client makes sums and counts of `number_u64`, the server of `number_f64` and of what the client has made; so
 * there are `number_f64_sum` and `_count`, and `number_u64_sum_sum`, `_sum_count`, `_count_sum` and `_count_count`.
 * The client divides the energies with the letter a, the server those with the letter b, and a hop all of them.
 */
import type { Outcome } from "./check.ts";
import type { EndName } from "./end.ts";
import type { Life } from "./ledger.ts";
import { ENERGY, numberAt, secondOf, seriesOfLife, USE } from "./life.ts";
import type { StoredPoint } from "./outputs.ts";

/** Length of the windows, in s of the points' times. */
const WINDOW_SECONDS = 20;
/** In s, of the points' times as well as of silence: longer than an outage on a busy machine, so no window has two results. */
const GRACE_SECONDS = 300;
/** Points by second of the points' times: so windows end often. */
const POINTS_PER_SECOND = 5;
const POINTS_PER_WINDOW = WINDOW_SECONDS * POINTS_PER_SECOND;
const SERIES = seriesOfLife(true);

const overrides = (path: string, settings: Record<string, string>) =>
  Object.entries(settings).map(([key, value]) => `--config-override=plugins.${path}.${key}=${value}`);

const aggregation = (metrics: readonly string[]) =>
  overrides("aggregation", {
    interval: `${WINDOW_SECONDS}s`,
    grace: `${GRACE_SECONDS}s`,
    function: '["Sum", "Count"]',
    metrics: JSON.stringify(metrics),
  });

const shareOf = (end: EndName) => `${end}_share`;
const formulaOf = (end: EndName) => `energy-attribution.formulas.${shareOf(end)}`;

const attribution = (end: EndName, letter?: string) =>
  overrides(formulaOf(end), {
    as: "share",
    "per_resource.energy": `{ metric = "${ENERGY}"${letter ? `, letter = "${letter}"` : ""} }`,
    "per_consumer.use": `{ metric = "${USE}" }`,
  });

/** The transforms of each end, in their order. */
export const TRANSFORMS: Record<EndName, readonly string[]> = {
  client: ["aggregation", "energy-attribution"],
  hop: ["energy-attribution"],
  server: ["aggregation", "energy-attribution"],
};

export const TRANSFORM_FLAGS: Record<EndName, readonly string[]> = {
  client: [
    ...aggregation(["number_u64"]),
    ...attribution("client", "a"),
    ...overrides("numbers", { per_second: String(POINTS_PER_SECOND), energies: "true" }),
  ],
  hop: attribution("hop"),
  server: [...aggregation(["number_f64", "number_u64_*"]), ...attribution("server", "b")],
};

/** For the last starts, which have to leave nothing behind. */
export const LAST_FLAG = "--config-override=plugins.aggregation.complete_at_stop=true";

/** For the very last start: a formula that is changed divides all that waits. */
export const changed = (end: EndName): string[] => overrides(formulaOf(end), { grace: "1s" });

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
    if (number % SERIES.length !== series) continue;
    count++;
    sum += number;
  }
  return { count, sum };
}

/** What is stored of one metric of one series in one window, or of one energy. */
interface Stored {
  rows: number;
  sum: number;
}

const MAX_PROBLEMS = 20;
/** Of an energy, which the sum of its shares may miss: it is a sum of rounded numbers. */
const ROUNDING = 1e-9;

/**
 * Of each life must be there the numbers from 0 to at least the last one that was durable, alone or in windows: counts
 * say how many that are. Then each window has one exact content, and each energy is divided once by each end.
 */
class Check {
  readonly problems: string[] = [];
  rows = 0;
  readonly #stored = new Map<string, Stored>();
  /** How many numbers of each life are there. */
  readonly #counts = new Map<number, number>();
  readonly #shares: ReadonlyMap<string, (letter: string) => boolean>;

  constructor(ends: readonly EndName[]) {
    const letters: Record<EndName, string> = { client: "a", hop: "ab", server: "b" };
    this.#shares = new Map(ends.map((end) => [shareOf(end), (letter) => letters[end].includes(letter)]));
  }

  #problem(text: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(text);
  }

  add(point: StoredPoint): void {
    this.rows++;
    const { life, metric, number: value } = point;
    const key = this.#keyOf(point);
    if (key === undefined) {
      return this.#problem(
        `life ${life}: a result of nothing: ${metric} at ${point.seconds} s, ${point.nanos} ns`,
      );
    }
    const own = this.#stored.get(key) ?? { rows: 0, sum: 0 };
    this.#stored.set(key, own);
    own.rows++;
    own.sum += value;
    const count = metric === ENERGY || metric === USE
      ? 1
      : metric === "number_f64_count" || metric === "number_u64_count_sum"
      ? value
      : 0;
    this.#counts.set(life, (this.#counts.get(life) ?? 0) + count);
  }

  #keyOf({ life, metric, letter, seconds, nanos }: StoredPoint): string | undefined {
    if (metric === ENERGY || metric === USE || this.#shares.has(metric)) {
      const number = numberAt(seconds, nanos, POINTS_PER_SECOND);
      return number === undefined ? undefined : `${life} ${number} ${metric}`;
    }
    const start = seconds - secondOf(0, POINTS_PER_SECOND);
    const series = SERIES.findIndex((of) => metric.startsWith(`${of.name}_`) && of.letter === letter);
    if (series < 0 || start % WINDOW_SECONDS !== 0 || nanos !== 0) return undefined;
    return `${life} window ${start / WINDOW_SECONDS} series ${series} ${metric}`;
  }

  /** @returns how many points of the life are there. */
  checkLife({ life, begun, taken, durable }: Life, isOrderly: boolean): { end: number; missing: number } {
    const end = this.#counts.get(life) ?? 0;
    const promised = isOrderly ? taken : durable;
    const facts = `life ${life} (begun ${begun}, taken ${taken}, durable ${durable}, stored ${end})`;
    if (end < promised) this.#problem(`${facts}: ${promised - end} points missing`);
    if (end > begun) this.#problem(`${facts}: more points than were produced`);
    for (let window = 0; window * POINTS_PER_WINDOW < end; window++) {
      for (let series = 0; series < SERIES.length; series++) {
        const content = contentOf(series, window, end);
        if (content.count === 0) continue;
        for (const [metric, sum] of resultsOf(series, content)) {
          this.#take(`${life} window ${window} series ${series} ${metric}`, sum, facts, { inOneRow: true });
        }
      }
    }
    for (let number = 0; number < end; number++) {
      const { name, letter } = SERIES[number % SERIES.length];
      if (name !== ENERGY && name !== USE) continue;
      this.#take(`${life} ${number} ${name}`, number, facts, { inOneRow: true });
      if (name === USE) continue;
      for (const [share, isOf] of this.#shares) {
        if (isOf(letter)) this.#take(`${life} ${number} ${share}`, number, facts, { inOneRow: false });
      }
    }
    return { end, missing: Math.max(0, promised - end) };
  }

  #take(key: string, sum: number, facts: string, { inOneRow }: { inOneRow: boolean }): void {
    const own = this.#stored.get(key);
    this.#stored.delete(key);
    const isRight = own !== undefined &&
      (inOneRow ? own.rows === 1 && own.sum === sum : Math.abs(own.sum - sum) <= sum * ROUNDING);
    if (isRight) return;
    this.#problem(`${facts}: ${key} is ${own?.sum} in ${own?.rows ?? 0} rows, not ${sum}`);
  }

  end(): void {
    for (const [key, { rows, sum }] of this.#stored) {
      this.#problem(`a result that nothing explains: ${key}: ${sum} in ${rows} rows`);
    }
  }
}

/**
 * @param orderly Lives whose process was stopped, not killed.
 * @param ends Those that have transforms.
 */
export function checkWindows(
  lives: readonly Life[],
  orderly: ReadonlySet<number>,
  points: Iterable<StoredPoint>,
  ends: readonly EndName[],
): Outcome {
  const check = new Check(ends);
  for (const point of points) check.add(point);
  let [stored, missing, neverDurable] = [0, 0, 0];
  for (const life of lives) {
    const found = check.checkLife(life, orderly.has(life.life));
    stored += found.end;
    missing += found.missing;
    neverDurable += Math.max(0, life.begun - found.end - found.missing);
  }
  check.end();
  return { lives: lives.length, stored, neverDurable, missing, again: 0, problems: check.problems };
}

/** The metrics of the results for a window, and their values. */
function resultsOf(series: number, { count, sum }: Content): [metric: string, value: number][] {
  const { name } = SERIES[series];
  if (name === "number_f64") return [["number_f64_sum", sum], ["number_f64_count", count]];
  if (name !== "number_u64") return [];
  return [
    ["number_u64_sum_sum", sum],
    ["number_u64_sum_count", 1],
    ["number_u64_count_sum", count],
    ["number_u64_count_count", 1],
  ];
}
