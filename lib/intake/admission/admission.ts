/** Which clients are accepted: by address, by number of connections, by token. */
import type { LogFields, Logger } from "../../base/log.ts";
import { Networks, type Peer } from "../../net/networks.ts";
import type { Grant, Tokens } from "./tokens.ts";

export interface AdmissionOptions {
  /** Accept only these, unless it is empty. */
  allow: readonly string[];
  deny: readonly string[];
  /** If set, clients without a token are refused. */
  tokens?: Tokens | undefined;
  /** Networks whose clients need no token. */
  withoutToken: readonly string[];
  maxConnections: number;
  /** Connections that the process has file descriptors for, those that are refused included. @default {Infinity} */
  maxSockets?: number;
  maxConnectionsPerAddress: number;
  /** Bytes of a client's name, at most. */
  maxNameLength: number;
}

/** Accepts everyone, from everywhere, under any name. */
export const OPEN: AdmissionOptions = {
  allow: [],
  deny: [],
  withoutToken: [],
  maxConnections: Infinity,
  maxConnectionsPerAddress: Infinity,
  maxNameLength: 255,
};

export interface Applicant extends Peer {
  readonly name: string;
  /** `undefined` for a client whose protocol has no tokens. */
  readonly token: string | undefined;
}

export class Admission {
  #options!: AdmissionOptions;
  #allow!: Networks;
  #deny!: Networks;
  #withoutToken!: Networks;
  readonly #log: Logger;
  #connections = 0;
  #changes = 0;
  readonly #perAddress = new Map<string, number>();
  readonly #onRefused: () => void;

  /**
   * @param log A bounded one: everybody can cause lines in it.
   * @param onRefused Told of each refused client.
   */
  constructor(options: AdmissionOptions, log: Logger, onRefused: () => void = () => {}) {
    this.#log = log;
    this.#onRefused = onRefused;
    this.change(options);
  }

  /** Changes the rules, for new clients and, by {@linkcode Admission.recheck}, for connected ones. */
  change(options: AdmissionOptions): void {
    this.#changes += 1 + (this.#options?.tokens?.version ?? 0);
    this.#options = options;
    this.#allow = new Networks(options.allow);
    this.#deny = new Networks(options.deny);
    this.#withoutToken = new Networks(options.withoutToken);
  }

  /** Changes when connected clients have to be rechecked. */
  get version(): number {
    const { tokens } = this.#options;
    tokens?.refresh();
    return this.#changes + (tokens?.version ?? 0);
  }

  /** Why a connected client would be refused now, if it would be. */
  recheck(peer: Peer, grant: Grant | null): string | undefined {
    const { tokens } = this.#options;
    if (this.#deny.has(peer)) return "its address is denied now";
    if (this.#allow.size > 0 && !this.#allow.has(peer)) return "its address is not allowed any more";
    if (!grant || !tokens || tokens.holds(grant)) return undefined;
    if (grant.hash) return "its token is not valid any more";
    return this.#withoutToken.has(peer) && !grant.forward ? undefined : "it needs a token now";
  }

  /** Counts a new connection. @returns why it is refused, if it is. {@linkcode Admission.left} must follow anyway. */
  arrived(peer: Peer): string | undefined {
    const { hostname } = peer;
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    const same = (this.#perAddress.get(hostname) ?? 0) + 1;
    this.#perAddress.set(hostname, same);
    this.#connections++;
    if (this.#deny.has(peer)) return "its address is denied";
    if (this.#allow.size > 0 && !this.#allow.has(peer)) return "its address is not allowed";
    if (this.#connections > maxConnections) return `there are ${maxConnections} connections already`;
    if (same > maxConnectionsPerAddress) {
      return `there are ${maxConnectionsPerAddress} connections of its address already`;
    }
  }

  left({ hostname }: Peer): void {
    this.#connections--;
    const rest = this.#perAddress.get(hostname)! - 1;
    if (rest > 0) this.#perAddress.set(hostname, rest);
    else this.#perAddress.delete(hostname);
  }

  /** There are too many connections to answer each one. */
  get isFlooded(): boolean {
    const { maxConnections, maxSockets = Infinity } = this.#options;
    return this.#connections > Math.min(2 * maxConnections, maxSockets);
  }

  /** What a client may do, or why it is refused. */
  check({ name, token, ...peer }: Applicant): Grant | string {
    const { tokens, maxNameLength } = this.#options;
    const length = new TextEncoder().encode(name).length;
    if (length === 0) return "it has no name";
    if (length > maxNameLength) return `its name has ${length} bytes, at most ${maxNameLength} are allowed`;
    if (!tokens) return { name, forward: true };
    if (token) return tokens.check(name, token);
    if (this.#withoutToken.has(peer)) return { name, forward: false };
    return token === undefined
      ? "its protocol has no tokens, and its address is not in without_token"
      : tokens.check(name, "");
  }

  /** Whether a peer of a protocol without names may send, with one of these tokens or without. */
  checkTokens(peer: Peer, candidates: readonly string[]): boolean {
    const { tokens } = this.#options;
    if (!tokens || this.#withoutToken.has(peer)) return true;
    return candidates.some((token) => tokens.find(token) !== undefined);
  }

  /** Logs that a client was refused. */
  refuse(fields: LogFields): void {
    this.#onRefused();
    this.#log.warn("Refusing a client", fields);
  }
}
