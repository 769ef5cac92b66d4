/** Asks a management controller for its pages. */
import { requestProblem } from "../../base/errors.ts";
import { Secret } from "../../base/secrets.ts";
import { TimeLimit } from "../../base/waiting.ts";
import { explainTls } from "../../client/tls_problem.ts";
import { textOf } from "../../http/answer.ts";
import { readCertificates } from "../../net/pem.ts";
import type { RedfishTarget } from "./config.ts";
import { PinnedServer } from "./pinned_server.ts";
import { at, linkOf, membersOf, type Reading, readingsOf } from "./readings.ts";

const ROOT = "/redfish/v1/Chassis";
/** The largest page, in bytes. */
const MOST_BYTES = 1024 * 1024;

/** The controller refuses the user or the password. */
export class LoginError extends Error {
  override readonly name = "LoginError";
}

/** The controller answers, but not with a page that can be read: other pages may be fine. */
class PageError extends Error {
  override readonly name = "PageError";
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

  /**
   * The pages with a power at present, and why the first chassis that cannot be read cannot be.
   *
   * @throws {LoginError} @throws why there is no answer
   */
  find(signal: AbortSignal): Promise<{ pages: PowerPage[]; problem: string | undefined }> {
    return this.#session(signal, async (get) => {
      const pages: PowerPage[] = [];
      let problem: string | undefined;
      for (const path of membersOf(await get(ROOT))) {
        try {
          const link = await pageOf(path, get);
          if (link === undefined) continue;
          pages.push({ chassis: path.replace(/\/+$/, "").split("/").at(-1)!, path: link });
        } catch (error) {
          if (!(error instanceof PageError)) throw error;
          problem ??= error.message;
        }
      }
      return { pages, problem };
    });
  }

  /**
   * The powers of each page, none of one that is not valid, and why the first such one is not.
   *
   * @throws {LoginError} @throws why there is no answer
   */
  read(
    pages: readonly PowerPage[],
    signal: AbortSignal,
  ): Promise<{ readings: Reading[][]; problem: string | undefined }> {
    return this.#session(signal, async (get) => {
      const readings: Reading[][] = [];
      let problem: string | undefined;
      // One after the other: such a controller is slow, and serves few connections.
      for (const { path } of pages) {
        try {
          readings.push(readingsOf(await get(path)));
        } catch (error) {
          if (!(error instanceof PageError)) throw error;
          problem ??= error.message;
          readings.push([]);
        }
      }
      return { readings, problem };
    });
  }

  async #session<T>(signal: AbortSignal, use: (get: Get) => Promise<T>): Promise<T> {
    const { fingerprint, url } = this.#target;
    using limit = new TimeLimit(this.#timeoutMs, signal);
    try {
      const headers = this.#headers();
      if (fingerprint !== "") {
        using server = new PinnedServer(new URL(url), fingerprint, limit.signal);
        return await use(async (path) => {
          const { pathname, search } = new URL(path, url);
          const { status, text } = await server.get(pathname + search, headers, MOST_BYTES);
          checkStatus(status, pathname);
          return parsed(text, pathname);
        });
      }
      using client = this.#client();
      return await use((path) => get(new URL(path, url), { client, headers, signal: limit.signal }));
    } catch (error) {
      if (limit.isOver) throw new Error(`no answer within ${this.#timeoutMs} ms`);
      if (error instanceof TypeError || fingerprint !== "") throw explained(error as Error);
      throw error;
    }
  }

  /** A new one each time: authorities are renewed in their file. */
  #client(): Deno.HttpClient {
    const { ca } = this.#target;
    return Deno.createHttpClient({ caCerts: ca === "" ? [] : [readCertificates(ca)] });
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
}

/** The path of the page with the power of a chassis, if it has one. */
async function pageOf(path: string, get: Get): Promise<string | undefined> {
  const chassis = await get(path);
  // EnvironmentMetrics is the newer one; controllers that have both say the same in both.
  for (const key of ["EnvironmentMetrics", "Power"]) {
    const link = linkOf(at(chassis, key));
    if (link !== undefined && readingsOf(await get(link)).length > 0) return link;
  }
}

async function get(url: URL, init: RequestInit & { client: Deno.HttpClient }): Promise<unknown> {
  // A redirection would give the password to whoever is named there.
  const response = await fetch(url, { ...init, redirect: "manual" });
  try {
    checkStatus(response.status, url.pathname);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  return parsed(await textOf(response, MOST_BYTES), url.pathname);
}

function checkStatus(status: number, path: string): void {
  if (status === 401) throw new LoginError("it refuses the user or the password (HTTP 401)");
  if (status !== 200) throw new PageError(`HTTP ${status} for ${path}`);
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PageError(`${path} is not JSON`);
  }
}

/** The same error in words that an administrator can use. */
function explained(error: Error): Error {
  if (error instanceof LoginError) return error;
  const reason = error instanceof TypeError ? requestProblem(error) : error.message;
  if (!/peer certificate|UNABLE_TO|alert|tls|handshake|InvalidContentType/i.test(reason)) {
    return new Error(reason);
  }
  return new Error(explainTls(reason, {
    ca: "plugins.redfish.targets.ca",
    serverName: "the host in url",
    cert: "none is configured",
  }));
}
