/**
 * Asks a server that is recognised by the fingerprint of its certificate, as self-signed ones are. Nothing is sent before
 * two things are known of the very connection that it is sent on: its certificate has the fingerprint, and the server has
 * the key of that certificate.
 *
 * The certificate is fetched first, on a connection of its own, and is then the authority of the second connection. Only
 * so does Deno 2.6 look at the server's signature: with `rejectUnauthorized: false` it does not, and anybody who shows a
 * copy of the certificate would get the password.
 */
import { createHash } from "node:crypto";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { digitsOf } from "./fingerprint.ts";
import { type HttpAnswer, HttpReader } from "./http_reader.ts";

/** A server, and the connection to it while it keeps that open. */
export class PinnedServer implements Disposable {
  readonly #url: URL;
  readonly #digits: string;
  readonly #signal: AbortSignal;
  #connection: { socket: TLSSocket; reader: HttpReader } | null = null;

  /** @param fingerprint One that {@linkcode digitsOf} knows. @param signal Ends everything. */
  constructor(url: URL, fingerprint: string, signal: AbortSignal) {
    this.#url = url;
    this.#digits = digitsOf(fingerprint)!;
    this.#signal = signal;
  }

  /** @throws why there is no answer: the certificate is another one, or has another key, or the server is away */
  async get(
    target: string,
    headers: Readonly<Record<string, string>>,
    maxBytes: number,
  ): Promise<HttpAnswer> {
    const { socket, reader } = this.#connection ??= await this.#connect();
    const fields = Object.entries({ host: this.#url.host, ...headers, "accept-encoding": "identity" });
    const head = [`GET ${target} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`)];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    const answer = await reader.answer(maxBytes);
    if (answer.isLast) this.#close();
    return answer;
  }

  async #connect() {
    const certificate = await this.#shownCertificate();
    const digits = digitsOfCertificate(certificate);
    if (digits !== this.#digits) {
      throw new Error(`the server shows another certificate: its fingerprint is sha256:${digits}`);
    }
    const socket = this.#open({ ca: [pemOf(certificate)], checkServerIdentity: () => undefined });
    const reader = new HttpReader(socket, this.#signal);
    try {
      const shown = await this.#secured(socket, reader);
      if (digitsOfCertificate(shown) !== this.#digits) {
        throw new Error("the server shows another certificate than a moment ago");
      }
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return { socket, reader };
  }

  /** What the server shows to everybody: it may be a copy. */
  async #shownCertificate(): Promise<Uint8Array> {
    const socket = this.#open({ rejectUnauthorized: false });
    try {
      return await this.#secured(socket, new HttpReader(socket, this.#signal));
    } finally {
      socket.destroy();
    }
  }

  #open(options: ConnectionOptions): TLSSocket {
    const host = this.#url.hostname.replace(/^\[|\]$/g, "");
    return connect({ host, port: Number(this.#url.port || 443), ALPNProtocols: ["http/1.1"], ...options });
  }

  /** The certificate of a connection, once it is secured. @throws why it is not */
  async #secured(socket: TLSSocket, reader: HttpReader): Promise<Uint8Array> {
    const secured = Promise.withResolvers<void>();
    socket.once("secureConnect", secured.resolve);
    await Promise.race([secured.promise, reader.failed]);
    const { raw } = socket.getPeerCertificate() ?? {};
    // Deno 2.6 calls a connection secured whose handshake then fails.
    return raw ?? await reader.failed;
  }

  #close(): void {
    this.#connection?.socket.destroy();
    this.#connection = null;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

function digitsOfCertificate(certificate: Uint8Array): string {
  return createHash("sha256").update(certificate).digest("hex");
}

function pemOf(certificate: Uint8Array): string {
  const lines = new Uint8Array(certificate).toBase64().match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
