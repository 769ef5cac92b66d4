/** Times as text, as ISO 8601 and RFC 3339 write them. */

/** Each month has so many days. */
const LEAST_DAYS = 28;

/**
 * A date, or a time with its zone, in milliseconds since the Unix epoch; NaN where it is not one. `Date.parse` takes the 31st of
 * February for the 3rd of March.
 *
 * @param text Begins with the date in ten characters.
 */
export function parseIsoMs(text: string): number {
  const day = Number(text.slice(8, 10));
  const isDay = day <= LEAST_DAYS || new Date(Date.parse(text.slice(0, 10))).getUTCDate() === day;
  return isDay ? Date.parse(text) : NaN;
}
