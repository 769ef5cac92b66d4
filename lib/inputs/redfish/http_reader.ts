/** Reads answers of HTTP/1.1 (RFC 9112) from a socket. */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { onAbort } from "../../base/waiting.ts";

/** The longest head of an answer, and line of a chunk, in bytes. */
const MOST_HEAD_BYTES = 64 * 1024;
/** More bytes than this are not kept before they are asked for. */
const MOST_BUFFERED_BYTES = 4 * 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** The server closes the connection behind it. */
  readonly isLast: boolean;
}

export class HttpReader {
  /** Rejects when the connection fails, the server ends it, or the signal is aborted. */
  readonly failed: Promise<never>;
  #bytes = Buffer.alloc(0);
  #hasEnded = false;
  #wake = () => {};

  constructor(socket: Duplex, signal: AbortSignal) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    // Whoever waits hears it.
    promise.catch(() => {});
    const end = (error: Error) => {
      this.#hasEnded = true;
      this.#wake();
      reject(error);
    };
    const aborting = onAbort(signal, () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      if (this.#bytes.length > MOST_BUFFERED_BYTES) {
        socket.destroy(new Error("the server sends more than it was asked for"));
      }
      this.#wake();
    });
    socket.on("error", end);
    socket.on("end", () => end(new Error("the server has closed the connection")));
    socket.on("close", () => {
      aborting[Symbol.dispose]();
      end(new Error("the connection is closed"));
    });
  }

  /** The next answer. @throws if it is not HTTP, has more than `maxBytes` in its body, or does not come */
  async answer(maxBytes: number): Promise<HttpAnswer> {
    for (;;) {
      const [first, ...lines] = (await this.#line("\r\n\r\n")).split("\r\n");
      const [, version, digits] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first) ?? [];
      if (digits === undefined) throw new Error("the server does not answer in HTTP/1.1");
      const status = Number(digits);
      // 100 Continue and the like come before the answer.
      if (status < 200) continue;
      const fields = new Map(lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim().toLowerCase()];
      }));
      const hasNoBody = status === 204 || status === 304;
      const length = fields.get("content-length");
      const isChunked = fields.get("transfer-encoding") === "chunked";
      let body: Buffer;
      if (hasNoBody) body = Buffer.alloc(0);
      else if (isChunked) body = await this.#chunks(maxBytes);
      else if (length !== undefined) body = await this.#take(lengthOf(length, maxBytes, 10));
      else body = await this.#rest(maxBytes);
      const isLast = this.#hasEnded || version === "0" || fields.get("connection") === "close" ||
        !hasNoBody && !isChunked && length === undefined;
      return { status, text: body.toString(), isLast };
    }
  }

  async #chunks(maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const [digits] = (await this.#line("\r\n")).split(";");
      const size = lengthOf(digits.trim(), maxBytes - length, 16);
      if (size === 0) break;
      chunks.push(await this.#take(size));
      length += size;
      if (await this.#line("\r\n") !== "") throw new Error("the server's answer is not valid HTTP");
    }
    while (await this.#line("\r\n") !== "");
    return Buffer.concat(chunks);
  }

  /** The bytes before this end, as text. */
  async #line(end: string): Promise<string> {
    for (;;) {
      const at = this.#bytes.indexOf(end);
      if (at >= 0) {
        const text = this.#bytes.toString("latin1", 0, at);
        this.#bytes = this.#bytes.subarray(at + end.length);
        return text;
      }
      if (this.#bytes.length > MOST_HEAD_BYTES) throw new Error("the head of the answer is too long");
      await this.#more();
    }
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) await this.#more();
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** All bytes up to the end of the connection. */
  async #rest(maxBytes: number): Promise<Buffer> {
    while (!this.#hasEnded) {
      lengthOf(String(this.#bytes.length), maxBytes, 10);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return await this.#take(lengthOf(String(this.#bytes.length), maxBytes, 10));
  }

  /** Waits for more bytes. @throws if none come any more */
  async #more(): Promise<void> {
    if (this.#hasEnded) await this.failed;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }
}

function lengthOf(digits: string, maxBytes: number, radix: 10 | 16): number {
  const isNumber = radix === 10 ? /^\d{1,15}$/ : /^[0-9a-f]{1,12}$/i;
  if (!isNumber.test(digits)) throw new Error("the server's answer is not valid HTTP");
  const length = parseInt(digits, radix);
  if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
  return length;
}
