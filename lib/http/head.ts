/** Heads of HTTP/1.1 requests and responses (RFC 9112). */

/** A request for a page, or one that brings a body. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  /** The path of the target, not decoded, without the query. */
  readonly path: string;
  /** What follows the `?` of the target, not decoded. */
  readonly query: string;
  /** By lower-case name; repeated fields are joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Takes the parts of a body that is made while it is sent. */
export interface BodyWriter {
  /** Sends a part. Resolves when the peer, or the system for it, has taken it. @throws if the peer is gone or too slow. */
  write(part: Uint8Array<ArrayBuffer> | string): Promise<void>;
  /** Is aborted when the peer is gone, or the server stops. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Writes a body without an end that is known, instead of {@linkcode body}. The connection ends after it. */
  readonly stream?: (writer: BodyWriter) => Promise<void>;
  /** Is called once, when the body has been sent or given up. */
  readonly release?: () => void;
}

/** How the body of a request ends: behind this number of bytes, or with its last chunk. */
export type BodyFraming = number | "chunked";

/** The head of a request. */
export interface RequestHead {
  readonly request: HttpRequest;
  /** Another request may follow on the connection. */
  readonly keepAlive: boolean;
  /** The peer understands bodies in chunks (HTTP/1.1). */
  readonly takesChunks: boolean;
  /** What follows the head. */
  readonly body: BodyFraming;
}

/** The request is answered with this status, and the connection ends. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  constructor(readonly status: number, message: string, readonly headers: Record<string, string> = {}) {
    super(message);
  }
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

const encoder = new TextEncoder();

/** Where the head ends: the index behind its empty line, or -1. Lines may end in a bare LF (RFC 9112, section 2.2). */
export function endOfHead(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return -1;
}

/**
 * Reads the head of a request.
 *
 * @param takesPosts Whether the server takes requests with a body.
 * @throws {HttpError} if it is malformed, or does not ask for what the server has.
 */
export function parseRequestHead(bytes: Uint8Array, takesPosts = false): RequestHead {
  const [first, ...lines] = latin1(bytes).trimEnd().split(/\r?\n/);
  const match = /^([!-~]+) ([!-~]+) HTTP\/([0-9])\.([0-9])$/.exec(first);
  if (!match) throw new HttpError(400, "This is not an HTTP request.");
  const [, method, target, major, minor] = match;
  if (major !== "1") throw new HttpError(505, "This server speaks HTTP/1.1.");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (!field) throw new HttpError(400, "A header field of the request cannot be read.");
    const name = field[1].toLowerCase();
    const before = headers.get(name);
    headers.set(name, before === undefined ? field[2] : `${before}, ${field[2]}`);
  }
  if (minor !== "0" && !headers.has("host")) throw new HttpError(400, "The request has no Host.");
  if (method !== "GET" && method !== "HEAD" && !(method === "POST" && takesPosts)) {
    const allow = takesPosts ? "GET, HEAD, POST" : "GET, HEAD";
    throw new HttpError(405, `This server only supports ${allow.replace(/, (?=\w+$)/, " and ")}.`, { allow });
  }
  // A client may send the absolute form.
  const [, path, query = ""] = /^([^?#]*)(?:\?([^#]*))?/.exec(target.replace(/^https?:\/\/[^/?#]*/i, ""))!;
  const tokens = (headers.get("connection") ?? "").toLowerCase().split(/\s*,\s*/);
  const keepAlive = !tokens.includes("close") && (minor !== "0" || tokens.includes("keep-alive"));
  const request: HttpRequest = { method: method as HttpRequest["method"], path: path || "/", query, headers };
  return { request, keepAlive, takesChunks: minor !== "0", body: framingOf(headers) };
}

/** @throws {HttpError} if it is not said, or said twice, where the body ends (RFC 9112, section 6). */
function framingOf(headers: ReadonlyMap<string, string>): BodyFraming {
  const encoding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== "chunked" || length !== undefined) {
      throw new HttpError(400, "The length of the body cannot be read.");
    }
    return "chunked";
  }
  if (length === undefined) return 0;
  if (!/^[0-9]{1,15}$/.test(length)) throw new HttpError(400, "The length of the body cannot be read.");
  return Number(length);
}

/** The head of a response; its body follows, unless the method was HEAD. */
export function formatResponseHead(
  { status, headers, body, stream }: HttpResponse,
  keepAlive: boolean,
  takesChunks = true,
  now = new Date(),
): Uint8Array<ArrayBuffer> {
  let text = `HTTP/1.1 ${status} ${REASONS[status] ?? "Unknown"}\r\n`;
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`;
  if (stream && takesChunks) text += "transfer-encoding: chunked\r\n";
  // An answer without content has no length (RFC 9110, section 8.6).
  else if (!stream && status !== 204) text += `content-length: ${body.length}\r\n`;
  text += `date: ${now.toUTCString()}\r\n`;
  text += `connection: ${keepAlive ? "keep-alive" : "close"}\r\n\r\n`;
  return encoder.encode(text);
}

const CRLF = encoder.encode("\r\n");

/** A part of a body in chunks. @param part Not empty: an empty chunk is the end. */
export function formatChunk(part: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = encoder.encode(`${part.length.toString(16)}\r\n`);
  const chunk = new Uint8Array(size.length + part.length + CRLF.length);
  chunk.set(size);
  chunk.set(part, size.length);
  chunk.set(CRLF, size.length + part.length);
  return chunk;
}

/** The end of a body in chunks. */
export const LAST_CHUNK: Uint8Array<ArrayBuffer> = encoder.encode("0\r\n\r\n");

/** A response in plain text. */
export function textResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
    body: encoder.encode(text.endsWith("\n") ? text : text + "\n"),
  };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
