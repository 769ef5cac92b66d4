/** Names to addresses. */
import type { Address } from "../net/address.ts";

/**
 * The addresses that a server's host has now, in the order in which the system's resolver (`/etc/hosts`, DNS) gives
 * them, for `Deno.connect`: an IP address is its own, with its scope.
 *
 * @throws when the name cannot be resolved.
 */
export async function resolve({ hostname, family }: Pick<Address, "hostname" | "family">): Promise<string[]> {
  if (family !== undefined) return [hostname];
  // Only those who need it load the compatibility with Node: it takes memory.
  const { default: process } = await import("node:process");
  // Loading node:dns warns on standard error about a module that it loads itself; not the user's business.
  (process as { noDeprecation?: boolean }).noDeprecation = true;
  // Deno.resolveDns does not look at /etc/hosts, and Deno.connect gives all addresses together one try.
  const { lookup } = await import("node:dns/promises");
  const found = await lookup(hostname, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))];
}
