import assert from "node:assert/strict";
import { ExitError } from "../../../lib/base/errors.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { Batch, type Metric, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { opentelemetry } from "../../../lib/outputs/opentelemetry.ts";
import type { OpenTelemetryConfig } from "../../../lib/outputs/opentelemetry/config.ts";
import { readExportResponse, readStatusMessage } from "../../../lib/outputs/opentelemetry/messages.ts";
import { OpenTelemetryOutput } from "../../../lib/outputs/opentelemetry/output.ts";
import { bitsOf, cases, Chance, fromHex } from "../../kit/bytes.ts";
import { certificates } from "../../kit/certificates.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { HttpPeer } from "../../kit/http.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { needs, openssl } from "../../kit/needs.ts";
import { type DecodedPoint, type Mode, otlpPython, OtlpReceiver } from "../../kit/otlp.ts";
import { batchOf } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

const DEFAULTS = opentelemetry.config.defaultValue();
const POWER = metricOf("power", "f64", { base: "W", prefix: "milli" });
const COUNT = metricOf("count");
const FAST = { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 };

/** The output with a journal before it, towards a URL. */
class Running implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly logs = new LogLines();
  readonly abort = new AbortController();
  readonly ended: Promise<void>;

  private constructor(readonly output: OpenTelemetryOutput, logs: LogLines, readonly directory: TempDir) {
    this.logs = logs;
    this.ended = output.run(this.journal.reader(), this.abort.signal);
  }

  static async start(url: string, config: Partial<OpenTelemetryConfig> = {}): Promise<Running> {
    const logs = new LogLines();
    const directory = new TempDir();
    const output = await OpenTelemetryOutput.open(
      { ...DEFAULTS, collector_host: url, flush_interval: 5, ...config },
      contextWith({ log: logs.log, stateDirectory: directory.path }),
      { backoff: FAST },
    );
    return new Running(output, logs, directory);
  }

  /** Waits until it is committed. */
  async send(...batches: Batch[]): Promise<void> {
    for (const batch of batches) await this.journal.append(batch);
    await until(() => this.journal.pendingPoints === 0);
  }

  /** The reasons of the dead letters. */
  deadLetters(): string[] {
    const root = `${this.directory.path}/dead-letters/test`;
    try {
      return [...Deno.readDirSync(root)].flatMap(({ name }) =>
        name.endsWith(".jsonl")
          ? Deno.readTextFileSync(`${root}/${name}`).trim().split("\n").map((line) => JSON.parse(line).reason)
          : []
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort.abort();
    await this.ended;
    await this.output[Symbol.asyncDispose]();
    await this.directory[Symbol.asyncDispose]();
  }
}

/** One point after the other, a nanosecond apart. */
function numbers(count: number, from = 0, series: Series = seriesOf(COUNT)): Batch {
  const batch = new Batch(count);
  for (let n = from; n < from + count; n++) batch.push(series, 1_700_000_000, n, n);
  return batch;
}

Deno.test({
  name:
    "a point is what Alumet makes of it, with exact integers, typed attributes, and its client as the resource",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url, { prefix: "pre_" });
    const described: Metric = {
      ...metricOf("energy", "u64", { base: "J", prefix: "" }),
      description: "so much",
    };
    const of = (client: string, metric: Metric) =>
      seriesOf(metric, { attributes: [["relay_client", client]] });
    await running.send(batchOf([
      [of("node1", POWER), 0.1, 1_700_000_000, 1],
      [of("node2", POWER), NaN, 1_700_000_000, 2],
      [of("node1", described), 2n ** 63n - 1n, 1_700_000_000, 3],
      [of("node1", described), 2n ** 63n, 1_700_000_000, 4],
      [
        seriesOf(COUNT, {
          resourceKind: "gpu",
          resourceId: "00:01.0",
          attributes: [["n", 7n], ["ok", true]],
        }),
        5,
      ],
      [of("node1", POWER), -0, 1_700_000_000, 6],
    ]));
    const points = receiver.points().sort((a, b) => a.time < b.time ? -1 : 1);
    const text = (text: string) => ["string_value", text];
    const machine = {
      resource_kind: text("local_machine"),
      resource_id: text("empty"),
      resource_consumer_kind: text("local_machine"),
      resource_consumer_id: text("empty"),
    };
    const resource = (client: string) => ({
      "service.name": text("alumet-otlp-grpc"),
      "service.instance.id": text(client),
      "host.name": text(client),
    });
    const { version } = JSON.parse(Deno.readTextFileSync(new URL("../../../deno.json", import.meta.url)));
    const common = { scope: ["alumet", version, { tool: text("alumet") }], description: "", start: 0 };
    const power = { ...common, metric: "pre_power_alumet", unit: "mW" };
    const energy = { ...common, metric: "pre_energy_alumet", unit: "J", description: "so much" };
    const node = (client: string) => ({
      resource: resource(client),
      attributes: { ...machine, relay_client: text(client) },
    });
    assert.deepEqual(points, [
      {
        ...common,
        resource: resource(Deno.hostname()),
        metric: "pre_count_alumet",
        unit: "",
        time: "1700000000000000000",
        value: ["as_int", "5"],
        attributes: {
          ...machine,
          resource_kind: text("gpu"),
          resource_id: text("00:01.0"),
          n: ["int_value", "7"],
          ok: ["bool_value", true],
        },
      },
      { ...power, ...node("node1"), time: "1700000000000000001", value: ["as_double", bitsOf(0.1)] },
      { ...power, ...node("node2"), time: "1700000000000000002", value: ["as_double", bitsOf(NaN)] },
      { ...energy, ...node("node1"), time: "1700000000000000003", value: ["as_int", "9223372036854775807"] },
      { ...energy, ...node("node1"), time: "1700000000000000004", value: ["as_double", bitsOf(2 ** 63)] },
      { ...power, ...node("node1"), time: "1700000000000000006", value: ["as_double", bitsOf(-0)] },
    ]);
    const [request] = (await receiver.requests()).slice(-1);
    assert.equal(request.path, "/v1/metrics");
    assert.equal(request["content-type"], "application/x-protobuf");
    assert.equal(request["content-encoding"], "gzip");
    assert.equal(request["user-agent"], `alumet-relay/${version}`);
  },
});

