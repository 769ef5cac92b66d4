/** Bodies of HTTP/1.1 requests (RFC 9112, sections 6 and 7). */
import { type BodyFraming, HttpError } from "./head.ts";

/** Bytes of the line before a chunk, and of all lines behind the last one. */
const MAX_LINE_BYTES = 1024;
const MAX_TRAILER_BYTES = 16 * 1024;
const LF = 10;

/** What follows a head on its connection. */
export interface BodySource {
  /**
   * Reads some bytes into the array. @returns their number, more than 0.
   * @throws if the connection ends, or is too slow.
   */
  read(into: Uint8Array): Promise<number>;
}

/** The body of one request; it is read when somebody asks for it. */
export class RequestBody {
  readonly #source: BodySource;
  readonly #begin: () => Promise<void>;
  /** Bytes that are known before it is read; `undefined` for a body in chunks. */
  readonly length: number | undefined;
  #isRead: boolean;

  /** @param begin Is called before the first byte is read. */
  constructor(
    framing: BodyFraming,
    source: BodySource,
    begin: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#source = source;
    this.#begin = begin;
    this.length = framing === "chunked" ? undefined : framing;
    this.#isRead = framing === 0;
  }

  /** All of it has been taken from the connection, so that another request can follow. */
  get isRead(): boolean {
    return this.#isRead;
  }

  /**
   * Reads all of it, once.
   *
   * @throws {HttpError} 413 if it has more than `maxBytes`; 400 if it is malformed.
   */
  async read(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#isRead) return new Uint8Array(0);
    const tooLarge = () => new HttpError(413, `The body has more than ${maxBytes} bytes.`);
    if (this.length !== undefined && this.length > maxBytes) throw tooLarge();
    await this.#begin();
    const body = this.length === undefined
      ? await this.#readChunks(maxBytes, tooLarge)
      : await this.#readBytes(this.length);
    this.#isRead = true;
    return body;
  }

  async #readBytes(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) done += await this.#source.read(bytes.subarray(done));
    return bytes;
  }

  async #readChunks(maxBytes: number, tooLarge: () => HttpError): Promise<Uint8Array<ArrayBuffer>> {
    const chunks: Uint8Array[] = [];
    let total = 0;
    while (true) {
      const [size] = (await this.#readLine(MAX_LINE_BYTES)).split(";");
      if (!/^[0-9a-fA-F]{1,8}[ \t]*$/.test(size)) {
        throw new HttpError(400, "A chunk of the body has no size.");
      }
      const length = parseInt(size, 16);
      if (length === 0) break;
      total += length;
      if (total > maxBytes) throw tooLarge();
      chunks.push(await this.#readBytes(length));
      if (await this.#readLine(2) !== "") throw new HttpError(400, "A chunk of the body has another size.");
    }
    for (let left = MAX_TRAILER_BYTES;;) {
      const line = await this.#readLine(left);
      if (line === "") break;
      left -= line.length;
    }
    const body = new Uint8Array(total);
    let at = 0;
    for (const chunk of chunks) {
      body.set(chunk, at);
      at += chunk.length;
    }
    return body;
  }

  /** @returns a line without its end. */
  async #readLine(maxBytes: number): Promise<string> {
    const byte = new Uint8Array(1);
    for (let line = "", left = maxBytes; left > 0; left--) {
      await this.#source.read(byte);
      if (byte[0] === LF) return line.replace(/\r$/, "");
      line += String.fromCharCode(byte[0]);
    }
    throw new HttpError(400, "A line of the body is too long.");
  }
}
