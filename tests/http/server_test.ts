import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";
import {
  type BodyWriter,
  endOfHead,
  formatChunk,
  formatResponseHead,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  LAST_CHUNK,
  parseRequestHead,
  textResponse,
} from "../../lib/http/head.ts";
import { type HttpHandler, type HttpLimits, HttpServer } from "../../lib/http/server.ts";
import { cases, Chance } from "../kit/bytes.ts";
import { LogLines } from "../kit/log_lines.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const echo = ({ method, path }: HttpRequest) => textResponse(200, `${method} ${path}`);

function serve(
  handler: HttpHandler = echo,
  limits: Partial<HttpLimits> = {},
  logs = new LogLines(),
): HttpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return new HttpServer(listener, handler, logs.log, limits, { lastAnswersMs: () => PATIENCE_MS });
}

/** A peer that says anything at all. */
class RawPeer implements Disposable {
  text = "";
  /** The server has closed the connection. */
  readonly ended: Promise<void>;

  private constructor(readonly conn: Deno.TcpConn) {
    this.ended = this.#read();
  }

  static async connect(server: HttpServer, text = ""): Promise<RawPeer> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
    const peer = new RawPeer(conn);
    if (text !== "") await conn.write(encode(text));
    return peer;
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n; (n = await this.conn.read(buffer)) !== null;) {
        this.text += new TextDecoder().decode(buffer.subarray(0, n));
      }
    } catch { /* reset, or closed by the test */ }
  }

  [Symbol.dispose](): void {
    try {
      this.conn.close();
    } catch { /* closed before */ }
  }
}

/** The statuses of the answers to what is sent on one connection, until the server ends it. */
async function statuses(server: HttpServer, text: string): Promise<number[]> {
  using peer = await RawPeer.connect(server, text);
  await peer.conn.closeWrite();
  await peer.ended;
  return [...peer.text.matchAll(/^HTTP\/1\.1 ([0-9]+) /gm)].map(([, status]) => Number(status));
}

