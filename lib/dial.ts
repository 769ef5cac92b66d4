/** Connecting to a server by its address: every address of its name, in order. */
import { deadline } from "@std/async/deadline";
import { formatAddress, interfaceProblem, parseAddress } from "./address.ts";
import { formatDuration } from "./duration.ts";
import { messageOf } from "./errors.ts";
import type { Logger } from "./log.ts";
import { resolve } from "./resolve.ts";

export interface DialOptions {
  /** To connect to one address, in ms. */
  connectMs: number;
  /** To resolve the name, in ms. */
  resolveMs: number;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Connects to `HOST:PORT`.
 *
 * @throws with what went wrong at each address.
 */
export async function dial(server: string, options: DialOptions): Promise<Deno.TcpConn> {
  const { connectMs, resolveMs, log, signal } = options;
  const address = parseAddress(server);
  const hostnames = await deadline(resolve(address), resolveMs, { signal }).catch((error) => {
    throw new Error(`cannot resolve ${address.hostname}: ${messageOf(error)}`);
  });
  const failures: string[] = [];
  for (const hostname of hostnames) {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), connectMs);
    try {
      const conn = await Deno.connect({
        hostname,
        port: address.port,
        signal: AbortSignal.any([signal, late.signal]),
      });
      log.debug("Connected", { server, address: hostname });
      return conn;
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = late.signal.aborted
        ? `no answer within ${formatDuration(connectMs)}`
        : interfaceProblem(address) ?? messageOf(error);
      failures.push(`${formatAddress({ hostname, port: address.port })}: ${reason}`);
    } finally {
      clearTimeout(timer);
    }
  }
  throw new Error(failures.join("; "));
}
