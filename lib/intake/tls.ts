/**
 * The server's side of TLS, on a port that accepts plain connections as well. A connection whose first byte begins a
 * TLS record is forwarded to a TLS listener within this process, and the connection that this listener accepts takes
 * its place. So the port stays the same socket when certificates change, and hosts can change to TLS one by one.
 */
import type { ClientCaOptions } from "../net/certified.ts";
import { delay } from "@std/async/delay";
import { PROCESS_CLOCK } from "../base/clock.ts";
import { Complaint } from "../base/complaint.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { closeQuietly } from "../base/waiting.ts";
import { readCertificates, readPrivateKey } from "../net/pem.ts";
import { type Transport, writeAll } from "../net/transport.ts";

/** The first byte of a TLS handshake; a frame of the relay protocol never begins with it. */
export const TLS_HANDSHAKE = 0x16;
const BUFFER_BYTES = 64 * 1024;
/** How often certificates are checked for changes, in ms. */
const CHECK_MS = 2000;
const LOOPBACK = "127.0.0.1";

export interface CertificateFiles {
  /** Paths of PEM files: the chain, the server's certificate first, and its private key. */
  cert: string;
  key: string;
  /** Path of a PEM file with the CAs of client certificates; without it, clients need none. */
  client_ca?: string;
}

/** Both ends of a connection within this process. */
interface Connected {
  readonly plain: Deno.TcpConn;
  /** Resolves when its handshake is done. */
  readonly secure: Promise<Transport>;
  /** Ends the wait for the second one. */
  abandon(): void;
}

/** A TLS listener on loopback for one version of the certificate; it only serves connections of this process. */
class Generation {
  /** Connections to it that this process has opened, and that the listener has not accepted yet. */
  #pending = 0;
  readonly #expected = new Map<number, PromiseWithResolvers<Transport>>();
  readonly #early = new Map<number, Promise<Transport>>();
  #retired = false;
  #port = 0;
  #stop: () => void = () => {};

  /** @throws if the files cannot be read, or are not a certificate and its key. */
  static async open(files: CertificateFiles): Promise<Generation> {
    const generation = new Generation();
    const cert = readCertificates(files.cert);
    const key = readPrivateKey(files.key);
    try {
      if (files.client_ca) {
        await generation.#listenCertified({ cert, key, ca: readCertificates(files.client_ca) });
      } else generation.#listen(cert, key);
      return generation;
    } catch (error) {
      if (!/KeyMismatch|key values mismatch/i.test(messageOf(error))) throw error;
      throw new Error(`${files.key} is not the key of the certificate in ${files.cert}`, { cause: error });
    }
  }

