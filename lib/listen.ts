/** Listening on an address of the configuration. */
import { type Address, formatAddress, interfaceProblem } from "./address.ts";
import { EXIT, ExitError, messageOf } from "./errors.ts";
import type { Logger } from "./log.ts";

/**
 * Listens on an address such as `[::]:50051` (which also takes IPv4), `127.0.0.1:50051` or `[fe80::1%eth0]:50051`.
 *
 * @param key The configuration key that the address comes from.
 * @throws {ExitError} that names the address and the key, when that is not possible.
 */
export function listen(
  address: Address,
  key: string,
  log: Logger,
  open: (options: Deno.TcpListenOptions) => Deno.TcpListener = Deno.listen,
): Deno.TcpListener {
  const { hostname, port } = address;
  try {
    return open({ hostname, port });
  } catch (error) {
    if (hostname === "::" && !(error instanceof Deno.errors.AddrInUse)) {
      try {
        const listener = open({ hostname: "0.0.0.0", port });
        log.warn("IPv6 is not to be had, listening on IPv4 alone", { address: `0.0.0.0:${port}` });
        return listener;
      } catch { /* the first error says more */ }
    }
    const reason = interfaceProblem(address) ??
      (error instanceof Deno.errors.AddrInUse
        ? "another program uses that port; stop it or choose another port"
        : error instanceof Deno.errors.AddrNotAvailable
        ? "no interface of this machine has that address"
        : messageOf(error));
    throw new ExitError(EXIT.unavailable, `Cannot listen on ${formatAddress(address)} (${key}): ${reason}`, {
      cause: error,
    });
  }
}
