/**
 * The server's side of TLS, on a port that takes plain connections as well. A connection whose first byte begins a TLS
 * record is passed on, byte by byte, to a TLS listener within this process, and what that listener accepts takes its
 * place. So the port stays the same socket when certificates change, and hosts can go over to TLS one by one.
 */
import { messageOf } from "./errors.ts";
import type { Logger } from "./log.ts";

/** The first byte of a TLS handshake; a frame of the relay protocol never begins with it. */
export const TLS_HANDSHAKE = 0x16;
const BUFFER_BYTES = 64 * 1024;
/** Certificates are looked at again after so long, in ms. */
const CHECK_MS = 2000;
const LOOPBACK = "127.0.0.1";

export interface CertificateFiles {
  /** Paths of PEM files: the chain, the server's certificate first, and its private key. */
  cert: string;
  key: string;
}

/** A connection, whatever it is made of. */
export type Transport = Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite">;

/** One generation of certificates. */
class Generation {
  readonly #listener: Deno.TlsListener;
  /** Connections to it that are on their way, or have come before it was known that they would. */
  #pending = 0;
  readonly #expected = new Map<number, (conn: Deno.TlsConn) => void>();
  readonly #early = new Map<number, Deno.TlsConn>();
  #retired = false;

  constructor(cert: string, key: string) {
    this.#listener = Deno.listenTls({ hostname: LOOPBACK, port: 0, cert, key });
    void this.#accept();
  }

  /** Both ends of a new connection to this listener; the second one when it has been accepted. */
  async connect(): Promise<{ plain: Deno.TcpConn; secure: Promise<Deno.TlsConn> }> {
    const { port } = this.#listener.addr as Deno.NetAddr;
    this.#pending++;
    try {
      const plain = await Deno.connect({ hostname: LOOPBACK, port });
      const { port: own } = plain.localAddr as Deno.NetAddr;
      const early = this.#early.get(own);
      this.#early.delete(own);
      if (early) this.#arrived();
      const secure = early ?? new Promise<Deno.TlsConn>((resolve) => this.#expected.set(own, resolve));
      return { plain, secure: Promise.resolve(secure) };
    } catch (error) {
      this.#arrived();
      throw error;
    }
  }

  close(): void {
    try {
      this.#listener.close();
    } catch { /* closed before */ }
  }

  /** Closes it when the connections that are on their way have arrived. */
  retire(): void {
    this.#retired = true;
    if (this.#pending === 0) this.close();
  }

  #arrived(): void {
    this.#pending--;
    if (this.#pending > 0) return;
    // Another program of this host has found the port; it would come without an address.
    for (const conn of this.#early.values()) close(conn);
    this.#early.clear();
    if (this.#retired) this.close();
  }

  async #accept(): Promise<void> {
    while (true) {
      let conn: Deno.TlsConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const { port } = conn.remoteAddr as Deno.NetAddr;
      const resolve = this.#expected.get(port);
      this.#expected.delete(port);
      if (resolve) {
        resolve(conn);
        this.#arrived();
      } else if (this.#pending > 0) this.#early.set(port, conn);
      else close(conn);
    }
  }
}

export class TlsTerminator implements Disposable {
  readonly #files: CertificateFiles;
  readonly #log: Logger;
  #generation: Generation;
  #stamp: string;
  readonly #checkMs: number;
  #checkedMs = performance.now();

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

  /** @throws when the files cannot be read, or are no certificate and its key. */
  static open(files: CertificateFiles, log: Logger, checkMs = CHECK_MS): TlsTerminator {
    const stamp = stampOf(files);
    return new TlsTerminator(files, log, checkMs, load(files), stamp);
  }

  /**
   * Goes on with a connection in TLS.
   *
   * @param received What has been read of it.
   * @returns The decrypted side, when the handshake is done. Closing it closes the connection.
   * @throws what the handshake fails with. The connection is closed then.
   */
  async secure(conn: Deno.Conn, received: Uint8Array): Promise<Deno.TlsConn> {
    this.#renew();
    let inner: Deno.TcpConn | undefined;
    let result: Deno.TlsConn | undefined;
    try {
      const { plain, secure } = await this.#generation.connect();
      inner = plain;
      await write(inner, received);
      void Promise.all([pass(conn, plain), pass(plain, conn)]).then(() => {
        close(conn);
        close(plain);
      });
      result = await secure;
      await result.handshake();
      return result;
    } catch (error) {
      close(conn);
      if (inner) close(inner);
      if (result) close(result);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#generation.close();
  }

  /** Takes new files. Where they are no good, those before go on. */
  #renew(): void {
    const now = performance.now();
    if (now - this.#checkedMs < this.#checkMs) return;
    this.#checkedMs = now;
    try {
      const stamp = stampOf(this.#files);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      const before = this.#generation;
      this.#generation = load(this.#files);
      this.#log.info("The certificate has been read again", { cert: this.#files.cert });
      before.retire();
    } catch (error) {
      this.#log.error("The new certificate cannot be used, going on with the one before", {
        cert: this.#files.cert,
        reason: messageOf(error),
      });
    }
  }
}

function load({ cert, key }: CertificateFiles): Generation {
  return new Generation(Deno.readTextFileSync(cert), Deno.readTextFileSync(key));
}

/** Changes when one of the files does. */
function stampOf({ cert, key }: CertificateFiles): string {
  return [cert, key].map((path) => {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  }).join(",");
}

async function write(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

/** Passes bytes on until one side ends. Never rejects. */
async function pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (let count; (count = await from.read(buffer)) !== null;) await write(to, buffer.subarray(0, count));
    await to.closeWrite();
  } catch {
    // The other direction ends with it.
    close(from);
    close(to);
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* closed before */ }
}