  /** Opens a connection to this listener. */
  async connect(): Promise<Connected> {
    this.#pending++;
    try {
      const plain = await Deno.connect({ hostname: LOOPBACK, port: this.#port });
      const { port } = plain.localAddr as Deno.NetAddr;
      const early = this.#early.get(port);
      if (early) {
        this.#early.delete(port);
        this.#done();
        return { plain, secure: early, abandon: () => {} };
      }
      const expected = Promise.withResolvers<Transport>();
      this.#expected.set(port, expected);
      const abandon = () => {
        if (this.#expected.delete(port)) this.#done();
      };
      return { plain, secure: expected.promise, abandon };
    } catch (error) {
      this.#done();
      throw error;
    }
  }

  close(): void {
    closeQuietly({ close: this.#stop });
  }

  /** Closes it as soon as no connection is pending. */
  retire(): void {
    this.#retired = true;
    if (this.#pending === 0) this.close();
  }

  /** The connection from this port was accepted, or failed. */
  #arrived(port: number, conn: Promise<Transport>): void {
    // It may fail before anyone awaits it.
    conn.catch(() => {});
    const expected = this.#expected.get(port);
    if (expected) {
      this.#expected.delete(port);
      expected.resolve(conn);
      this.#done();
    } else if (this.#pending > 0) this.#early.set(port, conn);
    else void conn.then(closeQuietly, () => {});
  }

  #done(): void {
    this.#pending--;
    if (this.#pending > 0) return;
    // These are from other programs on this host, which found the port.
    for (const conn of this.#early.values()) void conn.then(closeQuietly, () => {});
    this.#early.clear();
    if (this.#retired) this.close();
  }

  #listen(cert: string, key: string): void {
    const listener = Deno.listenTls({ hostname: LOOPBACK, port: 0, cert, key });
    this.#port = (listener.addr as Deno.NetAddr).port;
    this.#stop = () => listener.close();
    void (async () => {
      while (true) {
        let conn: Deno.TlsConn;
        try {
          conn = await listener.accept();
        } catch (error) {
          if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
          await delay(100);
          continue;
        }
        this.#arrived((conn.remoteAddr as Deno.NetAddr).port, handshake(conn));
      }
    })();
  }

  async #listenCertified(options: ClientCaOptions): Promise<void> {
    const { certificatesProblem, listenCertified } = await import("../net/certified.ts");
    const problem = await certificatesProblem(options);
    if (problem) {
      throw new Error(
        `this version of Deno does not enforce client certificates (${problem}); remove client_ca and use tokens`,
      );
    }
    const listener = await listenCertified(
      options,
      (port, conn) => this.#arrived(port, Promise.resolve(conn)),
      (port, reason) => {
        if (port !== undefined) this.#arrived(port, Promise.reject(new Error(reason)));
      },
    );
    this.#port = listener.port;
    this.#stop = listener.close;
  }
}

async function handshake(conn: Deno.TlsConn): Promise<Transport> {
  try {
    await conn.handshake();
    return conn;
  } catch (error) {
    closeQuietly(conn);
    throw error;
  }
}

export class TlsTerminator implements Disposable {
  readonly #files: CertificateFiles;
  readonly #log: Logger;
  #generation: Generation;
  #stamp: string;
  readonly #checkMs: number;
  #checkedMs = performance.now();
  readonly #complaint = new Complaint(PROCESS_CLOCK);

  private constructor(
    files: CertificateFiles,
    log: Logger,
    checkMs: number,
    generation: Generation,
    stamp: string,
  ) {
    this.#files = files;
    this.#log = log;
    this.#checkMs = checkMs;
    this.#generation = generation;
    this.#stamp = stamp;
  }

  /** @throws if the files cannot be read, or are not a certificate and its key. */
  static async open(files: CertificateFiles, log: Logger, checkMs = CHECK_MS): Promise<TlsTerminator> {
    const stamp = stampOf(files);
    return new TlsTerminator(files, log, checkMs, await Generation.open(files), stamp);
  }

  /**
   * Starts TLS on a connection.
   *
   * @param received The bytes that have been read from it.
   * @returns the decrypted side, when the handshake is done. Closing it closes the connection.
   * @throws the error of the handshake; the connection is closed then.
   */
  async secure(conn: Transport, received: Uint8Array): Promise<Transport> {
    await this.#renew();
    let connected: Connected | undefined;
    try {
      connected = await this.#generation.connect();
      const { plain, secure } = connected;
      await writeAll(plain, received);
      const over = Promise.all([pass(conn, plain), pass(plain, conn)]).then(() => {
        closeQuietly(conn);
        closeQuietly(plain);
        throw new Error("the connection ended in the handshake");
      });
      // After the handshake this is an ordinary end.
      over.catch(() => {});
      return await Promise.race([secure, over]);
    } catch (error) {
      closeQuietly(conn);
      if (connected) {
        connected.abandon();
        closeQuietly(connected.plain);
        // Its handshake may just have been done.
        void connected.secure.then(closeQuietly, () => {});
      }
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#generation.close();
  }

  /** Reads the files if they have changed. If they are unusable, the previous ones stay in use. */
  async #renew(): Promise<void> {
    const now = performance.now();
    if (now - this.#checkedMs < this.#checkMs) return;
    this.#checkedMs = now;
    try {
      const stamp = stampOf(this.#files);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      const before = this.#generation;
      this.#generation = await Generation.open(this.#files);
      this.#complaint.end(() => {});
      this.#log.info("The certificate has been read again", { cert: this.#files.cert });
      before.retire();
    } catch (error) {
      this.#complaint.add(() => {
        this.#log.error("The new certificate is unusable, the previous one stays in use", {
          cert: this.#files.cert,
          reason: messageOf(error),
        });
      });
    }
  }
}

/** Differs when one of the files has changed. */
function stampOf({ cert, key, client_ca }: CertificateFiles): string {
  return [cert, key, client_ca || cert].map((path) => {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  }).join(",");
}

/** Forwards bytes until one side ends. Never rejects. */
async function pass(from: Transport, to: Transport): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (let count; (count = await from.read(buffer)) !== null;) {
      await writeAll(to, buffer.subarray(0, count));
    }
    await to.closeWrite();
  } catch {
    // Ends the other direction as well.
    closeQuietly(from);
    closeQuietly(to);
  }
}
