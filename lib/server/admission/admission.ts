/** Who is let in: by address, by how many there are, by token. */
import type { LogFields, Logger } from "../../base/log.ts";
import { Networks, type Peer } from "./networks.ts";
import type { Grant, Tokens } from "./tokens.ts";

/** Refusals that are logged in a minute; the others are counted. */
const LOGGED_PER_MINUTE = 20;
const MINUTE_MS = 60_000;

export interface AdmissionOptions {
  /** Only these, if there are any. */
  allow: readonly string[];
  deny: readonly string[];
  /** With them, clients without one are refused. */
  tokens?: Tokens | undefined;
  /** Networks whose clients need no token. */
  withoutToken: readonly string[];
  maxConnections: number;
  maxConnectionsPerAddress: number;
  /** Bytes of a client's name. */
  maxNameLength: number;
}

/** Everybody, from everywhere, under every name. */
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
  /** `undefined` for a client whose protocol has none. */
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
  #minute = -Infinity;
  #logged = 0;
  /** Refused since the start. */
  refused = 0;

  constructor(options: AdmissionOptions, log: Logger) {
    this.#log = log;
    this.change(options);
  }

  /** From now on these hold, for those who come, and for those who are there with {@linkcode Admission.recheck}. */
  change(options: AdmissionOptions): void {
    this.#changes += 1 + (this.#options?.tokens?.version ?? 0);
    this.#options = options;
    this.#allow = new Networks(options.allow);
    this.#deny = new Networks(options.deny);
    this.#withoutToken = new Networks(options.withoutToken);
  }

  /** Another number when something has changed that those who were let in may not live up to. */
  get version(): number {
    const { tokens } = this.#options;
    tokens?.refresh();
    return this.#changes + (tokens?.version ?? 0);
  }

  /** Why a client would not be let in again, if it would not be. */
  recheck(peer: Peer, grant: Grant | null): string | undefined {
    const { tokens } = this.#options;
    if (this.#deny.has(peer)) return "its address is denied now";
    if (this.#allow.size > 0 && !this.#allow.has(peer)) return "its address is not allowed any more";
    if (!grant || !tokens || tokens.holds(grant)) return undefined;
    if (grant.hash) return "its token is not valid any more";
    return this.#withoutToken.has(peer) && !grant.forward ? undefined : "it needs a token now";
  }

  /** A connection has come. @returns why it is refused, if it is. {@linkcode Admission.left} must be called all the same. */
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

  /** More connections than are worth an answer. */
  get isFlooded(): boolean {
    return this.#connections > 2 * this.#options.maxConnections;
  }

  /** What a client may do, or why it is refused. */
  check({ name, token, ...peer }: Applicant): Grant | string {
    const { tokens, maxNameLength } = this.#options;
    const length = new TextEncoder().encode(name).length;
    if (length === 0) return "it has no name";
    if (length > maxNameLength) return `its name has ${length} bytes, at most ${maxNameLength} are taken`;
    if (!tokens) return { name, forward: true };
    if (token) return tokens.check(name, token);
    if (this.#withoutToken.has(peer)) return { name, forward: false };
    return token === undefined
      ? "it cannot show a token, and its address is not among those that need none"
      : tokens.check(name, "");
  }

  /** Says that a client was refused, not too often. */
  refuse(fields: LogFields): void {
    this.refused++;
    const now = performance.now();
    if (now - this.#minute > MINUTE_MS) {
      const more = this.#logged - LOGGED_PER_MINUTE;
      if (more > 0) this.#log.warn("More clients were refused", { clients: more });
      this.#minute = now;
      this.#logged = 0;
    }
    if (this.#logged++ < LOGGED_PER_MINUTE) this.#log.warn("Refusing a client", fields);
  }
}
