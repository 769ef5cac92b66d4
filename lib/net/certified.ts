/**
 * A TLS listener that demands client certificates of a given CA. Deno's own listener cannot; node:tls has the option
 * in all versions and enforces it only in some, so it is tested at the start, with a client without a certificate.
 */
import { once } from "node:events";
import { type AddressInfo, isIP, type Socket } from "node:net";
import tls from "node:tls";
import { messageOf } from "../base/errors.ts";
import { onAbort, within } from "../base/waiting.ts";
import type { Transport } from "./transport.ts";

const LOOPBACK = "127.0.0.1";
/** Time limit of the test, in ms: a busy machine may take seconds for it. */
const PROBE_MS = 60_000;

export interface ClientCaOptions {
  /** PEM texts. */
  cert: string;
  key: string;
  ca: string;
}

/** A TLS connection of node:tls, with the interface of a connection of Deno. */
class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]();
    socket.on("error", () => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return null;
      this.#rest = value;
    }
    const count = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      // A copy: the socket keeps what it has not sent, and the caller reuses its buffer.
      this.#socket.write(bytes.slice(), (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }
}

export interface CertifiedDialOptions extends Partial<ClientCaOptions> {
  hostname: string;
  port: number;
  /** The name that the server's certificate must have. */
  serverName: string;
  /** Ends the attempt. */
  signal: AbortSignal;
}

/** Connects with TLS and a client certificate, which Deno's own client cannot if the server has another name. */
export async function connectCertified(
  { hostname, port, serverName, signal, ...options }: CertifiedDialOptions,
): Promise<Transport & { remoteAddr: Deno.NetAddr }> {
  const socket = tls.connect({
    ...options,
    host: hostname,
    port,
    servername: isIP(serverName) ? "" : serverName,
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(serverName, certificate),
  });
  const abort = () => void socket.destroy(new Error("no answer in time"));
  using _aborting = onAbort(signal, abort);
  try {
    await once(socket, "secureConnect");
    socket.setNoDelay();
    const transport = new SocketTransport(socket);
    return Object.assign(transport, { remoteAddr: { transport: "tcp" as const, hostname, port } });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

export interface CertifiedListener {
  readonly port: number;
  close(): void;
}

/**
 * Listens on loopback. `onConnection` gets the connections of clients with a certificate of the CA, and the ports that
 * they come from; `onFailure` the others.
 */
export async function listenCertified(
  { cert, key, ca }: ClientCaOptions,
  onConnection: (port: number, conn: Transport) => void,
  onFailure: (port: number | undefined, reason: string) => void,
): Promise<CertifiedListener> {
  const server = tls.createServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: true },
    (socket) => {
      onConnection(socket.remotePort!, new SocketTransport(socket));
    },
  );
  server.on(
    "tlsClientError",
    (error: Error, socket: Socket) => onFailure(socket?.remotePort, messageOf(error)),
  );
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

/** Tests that a client without a certificate is refused. @returns the problem, if there is one */
export async function certificatesProblem(options: ClientCaOptions): Promise<string | undefined> {
  let listener: CertifiedListener | undefined;
  try {
    const outcome = Promise.withResolvers<string | undefined>();
    listener = await listenCertified(options, (_, conn) => {
      conn.close();
      outcome.resolve("a client without a certificate gets in");
    }, () => outcome.resolve(undefined));
    const client = tls.connect({ host: LOOPBACK, port: listener.port, rejectUnauthorized: false });
    client.on("error", () => {});
    client.on("secureConnect", () => client.write("\0"));
    const isKnown = await within(outcome.promise, PROBE_MS);
    client.destroy();
    return isKnown ? await outcome.promise : "a client without a certificate is not refused";
  } catch (error) {
    return messageOf(error);
  } finally {
    listener?.close();
  }
}