Deno.test("an answer has a length, a type and a date, and the connection stays open for the next request", async () => {
  await using server = serve();
  using peer = await RawPeer.connect(server, "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => peer.text.endsWith("GET /a\n"));
  assert.match(peer.text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(peer.text, /\r\ncontent-type: text\/plain; charset=utf-8\r\n/);
  assert.match(peer.text, /\r\ncontent-length: 7\r\n/);
  assert.match(peer.text, /\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  assert.match(peer.text, /\r\nconnection: keep-alive\r\n/);
  peer.text = "";
  await peer.conn.write(encode("HEAD /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  await peer.ended;
  assert.match(peer.text, /\r\ncontent-length: 8\r\n/);
  assert.match(peer.text, /\r\nconnection: close\r\n\r\n$/);
});

Deno.test("requests that arrive together, or byte by byte, are answered in order", async () => {
  await using server = serve();
  const text =
    "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET http://x:1/2 HTTP/1.1\nHost: x\n\nGET /3 HTTP/1.0\r\n\r\n";
  for (const size of [text.length, 1]) {
    using peer = await RawPeer.connect(server);
    for (let at = 0; at < text.length; at += size) await peer.conn.write(encode(text.slice(at, at + size)));
    await peer.ended;
    assert.deepEqual(peer.text.match(/GET \/\d/g), ["GET /1", "GET /2", "GET /3"]);
  }
});

Deno.test("an invalid request is answered with its status, and ends the connection", async () => {
  await using server = serve();
  const x = "Host: x\r\n";
  const requests: [text: string, status: number[]][] = [
    ["nonsense\r\n\r\n", [400]],
    ["GET / HTTP/1.1\r\n\r\n", [400]],
    [`GET / HTTP/1.1\r\n${x}no field\r\n\r\n`, [400]],
    [`GET / HTTP/1.1\r\n${x}A: 1\r\n folded\r\n\r\n`, [400]],
    [`GET  / HTTP/1.1\r\n${x}\r\n`, [400]],
    [`GET / HTTP/2.0\r\n${x}\r\n`, [505]],
    [`POST / HTTP/1.1\r\n${x}Content-Length: 3\r\n\r\nabc`, [405]],
    [`GET / HTTP/1.1\r\n${x}Content-Length: 31\r\n\r\nGET / HTTP/1.1\r\nHost: smuggled\r\n`, [200]],
    [`GET / HTTP/1.1\r\n${x}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [200]],
    [`GET / HTTP/1.1\r\n${x}X: ${"x".repeat(20_000)}\r\n\r\n`, [431]],
    ["", []],
    ["GET /", []],
  ];
  for (const [text, expected] of requests) assert.deepEqual(await statuses(server, text), expected, text);
});

Deno.test("a head of random bytes is read or refused", () => {
  const chance = new Chance(11);
  const whole = encode("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;q=0.5, */*\r\n\r\n");
  let read = 0;
  const tries = cases(5000);
  for (let n = 0; n < tries; n++) {
    const bytes = chance.mutate(whole);
    const end = endOfHead(bytes);
    assert.ok(end >= -1 && end <= bytes.length);
    try {
      const { request } = parseRequestHead(end < 0 ? bytes : bytes.subarray(0, end));
      assert.ok(request.method === "GET" || request.method === "HEAD");
      assert.match(request.path, /^[!-~]+$/);
      read++;
    } catch (error) {
      assert.ok(error instanceof HttpError, String(error));
    }
  }
  assert.ok(read > tries / 50, `${read}`);
});

const HOST = "Host: x\r\n";

/** What is read of a head, or the status of the error. */
function headOf(text: string, takesPosts?: boolean) {
  try {
    return parseRequestHead(encode(text + "\r\n"), takesPosts);
  } catch (error) {
    if (error instanceof HttpError) return error.status;
    throw error;
  }
}

Deno.test("a head ends behind its empty line, whichever way its lines end", () => {
  const ends = (text: string) => endOfHead(encode(text));
  assert.deepEqual([ends("A\r\nB\r\n\r\nC"), ends("A\nB\n\nC"), ends("A\n\r\nC"), ends("\n\n")], [
    8,
    5,
    4,
    2,
  ]);
  assert.deepEqual([ends(""), ends("A\r\nB\r\n"), ends("A\n\rB\n"), ends("A\n\r"), ends("AB")], [
    -1,
    -1,
    -1,
    -1,
    -1,
  ]);
});

Deno.test("the head of a request has its method, path, query and fields", () => {
  const { request, ...rest } = parseRequestHead(
    encode(`GET /a/%20b?c=d?e#f HTTP/1.1\r\n${HOST}A-b:  1 \r\na-B:2\r\nC:\r\n\r\n`),
  );
  const { headers, ...others } = request;
  assert.deepEqual(others, { method: "GET", path: "/a/%20b", query: "c=d?e" });
  assert.deepEqual([...headers], [["host", "x"], ["a-b", "1, 2"], ["c", ""]]);
  assert.deepEqual(rest, { keepAlive: true, takesChunks: true, body: 0 });
  const targets = { "http://x:1/b?c": ["/b", "c"], "https://x": ["/", ""], "*": ["*", ""], "?q": ["/", "q"] };
  for (const [target, expected] of Object.entries(targets)) {
    const { request: { path, query } } = parseRequestHead(encode(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`));
    assert.deepEqual([path, query], expected, target);
  }
});

Deno.test("the head of a request says whether others may follow, and chunks may be sent", () => {
  const cases: [version: string, connection: string, keepAlive: boolean, takesChunks: boolean][] = [
    ["1.1", "", true, true],
    ["1.1", "Connection: Close", false, true],
    ["1.1", "Connection: upgrade , close", false, true],
    ["1.1", "Connection: upgrade", true, true],
    ["1.2", "", true, true],
    ["1.0", "", false, false],
    ["1.0", "Connection: Keep-Alive", true, false],
    ["1.0", "Connection: keep-alive, close", false, false],
  ];
  for (const [version, connection, keepAlive, takesChunks] of cases) {
    const head = headOf(`GET / HTTP/${version}\r\n${HOST}${connection}`);
    assert.ok(typeof head === "object", version);
    assert.deepEqual(
      [head.keepAlive, head.takesChunks],
      [keepAlive, takesChunks],
      `${version} ${connection}`,
    );
  }
});

Deno.test("a head that asks for what the server does not have is refused with its status", () => {
  const statuses = [
    headOf("GET / HTTP/1.0"),
    headOf("GET / HTTP/1.1"),
    headOf(`GET / HTTP/0.9\r\n${HOST}`),
    headOf(`GET / HTTP/2.1\r\n${HOST}`),
    headOf(`PUT / HTTP/1.1\r\n${HOST}`, true),
    headOf(`POST / HTTP/1.1\r\n${HOST}`),
    headOf(`GET /\u00e9 HTTP/1.1\r\n${HOST}`),
    headOf(`GET / HTTP/1.1\r\n${HOST}a b: c`),
  ].map((head) => typeof head === "object" ? 200 : head);
  assert.deepEqual(statuses, [200, 400, 505, 505, 405, 405, 400, 400]);
  const refusal = (takesPosts: boolean) => {
    try {
      parseRequestHead(encode(`PUT / HTTP/1.1\r\n${HOST}\r\n`), takesPosts);
    } catch (error) {
      if (error instanceof HttpError) return [error.message, error.headers.allow];
    }
  };
  assert.deepEqual(refusal(false), ["This server only supports GET and HEAD.", "GET, HEAD"]);
  assert.deepEqual(refusal(true), ["This server only supports GET, HEAD and POST.", "GET, HEAD, POST"]);
  const methods = ["GET", "HEAD", "POST"].map((method) => {
    const head = headOf(`${method} / HTTP/1.1\r\n${HOST}`, true);
    return typeof head === "object" && head.request.method;
  });
  assert.deepEqual(methods, ["GET", "HEAD", "POST"]);
});

Deno.test("the head of a request says where its body ends, once", () => {
  const bodyOf = (...fields: string[]) => {
    const head = headOf(`POST / HTTP/1.1\r\n${HOST}${fields.map((field) => `${field}\r\n`).join("")}`, true);
    return typeof head === "object" ? head.body : head;
  };
  const [length, chunked] = ["Content-Length: 31", "Transfer-Encoding: Chunked"];
  assert.deepEqual([bodyOf(), bodyOf(length), bodyOf(chunked)], [0, 31, "chunked"]);
  assert.deepEqual([bodyOf(length, chunked), bodyOf(length, length)], [400, 400]);
  assert.deepEqual(
    ["gzip", "chunked, chunked", ""].map((coding) => bodyOf(`Transfer-Encoding: ${coding}`)),
    [400, 400, 400],
  );
  assert.deepEqual(
    ["-1", "1.5", "0x1", "", "9".repeat(16), "9".repeat(15)].map((length) =>
      bodyOf(`Content-Length: ${length}`)
    ),
    [400, 400, 400, 400, 400, 999_999_999_999_999],
  );
});

Deno.test("the head of an answer says how long its body is, and whether another one may follow", () => {
  const at = new Date("2026-11-26T12:00:00Z");
  const format = (response: Partial<HttpResponse>, keepAlive = true, takesChunks?: boolean) =>
    new TextDecoder().decode(formatResponseHead(
      { status: 200, headers: {}, body: new Uint8Array(31), ...response },
      keepAlive,
      takesChunks,
      at,
    ));
  const end = "date: Thu, 26 Nov 2026 12:00:00 GMT\r\nconnection: keep-alive\r\n\r\n";
  assert.equal(format({ headers: { a: "b" } }), `HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 31\r\n${end}`);
  assert.equal(
    format({ status: 404 }, false),
    `HTTP/1.1 404 Not Found\r\ncontent-length: 31\r\n${end.replace("keep-alive", "close")}`,
  );
  for (const status of [200, 204, 400, 401, 403, 404, 405, 413, 415, 421, 429, 431, 500, 503, 505]) {
    // Node's table has the name of an older RFC.
    const reason = status === 413 ? "Content Too Large" : STATUS_CODES[status];
    assert.ok(format({ status }).startsWith(`HTTP/1.1 ${status} ${reason}\r\n`), `${status}`);
  }
  assert.equal(format({ status: 299 }), `HTTP/1.1 299 Unknown\r\ncontent-length: 31\r\n${end}`);
  assert.equal(format({ status: 204 }), `HTTP/1.1 204 No Content\r\n${end}`);
  const stream = () => Promise.resolve();
  assert.equal(format({ stream }), `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${end}`);
  assert.equal(format({ stream }, true, false), `HTTP/1.1 200 OK\r\n${end}`);
});

Deno.test("a chunk behind a head has its length in hexadecimal before it, and the last one has none", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(text(formatChunk(encode("0123456789abcdefg"))), "11\r\n0123456789abcdefg\r\n");
  assert.equal(text(LAST_CHUNK), "0\r\n\r\n");
  const { status, headers, body } = textResponse(503, "no", { a: "b" });
  assert.deepEqual([status, headers, text(body)], [
    503,
    { "content-type": "text/plain; charset=utf-8", a: "b" },
    "no\n",
  ]);
  assert.equal(text(textResponse(200, "yes\n").body), "yes\n");
});

Deno.test("a peer that sends nothing or half a request, or does not read, is disconnected", async () => {
  const body = new Uint8Array(64 * 1024 * 1024);
  let released = 0;
  await using server = serve(echo, { headMs: 100 });
  for (const text of ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: x\r\n"]) {
    using peer = await RawPeer.connect(server, text);
    await peer.ended;
    assert.equal(peer.text, "");
  }
  await using slow = serve(
    () => ({ status: 200, headers: {}, body, release: () => released++ }),
    { answerMs: 300 },
  );
  const deaf = await Deno.connect({ hostname: "127.0.0.1", port: slow.address.port });
  await deaf.write(encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await until(() => released === 1);
  await until(() => slow.connections === 0);
  deaf.close();
});

Deno.test("silence between requests has a time limit", async () => {
  await using server = serve(echo, { idleMs: 100 });
  using peer = await RawPeer.connect(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await peer.ended;
  assert.match(peer.text, /GET \/\n$/);
});

Deno.test("with too many connections the one that has waited longest makes room, unless it is being answered", async () => {
  const answering = Promise.withResolvers<void>();
  let asked = 0;
  const slow: HttpHandler = async (request: HttpRequest) => {
    if (request.path === "/slow") {
      asked++;
      await answering.promise;
    }
    return echo(request);
  };
  await using server = serve(slow, { connections: 3 });
  using first = await RawPeer.connect(server);
  await until(() => server.connections === 1);
  using second = await RawPeer.connect(server, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => server.connections === 2);
  using third = await RawPeer.connect(server, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => server.connections === 3);
  using fourth = await RawPeer.connect(server, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await first.ended;
  assert.equal(first.text, "");

  // Now three are being answered, and nobody is waiting.
  await until(() => asked === 3);
  using fifth = await RawPeer.connect(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => fifth.text !== "");
  assert.match(fifth.text, /^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n/s);
  answering.resolve();
  for (const peer of [second, third, fourth]) await until(() => peer.text.endsWith("GET /slow\n"));
});

Deno.test("an error while making a page is answered with 500, logged, and affects no other request", async () => {
  const logs = new LogLines();
  await using server = serve(
    ({ path }) => {
      if (path === "/bad") throw new Error("a mistake");
      return textResponse(200, "well");
    },
    {},
    logs,
  );
  assert.deepEqual(await statuses(server, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n"), [
    500,
    200,
  ]);
  assert.equal(logs.matching(/ERROR .*a mistake/).length, 1);
});

Deno.test("at the end, a started answer is completed, and idle connections are closed", async () => {
  const [asked, made] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = serve(async (request) => {
    asked.resolve();
    await made.promise;
    return await echo(request);
  });
  using idle = await RawPeer.connect(server);
  using peer = await RawPeer.connect(server, "GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => server.connections === 2);
  await asked.promise;
  const disposed = server[Symbol.asyncDispose]();
  await idle.ended;
  made.resolve();
  await disposed;
  await peer.ended;
  assert.match(peer.text, /\r\nconnection: close\r\n.*GET \/last\n$/s);
});

/** A server whose answers are bodies without an end. */
function serveStream(
  stream: NonNullable<HttpResponse["stream"]>,
  limits: Partial<HttpLimits> = {},
  onAsked = () => {},
): HttpServer {
  return serve(() => {
    onAsked();
    return { status: 200, headers: {}, body: new Uint8Array(), stream };
  }, limits);
}

Deno.test("a body that is made while it is sent comes in chunks, and to an old peer until the end", async () => {
  await using server = serveStream(async (writer) => {
    await writer.write("a first part, ");
    await writer.write("");
    await writer.write(encode("and another one"));
  });
  using young = await RawPeer.connect(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  using old = await RawPeer.connect(server, "GET / HTTP/1.0\r\n\r\n");
  await Promise.all([until(() => young.text.endsWith("0\r\n\r\n")), until(() => old.text.endsWith("one"))]);
  assert.match(young.text, /transfer-encoding: chunked/);
  assert.ok(
    young.text.endsWith("\r\n\r\ne\r\na first part, \r\nf\r\nand another one\r\n0\r\n\r\n"),
    young.text,
  );
  assert.doesNotMatch(old.text, /chunked|content-length/);
  assert.ok(old.text.endsWith("\r\n\r\na first part, and another one"), old.text);
});

Deno.test("whoever makes a body is told when the peer leaves, does not read, or the server stops", async () => {
  const ends: string[] = [];
  const endless = (name: string) => async (writer: BodyWriter) => {
    try {
      while (!writer.signal.aborted) {
        await writer.write(new Uint8Array(64 * 1024));
        await pause(1);
      }
      ends.push(`${name} aborted`);
    } catch {
      ends.push(`${name} failed`);
    }
  };
  {
    await using leaving = serveStream(endless("leaving"));
    const peer = await RawPeer.connect(leaving, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => peer.text.length > 1000);
    peer[Symbol.dispose]();
    await until(() => ends.length === 1);
  }
  {
    let asked = 0;
    await using slow = serveStream(endless("slow"), { answerMs: 50 }, () => void asked++);
    // On a busy machine the time may be over before the body begins.
    for (let n = 1; ends.length < 2; n++) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: slow.address.port });
      await conn.write(encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
      await until(() => asked === n);
      await until(() => ends.length === 2 || slow.connections === 0);
    }
  }
  {
    await using stopping = serveStream(endless("stopping"));
    using peer = await RawPeer.connect(stopping, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => peer.text.length > 1000);
    await stopping[Symbol.asyncDispose]();
    await until(() => ends.length === 3);
  }
  assert.match(ends.join(), /leaving \w+,slow failed,stopping \w+/);
});

Deno.test("a handler gets the query and the address of the peer, and a Unix socket is served the same way", async () => {
  await using directory = new TempDir();
  const path = `${directory.path}/socket`;
  const handler: HttpHandler = ({ path, query }, { hostname }) =>
    textResponse(200, `${path} ${query} ${hostname}`);
  await using tcp = serve(handler);
  await using _unix = new HttpServer(Deno.listen({ transport: "unix", path }), handler, new LogLines().log);
  const text = await (await fetch(`http://127.0.0.1:${tcp.address.port}/a?b=c%20d&e`)).text();
  assert.equal(text, "/a b=c%20d&e 127.0.0.1\n");
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(encode("GET /a?b HTTP/1.0\r\n\r\n"));
  const answer = await new Response(conn.readable).text();
  assert.ok(answer.endsWith("\r\n\r\n/a b \n"), answer);
});

/** A server that takes bodies of at most 20 bytes at /take, and says what they were. */
function taking(limits: Partial<HttpLimits> = {}): HttpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const handler: HttpHandler = async ({ method, path }, _, body) => {
    if (path !== "/take") return textResponse(200, `${method} ${path}`);
    return textResponse(200, `took ${new TextDecoder().decode(await body.read(20))}`);
  };
  return new HttpServer(listener, handler, new LogLines().log, limits, { takesPosts: true });
}

const post = (rest: string) => `POST /take HTTP/1.1\r\nHost: x\r\n${rest}`;

Deno.test("a body with a length or in chunks is read whole, and the next request follows on the connection", async () => {
  await using server = taking();
  const requests = post("Content-Length: 5\r\n\r\nhello") +
    post("Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n") +
    post("Content-Length: 0\r\n\r\n") + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const piece of [1, 3, 1000]) {
    using peer = await RawPeer.connect(server);
    for (let at = 0; at < requests.length; at += piece) {
      await peer.conn.write(encode(requests.slice(at, at + piece)));
    }
    await until(() => peer.text.endsWith("GET /b\n"));
    const bodies = [...peer.text.matchAll(/\r\n\r\n(.*)\n/g)].map(([, body]) => body);
    assert.deepEqual(bodies, ["took hello", "took hello", "took ", "GET /b"]);
  }
});

Deno.test("a client that asks before it sends its body is told to go on", async () => {
  await using server = taking();
  using peer = await RawPeer.connect(server, post("Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  await until(() => peer.text === "HTTP/1.1 100 Continue\r\n\r\n");
  await peer.conn.write(encode("ok"));
  await until(() => peer.text.endsWith("took ok\n"));
});

Deno.test("a body that is too large or malformed is refused, and ends the connection", async () => {
  await using server = taking();
  const chunked = "Transfer-Encoding: chunked\r\n";
  for (
    const [rest, status] of [
      ["Content-Length: 21\r\n\r\n", 413],
      [`${chunked}\r\n15\r\n`, 413],
      [`${chunked}\r\nx\r\n`, 400],
      [`${chunked}\r\n2\r\nabc\r\n`, 400],
      [`${chunked}Content-Length: 2\r\n\r\n`, 400],
      ["Content-Length: -1\r\n\r\n", 400],
      ["Content-Length: 1, 2\r\n\r\n", 400],
      ["Transfer-Encoding: gzip, chunked\r\n\r\n", 400],
    ] as const
  ) assert.deepEqual(await statuses(server, post(rest)), [status], rest);
});

Deno.test("a body that does not come is not waited for, and one that nobody reads ends the connection", async () => {
  await using hasty = taking({ headMs: 50 });
  using silent = await RawPeer.connect(hasty, post("Content-Length: 5\r\n\r\nhe"));
  await silent.ended;
  assert.equal(silent.text, "");
  await using server = taking();
  const unread = "POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  assert.deepEqual(await statuses(server, unread + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"), [200]);
});

Deno.test("one address has no more connections than its limit", async () => {
  await using server = serve(echo, { connectionsPerAddress: 1 });
  using first = await RawPeer.connect(server, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => first.text.endsWith("GET /a\n"));
  using second = await RawPeer.connect(server);
  await second.ended;
  assert.match(second.text, /^HTTP\/1\.1 503 /);
  await first.conn.write(encode("GET /b HTTP/1.1\r\nHost: x\r\n\r\n"));
  await until(() => first.text.endsWith("GET /b\n"));
});