Deno.test({
  name: "units by name, and no attributes, where that is asked for",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url, {
      use_unit_display_name: false,
      add_attributes_to_labels: false,
      suffix: "",
      service_name: "measurements",
      gzip: false,
      path: "/other/path",
    });
    await running.send(batchOf([[seriesOf(POWER, { attributes: [["a", 1n], ["relay_client", "n"]] }), 1]]));
    const [{ unit, metric, attributes, resource }] = receiver.points();
    assert.deepEqual({ unit, metric }, { unit: "milliW", metric: "power" });
    assert.deepEqual(Object.keys(attributes).length, 4);
    assert.equal(resource["service.name"][1], "measurements");
    assert.equal(resource["host.name"][1], "n");
    const [request] = (await receiver.requests()).slice(-1);
    assert.equal(request.path, "/other/path");
    assert.equal(request["content-encoding"], undefined);
  },
});

Deno.test({
  name: "an attribute whose name is taken or empty has another one; of two with one name the last counts",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url);
    const attributes: Series["attributes"] = [
      ["resource_id", "mine"],
      ["resource_id_2", "also mine"],
      ["", "nameless"],
      ["_", "underscore"],
      ["a", "first"],
      ["a", "last"],
    ];
    await running.send(batchOf([[seriesOf(COUNT, { attributes }), 1]]));
    const [point] = receiver.points();
    const found = Object.fromEntries(
      Object.entries(point.attributes).map(([name, [, value]]) => [name, value]),
    );
    assert.deepEqual(found, {
      resource_kind: "local_machine",
      resource_id: "empty",
      resource_consumer_kind: "local_machine",
      resource_consumer_id: "empty",
      resource_id_3: "mine",
      resource_id_2: "also mine",
      __2: "nameless",
      _: "underscore",
      a: "last",
    });
  },
});

