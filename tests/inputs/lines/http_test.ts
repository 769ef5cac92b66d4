import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { makeToken } from "../../../lib/intake/admission/tokens.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { onAuthority } from "../../kit/certificates.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";
import { Taking } from "./taking.ts";

type Given = Parameters<typeof Taking.open>[0];

/** The input with an HTTP port, and requests to it. */
async function listening(given: Given = {}, context: Parameters<typeof Taking.open>[1] = {}) {
  const taking = await Taking.open({ http: "127.0.0.1:0", ...given }, context);
  const url = taking.address("http");
  return {
    taking,
    url,
    async post(path: string, body: string | Uint8Array<ArrayBuffer>, headers: HeadersInit = {}) {
      const response = await fetch(`${url}${path}`, { method: "POST", body, headers });
      const text = await response.text();
      const field = (name: string) => response.headers.get(name);
      return { status: response.status, body: text === "" ? null : JSON.parse(text), field };
    },
    [Symbol.asyncDispose]: () => taking[Symbol.asyncDispose](),
  };
}

Deno.test("lines are taken at the paths of versions 1 and 2, in any precision, packed or in chunks", async () => {
  await using server = await listening();
  const { post, taking } = server;
  assert.equal((await post("/write?db=x", "a value=1 5000000000")).status, 204);
  assert.equal((await post("/api/v2/write?org=o&bucket=b&precision=s", "a value=2 6\n")).status, 204);
  const packed = gzipSync("a value=3 7000\n");
  const headers = { "content-encoding": "gzip" };
  assert.equal((await post("/write?precision=ms", new Uint8Array(packed), headers)).status, 204);
  const chunks = new ReadableStream({
    start(controller) {
      for (const text of ["a val", "ue=4 8\n", "a value=5 9"]) {
        controller.enqueue(new TextEncoder().encode(text));
      }
      controller.close();
    },
  });
  const chunked = await fetch(`${server.url}/write?precision=s`, { method: "POST", body: chunks });
  assert.equal(chunked.status, 204);
  assert.equal((await post("/write", "")).status, 204);
  assert.equal((await post("/write", '{"metric": "a", "value": 6, "time": 10}')).status, 204);
  assert.deepEqual(taking.points, ["a 1 @5", "a 2 @6", "a 3 @7", "a 4 @8", "a 5 @9", "a 6 @10"]);
  assert.equal(taking.input.stats.requests, 6);
});

Deno.test("a request is answered with success when its points are safe, and not before", async () => {
  const safe = Promise.withResolvers<void>();
  await using server = await listening({}, { untilDurable: () => safe.promise });
  let status = 0;
  const answered = server.post("/write", "a value=1 0").then((answer) => status = answer.status);
  await until(() => server.taking.points.length === 1);
  assert.equal(status, 0);
  safe.resolve();
  assert.equal(await answered, 204);
});

Deno.test("a request whose points are not safe yet at a stop is answered, within the time for inputs", async () => {
  const safe = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const drainMs = () => {
    drained.resolve();
    return PATIENCE_MS;
  };
  await using server = await listening({}, { untilDurable: () => safe.promise, drainMs });
  const answered = server.post("/write", "a value=1 0");
  await until(() => server.taking.points.length === 1);
  const stopped = server.taking.stop();
  await drained.promise;
  safe.resolve();
  assert.equal((await answered).status, 204);
  await stopped;
});

Deno.test("a bad line is answered with 400 and its number, and all others are kept", async () => {
  await using server = await listening({ rules: [{ metric: "n", type: "u64" }] });
  const body = "a value=1 0\nb\nn value=1.5 0\nc value=3 0\n";
  const second = await server.post("/api/v2/write", body);
  assert.equal(second.status, 400);
  assert.deepEqual(second.body, {
    code: "invalid",
    message:
      "partial write: unable to parse line 2: it has no fields, and 1 more; all other lines are written",
    line: 2,
  });
  const first = await server.post("/write", body);
  assert.equal(first.status, 400);
  assert.match(
    first.body.error,
    /^partial write: unable to parse line 2: it has no fields, and 1 more dropped=2$/,
  );
  assert.equal(first.field("x-influxdb-error"), first.body.error);
  assert.deepEqual(server.taking.points, ["a 1 @0", "c 3 @0", "a 1 @0", "c 3 @0"]);
  assert.equal(server.taking.input.stats.badLines, 2);
});

