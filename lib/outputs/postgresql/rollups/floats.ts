/**
 * Sums of doubles in SQL. PostgreSQL refuses a sum that does not fit into a double, and with it the statement: points
 * with huge values would keep all others from being summed. Here such a sum is infinite, as in IEEE 754.
 */

/** Above, values are summed up after they were made smaller. */
const HUGE = "1e290::float8";
/** What they are made smaller by: a power of two, so that they stay exact; and the largest double, made smaller so. */
const SHRINK = `${2 ** -60}::float8`;
const GROW = `${2 ** 60}::float8`;
const LARGEST = `${Number.MAX_VALUE * 2 ** -60}::float8`;
/** Beside a huge value, this is nothing. PostgreSQL refuses to make the smallest values smaller. */
const NOTHING = "1e-200::float8";
const INFINITY = "'Infinity'::float8";

const grown = (value: string) =>
  `CASE WHEN abs(${value}) < ${LARGEST} THEN ${value} * ${GROW} ELSE ${value} * ${INFINITY} END`;

const shrunk = (value: string) => `CASE WHEN abs(${value}) < ${NOTHING} THEN 0 ELSE ${value} * ${SHRINK} END`;

/** The parts of a sum, as aggregates: of ordinary values, and of huge ones. */
export function partsOfSum(value: string): [ordinary: string, huge: string] {
  return [
    `sum(${value}) FILTER (WHERE abs(${value}) < ${HUGE})`,
    `sum(${value} * ${SHRINK}) FILTER (WHERE abs(${value}) >= ${HUGE})`,
  ];
}

/** The sum that these parts are. */
export function sumOfParts(ordinary: string, huge: string): string {
  const both = `${huge} + coalesce(${shrunk(ordinary)}, 0)`;
  return `CASE WHEN ${huge} IS NULL THEN ${ordinary} ELSE (SELECT ${
    grown("v.sum")
  } FROM (SELECT ${both} AS sum) v) END`;
}

/** The sum of two values. */
export function added(one: string, other: string): string {
  return `CASE WHEN abs(${one}) < ${HUGE} AND abs(${other}) < ${HUGE} THEN ${one} + ${other} ` +
    `ELSE (SELECT ${grown("v.sum")} FROM (SELECT ${shrunk(one)} + ${shrunk(other)} AS sum) v) END`;
}

/** The mean of some values. A sum that is next to nothing is nothing: PostgreSQL refuses what is too small as well. */
export function mean(sum: string, points: string): string {
  return `CASE WHEN abs(${sum}) < 1e-290 THEN 0 ELSE ${sum} / ${points} END`;
}
