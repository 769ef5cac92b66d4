/** Asks the API server, or the kubelet, for the pods of this machine. */
import { explainTls } from "../../client/tls_problem.ts";
import { requestProblem } from "../../base/errors.ts";
import { TimeLimit } from "../../base/waiting.ts";
import { textOf } from "../../http/answer.ts";
import { isOpenUrl } from "../../net/address.ts";
import { readCertificates } from "../../net/pem.ts";
import type { K8sConfig } from "./config.ts";
import { type PodList, podListOf } from "./pod_list.ts";
import { ACCOUNT_CA, Token, type TokenOptions } from "./token.ts";

/** The longest that a request may take, in ms. */
const REQUEST_MS = 15_000;
/** The largest answer, in bytes: a node has some hundred pods of some 10 kB. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Why there is no list. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  /** @param advice What to do about it. */
  constructor(message: string, readonly advice: string | undefined = undefined) {
    super(message);
  }
}

export interface ApiOptions extends TokenOptions {
  /** @default that of a service account in a pod */
  readonly accountCa?: string;
}

export class PodApi {
  /** What is asked, without its query. */
  readonly url: string;
  /** The kubelet has the pods of its own machine alone. */
  readonly isKubelet: boolean;
  readonly #url: URL;
  readonly #node: string;
  readonly #caFile: string;
  readonly #accountCa: string;
  readonly #token: Token;

  constructor(config: K8sConfig, { accountCa = ACCOUNT_CA, ...tokenOptions }: ApiOptions = {}) {
    this.#url = new URL(config.k8s_api_url);
    this.#node = config.k8s_node;
    const path = this.#url.pathname.replace(/\/+$/, "").replace(/\/api\/v1\/pods$/, "");
    this.isKubelet = path.endsWith("/pods");
    if (!this.isKubelet) {
      this.#url.pathname = `${path}/api/v1/pods`;
      this.#url.searchParams.set("fieldSelector", `spec.nodeName=${config.k8s_node}`);
    }
    this.url = `${this.#url.origin}${this.#url.pathname}`;
    this.#caFile = config.ca_file;
    this.#accountCa = accountCa;
    // What listens without TLS on this machine, such as kubectl proxy, asks for none.
    const isUnneeded = this.#url.protocol === "http:";
    this.#token = new Token(config.token_retrieval, { isUnneeded, ...tokenOptions });
  }

  get node(): string {
    return this.#node;
  }

  /** @throws {ApiError} why there is no list */
  async list(signal: AbortSignal): Promise<PodList> {
    using limit = new TimeLimit(REQUEST_MS, signal);
    try {
      return await this.#list(limit.signal);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      if (limit.isOver) throw new ApiError(`no answer within ${REQUEST_MS / 1000} s`);
      throw new ApiError(...this.#explain(requestProblem(error)));
    }
  }

  async #list(signal: AbortSignal): Promise<PodList> {
    const token = await this.#token.get(signal);
    const headers = new Headers({ accept: "application/json" });
    const isSafe = !isOpenUrl(this.#url.href);
    if (token !== undefined && isSafe) headers.set("authorization", `Bearer ${token}`);
    // A new one each time: authorities are renewed in their file, and requests are rare.
    using client = Deno.createHttpClient({ caCerts: this.#authorities() });
    // A redirection would give the token to whoever is named there.
    const response = await fetch(this.#url, { client, headers, signal, redirect: "manual" });
    if (response.status !== 200) {
      await response.body?.cancel();
      if (response.status === 401) this.#token.reject();
      throw new ApiError(...this.#refusal(response.status, token !== undefined, isSafe));
    }
    const text = await textOf(response, MOST_BYTES);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      throw new ApiError("the answer is not JSON");
    }
    return podListOf(json);
  }

  #authorities(): string[] {
    if (this.#caFile !== "") return [readCertificates(this.#caFile)];
    try {
      return [readCertificates(this.#accountCa)];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** What a status means, and what to do about it. */
  #refusal(status: number, hasToken: boolean, isSafe: boolean): [message: string, advice?: string] {
    if ((status === 401 || status === 403) && hasToken && !isSafe) {
      return [
        `HTTP ${status}: the token is not sent without TLS`,
        "use an https:// URL in plugins.k8s.k8s_api_url",
      ];
    }
    if (status === 401) return ["HTTP 401: the token is not accepted", "see plugins.k8s.token_retrieval"];
    if (status === 403) {
      const [verb, resource] = this.isKubelet ? ["get", "nodes/proxy"] : ["list", "pods"];
      return [
        `HTTP 403: the service account may not ${verb} ${resource}`,
        `kubectl create clusterrole alumet-relay --verb=${verb} --resource=${resource}, and bind it to the account`,
      ];
    }
    return [`HTTP ${status}`];
  }

  #explain(reason: string): [message: string, advice?: string] {
    if (!/certificate|tls|handshake|InvalidContentType/i.test(reason)) {
      return /connect|dns|resolve/i.test(reason) ? [reason, "see plugins.k8s.k8s_api_url"] : [reason];
    }
    const keys = {
      ca: "plugins.k8s.ca_file",
      serverName: "the host in k8s_api_url",
      cert: "none is configured",
    };
    return [explainTls(reason, keys)];
  }
}
