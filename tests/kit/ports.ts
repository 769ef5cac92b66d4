/** Ports for processes that cannot choose one themselves. */

/** Below those that Linux gives to connections (32768 and up), so that no test beside this one is given it meanwhile. */
const FIRST = 10_000;
const COUNT = 20_000;

/** A port on which nobody listens. */
export function freePort(hostname = "127.0.0.1"): number {
  while (true) {
    const port = FIRST + crypto.getRandomValues(new Uint32Array(1))[0] % COUNT;
    try {
      Deno.listen({ hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