Deno.test({
  name: "many points come in requests of batch_size, gathered for flush_interval, each once and in order",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url, { batch_size: 100, flush_interval: 3_600_000 });
    const sending = running.send(numbers(30), numbers(95, 30), numbers(400, 125), numbers(1, 525));
    await until(() => running.output.stats.requests === 5);
    // The rest waits for more, until there will be no more.
    running.journal.end();
    await sending;
    const points = receiver.points();
    assert.deepEqual(points.map(({ value }) => Number(value[1])), Array.from({ length: 526 }, (_, n) => n));
    assert.equal(running.output.stats.points, 526);
    assert.equal(running.output.stats.requests, 6);
  },
});

Deno.test({
  name: "a request has some megabytes at most, and series whose texts fill the memory are still sent right",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url, { gzip: false });
    const long = "x".repeat(200_000);
    const rows = Array.from(
      { length: 120 },
      (_, n): [Series, number] => [seriesOf(COUNT, { resourceId: n + long }), n],
    );
    // Twice, so that what was encoded once is used again, or encoded again where it was forgotten.
    await running.send(batchOf(rows));
    await running.send(batchOf(rows));
    const points = receiver.points();
    assert.equal(points.length, 240);
    for (const { value, attributes } of points) assert.equal(attributes.resource_id[1], value[1] + long);
    const requests = await receiver.requests();
    assert.ok(requests.length >= 12);
    for (const { bytes } of requests) assert.ok(bytes <= 4 * 1024 * 1024);
  },
});

for (const status of [429, 502, 503, 504]) {
  Deno.test({
    name: `after status ${status} the same points are sent again, no sooner than Retry-After`,
    ...needs(otlpPython),
    async fn() {
      await using receiver = await OtlpReceiver.start();
      await receiver.mode({ status, headers: { "retry-after": "1" }, message: "wait" });
      await using running = await Running.start(receiver.url);
      await running.journal.append(numbers(10));
      await until(() => running.logs.matching(/WARN .*keeping the points.*wait/).length === 1);
      const began = performance.now();
      await receiver.mode({});
      await until(() => running.journal.pendingPoints === 0);
      assert.ok(performance.now() - began > 800);
      assert.equal(receiver.points().length, 10);
      // More than one where this process had no time to lift the refusal before the next try.
      assert.ok(running.output.stats.failedRequests >= 1);
      assert.equal(running.logs.matching(/INFO .*answers again/).length, 1);
    },
  });
}

Deno.test({
  name:
    "a refused request costs only the points because of which it is refused: they are set aside with the reason",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await receiver.mode({ bad: "bad_alumet" });
    await using running = await Running.start(receiver.url);
    const bad = batchOf([[seriesOf(metricOf("bad")), 1]]);
    await running.send(numbers(1000), bad, numbers(1000, 1000));
    assert.deepEqual(
      receiver.points().map(({ value }) => Number(value[1])).sort((a, b) => a - b),
      Array.from({ length: 2000 }, (_, n) => n),
    );
    assert.deepEqual(running.deadLetters(), ["status 400: a bad point"]);
    const { points, refusedPoints, requests } = running.output.stats;
    assert.deepEqual({ points, refusedPoints }, { points: 2000, refusedPoints: 1 });
    assert.ok(requests < 40, `${requests} requests`);
  },
});

Deno.test({
  name: "where all points of a request are refused, finding that out has a limit",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url);
    await running.send(numbers(1));
    await receiver.mode({ bad: "bad_alumet" });
    const { requests } = running.output.stats;
    await running.send(numbers(2000, 0, seriesOf(metricOf("bad"))));
    assert.equal(running.output.stats.refusedPoints, 2000);
    assert.ok(running.output.stats.requests - requests <= 70, `${running.output.stats.requests}`);
    assert.equal(running.deadLetters().at(-1), "status 400: a bad point");
    await running.send(numbers(1));
    assert.equal(running.output.stats.points, 2);
  },
});

