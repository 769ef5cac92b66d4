/** The exporter: its pages, its table of series, and those who scrape it. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { ExitError } from "../../../lib/base/errors.ts";
import type { MemoryJournal } from "../../../lib/journal.ts";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { PrometheusExporter } from "../../../lib/outputs/prometheus/exporter.ts";
import { framesOf, testdata, testdataText } from "../../kit/bytes.ts";
import { Collector } from "../../kit/collector.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { Peer } from "../../kit/peer.ts";
import { batchOf } from "../../kit/points.ts";
import { type Page, readPage } from "../../kit/prometheus.ts";
import { TestServer } from "../../kit/test_server.ts";
import { pause, until } from "../../kit/waiting.ts";
import { COUNT, DEFAULTS, OPENMETRICS, POWER, PROMETHEUS_ACCEPT, Running, TEXT } from "./running.ts";

const LOCAL = 'resource_consumer_id="",resource_consumer_kind="local_machine",resource_id="",' +
  'resource_kind="local_machine"';

Deno.test("a recorded page of the real exporter is ours, but for its defects", async () => {
  class Into extends Collector {
    constructor(readonly journal: MemoryJournal) {
      super();
    }
    override push(batch: Batch): Promise<void> | void {
      return this.journal.append(batch);
    }
  }
  await using running = new Running();
  await using server = new TestServer({ sink: new Into(running.journal) });
  for (const [session, clients] of [["odd-values", 1], ["renames", 3]] as const) {
    for (let n = 0; n < clients; n++) {
      await using peer = await Peer.connect(server.port);
      const points = server.server.stats.points;
      for (const frame of framesOf(testdata(`sessions/${session}/client-${n}.bin`))) await peer.send(frame);
      await until(() => server.server.stats.points > points);
    }
  }
  await until(() => running.journal.pendingPoints === 0 && running.exporter.stats.points > 10);

  const recorded = testdataText("outputs/prometheus-metrics.txt")
    // A quote and a newline that are not escaped, and the infinity of Rust.
    .replace('a_b="c;d"e"', 'a_b="c;d\\"e"').replace('"q"z\n"', '"q\\"z\\n"').replace(/ inf$/m, " +Inf");
  const normal = ({ values }: Page) =>
    [...values].map(([head, value]) => `${head} ${Number(value.replace("Inf", "Infinity"))}`).sort();
  const expected = readPage(recorded.replaceAll(/ (-?[0-9]+)\.0$/gm, " $1"), "openmetrics");
  const response = await running.get({ accept: PROMETHEUS_ACCEPT });
  assert.equal(response.headers.get("content-type"), OPENMETRICS);
  const page = readPage(await response.text(), "openmetrics");
  assert.deepEqual(normal(page), normal(expected));
  for (const [name, { type, unit }] of expected.families) {
    assert.deepEqual([name, page.families.get(name)?.type, page.families.get(name)?.unit], [
      name,
      type,
      unit,
    ]);
  }
  // A u64 is not rounded.
  assert.ok([...page.values.values()].includes("18446744073709551615"));
});

Deno.test("both formats, with and without gzip, say the same, and HEAD says how much it would be", async () => {
  await using running = new Running();
  await running.take(
    batchOf([[seriesOf(POWER, { attributes: [["a", 'x"é\n']] }), 1.5], [seriesOf(COUNT), 2n ** 64n - 1n]]),
  );
  const line = `power_alumet_watts{a="x\\"é\\n",${LOCAL}} 1.5\n`;
  const text = "# HELP power_alumet_watts Alumet metric power.\n# TYPE power_alumet_watts gauge\n" + line +
    "# HELP count_alumet Alumet metric count.\n# TYPE count_alumet gauge\n" +
    `count_alumet{${LOCAL}} 18446744073709551615\n`;
  const openmetrics = text.replace(line, `# UNIT power_alumet_watts watts\n${line}`) + "# EOF\n";
  for (
    const [accept, type, body] of [["text/plain", TEXT, text], [PROMETHEUS_ACCEPT, OPENMETRICS, openmetrics]]
  ) {
    for (const encoding of ["identity", "gzip"]) {
      const child = await new Deno.Command("curl", {
        args: [
          "-sS",
          "-i",
          "-H",
          `Accept: ${accept}`,
          "-H",
          `Accept-Encoding: ${encoding}`,
          `${running.url}/metrics`,
        ],
      }).output();
      const end = new TextDecoder("latin1").decode(child.stdout).indexOf("\r\n\r\n") + 4;
      const head = new TextDecoder().decode(child.stdout.subarray(0, end));
      const bytes = child.stdout.subarray(end);
      assert.match(head, new RegExp(`\r\ncontent-type: ${type.replaceAll(".", "\\.")}\r\n`));
      assert.match(head, /\r\nvary: accept, accept-encoding\r\n/);
      assert.equal(/\r\ncontent-encoding: gzip\r\n/.test(head), encoding === "gzip");
      assert.equal(new TextDecoder().decode(encoding === "gzip" ? gunzipSync(bytes) : bytes), body);
      readPage(body, type === TEXT ? "text" : "openmetrics");
    }
    const response = await fetch(`${running.url}/metrics`, {
      method: "HEAD",
      headers: { accept, "accept-encoding": "identity" },
    });
    assert.equal(Number(response.headers.get("content-length")), new TextEncoder().encode(body).length);
    assert.equal(await response.text(), "");
  }
});

Deno.test("there is a hint at /, and nothing anywhere else", async () => {
  await using running = new Running();
  const root = await running.get({}, "/");
  assert.equal(root.status, 200);
  assert.match(await root.text(), /href="\/metrics"/);
  const missing = await running.get({}, "/metrics/");
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /\/metrics/);
  assert.equal(await (await running.get()).text(), "");
  assert.equal(await (await running.get({ accept: PROMETHEUS_ACCEPT })).text(), "# EOF\n");
});

Deno.test("the newest point of a series is shown, in whatever order points come", async () => {
  await using running = new Running();
  const a = seriesOf(POWER);
  const same = seriesOf(POWER);
  await running.take(batchOf([[a, 1, 100, 5], [a, 2, 100, 4], [same, 3, 99, 999_999_999]]));
  const value = async () => (await running.page()).values.get(`power_alumet_watts{${LOCAL}}`);
  assert.equal(await value(), "1");
  await running.take(batchOf([[same, 4, 100, 5]]));
  assert.equal(await value(), "4");
  await running.take(batchOf([[a, NaN, 100, 6]]));
  assert.equal(await value(), "NaN");
  const { points, outdated, series } = running.exporter.stats;
  assert.deepEqual({ points, outdated, series }, { points: 3, outdated: 2, series: 1 });
});

Deno.test("a series that has stopped disappears after stale_after, and comes back when there are points again", async () => {
  await using running = new Running({ stale_after: 60_000 });
  const one = seriesOf(POWER, { resourceId: "1" });
  const two = seriesOf(POWER, { resourceId: "2" });
  const shown = async () =>
    [...(await running.page()).values].map(([head, value]) =>
      `${/resource_id="(\d)"/.exec(head)![1]}=${value}`
    );
  // From a clock that is set wrong: its newest point stands until it is stale.
  await running.take(batchOf([[one, 1, 9e9], [two, 2]]));
  running.clock.ms = 59_999;
  await running.take(batchOf([[two, 3]]));
  assert.deepEqual(await shown(), ["1=1", "2=3"]);
  running.clock.ms = 60_001;
  assert.deepEqual(await shown(), ["2=3"]);
  await running.take(batchOf([[one, 4]]));
  assert.deepEqual((await shown()).sort(), ["1=4", "2=3"]);
  running.clock.ms = 1e6;
  assert.deepEqual(await shown(), []);
  assert.equal(running.exporter.stats.series, 0);
  assert.equal(running.exporter.stats.stale, 3);
});

Deno.test("stopped series are forgotten though nobody scrapes", async () => {
  await using running = new Running({ stale_after: 1000 });
  await running.take(batchOf([[seriesOf(POWER), 1]]));
  running.clock.ms = 5000;
  await running.take(batchOf([[seriesOf(COUNT), 1]]));
  await until(() => running.exporter.stats.stale === 1);
  assert.equal(running.exporter.stats.series, 1);
});

Deno.test("a full table takes no new series until others stop, goes on with those it has, and says so", async () => {
  await using running = new Running({ max_series: 3, stale_after: 60_000 });
  const numbered = Array.from({ length: 5 }, (_, i) => seriesOf(COUNT, { resourceId: String(i) }));
  const ids = async () =>
    [...(await running.page()).values.keys()].map((head) => /resource_id="(\d)"/.exec(head)![1]);
  await running.take(batchOf(numbered.map((series) => [series, 1])));
  await running.take(batchOf(numbered.map((series) => [series, 2])));
  assert.deepEqual(await ids(), ["0", "1", "2"]);
  assert.deepEqual([...new Set((await running.page()).values.values())], ["2"]);
  assert.equal(running.exporter.stats.refused, 4);
  running.clock.ms = 59_000;
  await running.take(batchOf([[numbered[1], 3]]));
  await until(() => running.logs.matching(/WARN .*Too many series.* max_series=3 points=4/).length === 1);
  running.clock.ms = 61_000;
  await ids();
  await running.take(batchOf(numbered.map((series) => [series, 4])));
  assert.deepEqual(await ids(), ["1", "0", "2"]);
});

Deno.test("max_series and stale_after may change while the output runs", async () => {
  await using running = new Running({ max_series: 1, stale_after: 60_000 });
  const config = { ...DEFAULTS, host: "127.0.0.1", port: 0 };
  const [first, second] = ["1", "2"].map((resourceId) => seriesOf(COUNT, { resourceId }));
  await running.take(batchOf([[first, 1], [second, 2]]));
  assert.equal((await running.page()).values.size, 1);
  running.exporter.reconfigure({ ...config, max_series: 2, stale_after: 60_000 });
  await running.take(batchOf([[second, 3]]));
  assert.deepEqual([...(await running.page()).values.values()], ["1", "3"]);
  running.clock.ms = 2000;
  running.exporter.reconfigure({ ...config, max_series: 2, stale_after: 1000 });
  assert.equal((await running.page()).values.size, 0);
});

Deno.test("metrics whose names become the same share a name, with a label that tells them apart", async () => {
  await using running = new Running({ suffix: "" });
  const dot = metricOf("a.b", "f64", { base: "W", prefix: "" });
  const dash = metricOf("a-b", "u64", { base: "W", prefix: "" });
  const named = metricOf("a_b_watts");
  await running.take(batchOf([[seriesOf(dot), 1]]));
  assert.deepEqual([...(await running.page()).values], [[`a_b_watts{${LOCAL}}`, "1"]]);
  await running.take(batchOf([[seriesOf(dash), 2], [seriesOf(named), 3]]));
  const response = await running.get({ accept: PROMETHEUS_ACCEPT });
  const page = readPage(await response.text(), "openmetrics");
  assert.deepEqual([...page.values], [
    [`a_b_watts{alumet_metric="a.b",${LOCAL}}`, "1"],
    [`a_b_watts{alumet_metric="a-b",${LOCAL}}`, "2"],
    [`a_b_watts{alumet_metric="a_b_watts",${LOCAL}}`, "3"],
  ]);
  // Watts, watts, and no unit: there is none that they all have.
  assert.equal(page.families.get("a_b_watts")!.unit, undefined);
  await running.take(batchOf([[seriesOf(dot), 4]]));
  assert.equal((await running.page()).values.get(`a_b_watts{alumet_metric="a.b",${LOCAL}}`), "4");
});

Deno.test("metrics that differ by nothing but type or unit make a valid page, too", async () => {
  await using running = new Running();
  const metrics = [
    metricOf("m", "f64", { base: "x.y", prefix: "" }),
    metricOf("m", "u64", { base: "x.y", prefix: "" }),
    metricOf("m", "u64", { base: "x/y", prefix: "" }),
    metricOf("m", "u64", { base: "W", prefix: "" }),
  ];
  await running.take(batchOf(metrics.map((metric, i) => [seriesOf(metric), i, 100 + i])));
  assert.deepEqual([...(await running.page()).values], [
    [`m_alumet_x_y{${LOCAL}}`, "2"],
    [`m_alumet_watts{${LOCAL}}`, "3"],
  ]);
});

Deno.test("times are shown on demand: milliseconds in the text format, seconds to the nanosecond in OpenMetrics", async () => {
  await using running = new Running({ timestamps: true });
  await running.take(
    batchOf([[seriesOf(POWER), 1, 1_700_000_000, 123_456_000], [seriesOf(COUNT), 2, 1_700_000_001, 0]]),
  );
  assert.deepEqual([...(await running.page()).values.values()], ["1 1700000000123", "2 1700000001000"]);
  const response = await running.get({ accept: PROMETHEUS_ACCEPT });
  const page = readPage(await response.text(), "openmetrics");
  assert.deepEqual([...page.values.values()], ["1 1700000000.123456", "2 1700000001"]);
});

Deno.test("batches are committed as they are taken, those without points as well", async () => {
  await using running = new Running();
  const empty = new Batch(1);
  empty.credit(running.journal.clients.get("a", "0".repeat(32)), 7);
  await running.take(empty);
  await until(() => running.journal.clients.get("a", "0".repeat(32)).account("default").sequence === 7);
});

Deno.test("an address that is not available is an error with its keys, before anything runs", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = (host: string, port: number) => {
    new PrometheusExporter({ ...DEFAULTS, host, port }, contextWith({}));
  };
  assert.throws(() => open("127.0.0.1", taken.addr.port), (error) => {
    return error instanceof ExitError && error.exitCode === 69 &&
      error.message.includes(`127.0.0.1:${taken.addr.port} (plugins.prometheus-exporter.host and port)`) &&
      error.message.includes("another program uses that port");
  });
  assert.throws(() => open("192.0.2.1", 9091), /no interface of this machine has that address/);
});

Deno.test("host is any address of this machine, IPv4, IPv6, or all of them", async () => {
  for (const host of ["", "0.0.0.0", "::", "[::]", "::1", "localhost"]) {
    const exporter = new PrometheusExporter({ ...DEFAULTS, host, port: 0 }, contextWith({}));
    const to = host.includes("1") ? "[::1]" : "127.0.0.1";
    assert.equal(await (await fetch(`http://${to}:${exporter.port}/metrics`)).text(), "", host);
    await exporter[Symbol.asyncDispose]();
  }
});

Deno.test("many scrapes of 10,000 series at once are all answered", async () => {
  await using running = new Running();
  const rows = Array.from(
    { length: 10_000 },
    (_, i) => [seriesOf(COUNT, { resourceId: String(i) }), i] as const,
  );
  await running.take(batchOf(rows.map(([series, value]) => [series, value])));
  const pages = await Promise.all(Array.from({ length: 40 }, async () => await (await running.get()).text()));
  assert.equal(new Set(pages).size, 1);
  const { values } = readPage(pages[0]);
  assert.equal(values.size, 10_000);
  for (const [head, value] of values) assert.equal(/resource_id="(\d+)"/.exec(head)![1], value);
  assert.equal(running.exporter.stats.scrapes, 40);
});

Deno.test("scrapers that do not read take eight pages at most; others are sent away until then, and counted", async () => {
  await using running = new Running();
  // Larger than what sockets buffer.
  const long = "x".repeat(20_000);
  const series = Array.from({ length: 1000 }, (_, i) => seriesOf(COUNT, { resourceId: i + long }));
  await running.take(batchOf(series.map((one) => [one, 0])));
  const deaf: Deno.TcpConn[] = [];
  for (let n = 1; n <= 8; n++) {
    await running.take(batchOf([[series[0], n, 1_700_000_000 + n]]));
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: running.exporter.port });
    deaf.push(conn);
    await conn.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    await until(() => running.exporter.stats.scrapes === n);
  }
  await running.take(batchOf([[series[0], 9, 1_700_000_009]]));
  const refused = await running.get();
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "1");
  await refused.text();
  assert.equal(running.exporter.stats.refusedScrapes, 1);

  for (const conn of deaf) conn.close();
  await until(async () => {
    const response = await running.get();
    await response.text();
    return response.status === 200;
  });
});

Deno.test("while batches come without a pause, scrapes are answered", async () => {
  await using running = new Running();
  const series = seriesOf(COUNT);
  let on = true;
  let sent = 0;
  running.clock.monotonicMs = () => performance.now();
  const flood = (async () => {
    while (on) {
      const batch = new Batch(1000);
      for (let i = 0; i < 1000; i++) batch.push(series, 1_700_000_000 + sent, i, sent);
      sent++;
      await running.journal.append(batch);
      if (sent % 100 === 0) await pause(0);
    }
  })();
  let last = -1;
  for (let n = 0; n < 5; n++) {
    const values = [...(await running.page()).values.values()];
    if (values.length === 0) continue;
    assert.ok(Number(values[0]) >= last);
    last = Number(values[0]);
  }
  on = false;
  await flood;
  await until(() => running.journal.pendingPoints === 0);
  assert.equal([...(await running.page()).values.values()][0], String(sent - 1));
});
