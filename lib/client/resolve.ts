/** Resolves names to addresses. */
import type { Address } from "../net/address.ts";

/**
 * The addresses that a server's host has now, in the order in which the system's resolver (`/etc/hosts`, DNS) gives
 * them, for `Deno.connect`: an IP address stands for itself, with its scope.
 *
 * @throws when the name cannot be resolved.
 */
export async function resolve({ hostname, family }: Pick<Address, "hostname" | "family">): Promise<string[]> {
  if (family !== undefined) return [hostname];
  // The compatibility with Node takes memory, so only clients that resolve names load it.
  const { default: process } = await import("node:process");
  // Loading node:dns warns on standard error about a module that it loads itself; users need not see that.
  (process as { noDeprecation?: boolean }).noDeprecation = true;
  // Deno.resolveDns ignores /etc/hosts, and Deno.connect has one time limit for all addresses together.
  const { lookup } = await import("node:dns/promises");
  const found = await lookup(hostname, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))];
}
