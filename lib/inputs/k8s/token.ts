/** The token for the API: read again for each request, as tokens that are in files are renewed there. */
import type { TokenRetrieval } from "./config.ts";

/** Where a pod finds its service account. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
export const ACCOUNT_CA = `${ACCOUNT}/ca.crt`;
const ACCOUNT_TOKEN = `${ACCOUNT}/token`;

/** How long kubectl's token is used where it does not say until when, and how long before its end it is renewed, in s. */
const OPAQUE_S = 300;
const EARLY_S = 60;

/** Runs a program, and returns what it prints. @throws if it fails */
export type Run = (program: string, args: readonly string[], signal: AbortSignal) => Promise<string>;

const runProgram: Run = async (program, args, signal) => {
  const command = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  });
  const { success, code, stdout, stderr } = await command.output();
  if (success) return new TextDecoder().decode(stdout);
  const [line = ""] = new TextDecoder().decode(stderr).trim().split("\n");
  throw new Error(`${program} failed with exit code ${code}: ${line.slice(0, 300)}`);
};

export interface TokenOptions {
  /** Whether the API needs none: then `auto` does not ask kubectl. @default {false} */
  readonly isUnneeded?: boolean;
  /** @default that of a service account in a pod */
  readonly accountToken?: string;
  readonly run?: Run;
  /** Seconds since 1970. */
  readonly nowS?: () => number;
}

export class Token {
  readonly #file: string | undefined;
  readonly #kubectl: { readonly service_account: string; readonly namespace: string } | undefined;
  /** Whether there may be none. */
  readonly #isOptional: boolean;
  readonly #run: Run;
  readonly #nowS: () => number;
  #asked: { readonly token: string; readonly untilS: number } | null = null;

  constructor(
    retrieval: TokenRetrieval,
    { isUnneeded = false, accountToken = ACCOUNT_TOKEN, run = runProgram, nowS = () => Date.now() / 1000 }:
      TokenOptions = {},
  ) {
    const asked = { service_account: "alumet-reader", namespace: "alumet" };
    this.#run = run;
    this.#nowS = nowS;
    this.#isOptional = retrieval === "auto";
    if (typeof retrieval === "object") {
      this.#file = retrieval.file;
      this.#kubectl = retrieval.kubectl;
    } else {
      this.#file = retrieval === "kubectl" ? undefined : accountToken;
      this.#kubectl = retrieval === "file" || retrieval === "auto" && isUnneeded ? undefined : asked;
    }
  }

  /** The token; `undefined` where none is needed, or there is none and none was asked for. @throws why there is none */
  async get(signal: AbortSignal): Promise<string | undefined> {
    if (this.#file !== undefined) {
      try {
        return checked(Deno.readTextFileSync(this.#file), this.#file);
      } catch (error) {
        if (!(this.#isOptional && error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    if (!this.#kubectl) return undefined;
    if (this.#asked && this.#nowS() < this.#asked.untilS) return this.#asked.token;
    const { service_account, namespace } = this.#kubectl;
    try {
      const printed = await this.#run(
        "kubectl",
        ["create", "token", service_account, "-n", namespace],
        signal,
      );
      const token = checked(printed, "the answer of kubectl");
      this.#asked = { token, untilS: (expiryOf(token) ?? this.#nowS() + OPAQUE_S + EARLY_S) - EARLY_S };
      return token;
    } catch (error) {
      if (this.#isOptional && error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The server does not accept it: the next one is asked for again. */
  reject(): void {
    this.#asked = null;
  }
}

/** One line of visible ASCII: anything else would not be a header. Errors do not repeat it. */
function checked(text: string, where: string): string {
  const token = text.trim();
  if (/^[!-~]+$/.test(token)) return token;
  throw new SyntaxError(`${where} is ${token === "" ? "empty" : "not a token: expected one line of text"}`);
}

/** Until when a token that is a JWT (RFC 7519) is valid, in seconds since 1970. */
export function expiryOf(token: string): number | undefined {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload));
    return typeof exp === "number" && Number.isFinite(exp) ? exp : undefined;
  } catch {
    return undefined;
  }
}
