import assert from "node:assert/strict";
import type { Clock } from "../../../lib/base/clock.ts";
import { SystemClock } from "../../../lib/base/clock.ts";
import { DEFAULT_BACKOFF } from "../../../lib/base/backoff.ts";
import { CONTENT_TOO_LARGE, judgeStatus, retryAfterMs } from "../../../lib/outputs/http/verdict.ts";
import { HttpSender, type HttpSenderOptions } from "../../../lib/outputs/http/sender.ts";
import { ExitError } from "../../../lib/base/errors.ts";
import { HttpPeer } from "../../kit/http.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { freePort } from "../../kit/ports.ts";
import { pause, until } from "../../kit/waiting.ts";

const FOREVER = new AbortController().signal;
const BODY = new TextEncoder().encode("some data");
const status = (code: number, headers: Record<string, string> = {}, body: string | null = null) =>
  new Response(body, { status: code, headers });

/** Waits take no time, and are kept. */
class QuickClock implements Clock {
  readonly waits: number[] = [];
  ms = 0;
  now = () => ({ seconds: 0, nanos: 0 });
  monotonicMs = () => this.ms;
  sleep(ms: number): Promise<void> {
    this.waits.push(ms);
    this.ms += ms;
    return pause(0);
  }
}

async function senderFor(peer: { url: string }, options: Partial<HttpSenderOptions> = {}) {
  const clock = new QuickClock();
  const logs = new LogLines();
  const sender = await HttpSender.open({
    target: "the database",
    url: `${peer.url}/write?db=d`,
    headers: () => ({ "content-type": "text/plain" }),
    ...options,
  }, { log: logs.log, clock });
  return { sender, clock, logs };
}

Deno.test("a status means that data are refused, that a target is busy, a wrong configuration, or is unclear", () => {
  const all = (...codes: number[]) => [...new Set(codes.map(judgeStatus))];
  assert.deepEqual(all(200, 202, 204), ["taken"]);
  assert.deepEqual(all(408, 425, 429, 502, 503, 504, 507), ["later"]);
  assert.deepEqual(all(409, 500, 501, 505, 522, 529, 599), ["unclear"]);
  assert.deepEqual(all(301, 302, 304, 307, 308, 401, 403, 404, 405, 407), ["misconfigured"]);
  assert.deepEqual(all(400, 413, 422), ["refused"]);
  const words: Record<string, number[]> = Object.fromEntries(
    Array.from({ length: 300 }, (_, n) => 300 + n).reduce(
      (map, code) => map.set(judgeStatus(code), [...map.get(judgeStatus(code)) ?? [], code]),
      new Map<string, number[]>(),
    ),
  );
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
  assert.deepEqual(words.later, [408, 425, 429, 502, 503, 504, 507]);
  assert.deepEqual(words.misconfigured, [
    ...range(300, 400),
    ...[401, 402, 403, 404, 405, 407, 410, 415, 421, 426, 451],
  ]);
  assert.deepEqual(words.unclear, [409, ...range(500, 600).filter((code) => !words.later.includes(code))]);
  assert.deepEqual(all(...range(200, 300)), ["taken"]);
  assert.deepEqual(all(199), ["misconfigured"]);
  assert.equal(CONTENT_TOO_LARGE, 413);
});

Deno.test("Retry-After is seconds or a date, and an hour at most", () => {
  const now = Date.parse("2026-10-21T07:28:00Z");
  assert.equal(retryAfterMs("120", now), 120_000);
  assert.equal(retryAfterMs(" 0 ", now), 0);
  assert.equal(retryAfterMs("Wed, 21 Oct 2026 07:28:30 GMT", now), 30_000);
  assert.equal(retryAfterMs("Wed, 21 Oct 2026 07:00:00 GMT", now), 0);
  assert.equal(retryAfterMs("99999999", now), 3_600_000);
  for (const none of [null, "", "soon", "-"]) assert.equal(retryAfterMs(none, now), undefined);
});