Deno.test("clients that ask for a version, a state or a new database are answered, and there is nothing else", async () => {
  await using server = await listening();
  const ping = await fetch(`${server.url}/ping`);
  assert.equal(ping.status, 204);
  assert.ok(ping.headers.get("x-influxdb-version"));
  assert.equal((await (await fetch(`${server.url}/health`)).json()).status, "pass");
  const form = { "content-type": "application/x-www-form-urlencoded" };
  assert.equal((await server.post("/query", "q=CREATE+DATABASE+%22telegraf%22", form)).status, 200);
  assert.equal((await server.post("/query", "q=SELECT+1", form)).status, 400);
  const missing = await fetch(`${server.url}/other`);
  assert.equal(missing.status, 404);
  await missing.body?.cancel();
  const get = await fetch(`${server.url}/write`);
  assert.equal(get.status, 405);
  await get.body?.cancel();
});

Deno.test("what is too large, packed in another way or not at all, or in an unknown precision is refused whole", async () => {
  await using server = await listening({ limits: { body: "1KiB" } });
  const { post } = server;
  const large = "a value=1 0\n".repeat(100);
  assert.equal((await post("/write", large)).status, 413);
  const headers = { "content-encoding": "gzip" };
  const unpacked = await post("/api/v2/write", new Uint8Array(gzipSync(large)), headers);
  assert.equal(unpacked.status, 413);
  assert.equal(unpacked.body.code, "request too large");
  const chunks = new Blob([large]).stream();
  const chunked = await fetch(`${server.url}/write`, { method: "POST", body: chunks });
  assert.equal(chunked.status, 413);
  await chunked.body?.cancel();
  assert.equal((await post("/write", "a value=1 0", headers)).status, 400);
  assert.equal((await post("/write", "a value=1 0", { "content-encoding": "br" })).status, 415);
  assert.equal((await post("/write?precision=years", "a value=1 0")).status, 400);
  assert.deepEqual(server.taking.points, []);
  assert.equal(server.taking.input.stats.refusedRequests, 6);
});

Deno.test("an address that sends too much gets 429, or 503 as of version 1, and is told when to come again", async () => {
  await using server = await listening({ limits: { bytes_per_second: "20" } });
  assert.equal((await server.post("/write", "a value=1 0\n".repeat(20))).status, 204);
  for (const [path, status] of [["/api/v2/write", 429], ["/write", 503]] as const) {
    const second = await server.post(path, "a value=2 0");
    assert.equal(second.status, status);
    assert.match(
      second.body.message ?? second.body.error,
      /this address sends more than limits\.bytes_per_second/,
    );
    assert.ok(Number(second.field("retry-after")) >= 1);
  }
  assert.ok(!server.taking.points.includes("a 2 @0"));
});

Deno.test("while the pipe is full, requests get 503, are told to come again, and nothing of them is taken", async () => {
  await using server = await listening();
  server.taking.fill();
  const waiting = server.post("/write", "a value=1 0");
  await until(() => server.taking.points.length === 1);
  const refused = await server.post("/write", "a value=2 0");
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.field("retry-after")) >= 1);
  server.taking.makeRoom();
  assert.equal((await waiting).status, 204);
  assert.equal((await server.post("/write", "a value=3 0")).status, 204);
  assert.deepEqual(server.taking.points, ["a 1 @0", "a 3 @0"]);
});

