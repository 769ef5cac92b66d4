/** Connecting to a server by its address: every address of its name, in order. */
import { deadline } from "@std/async/deadline";
import { formatAddress, interfaceProblem, parseAddress } from "./address.ts";
import { formatDuration } from "./duration.ts";
import { messageOf } from "./errors.ts";
import type { Logger } from "./log.ts";
import { resolve } from "./resolve.ts";

/** How TLS is spoken. */
export interface DialTls {
  /** PEM file of the CAs that may sign the server's certificate. Empty: those of the system. */
  ca: string;
  /** Name in the server's certificate. Empty: the name that is dialled. */
  server_name: string;
}

export interface DialOptions {
  tls?: DialTls | undefined;
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
export async function dial(server: string, options: DialOptions): Promise<Deno.Conn> {
  const { tls, connectMs, resolveMs, log, signal } = options;
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
      conn.setNoDelay();
      conn.setKeepAlive();
      return tls ? await secure(conn, address.hostname, tls, late.signal) : conn;
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

/** Goes on in TLS. @throws with what is wrong with the server's certificate. */
async function secure(
  conn: Deno.TcpConn,
  hostname: string,
  { ca, server_name }: DialTls,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const close = () => {
    try {
      conn.close();
    } catch { /* TLS has it */ }
  };
  signal.addEventListener("abort", close, { once: true });
  let secured: Deno.TlsConn | undefined;
  try {
    // Read each time: a new one is taken at the next connection.
    const caCerts = ca === "" ? undefined : [Deno.readTextFileSync(ca)];
    secured = await Deno.startTls(conn, { hostname: server_name || hostname, caCerts });
    await secured.handshake();
    return secured;
  } catch (error) {
    secured?.close();
    close();
    throw new Error(explain(messageOf(error)), { cause: error });
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** What rustls says, and what it means. */
function explain(problem: string): string {
  if (/UnknownIssuer/.test(problem)) {
    return "the server's certificate is signed by an unknown CA (plugins.relay-client.tls.ca names the known ones)";
  }
  if (/Expired/i.test(problem)) return `the server's certificate has expired: ${problem}`;
  if (/not valid for name/i.test(problem)) {
    return `the server's certificate is for another name (plugins.relay-client.tls.server_name): ${problem}`;
  }
  if (/InvalidContentType|corrupt message|unexpected eof|UnexpectedEof|end of file/i.test(problem)) {
    return `the server does not speak TLS: ${problem}`;
  }
  return `no TLS connection: ${problem}`;
}