Deno.test("a body arrives as it is, packed or not", async () => {
  await using peer = new HttpPeer();
  for (const gzip of [true, false]) {
    const { sender } = await senderFor(peer, { gzip });
    using _ = sender;
    const { verdict, reply } = await sender.post(BODY, FOREVER);
    assert.deepEqual([verdict, reply.status], ["taken", 204]);
    const request = peer.requests.at(-1)!;
    assert.deepEqual([request.method, request.path, request.text], ["POST", "/write?db=d", "some data"]);
    assert.equal(request.headers.get("content-encoding"), gzip ? "gzip" : null);
    assert.equal(request.headers.get("content-type"), "text/plain");
  }
});

Deno.test("a request to a busy target is sent again after Retry-After or the backoff, whichever is longer", async () => {
  await using peer = new HttpPeer((_, n) => {
    if (n === 0) return status(503);
    if (n === 1) return status(429, { "retry-after": "7" });
    if (n === 2) return status(503, { "retry-after": new Date(Date.now() + 20_000).toUTCString() });
    if (n === 3) return status(500, { "retry-after": "0" });
    return status(200, {}, "stored");
  });
  const { sender, clock } = await senderFor(peer, { backoff: { ...DEFAULT_BACKOFF, jitter: 0 } });
  using _ = sender;
  const { verdict, reply } = await sender.post(BODY, FOREVER);
  assert.deepEqual([verdict, reply.text], ["taken", "stored"]);
  const [first, second, third, fourth, ...more] = clock.waits;
  assert.deepEqual([first, second, fourth, more], [500, 7000, 4000, []]);
  assert.ok(third > 15_000 && third <= 20_000, `${third}`);
  assert.deepEqual([sender.stats.requests, sender.stats.failedRequests], [5, 4]);
  assert.deepEqual(peer.requests.map(({ text }) => text), new Array(5).fill("some data"));
});

Deno.test("refused data come back with the answer, and are not sent again", async () => {
  await using peer = new HttpPeer(() => status(400, {}, "bad point"));
  const { sender, clock, logs } = await senderFor(peer);
  using _ = sender;
  const { verdict, reply } = await sender.post(BODY, FOREVER);
  assert.deepEqual([verdict, reply.status, reply.text], ["refused", 400, "bad point"]);
  assert.deepEqual([peer.requests.length, clock.waits, logs.lines], [1, [], []]);
});

Deno.test("a wrong configuration is an error in the log with advice, costs nothing, and is tried again", async () => {
  await using peer = new HttpPeer((_, n) => n < 20 ? status(401, {}, "who is s3cret?") : status(204));
  let refreshed = 0;
  const { sender, logs } = await senderFor(peer, {
    secrets: () => ["s3cret"],
    advise: ({ status }) => status === 401 ? "check plugins.x.token" : undefined,
    beforeRetry: () => void refreshed++,
  });
  using _ = sender;
  assert.equal((await sender.post(BODY, FOREVER)).verdict, "taken");
  assert.equal(refreshed, 20);
  assert.ok(!logs.lines.join().includes("s3cret"));
  const [first, ...rest] = logs.matching(/ERROR.*the database refuses every request/);
  assert.match(first, /status 401: who is \*\*\*\?; check plugins.x.token/);
  // 20 waits of about 8 s: said once, and then once a minute.
  assert.ok(rest.length >= 1 && rest.length <= 3, logs.lines.join("\n"));
  assert.match(logs.lines.at(-1)!, /INFO.*the database answers again tries=20/);
});

Deno.test("a redirect is not followed: the credentials would go along", async () => {
  await using other = new HttpPeer();
  await using peer = new HttpPeer((_, n) =>
    n === 0 ? status(307, { location: `${other.url}/x` }) : status(204)
  );
  const { sender, logs } = await senderFor(peer);
  using _ = sender;
  assert.equal((await sender.post(BODY, FOREVER)).verdict, "taken");
  assert.equal(other.requests.length, 0);
  assert.equal(logs.matching(/status 307, a redirect to http:\/\/127.0.0.1:\d+\/x/).length, 1);
});

