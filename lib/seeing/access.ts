/** Who may see the page: by address, by token, and under which names a browser may ask for it. */
import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { createHash } from "node:crypto";
import { type HttpRequest, type HttpResponse, textResponse } from "../http/head.ts";
import { Networks } from "../net/networks.ts";

export interface AccessOptions {
  /** Networks that may ask; empty: all. */
  readonly allow: readonly string[];
  /** `""` if none is needed. */
  readonly token: string;
  /** The name of this host. */
  readonly host: string;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

export class Access {
  readonly #allow: Networks;
  readonly #token: Uint8Array | null;
  readonly #host: string;

  constructor({ allow, token, host }: AccessOptions) {
    this.#allow = new Networks(allow);
    this.#token = token === "" ? null : digest(token);
    this.#host = host.toLowerCase();
  }

  /** The answer that refuses a request, if it is refused. */
  refusal({ headers }: HttpRequest, hostname: string): HttpResponse | undefined {
    if (this.#allow.size > 0 && !this.#allow.has({ hostname })) {
      return textResponse(403, "Your address is not in http.allow.");
    }
    if (this.#token) {
      if (this.#hasToken(headers.get("authorization") ?? "")) return;
      return textResponse(401, "This needs the token of the configuration (http.token).", {
        "www-authenticate": 'Basic realm="alumet-relay", charset="UTF-8"',
      });
    }
    // Without a token, the page of another site could ask under a name that it makes point to this address.
    if (this.#isOwnName(headers.get("host") ?? "")) return;
    return textResponse(421, "Ask for this page by an IP address, localhost or the name of its host.");
  }

  #hasToken(authorization: string): boolean {
    const [, scheme, value] = /^(\S+) +(\S+)$/.exec(authorization) ?? [];
    if (/^bearer$/i.test(scheme ?? "")) return timingSafeEqual(digest(value), this.#token!);
    if (!/^basic$/i.test(scheme ?? "")) return false;
    try {
      const pair = new TextDecoder().decode(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)));
      return timingSafeEqual(digest(pair.slice(pair.indexOf(":") + 1)), this.#token!);
    } catch {
      return false;
    }
  }

  #isOwnName(host: string): boolean {
    const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1").toLowerCase();
    // Requests of old programs have no name.
    return name === "" || isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost") ||
      name === this.#host;
  }
}
