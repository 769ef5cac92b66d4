/** The `influxdb` output towards servers that a test plays: what InfluxDB 2 does, and what no real one does on demand. */
import assert from "node:assert/strict";
import { decodeLetter } from "../../../lib/dead_letters/codec.ts";
import { DeadLetterFiles, lettersIn } from "../../../lib/dead_letters/files.ts";
import { ExitError } from "../../../lib/base/errors.ts";
import type { Batch, Series } from "../../../lib/points/measurement.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { config, type InfluxConfig } from "../../../lib/outputs/influxdb/config.ts";
import { InfluxOutput } from "../../../lib/outputs/influxdb/output.ts";
import { hasUnsigned, writeUrl } from "../../../lib/outputs/influxdb/server.ts";
import { certificates } from "../../kit/certificates.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { HttpPeer, type HttpRequest } from "../../kit/http.ts";
import { journalOf } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";

const QUICK = { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 };
const settings = (given: Partial<InfluxConfig> = {}): InfluxConfig => ({
  ...config.defaultValue(),
  bucket: "b",
  flush_interval: 10,
  ...given,
});

/** The output, a journal, and a place for dead letters. */
class Rig implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly logs = new LogLines();
  readonly journal = journalOf();
  readonly context = contextWith({ log: this.logs.log, stateDirectory: this.dir.path });
  readonly #stop = new AbortController();
  output!: InfluxOutput;
  #running: Promise<void> = Promise.resolve();

  static async start(given: Partial<InfluxConfig>): Promise<Rig> {
    const rig = new Rig();
    rig.output = await InfluxOutput.open(settings(given), rig.context, { backoff: QUICK });
    rig.#running = rig.output.run(rig.journal.reader(), rig.#stop.signal);
    return rig;
  }

  give(...batches: Batch[]): void {
    for (const batch of batches) this.journal.append(batch);
  }

  /** Waits until all is committed. */
  async settled(): Promise<void> {
    await until(() => this.journal.pendingPoints === 0);
  }

  /** The journal ends, and all is written. */
  async finish(): Promise<void> {
    this.journal.end();
    await this.#running;
  }

  async letters(): Promise<{ value: number | bigint; metric: string; reason: string }[]> {
    const found = [];
    for (const { path } of await new DeadLetterFiles(`${this.dir.path}/dead-letters/test`).all()) {
      for (const line of await lettersIn(path)) {
        const letter = decodeLetter(line);
        assert.ok(typeof letter === "object");
        found.push({ value: letter.value, metric: letter.series.metric.name, reason: letter.reason });
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.output[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

const linesOf = ({ text }: HttpRequest) => text.split("\n").filter((line) => line !== "");
const no = (status: number, message: string) => Response.json({ code: "invalid", message }, { status });
const ok = () => new Response(null, { status: 204, headers: { "x-influxdb-version": "v2.7.1" } });

/** What InfluxDB 2 does with a request: all or nothing. */
class Influx2 {
  readonly stored: string[] = [];
  /** Why it refuses a line. */
  refuse: (line: string) => string | undefined = () => undefined;

  readonly answer = (request: HttpRequest): Response => {
    if (request.method === "GET") return ok();
    const lines = linesOf(request);
    const first = lines.map(this.refuse).find((why) => why !== undefined);
    if (first !== undefined) return no(422, `failure writing points to database: partial write: ${first}`);
    this.stored.push(...lines);
    return ok();
  };

  get values(): number[] {
    return this.stored.map((line) => parseInt(/ value=(\d+)/.exec(line)![1])).sort((a, b) => a - b);
  }
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

Deno.test("the addresses are those of the APIs, with what they are given escaped", () => {
  assert.equal(
    writeUrl(settings({ org: "my org", bucket: "a/b&c" })),
    "http://localhost:8086/api/v2/write?org=my+org&bucket=a%2Fb%26c&precision=ns",
  );
  assert.equal(
    writeUrl(
      settings({
        host: "https://[::1]:1/insert/0/influx/",
        api: "v1",
        database: "d b",
        retention_policy: "week",
      }),
    ),
    "https://[::1]:1/insert/0/influx/write?db=d+b&rp=week&precision=ns",
  );
});

Deno.test("u64 are unsigned fields where the server has them", () => {
  const says = (headers: Record<string, string>, api: "v1" | "v2" = "v1") =>
    hasUnsigned(new Headers(headers), api);
  assert.equal(says({ "x-influxdb-version": "1.6.7~rc0" }, "v2"), false);
  assert.equal(says({ "x-influxdb-version": "v1.8.10" }), false);
  assert.equal(says({ "x-influxdb-version": "v2.7.1" }), true);
  assert.equal(says({ "x-influxdb-version": "3.0.0" }), true);
  assert.equal(says({ "x-influxdb-version": "1.8.0", "x-server-hostname": "vm" }), true);
  assert.deepEqual([says({}, "v1"), says({}, "v2")], [false, true]);
});

Deno.test("points arrive with names, token and precision as a real agent sends them", async () => {
  await using peer = new HttpPeer(() => ok());
  await using rig = await Rig.start({ host: peer.url, org: "o", bucket: "b", token: "tok" });
  rig.give(numbered(3));
  await rig.finish();
  const [ping, write, ...more] = peer.requests;
  assert.deepEqual([ping.path, write.path, more], ["/ping", "/api/v2/write?org=o&bucket=b&precision=ns", []]);
  for (
    const [name, value] of [
      ["authorization", "Token tok"],
      ["accept", "application/json"],
      ["content-type", "text/plain; charset=utf-8"],
      ["content-encoding", "gzip"],
    ]
  ) assert.equal(write.headers.get(name), value);
  assert.deepEqual(
    linesOf(write),
    range(3).map((i) =>
      `numbers,resource_kind=local_machine,resource_consumer_kind=local_machine value=${i}u 170000000000000000${i}`
    ),
  );
  assert.deepEqual({ ...rig.output.stats, bytes: 0 }, {
    points: 3,
    refusedPoints: 0,
    requests: 2,
    failedRequests: 0,
    bytes: 0,
  });
});

Deno.test("a user and a password are sent as HTTP has them", async () => {
  await using peer = new HttpPeer(() => ok());
  await using rig = await Rig.start({
    host: peer.url,
    api: "v1",
    database: "d",
    username: "jö",
    password: "p:w",
  });
  rig.give(numbered(1));
  await rig.finish();
  assert.equal(peer.requests.at(-1)!.headers.get("authorization"), "Basic asO2OnA6dw==");
});

Deno.test("requests have batch_size points at most, or what came within flush_interval", async () => {
  {
    await using peer = new HttpPeer(() => ok());
    await using rig = await Rig.start({ host: peer.url, batch_size: 1000, flush_interval: 3_600_000 });
    rig.give(...range(10).map((i) => numbered(100, 100 * i)));
    await rig.settled();
    // A batch that is larger than a request.
    rig.give(numbered(2500));
    await rig.finish();
    const [, ...writes] = peer.requests;
    assert.deepEqual(writes.map((request) => linesOf(request).length), [1000, 1000, 1000, 500]);
  }
  await using peer = new HttpPeer(() => ok());
  await using rig = await Rig.start({ host: peer.url, batch_size: 1000, flush_interval: 20 });
  rig.give(...range(3).map((i) => numbered(100, 100 * i)));
  await rig.settled();
  const [, ...writes] = peer.requests;
  assert.equal(writes.reduce((sum, request) => sum + linesOf(request).length, 0), 300);
});

Deno.test("points that are refused are set aside with the reason, and all others are stored", async () => {
  const server = new Influx2();
  server.refuse = (line) =>
    / value=(7|512|513|4999)u /.test(line) ? "it is a bad number dropped=1" : undefined;
  await using peer = new HttpPeer(server.answer);
  await using rig = await Rig.start({ host: peer.url });
  rig.give(...range(50).map((i) => numbered(100, 100 * i)));
  await rig.finish();
  const bad = [7, 512, 513, 4999];
  assert.deepEqual(server.values, range(5000).filter((n) => !bad.includes(n)));
  const reason = "failure writing points to database: partial write: it is a bad number";
  assert.deepEqual(await rig.letters(), bad.map((n) => ({ value: BigInt(n), metric: "numbers", reason })));
  const { points, refusedPoints, requests } = rig.output.stats;
  assert.deepEqual([points, refusedPoints], [4996, 4]);
  // Four lines of 5000, found by halves.
  assert.ok(requests < 100, `${requests}`);
  assert.equal(rig.logs.matching(/WARN.*permanently refused.*points=[1-4] reason=".*bad number"/).length, 1);
});

Deno.test("points that cannot be written do not wait for others, however many there are", async () => {
  await using peer = new HttpPeer(() => ok());
  await using rig = await Rig.start({ host: peer.url, batch_size: 100, flush_interval: 60_000 });
  const nan = seriesOf(metricOf("nan", "f64"));
  rig.give(...range(20).map(() => batchOf(range(50).map((): [Series, number] => [nan, NaN]))));
  await until(() => rig.journal.pendingPoints < 500);
  await rig.finish();
  assert.deepEqual([rig.output.stats.refusedPoints, (await rig.letters()).length], [1000, 1000]);
  assert.equal(peer.requests.filter(({ method }) => method === "POST").length, 0);
});

Deno.test("a whole metric that is refused costs few requests", async () => {
  const server = new Influx2();
  server.refuse = (line) => line.startsWith("metric_5") ? "field type conflict dropped=1" : undefined;
  await using peer = new HttpPeer((request) => {
    if (request.method === "GET") return ok();
    const lines = linesOf(request);
    const bad = lines.filter((line) => line.startsWith("metric_5"));
    server.stored.push(...lines.filter((line) => !bad.includes(line)));
    if (bad.length === 0) return ok();
    // InfluxDB 1 stores the others, and counts.
    return Response.json({ error: `partial write: field type conflict dropped=${bad.length}` }, {
      status: 400,
    });
  });
  await using rig = await Rig.start({ host: peer.url });
  const series = range(10).map((i) => seriesOf(metricOf(`metric_${i}`)));
  rig.give(batchOf(range(5000).map((i): [Series, bigint] => [series[i % 10], BigInt(i)])));
  await rig.finish();
  const letters = await rig.letters();
  assert.deepEqual(letters.map(({ value }) => Number(value)), range(500).map((i) => 10 * i + 5));
  assert.ok(letters.every(({ reason }) => reason === "partial write: field type conflict"));
  assert.deepEqual([...new Set(server.values)], range(5000).filter((n) => n % 10 !== 5));
  assert.ok(rig.output.stats.requests < 15, `${rig.output.stats.requests}`);
});

Deno.test("lines that a server names as unreadable are set aside at once", async () => {
  const server = new Influx2();
  await using peer = new HttpPeer((request) => {
    if (request.method === "GET") return ok();
    const bad = linesOf(request).filter((line) => / value=\d*77u /.test(line));
    if (bad.length === 0) return server.answer(request);
    return no(400, bad.map((line) => `unable to parse '${line}': it's 77`).join("\n"));
  });
  await using rig = await Rig.start({ host: peer.url });
  rig.give(numbered(3000));
  await rig.finish();
  const bad = range(30).map((i) => 100 * i + 77);
  assert.deepEqual(server.values, range(3000).filter((n) => n % 100 !== 77));
  assert.deepEqual((await rig.letters()).map(({ value }) => Number(value)), bad);
  assert.equal((await rig.letters())[0].reason, "unable to parse: it's 77");
  assert.ok(rig.output.stats.requests <= 4, `${rig.output.stats.requests}`);
});

Deno.test("a request that is too large is cut, and only a point that is too large by itself is refused", async () => {
  const server = new Influx2();
  await using peer = new HttpPeer((request) =>
    request.text.length > 20_000
      ? new Response("Request Entity Too Large", { status: 413 })
      : server.answer(request)
  );
  await using rig = await Rig.start({ host: peer.url });
  rig.give(numbered(1000), batchOf([[seriesOf(metricOf("wide"), { resourceId: "x".repeat(30_000) }), 1n]]));
  await rig.finish();
  // A point that the server takes may be sent again, to see whether it is the point or the server.
  assert.deepEqual([...new Set(server.values)], range(1000));
  assert.deepEqual((await rig.letters()).map(({ metric, reason }) => [metric, reason]), [
    ["wide", "Request Entity Too Large"],
  ]);
});

Deno.test("a server that refuses requests without points as well is misconfigured: nothing is set aside", async () => {
  const server = new Influx2();
  let mended = false;
  await using peer = new HttpPeer((request) =>
    mended || request.method === "GET" ? server.answer(request) : no(400, "bucket is required")
  );
  await using rig = await Rig.start({ host: peer.url });
  rig.give(numbered(100));
  await until(() => rig.logs.matching(/ERROR.*refuses every request.*bucket is required/).length === 1);
  rig.give(numbered(100, 100));
  await until(() => rig.output.stats.failedRequests > 3);
  assert.deepEqual([rig.journal.pendingPoints, await rig.letters()], [200, []]);
  mended = true;
  await rig.finish();
  assert.deepEqual(server.values, range(200));
  assert.equal(rig.output.stats.refusedPoints, 0);
});

Deno.test("a wrong token is logged with the key to check, and a new one in its file is used", async () => {
  await using dir = new TempDir();
  Deno.writeTextFileSync(dir.file("token"), "wrong-0ne\n");
  const server = new Influx2();
  await using peer = new HttpPeer((request) => {
    const token = request.headers.get("authorization");
    return token === "Token right-0ne" || request.method === "GET"
      ? server.answer(request)
      : no(401, `unauthorized access with ${token}`);
  });
  await using rig = await Rig.start({ host: peer.url, token_file: dir.file("token") });
  rig.give(numbered(10));
  await until(() => rig.output.stats.failedRequests > 3);
  const [complaint, ...more] = rig.logs.matching(/ERROR/);
  assert.match(
    complaint,
    /bucket b at .* refuses every request.*status 401.*check plugins.influxdb.token_file/,
  );
  assert.deepEqual(more, []);
  assert.equal(rig.journal.pendingPoints, 10);
  Deno.writeTextFileSync(dir.file("token"), "right-0ne\n");
  await rig.finish();
  assert.deepEqual(server.values, range(10));
  assert.ok(!rig.logs.lines.join().includes("0ne"), rig.logs.lines.join("\n"));
});

Deno.test("SIGHUP gives another token, and another flush_interval", async () => {
  const server = new Influx2();
  await using peer = new HttpPeer((request) =>
    request.method === "GET" || request.headers.get("authorization") === "Token second"
      ? server.answer(request)
      : no(401, "unauthorized")
  );
  const given = { host: peer.url, token: "first", flush_interval: 1 };
  await using rig = await Rig.start(given);
  rig.give(numbered(10));
  await until(() => rig.output.stats.failedRequests > 1);
  rig.output.reconfigure(settings({ ...given, token: "", token_file: "/nowhere" }));
  assert.match(rig.logs.lines.at(-1)!, /ERROR.*Cannot read \/nowhere \(plugins.influxdb.token_file\)/);
  rig.output.reconfigure(settings({ ...given, token: "second", flush_interval: 60_000 }));
  await rig.settled();
  assert.deepEqual(server.values, range(10));
  rig.give(numbered(10, 10));
  await pause(100);
  assert.equal(rig.journal.pendingPoints, 10);
  await rig.finish();
  assert.deepEqual(server.values, range(20));
});

Deno.test("a server with TLS is trusted by the authorities in ca_file, and by no others", async () => {
  await using dir = new TempDir();
  const { ca, issue } = await certificates(dir);
  const other = await certificates(dir, "other-ca");
  const { cert, key } = await issue("localhost");
  const server = new Influx2();
  const tls = { cert: Deno.readTextFileSync(cert), key: Deno.readTextFileSync(key) };
  await using peer = new HttpPeer(server.answer, 0, tls);
  const host = `https://localhost:${peer.port}`;
  {
    await using stranger = await Rig.start({ host, ca_file: other.ca });
    stranger.give(numbered(5));
    await until(() => stranger.output.stats.failedRequests > 1);
    assert.match(stranger.logs.lines[0], /WARN.*Cannot write to .*(certificate|UnknownIssuer)/i);
    assert.equal(peer.requests.length, 0);
  }
  await using rig = await Rig.start({ host, ca_file: ca, token: "t" });
  rig.give(numbered(10));
  await rig.finish();
  assert.deepEqual(server.values, range(10));
});

Deno.test("a server of the other API is told from a wrong bucket", async () => {
  const notHere = (version: string) => () =>
    new Response("404 page not found", { status: 404, headers: { "x-influxdb-version": version } });
  for (
    const [given, version, advice] of [
      [{}, "1.6.7", /this server needs api = ."v1." and database/],
      [{}, "v2.7", /check plugins.influxdb.host and plugins.influxdb.org and plugins.influxdb.bucket/],
      [
        { api: "v1", database: "d" },
        "1.6.7",
        /check plugins.influxdb.host and plugins.influxdb.database; .*CREATE DATABASE/,
      ],
    ] as const
  ) {
    await using peer = new HttpPeer(notHere(version));
    await using rig = await Rig.start({ host: peer.url, ...given });
    rig.give(numbered(1));
    await until(() => rig.logs.matching(/ERROR/).length > 0);
    assert.match(rig.logs.matching(/ERROR/)[0], advice);
    assert.equal(rig.journal.pendingPoints, 1);
  }
});

Deno.test("a stop while the server is away ends at the abort, and commits nothing", async () => {
  await using peer = new HttpPeer(() => new Response(null, { status: 503 }));
  const rig = await Rig.start({ host: peer.url });
  rig.give(numbered(100));
  await until(() => rig.output.stats.failedRequests > 2);
  rig.journal.end();
  await rig[Symbol.asyncDispose]();
  assert.equal(rig.journal.pendingPoints, 100);
});

Deno.test("a stop without points does not wait for a server that is away", async () => {
  await using rig = await Rig.start({ host: "http://127.0.0.1:9" });
  await rig.finish();
});

Deno.test("files that cannot be read are errors of the configuration", async () => {
  for (const key of ["token_file", "password_file", "ca_file"] as const) {
    await assert.rejects(
      InfluxOutput.open(settings({ [key]: "/nowhere" }), contextWith({})),
      (error) =>
        error instanceof ExitError && error.exitCode === 78 &&
        error.message.includes(`plugins.influxdb.${key}`),
    );
  }
});