Deno.test("a target that is down is logged once, and again when it answers", async () => {
  const port = freePort();
  const { sender, logs, clock } = await senderFor({ url: `http://127.0.0.1:${port}` });
  using _ = sender;
  const posted = sender.post(BODY, FOREVER);
  await until(() => clock.waits.length >= 3);
  assert.equal(logs.matching(/WARN/).length, 1);
  assert.match(logs.lines[0], /Cannot write to the database.*reason=".*[Cc]onnection refused/);
  assert.ok(!logs.lines[0].includes("/write?"), logs.lines[0]);
  assert.ok(sender.failing);
  await using peer = new HttpPeer(undefined, port);
  assert.equal((await posted).verdict, "taken");
  assert.equal(peer.requests.length, 1);
  assert.equal(logs.matching(/answers again/).length, 1);
  assert.ok(!sender.failing);
});

Deno.test("a target that does not answer in time is a failure", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  await using peer = new HttpPeer(async (_, n) => {
    if (n === 0) await gate;
    return status(204);
  });
  const { sender, logs } = await senderFor(peer, { timeoutMs: 100 });
  using _ = sender;
  assert.equal((await sender.post(BODY, FOREVER)).verdict, "taken");
  release();
  assert.match(logs.lines[0], /no answer within 0.1 s/);
});

Deno.test("a kept connection that the target has closed is not a failure", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const served = (async () => {
    let count = 0;
    for await (const conn of listener) {
      // Answers one request of each connection as if more could come, and then closes it in the middle of the next one.
      const buffer = new Uint8Array(4096);
      await conn.read(buffer);
      await conn.write(new TextEncoder().encode("HTTP/1.1 204 No Content\r\n\r\n"));
      if (++count === 1) await conn.read(buffer);
      conn.close();
      if (count === 2) return;
    }
  })();
  const { sender, logs, clock } = await senderFor({ url: `http://127.0.0.1:${port}` }, { gzip: false });
  using _ = sender;
  assert.equal((await sender.post(BODY, FOREVER)).verdict, "taken");
  assert.equal((await sender.post(BODY, FOREVER)).verdict, "taken");
  await served;
  assert.deepEqual([clock.waits, logs.lines], [[], []]);
});

Deno.test("an answer without end is not read to its end", async () => {
  let open = true;
  await using peer = new HttpPeer(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(16_384).fill(97)),
        cancel: () => void (open = false),
      }),
      { status: 400 },
    )
  );
  const { sender } = await senderFor(peer);
  using _ = sender;
  const { reply } = await sender.post(BODY, FOREVER);
  assert.equal(reply.bytes.length, 1024 * 1024);
  await until(() => !open);
});

Deno.test("a stop ends a request and a wait at once", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  await using peer = new HttpPeer(async () => (await gate, status(204)));
  const { sender } = await senderFor(peer);
  using _ = sender;
  const stop = new AbortController();
  const posted = sender.post(BODY, stop.signal);
  await until(() => peer.requests.length === 1);
  stop.abort(new Error("stop"));
  await assert.rejects(posted, /stop/);
  release();

  peer.answer = () => status(503);
  const { sender: waiting } = await senderFor(peer);
  using _2 = waiting;
  const patient = await HttpSender.open(
    {
      target: "x",
      url: peer.url,
      headers: () => ({}),
      backoff: { ...DEFAULT_BACKOFF, initialMs: 60_000, maxMs: 60_000 },
    },
    { log: new LogLines().log, clock: new SystemClock() },
  );
  using _3 = patient;
  const second = new AbortController();
  const slow = patient.post(BODY, second.signal);
  await until(() => patient.failing);
  // Nobody has the time to wait a minute: the next try comes now.
  peer.answer = () => status(204);
  patient.hurry();
  assert.equal((await slow).verdict, "taken");
  second.abort();
  await assert.rejects(patient.post(BODY, second.signal));
});

Deno.test("certificate authorities that cannot be read are an error of the configuration", async () => {
  await assert.rejects(
    senderFor({ url: "https://localhost" }, {
      caCerts: ["-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"],
    }),
    (error) => error instanceof ExitError && error.exitCode === 78,
  );
});
