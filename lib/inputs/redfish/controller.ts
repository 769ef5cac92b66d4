/** Asks a management controller for its pages. */
import { requestProblem } from "../../base/errors.ts";
import { Secret } from "../../base/secrets.ts";
import { TimeLimit } from "../../base/waiting.ts";
import { explainTls } from "../../client/tls_problem.ts";
import { textOf } from "../../http/answer.ts";
import { readCertificates } from "../../net/pem.ts";
import type { RedfishTarget } from "./config.ts";
import { at, linkOf, membersOf, type Reading, readingsOf } from "./readings.ts";

const ROOT = "/redfish/v1/Chassis";
/** The largest page, in bytes. */
const MOST_BYTES = 1024 * 1024;

/** The controller refuses the user or the password. */
export class LoginError extends Error {
  override readonly name = "LoginError";
}

/** A chassis, and the page with its power. */
export interface PowerPage {
  /** The last part of its path: `1`, `System.Embedded.1`. */
  readonly chassis: string;
  readonly path: string;
}

type Get = (path: string) => Promise<unknown>;

export class Controller {
  readonly #target: RedfishTarget;
  readonly #timeoutMs: number;
  readonly #password: Secret;

  /** @throws {ExitError} if the file with the password cannot be used */
  constructor(target: RedfishTarget, timeoutMs: number) {
    this.#target = target;
    this.#timeoutMs = timeoutMs;
    this.#password = new Secret("", target.password_file, "plugins.redfish.targets.password_file");
  }

  /** The pages with a power at present. @throws {LoginError} @throws why there is no answer */
  find(signal: AbortSignal): Promise<PowerPage[]> {
    return this.#session(signal, async (get) => {
      const pages: PowerPage[] = [];
      for (const path of membersOf(await get(ROOT))) {
        const chassis = await get(path);
        // EnvironmentMetrics is the newer one; controllers that have both say the same in both.
        for (const key of ["EnvironmentMetrics", "Power"]) {
          const link = linkOf(at(chassis, key));
          if (link === undefined || readingsOf(await get(link)).length === 0) continue;
          pages.push({ chassis: path.replace(/\/+$/, "").split("/").at(-1)!, path: link });
          break;
        }
      }
      return pages;
    });
  }

  /** The powers of each page. @throws {LoginError} @throws why there is no answer */
  read(pages: readonly PowerPage[], signal: AbortSignal): Promise<Reading[][]> {
    return this.#session(signal, async (get) => {
      const readings: Reading[][] = [];
      // One after the other: such a controller is slow, and serves few connections.
      for (const { path } of pages) readings.push(readingsOf(await get(path)));
      return readings;
    });
  }

  async #session<T>(signal: AbortSignal, use: (get: Get) => Promise<T>): Promise<T> {
    const { ca, url } = this.#target;
    using limit = new TimeLimit(this.#timeoutMs, signal);
    try {
      // A new one each time: authorities and passwords are renewed in their files.
      using client = Deno.createHttpClient({ caCerts: ca === "" ? [] : [readCertificates(ca)] });
      const headers = this.#headers();
      return await use((path) => this.#get(new URL(path, url), { client, headers, signal: limit.signal }));
    } catch (error) {
      if (limit.isOver) throw new Error(`no answer within ${this.#timeoutMs} ms`);
      throw error instanceof TypeError ? new Error(explain(requestProblem(error))) : error;
    }
  }

  #headers(): Record<string, string> {
    const headers = { accept: "application/json", "odata-version": "4.0", "user-agent": "alumet-relay" };
    const { username } = this.#target;
    if (username === "") return headers;
    const problem = this.#password.refresh();
    if (problem !== undefined) throw new Error(problem);
    const login = new TextEncoder().encode(`${username}:${this.#password.value}`);
    return { ...headers, authorization: `Basic ${login.toBase64()}` };
  }

  async #get(url: URL, init: RequestInit & { client: Deno.HttpClient }): Promise<unknown> {
    // A redirection would give the password to whoever is named there.
    const response = await fetch(url, { ...init, redirect: "manual" });
    if (response.status !== 200) {
      await response.body?.cancel();
      if (response.status === 401) throw new LoginError("it refuses the user or the password (HTTP 401)");
      throw new Error(`HTTP ${response.status} for ${url.pathname}`);
    }
    const text = await textOf(response, MOST_BYTES);
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`${url.pathname} is not JSON`);
    }
  }
}

function explain(reason: string): string {
  if (!/certificate|tls|handshake|InvalidContentType/i.test(reason)) return reason;
  return explainTls(reason, {
    ca: "plugins.redfish.targets.ca",
    serverName: "the host in url",
    cert: "none is configured",
  });
}
