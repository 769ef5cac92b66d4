/** Finds the page of a request: on the network and on the socket in the state directory they are the same. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type HttpRequest, type HttpResponse, textResponse } from "../http/head.ts";
import { acceptsGzip, chooseFormat, CONTENT_TYPE } from "../http/negotiation.ts";
import { renderFamilies } from "./exposition.ts";
import { familiesOf } from "./families.ts";
import type { View } from "./view.ts";

/** Makes the answer to a request for one path. */
export type Page = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;

/** Bodies below this are sent as they are, in bytes. */
const MIN_GZIP_BYTES = 1024;
const GZIP_LEVEL = 4;
/** Whoever asks for the same page within this time gets the same bytes, in ms: many slow readers cost one copy. */
const SHARED_MS = 500;

const compress = promisify(gzip) as unknown as (
  bytes: Uint8Array,
  options: { level: number },
) => Promise<Uint8Array<ArrayBuffer>>;

const encoder = new TextEncoder();

/** What every answer says to a browser: nothing of it is for other sites. */
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export class Pages {
  readonly #pages: ReadonlyMap<string, Page>;

  constructor(pages: Readonly<Record<string, Page>>) {
    this.#pages = new Map(Object.entries(pages));
  }

  async answer(request: HttpRequest): Promise<HttpResponse> {
    const page = this.#pages.get(request.path);
    const response = page
      ? await page(request)
      : textResponse(404, "Not found; /api/v1 lists what there is.");
    return { ...response, headers: { ...HEADERS, ...response.headers } };
  }
}

/** A page whose bytes are made again when they are older than {@linkcode SHARED_MS}, and compressed for who wants that. */
export function sharedPage(
  kinds: (
    request: HttpRequest,
  ) => {
    key: string;
    headers: Record<string, string>;
    make: () => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  },
  nowMs: () => number = () => performance.now(),
): Page {
  const made = new Map<string, { atMs: number; body: Promise<Uint8Array<ArrayBuffer>> }>();
  return async (request) => {
    const { key, headers, make } = kinds(request);
    const gzipped = acceptsGzip(request.headers.get("accept-encoding"));
    const now = nowMs();
    for (const [key, { atMs }] of made) if (now - atMs > SHARED_MS) made.delete(key);
    const bytes = (key: string, make: () => Promise<Uint8Array<ArrayBuffer>>) => {
      let known = made.get(key);
      if (!known) {
        known = { atMs: now, body: make() };
        made.set(key, known);
        known.body.catch(() => made.delete(key));
      }
      return known.body;
    };
    // deno-lint-ignore require-await
    const plain = await bytes(key, async () => make());
    const isPacked = gzipped && plain.length >= MIN_GZIP_BYTES;
    const body = isPacked ? await bytes(`${key} gzip`, () => compress(plain, { level: GZIP_LEVEL })) : plain;
    return {
      status: 200,
      headers: {
        ...headers,
        vary: "accept, accept-encoding",
        ...isPacked ? { "content-encoding": "gzip" } : {},
      },
      body,
    };
  };
}

/** A page with a value, or a promise of one, as JSON, which depends on the query. */
export function jsonPage(value: (query: URLSearchParams) => unknown): Page {
  return sharedPage(({ query }) => ({
    key: query,
    headers: { "content-type": "application/json; charset=utf-8" },
    make: async () => encoder.encode(JSON.stringify(await value(new URLSearchParams(query))) + "\n"),
  }));
}

/** The pages for programs that watch this one. */
export function monitoringPages(view: View): Record<string, Page> {
  return {
    "/healthz": () => textResponse(200, "ok"),
    "/readyz": () => {
      const { problems } = view;
      return textResponse(problems.length === 0 ? 200 : 503, problems.join("\n") || "ready");
    },
    "/metrics": sharedPage(({ headers }) => {
      const format = chooseFormat(headers.get("accept"));
      return {
        key: format,
        headers: { "content-type": CONTENT_TYPE[format] },
        make: () => renderFamilies(familiesOf(view), format),
      };
    }),
  };
}
