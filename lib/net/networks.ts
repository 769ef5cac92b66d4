/** Lists of networks: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`, `fe80::/10%eth0`. */
import { BlockList, isIP } from "node:net";

/** A peer's address. IPv4 may come as IPv6 (`::ffff:10.0.0.1`). */
export interface Peer {
  readonly hostname: string;
  /** The interface, if the server listens on a scoped address; unknown otherwise. */
  readonly scope?: string | undefined;
}

interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
  readonly scope: string | undefined;
}

/** @throws {SyntaxError} with the problem. */
function parse(text: string): Network {
  const [, address, bits, scope] = /^([^/%\s]+)(?:\/(\d{1,3}))?(?:%([^/%\s]+))?$/.exec(text) ?? [];
  const version = isIP(address ?? "");
  if (version === 0) {
    throw new SyntaxError("write a network such as 10.0.0.0/8, 2001:db8::/32 or fe80::/10%eth0");
  }
  const most = version === 4 ? 32 : 128;
  const length = bits === undefined ? most : Number(bits);
  if (length > most) throw new SyntaxError(`a network of IPv${version} has at most /${most}`);
  if (scope !== undefined && !/^fe[89ab]/i.test(address)) {
    throw new SyntaxError("only link-local addresses (fe80::/10) have an interface");
  }
  return { address, bits: length, family: version === 4 ? "ipv4" : "ipv6", scope };
}

/** The problem of a network, or `undefined`: for the `check` of a key. */
export function networkProblem(text: string): string | undefined {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether a network names an interface. */
export function isScoped(text: string): boolean {
  return text.includes("%");
}

export class Networks {
  readonly #open = new BlockList();
  readonly #scoped = new Map<string, BlockList>();
  readonly size: number;

  /** @throws {SyntaxError} if one of them is not a network. */
  constructor(networks: readonly string[]) {
    this.size = networks.length;
    for (const { address, bits, family, scope } of networks.map(parse)) {
      let list = this.#open;
      if (scope !== undefined) {
        list = this.#scoped.get(scope) ?? new BlockList();
        this.#scoped.set(scope, list);
      }
      list.addSubnet(address, bits, family);
    }
  }

  has({ hostname, scope }: Peer): boolean {
    const family = isIP(hostname) === 4 ? "ipv4" : "ipv6";
    if (this.#open.check(hostname, family)) return true;
    return scope !== undefined && (this.#scoped.get(scope)?.check(hostname, family) ?? false);
  }
}