Deno.test("a stranger with 200,000 names gets 429 and is told why, and others go on with their series", async () => {
  const { limitBytes, shareBytes } = seriesStore;
  try {
    seriesStore.limit({ shareBytes: 1_000_000 });
    await using server = await listening({ http: "0.0.0.0:0", limits: { new_series_per_second: 10 } });
    const url = server.url.replace("0.0.0.0", "127.0.0.1");
    using strange = Deno.createHttpClient({ localAddress: "127.0.0.2" });
    const post = async (body: string, client?: Deno.HttpClient) => {
      const response = await fetch(`${url}/api/v2/write`, { method: "POST", body, client });
      const text = await response.text();
      return { status: response.status, text, retryAfter: Number(response.headers.get("retry-after")) };
    };
    const usual = Array.from({ length: 100 }, (_, i) => `power,host=h${i} value=1 0`).join("\n");
    const lines = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => `a,n=${from + i} v=1 0`).join("\n");
    assert.equal((await post(usual)).status, 204);
    const before = seriesStore.newBytes;
    // The first ones have room; the request is cut off where they take their share.
    const first = await post(lines(0, 200_000), strange);
    assert.equal(first.status, 429);
    assert.ok(first.retryAfter >= 1);
    const [, written] =
      /more new series than there is room for .*only the first (\d+) lines/.exec(first.text) ?? [];
    assert.ok(Number(written) > 5_000 && Number(written) < 30_000, first.text);
    assert.equal(server.taking.points.length, 100 + Number(written));
    const again = await post(lines(200_000, 10), strange);
    assert.equal(again.status, 429);
    assert.match(again.text, /nothing of this request is written/);
    // Whoever brings what is known, or has room, is not held up; no series of theirs was given back.
    const stranger = seriesStore.newBytes;
    for (let n = 0; n < 3; n++) assert.equal((await post(usual)).status, 204);
    assert.equal(seriesStore.newBytes, stranger);
    // What new series take counts with the batches of their points: so a journal in memory is as small as it should be.
    const charged = server.taking.batches.reduce((sum, { newSeriesBytes }) => sum + newSeriesBytes, 0);
    assert.ok(charged >= stranger - before, `${charged} bytes of ${stranger - before}`);
  } finally {
    seriesStore.limit({ limitBytes, shareBytes });
  }
});

Deno.test("with tokens, a request needs one of them: as a token, a bearer, a password or a parameter", async () => {
  await using directory = new TempDir();
  const { token, line } = makeToken("telegraf", false);
  Deno.writeTextFileSync(directory.file("tokens"), `${line}\n`);
  await using server = await listening({ tokens: directory.file("tokens") });
  const { post } = server;
  const without = await post("/api/v2/write", "a value=0 0");
  assert.equal(without.status, 401);
  assert.equal(without.body.code, "unauthorized");
  const wrong = makeToken("telegraf", false).token;
  assert.equal((await post("/write", "a value=0 0", { authorization: `Token ${wrong}` })).status, 401);
  const ways: [string, HeadersInit][] = [
    ["/write", { authorization: `Token ${token}` }],
    ["/write", { authorization: `Token telegraf:${token}` }],
    ["/write", { authorization: `Bearer ${token}` }],
    ["/write", { authorization: `Basic ${btoa(`user:${token}`)}` }],
    [`/write?u=user&p=${token}`, {}],
  ];
  for (const [path, headers] of ways) assert.equal((await post(path, "a value=1 0", headers)).status, 204);
  assert.equal(server.taking.points.length, ways.length);
});

Deno.test("networks that are denied are refused", async () => {
  await using server = await listening({ deny: ["127.0.0.0/8"] });
  const { status, body } = await server.post("/write", "a value=1 0");
  assert.equal(status, 403);
  assert.match(body.error, /its address is denied/);
});

onAuthority("with a certificate, requests and lines come over TLS", async ({ ca, issue }) => {
  const { cert, key } = await issue("localhost");
  await using server = await listening({ tcp: "127.0.0.1:0", tls: { cert, key } });
  const caCerts = [Deno.readTextFileSync(ca)];
  using client = Deno.createHttpClient({ caCerts });
  const url = server.url.replace("127.0.0.1", "localhost");
  const response = await fetch(`${url}/write`, { method: "POST", body: "a value=1 0", client });
  assert.equal(response.status, 204);
  const { taking } = server;
  const conn = await Deno.connectTls({ hostname: "localhost", port: taking.port("tcp"), caCerts });
  await conn.write(new TextEncoder().encode("a value=2 0\n"));
  await until(() => taking.points.length === 2);
  conn.close();
  assert.deepEqual(taking.points, ["a 1 @0", "a 2 @0"]);
});

Deno.test("a large request lets others have their turn, and its points are all there", async () => {
  await using server = await listening();
  const count = 40_000;
  const text = Array.from({ length: count }, (_, i) => `m,n=${i % 5000} value=${i} ${i}`).join("\n");
  let longestMs = 0;
  let last = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }, 1);
  assert.equal((await server.post("/write", text)).status, 204);
  clearInterval(ticking);
  assert.equal(server.taking.points.length, count);
  assert.ok(server.taking.batches.length > 8);
});
