/**
 * A TLS listener that asks clients for a certificate of a given CA. Deno's own cannot; that of node:tls takes the
 * option everywhere and obeys it only on some versions, so it is tried at the start, with a client that has none.
 */
import { once } from "node:events";
import { type AddressInfo, isIP, type Socket } from "node:net";
import tls from "node:tls";
import { messageOf } from "../base/errors.ts";
import type { Transport } from "./transport.ts";

const LOOPBACK = "127.0.0.1";
/** How long the try may take, in ms. */
const PROBE_MS = 3000;

export interface ClientCaOptions {
  /** PEM texts. */
  cert: string;
  key: string;
  ca: string;
}

/** A TLS connection of node:tls, read and written like one of Deno. */
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
      // The socket keeps what it has not sent; the caller uses the buffer again.
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

/** Connects in TLS with a certificate: Deno's own client shows none under a name that is not the one dialled. */
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
  signal.addEventListener("abort", abort, { once: true });
  try {
    await once(socket, "secureConnect");
    socket.setNoDelay();
    const transport = new SocketTransport(socket);
    return Object.assign(transport, { remoteAddr: { transport: "tcp" as const, hostname, port } });
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

export interface CertifiedListener {
  readonly port: number;
  close(): void;
}

/**
 * Listens on loopback. `onConnection` is told of connections whose client has shown a certificate of the CA, with the
 * port that they come from; `onFailure` of the others.
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

/** Whether a client without a certificate is really kept out. @returns what is wrong, if anything is. */
export async function certificatesProblem(options: ClientCaOptions): Promise<string | undefined> {
  let listener: CertifiedListener | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const outcome = Promise.withResolvers<string | undefined>();
    listener = await listenCertified(options, (_, conn) => {
      conn.close();
      outcome.resolve("a client without a certificate gets in");
    }, () => outcome.resolve(undefined));
    const client = tls.connect({ host: LOOPBACK, port: listener.port, rejectUnauthorized: false });
    client.on("error", () => {});
    client.on("secureConnect", () => client.write("\0"));
    timer = setTimeout(() => outcome.resolve("a client without a certificate is not refused"), PROBE_MS);
    const problem = await outcome.promise;
    client.destroy();
    return problem;
  } catch (error) {
    return messageOf(error);
  } finally {
    clearTimeout(timer);
    listener?.close();
  }
}
