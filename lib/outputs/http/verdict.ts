/** When an HTTP request is tried again: what a status means, and what Retry-After says. */

/**
 * What the target made of a request: it has `taken` the data; it has `refused` them and will refuse them again; its error
 * may be due to the data or to its own state (`unclear`); it may take them `later`; or it is `misconfigured`: the data
 * are not the reason, so nothing is lost, but somebody must act.
 */
export type Verdict = "taken" | "refused" | "unclear" | "later" | "misconfigured";

/** Content Too Large: smaller requests may pass. */
export const CONTENT_TOO_LARGE = 413;

/** Statuses that speak of the address or the credentials. Redirects are not followed: credentials would go along. */
const MISCONFIGURED = [401, 402, 403, 404, 405, 407, 410, 415, 421, 426, 451];
/**
 * Statuses that never speak of the data: Request Timeout, Too Early, Too Many Requests, Bad Gateway, Service Unavailable,
 * Gateway Timeout, Insufficient Storage.
 */
const PASSING = [408, 425, 429, 502, 503, 504, 507];
/** Conflict: of the target with itself, or of the data with what is there. */
const CONFLICT = 409;

/** What a status means (RFC 9110), where the protocol on top of it says nothing else. */
export function judgeStatus(status: number): Verdict {
  if (status >= 200 && status < 300) return "taken";
  if (PASSING.includes(status)) return "later";
  if (status >= 500 || status === CONFLICT) return "unclear";
  if (status < 400 || MISCONFIGURED.includes(status)) return "misconfigured";
  return "refused";
}

/** The longest that a target may send us away for, in ms. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * The wait that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), in ms, an hour at most; `undefined`
 * where it is absent or makes no sense.
 */
export function retryAfterMs(header: string | null, nowMs = Date.now()): number | undefined {
  const text = header?.trim();
  if (!text) return undefined;
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
