/** Connects to a server: to each address of its name, in order, until one answers. */
import { readCertificates, readPrivateKey } from "../net/pem.ts";
import { formatAddress, interfaceProblem, parseAddress } from "../net/address.ts";
import { formatDuration } from "../base/duration.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { closeQuietly, onAbort, TimeLimit, withTimeLimit } from "../base/waiting.ts";
import type { Transport } from "../net/transport.ts";
import { resolve } from "./resolve.ts";
import { explainTls, type TlsKeys } from "./tls_problem.ts";

/** Settings of TLS. */
export interface DialTls {
  /** Names of the configuration keys, for errors. */
  keys: TlsKeys;
  /** PEM file of the CAs that may sign the server's certificate. Empty: those of the system. */
  ca: string;
  /** Name in the server's certificate. Empty: the name that is dialled. */
  server_name: string;
  /** PEM files of a certificate of this client and its key. Empty: none is shown. */
  cert: string;
  key: string;
}

/** A connection, with or without TLS. */
export type Dialled = Transport & { readonly remoteAddr: Deno.Addr };

export interface DialOptions {
  /** Opens a connection to one address: `Deno.connect`. */
  connect: (options: Deno.ConnectOptions & { signal: AbortSignal }) => Promise<Deno.TcpConn>;
  tls?: DialTls | undefined;
  /** Time limit for connecting to one address, in ms. */
  connectMs: number;
  /** Time limit for resolving the name, in ms. */
  resolveMs: number;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Connects to `HOST:PORT`.
 *
 * @throws with the problem of each address.
 */
export async function dial(server: string, options: DialOptions): Promise<Dialled> {
  const { connect, tls, connectMs, resolveMs, log, signal } = options;
  const address = parseAddress(server);
  const hostnames = await withTimeLimit(resolve(address), resolveMs, signal).catch((error) => {
    throw new Error(`cannot resolve ${address.hostname}: ${messageOf(error)}`);
  });
  const failures: string[] = [];
  for (const hostname of hostnames) {
    using limit = new TimeLimit(connectMs, signal);
    try {
      if (tls?.cert) {
        return await certified(
          { hostname, port: address.port },
          tls.server_name || address.hostname,
          tls,
          limit.signal,
        );
      }
      const conn = await connected(connect, { hostname, port: address.port }, limit.signal);
      log.debug("Connected", { server, address: hostname });
      conn.setNoDelay();
      conn.setKeepAlive();
      return tls ? await secure(conn, tls.server_name || address.hostname, tls, limit.signal) : conn;
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = limit.isOver
        ? `no answer within ${formatDuration(connectMs)}`
        : interfaceProblem(address) ?? messageOf(error);
      failures.push(`${formatAddress({ hostname, port: address.port })}: ${reason}`);
    }
  }
  throw new Error(failures.join("; "));
}

/**
 * Connects until the signal is aborted. `Deno.connect` (2.6 to 2.9) looks at its signal once more when it has connected, and
 * then throws and forgets the connection: the signal that it gets says nothing, and what comes too late is closed here.
 *
 * @throws the signal's reason.
 */
async function connected(
  connect: DialOptions["connect"],
  address: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  const silent = new AbortController();
  silent.signal.throwIfAborted = () => {};
  using _ending = onAbort(signal, () => silent.abort(signal.reason));
  const conn = await connect({ ...address, signal: silent.signal });
  if (signal.aborted) {
    conn.close();
    throw signal.reason;
  }
  return conn;
}

/** Starts TLS. @throws with the problem of the server's certificate. */
async function secure(
  conn: Deno.TcpConn,
  name: string,
  { ca, keys }: DialTls,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  using _closing = onAbort(signal, () => closeQuietly(conn));
  let secured: Deno.TlsConn | undefined;
  try {
    // Read for each connection, so that a new file is used at the next one.
    const caCerts = ca === "" ? undefined : [readCertificates(ca)];
    secured = await Deno.startTls(conn, { hostname: name, caCerts });
    await secured.handshake();
    return secured;
  } catch (error) {
    secured?.close();
    // Unless TLS has it already.
    closeQuietly(conn);
    throw new Error(explainTls(messageOf(error), keys), { cause: error });
  }
}

/** Connects with TLS, and shows a certificate. */
async function certified(
  address: { hostname: string; port: number },
  serverName: string,
  { ca, cert, key, keys }: DialTls,
  signal: AbortSignal,
): Promise<Dialled> {
  const { connectCertified } = await import("../net/certified.ts");
  try {
    const files = {
      ca: ca === "" ? undefined : readCertificates(ca),
      cert: cert === "" ? undefined : readCertificates(cert),
      key: key === "" ? undefined : readPrivateKey(key),
    };
    return await connectCertified({ ...address, ...files, serverName, signal });
  } catch (error) {
    throw new Error(explainTls(messageOf(error), keys), { cause: error });
  }
}
