/** The configuration keys of outputs that post points over HTTP, and what is checked alike in each of them. */
import { isOpenUrl } from "../../net/address.ts";
import type { Advice } from "../../plugin.ts";
import { readCertificates } from "../../net/pem.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { duration, flag, integer, live, text } from "../../schema.ts";

/**
 * The keys that say how points become requests.
 *
 * @param timeout The default of `timeout`: `30s`.
 */
export function requestKeys({ timeout }: { timeout: string }) {
  return {
    batch_size: integer({ doc: "Most points in a request.", default: 5000, min: 1, max: 100_000 }),
    flush_interval: live(duration({
      doc: "The longest that points wait for others to fill a request.",
      default: "1s",
      min: "1ms",
    })),
    gzip: flag({ doc: "Compress requests.", default: true }),
    timeout: duration({ doc: "The longest that one request may take.", default: timeout, min: "100ms" }),
    ca_file: text({
      doc: "A file with certificates (PEM) of authorities to trust beside the system's.",
      default: "",
    }),
  };
}

/** What {@linkcode urlProblem} recommends. */
export interface UrlAdvice {
  /** A URL that is right. */
  example: string;
  /** The keys that user and password belong in. */
  login: string;
  /** Why there is no query in it. @default none */
  query?: string;
}

/**
 * What is wrong with the URL of a target, or `undefined`. A secret in it is not repeated, so this belongs in the check
 * of the table: what the check of a key says stands beside the value.
 */
export function urlProblem(value: string, { example, login, query }: UrlAdvice): string | undefined {
  const url = URL.parse(value);
  if (!url || !["http:", "https:"].includes(url.protocol)) return `expected a URL such as ${example}`;
  if (url.username !== "" || url.password !== "") {
    return `user and password belong in ${login} (what was found is not shown)`;
  }
  if (url.search !== "" || url.hash !== "") {
    return `expected a URL without ? and #${query === undefined ? "" : `; ${query}`}`;
  }
}

/**
 * What others could read of what is sent to a URL, although they should not.
 *
 * @param path Of the URL's key.
 * @param secrets What is sent along that must stay secret: `the token or password is`; `undefined`: nothing.
 */
export function adviceOnUrl(path: string, url: string, secrets: string | undefined): Advice[] {
  if (!isOpenUrl(url)) return [];
  const what = secrets ?? "points are";
  return [{
    path: [path],
    problem: `${what} sent in clear text, which others on the network can read: write https://`,
  }];
}

/**
 * The certificates that `ca_file` names.
 *
 * @param path Empty: none.
 * @param key The whole name of the key, for the message.
 * @throws {ExitError} 78 if the file cannot be read, or has no certificate in it.
 */
export function authoritiesIn(path: string, key: string): string[] {
  if (path === "") return [];
  try {
    return [readCertificates(path)];
  } catch (error) {
    throw new ExitError(EXIT.config, `Cannot read ${path} (${key}): ${messageOf(error)}`, { cause: error });
  }
}
