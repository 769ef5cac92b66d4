/** An HTTP server that answers as a test says, and keeps what it was asked. */
import { gunzipSync } from "node:zlib";
import { freePort } from "./ports.ts";

export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  /** The body, unpacked. */
  readonly text: string;
}

export type Answer = (request: HttpRequest, n: number) => Response | Promise<Response>;

export class HttpPeer implements AsyncDisposable {
  readonly requests: HttpRequest[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #end = new AbortController();

  /**
   * @param answer Asked with each request and its number, from 0 on.
   * @param tls Certificate and key, in PEM, of a server that speaks TLS.
   */
  constructor(
    public answer: Answer = () => new Response(null, { status: 204 }),
    // Another one may listen there later, when this one is closed.
    port = freePort(),
    tls: { cert: string; key: string } | Record<never, never> = {},
  ) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {}, signal: this.#end.signal, ...tls },
      async (request) => {
        const bytes = new Uint8Array(await request.arrayBuffer());
        const packed = request.headers.get("content-encoding") === "gzip";
        const { pathname, search } = new URL(request.url);
        const kept: HttpRequest = {
          method: request.method,
          path: pathname + search,
          // Those of the request are gone when it is.
          headers: new Headers(request.headers),
          text: new TextDecoder().decode(packed ? gunzipSync(bytes) : bytes),
        };
        this.requests.push(kept);
        return await this.answer(kept, this.requests.length - 1);
      },
    );
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#server.finished;
  }
}
