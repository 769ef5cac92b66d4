/** How versions 1 and 2 of InfluxDB are asked, and how they answer. */
import { type HttpRequest, type HttpResponse, textResponse } from "../../http/head.ts";

/** The first bad line of a request, and how many there were. */
export interface Failure {
  /** From 1. */
  readonly line: number;
  readonly reason: string;
  count: number;
}

/** Clients look for a version, and not for what it is. */
const VERSION = { "x-influxdb-version": "1.8.10" };

type Kind = "write" | "ping" | "health" | "query";

const PATHS: Readonly<Record<string, readonly [Kind, 1 | 2]>> = {
  "/write": ["write", 1],
  "/api/v2/write": ["write", 2],
  "/query": ["query", 1],
  "/ping": ["ping", 1],
  "/health": ["health", 2],
};

/** The `code` of version 2 for a status. */
export function codeOf(status: number): string {
  switch (status) {
    case 413:
      return "request too large";
    case 429:
      return "too many requests";
    case 503:
      return "unavailable";
    default:
      return "invalid";
  }
}

/** One request, in the version of its path. */
export class Dialect {
  readonly #query: URLSearchParams;

  private constructor(readonly kind: Kind, readonly version: 1 | 2, readonly request: HttpRequest) {
    this.#query = new URLSearchParams(request.query);
  }

  /** `null` for a path that neither version has. */
  static of(request: HttpRequest): Dialect | null {
    const found = Object.hasOwn(PATHS, request.path) ? PATHS[request.path] : null;
    return found && new Dialect(found[0], found[1], request);
  }

  /** The parameter `precision`, if there is one. */
  get precision(): string | undefined {
    return this.#query.get("precision") || undefined;
  }

  /** What may be a token: of `Authorization`, also behind the name of a user, and the password of version 1. */
  get tokens(): string[] {
    const [scheme, given = ""] = (this.request.headers.get("authorization") ?? "").split(/ +/);
    const texts = [this.#query.get("p") ?? ""];
    if (/^(token|bearer)$/i.test(scheme)) texts.push(given);
    else if (/^basic$/i.test(scheme)) texts.push(fromBase64(given));
    return texts.flatMap((text) => [text, text.slice(text.indexOf(":") + 1)]).filter((text) => text !== "");
  }

  /** The answer to a client that asks whether somebody is there. */
  hello(): HttpResponse {
    if (this.kind === "ping") return this.success();
    return json(200, { name: "alumet-relay", message: "ready for writes", status: "pass", checks: [] });
  }

  /** Clients of version 1 create their database first. @param body Of the request. */
  answerQuery(body: string): HttpResponse {
    const query = this.#query.get("q") ?? new URLSearchParams(body).get("q") ?? "";
    if (/^\s*create\s+database\b/i.test(query)) return json(200, { results: [{ statement_id: 0 }] }, VERSION);
    return this.error(400, "invalid", "this is not a database: it only takes lines");
  }

  success(): HttpResponse {
    return { status: 204, headers: VERSION, body: new Uint8Array(0) };
  }

  /** Some lines are bad; the others are kept. */
  badLines({ line, reason, count }: Failure): HttpResponse {
    const more = count > 1 ? `, and ${count - 1} more` : "";
    if (this.version === 1) {
      const error = `partial write: unable to parse line ${line}: ${reason}${more} dropped=${count}`;
      return json(400, { error }, { "x-influxdb-error": headerText(error) });
    }
    return json(400, {
      code: "invalid",
      message: `partial write: unable to parse line ${line}: ${reason}${more}; all other lines are written`,
      line,
    });
  }

  /** Version 1 refuses with 503 what comes too fast: its clients give up what is answered with 429. */
  error(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ): HttpResponse {
    return this.version === 1
      ? json(status === 429 ? 503 : status, { error: message }, {
        "x-influxdb-error": headerText(message),
        ...headers,
      })
      : json(status, { code, message }, headers);
  }
}

function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const answer = textResponse(status, JSON.stringify(value));
  return { ...answer, headers: { ...headers, "content-type": "application/json" } };
}

/** A text as the value of a header field. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

function fromBase64(text: string): string {
  try {
    return atob(text);
  } catch {
    return "";
  }
}