Deno.test("a request that is too large is sent in halves, as often as it takes", async () => {
  await using peer = new HttpPeer(({ text }) =>
    new Response(null, { status: text.length > 20_000 ? 413 : 200 })
  );
  await using running = await Running.start(peer.url);
  await running.send(numbers(4000), batchOf([[seriesOf(COUNT, { resourceId: "x".repeat(30_000) }), 1]]));
  const { points, refusedPoints, requests } = running.output.stats;
  assert.deepEqual({ points, refusedPoints }, { points: 4000, refusedPoints: 1 });
  assert.ok(requests > 64);
  assert.deepEqual(running.deadLetters(), ["status 413: "]);
});

Deno.test("a receiver that refuses a request without points as well has a wrong address: points wait", async () => {
  let right = false;
  await using peer = new HttpPeer(() =>
    right ? new Response() : new Response("what is that?", { status: 400 })
  );
  await using running = await Running.start(peer.url);
  await running.journal.append(numbers(10));
  await until(() =>
    running.logs.matching(/ERROR .*refuses every request.*what is that\?.*OTLP over HTTP/).length === 1
  );
  right = true;
  await until(() => running.journal.pendingPoints === 0);
  assert.equal(running.output.stats.points, 10);
  assert.equal(running.output.stats.refusedPoints, 0);
});

Deno.test("a token comes from a file, which is read again when it is refused; neither it nor headers are in the log", async () => {
  await using directory = new TempDir();
  const file = directory.file("token");
  Deno.writeTextFileSync(file, "old-secret\n");
  await using peer = new HttpPeer(({ headers }) => {
    const authorization = headers.get("authorization");
    if (authorization === "Bearer new-secret") return new Response();
    return new Response(`not you, ${authorization} of ${headers.get("x-scope-orgid")}`, { status: 401 });
  });
  await using running = await Running.start(peer.url, {
    token_file: file,
    headers: ["X-Scope-OrgID: physics"],
  });
  await running.journal.append(numbers(10));
  await until(() => running.logs.matching(/ERROR .*refuses every request.*not you.*token_file/).length === 1);
  Deno.writeTextFileSync(file, "new-secret\n");
  await until(() => running.journal.pendingPoints === 0);
  assert.equal(running.output.stats.points, 10);
  assert.equal(peer.requests.at(-1)!.headers.get("x-scope-orgid"), "physics");
  assert.equal(running.logs.matching(/secret|physics/).length, 0, running.logs.lines.join(""));
});

Deno.test({
  name: "points that the receiver threw away are counted and logged, and not sent again",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await using running = await Running.start(receiver.url);
    const answers: Mode[] = [
      { reject: 3, message: "three are too old" },
      { reject: 2, message: "again" },
      {},
    ];
    for (const answer of answers) {
      await receiver.mode(answer);
      await running.send(numbers(10));
    }
    const { points, rejectedPoints, refusedPoints, requests } = running.output.stats;
    assert.deepEqual({ points, rejectedPoints, refusedPoints, requests }, {
      points: 30,
      rejectedPoints: 5,
      refusedPoints: 0,
      requests: 3,
    });
    assert.equal(
      running.logs.matching(/WARN .*The receiver rejected points points=3 reason="three are too old"/).length,
      1,
    );
    assert.equal(running.logs.matching(/WARN/).length, 1, "at most once a minute");
  },
});

Deno.test("answers of any bytes are read somehow, and never cost a point", async () => {
  assert.deepEqual(readExportResponse(fromHex("0a0708031203616263")), { rejectedPoints: 3, message: "abc" });
  assert.deepEqual(readExportResponse(new Uint8Array()), { rejectedPoints: 0, message: "" });
  assert.equal(readStatusMessage(fromHex("08031203616263")), "abc");
  const chance = new Chance(31);
  let body = new Uint8Array();
  await using peer = new HttpPeer(() =>
    new Response(body, { headers: { "content-type": "application/x-protobuf" } })
  );
  await using running = await Running.start(peer.url, { flush_interval: 1 });
  for (let n = 1; n <= cases(50); n++) {
    body = chance.mutate(fromHex("0a0708031203616263"));
    readStatusMessage(body);
    await running.send(numbers(1));
    assert.equal(running.output.stats.points, n);
  }
});

Deno.test("random points of many clients are laid out as they are decoded", needs(otlpPython), async () => {
  await using receiver = await OtlpReceiver.start();
  await using running = await Running.start(receiver.url, { batch_size: 300 });
  const chance = new Chance(17);
  const metrics = Array.from({ length: 20 }, (_, n) => metricOf(`m${n}`, n % 2 ? "f64" : "u64"));
  const all = Array.from({ length: 500 }, () =>
    seriesOf(chance.pick(metrics), {
      consumerId: "x".repeat(chance.int(300)),
      attributes: [["relay_client", `node${chance.int(30)}`], ["n", chance.u64()]],
    }));
  const expected: string[] = [];
  const line = (
    client: unknown,
    metric: string,
    time: unknown,
    value: unknown,
    consumer: string,
    n: unknown,
  ) => [client, metric, time, value, consumer || "empty", n].join(" ");
  for (let n = 0; n < 10; n++) {
    const rows = Array.from(
      { length: chance.int(1000) },
      (_, i): [Series, number | bigint, number, number] => {
        const series = chance.pick(all);
        const value = series.metric.type === "u64" ? chance.u64() : chance.next();
        const client = series.attributes[0][1];
        const shown = typeof value === "bigint" && value < 2n ** 63n
          ? `as_int ${value}`
          : `as_double ${bitsOf(Number(value))}`;
        const time = 1_700_000_000_000_000_000n + BigInt(n) * 1_000_000_000n + BigInt(i);
        expected.push(
          line(
            client,
            `${series.metric.name}_alumet`,
            time,
            shown,
            series.consumerId,
            series.attributes[1][1],
          ),
        );
        return [series, value, 1_700_000_000 + n, i];
      },
    );
    if (rows.length > 0) await running.send(batchOf(rows));
  }
  const found = receiver.points().map(({ resource, metric, time, value, attributes }: DecodedPoint) => {
    assert.deepEqual(resource["host.name"], attributes.relay_client);
    return line(
      resource["host.name"][1],
      metric,
      time,
      value.join(" "),
      String(attributes.resource_consumer_id[1]),
      attributes.n[1],
    );
  });
  assert.deepEqual(found.sort(), expected.sort());
});

Deno.test({
  name: "https works with a private authority, and with no other",
  ...needs(openssl),
  async fn() {
    await using directory = new TempDir();
    const { ca, issue } = await certificates(directory);
    const { key, cert } = await issue("localhost");
    let requests = 0;
    await using server = Deno.serve({
      hostname: "localhost",
      port: 0,
      onListen: () => {},
      cert: Deno.readTextFileSync(cert),
      key: Deno.readTextFileSync(key),
    }, async (request) => {
      await request.arrayBuffer();
      requests++;
      return new Response();
    });
    const url = `https://localhost:${server.addr.port}`;
    await using distrusting = await Running.start(url);
    await distrusting.journal.append(numbers(1));
    await until(() => distrusting.logs.matching(/WARN .*Cannot write.*certificate/i).length === 1);
    assert.equal(requests, 0);
    await using trusting = await Running.start(url, { ca_file: ca });
    await trusting.send(numbers(1));
    assert.equal(requests, 1);
  },
});

Deno.test("a file that cannot be read is an error with its key", async () => {
  for (const given of [{ token_file: "/nowhere/token" }, { ca_file: "/nowhere/ca.pem" }]) {
    const config = { ...DEFAULTS, ...given };
    await assert.rejects(OpenTelemetryOutput.open(config, contextWith({})), (error) => {
      return error instanceof ExitError && error.exitCode === 78 &&
        error.message.includes(Object.keys(given)[0]) &&
        error.message.includes("/nowhere/");
    });
  }
});
