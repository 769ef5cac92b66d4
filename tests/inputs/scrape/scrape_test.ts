import assert from "node:assert/strict";
import { config, type ScrapeConfig } from "../../../lib/inputs/scrape/config.ts";
import { ScrapeInput } from "../../../lib/inputs/scrape/input.ts";
import { contextWith } from "../../kit/context.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { onAuthority } from "../../kit/certificates.ts";
import { HttpPeer } from "../../kit/http.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";
import { textsOf } from "../lines/taking.ts";

const TEXT = "text/plain; version=0.0.4";
const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const page = (text: string | Uint8Array<ArrayBuffer>, type = TEXT) =>
  new Response(text, { headers: { "content-type": type } });

/** The input with one exporter; points without their times, unless they are those of the page. */
class Scraping implements AsyncDisposable {
  readonly points: string[] = [];
  readonly logs = new LogLines();
  readonly input: ScrapeInput;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(url: string, target: Record<string, unknown> = {}, more: Record<string, unknown> = {}) {
    const one = { url, poll_interval: "100ms", timeout: "90s", instance: "x", ...target };
    const given = { targets: [one], ...more };
    const checked: ScrapeConfig = config.check(given, [], ({ path, message }) => {
      throw new Error(`${path.join(".")}: ${message}`);
    });
    this.input = new ScrapeInput(checked, contextWith({ log: this.logs.log }));
    this.#running = this.input.run({
      push: (batch) => {
        // A time of our own is that of the scrape.
        this.points.push(...textsOf(batch).map((text) => text.replace(/ @1[7-9]\d{8}(\.\d+)?$/, "")));
        batch.release();
      },
    }, this.#stop.signal);
  }

  /** What one page becomes. */
  static async once(body: Response, target?: Record<string, unknown>, more?: Record<string, unknown>) {
    await using peer = new HttpPeer((_, n) => n === 0 ? body : new Promise<Response>(() => {}));
    await using scraping = new Scraping(peer.url, target, more);
    await until(() => peer.requests.length > 1);
    await scraping.stop();
    return { points: scraping.points, logs: scraping.logs, stats: scraping.input.stats };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.input[Symbol.asyncDispose]();
  }
}

Deno.test("samples of the text format are points, labels are attributes, and units come from the names", async () => {
  const { points } = await Scraping.once(page(
    `# HELP http_requests_total The number.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 5000
http_requests_total{method="post",code="400"}    3 5000

# A comment.
node_hwmon_temp_celsius{chip="a\\"b\\\\c\\nd",resource_kind="cpu",resource_id="0"} 42.5
process_resident_memory_bytes 1.5e+06
process_cpu_seconds_total{} 7
DCGM_FI_DEV_POWER_USAGE{gpu="0",instance="other"} 61.25
# TYPE rpc_duration_seconds histogram
rpc_duration_seconds_bucket{le="+Inf"} 5
rpc_duration_seconds_sum 8.5
nothing NaN
more +Inf
`,
  ));
  assert.deepEqual(points, [
    "http_requests_total {method=post,code=200,instance=x} 1027 @5",
    "http_requests_total {method=post,code=400,instance=x} 3 @5",
    'node_hwmon_temp_celsius[Cel] cpu/0 {chip=a"b\\c\nd,instance=x} 42.5',
    "process_resident_memory_bytes[By] {instance=x} 1500000",
    "process_cpu_seconds_total[s] {instance=x} 7",
    "DCGM_FI_DEV_POWER_USAGE {gpu=0,instance=other} 61.25",
    "rpc_duration_seconds_bucket {le=+Inf,instance=x} 5",
    "rpc_duration_seconds_sum[s] {instance=x} 8.5",
  ]);
});

Deno.test("OpenMetrics: units, times in seconds, exemplars, names in quotes, and when something was created", async () => {
  const { points, stats } = await Scraping.once(page(
    `# TYPE a_watts gauge
# UNIT a_watts watts
a_watts{b="c"} 1.5 12.25
# TYPE foo counter
foo_total 17.0 1.5 # {trace_id="x"} 0.67 1.0
foo_created 1520430000
{"a.b",le="1"} 3 2
# EOF
`,
    OPENMETRICS,
  ));
  assert.deepEqual(points, [
    "a_watts[W] {b=c,instance=x} 1.5 @12.25",
    "foo_total {instance=x} 17 @1.5",
    "a.b {le=1,instance=x} 3 @2",
  ]);
  assert.deepEqual([stats.badLines, stats.failedScrapes], [0, 0]);
});

Deno.test("rules go before what the page says", async () => {
  const { points } = await Scraping.once(
    page(`DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="u"} 61.25\nother_bytes 1\n`),
    {},
    {
      rules: [{ metric: "DCGM_*_POWER_USAGE", unit: "W", resource: "gpu/{gpu}" }, {
        metric: "other_*",
        unit: "",
      }],
    },
  );
  assert.deepEqual(points, [
    "DCGM_FI_DEV_POWER_USAGE[W] gpu/0 {UUID=u,instance=x} 61.25",
    "other_bytes {instance=x} 1",
  ]);
});

Deno.test("counters are differences on request, from the second scrape on, and again after they went back", async () => {
  const values = [[10, 1], [12, 2], [12, 3], [1, 4], [4, 5]];
  await using peer = new HttpPeer((_, n) => {
    const [count, gauge] = values[Math.min(n, values.length - 1)];
    const text = `# TYPE c counter\nc{a="b"} ${count} ${n}\n# TYPE g gauge\ng ${gauge} ${n}\n` +
      `# TYPE h summary\nh{quantile="0.5"} ${gauge} ${n}\nh_count ${count} ${n}\n`;
    return n < values.length ? page(text) : new Promise<Response>(() => {});
  });
  await using scraping = new Scraping(peer.url, { counters: "differences" });
  await until(() => peer.requests.length > values.length);
  await scraping.stop();
  const of = (name: string) =>
    scraping.points.filter((text) => text.startsWith(`${name} `)).map((text) =>
      Number(/\} (\S+)/.exec(text)![1])
    );
  assert.deepEqual(of("c"), [2, 0, 3]);
  assert.deepEqual(of("h_count"), [2, 0, 3]);
  assert.deepEqual(of("g"), [1, 2, 3, 4, 5]);
  assert.deepEqual(of("h"), [1, 2, 3, 4, 5]);
});

Deno.test("a bad line costs itself and is named, and so does one that is too long", async () => {
  const { points, logs, stats } = await Scraping.once(
    page(`a 1\nb{c=d} 1\nnothing\nd 1 x\ne x\nf{g="${"h".repeat(100_000)}"} 1\ni{j="k" 1\nl 1\n`),
    {},
    { limits: { line_length: "1KiB" } },
  );
  assert.deepEqual(points, ["a {instance=x} 1", "l {instance=x} 1"]);
  assert.equal(stats.badLines, 6);
  assert.match(logs.matching(/Cannot read a line/)[0], /line=2 reason="a label is not NAME=\\"VALUE\\""/);
});

Deno.test("an exporter that is away, refuses, is slow or sends half a page is said, and scraped again", async () => {
  await using directory = new TempDir();
  Deno.writeTextFileSync(directory.file("token"), "secret\n");
  await using peer = new HttpPeer(({ headers }, n) => {
    assert.equal(headers.get("authorization"), "Bearer secret");
    if (n === 0) return new Response("no", { status: 500 });
    if (n === 1) return page("half 1\n", OPENMETRICS);
    if (n === 2) return page("large 1\n".repeat(1000));
    return page("a 1\n");
  });
  await using scraping = new Scraping(
    peer.url,
    { token_file: directory.file("token") },
    { limits: { body: "1KiB" } },
  );
  await until(() => scraping.points.includes("a {instance=x} 1"));
  // The end of a page comes after its points.
  await until(() => scraping.logs.matching(/The exporter can be scraped again/).length === 1);
  assert.equal(scraping.input.stats.failedScrapes, 3);
  assert.match(scraping.logs.matching(/Cannot scrape/)[0], /reason="it answers with status 500" times=1/);

  await using slow = new HttpPeer((_, n) => n === 0 ? new Promise<Response>(() => {}) : page("a 1\n"));
  await using hasty = new Scraping(slow.url, { timeout: "50ms" });
  await until(() => hasty.points.includes("a {instance=x} 1"));
  assert.match(hasty.logs.matching(/Cannot scrape/)[0], /reason="no whole page within 50 ms" times=1/);
});

Deno.test("the first poll is over when the first scrape is, whether it fails or not", async () => {
  for (const status of [200, 500]) {
    const answer = Promise.withResolvers<Response>();
    await using peer = new HttpPeer((_, n) => n === 0 ? answer.promise : page("a 1\n"));
    await using scraping = new Scraping(peer.url);
    let isOver = false;
    const over = scraping.input.firstPoll.then(() => isOver = true);
    await until(() => peer.requests.length > 0);
    assert.equal(isOver, false);
    answer.resolve(new Response("a 1\n", { status }));
    await over;
    assert.equal(
      scraping.input.findings[0].problem,
      status === 200 ? undefined : "it answers with status 500",
    );
  }
});

onAuthority("a page comes over TLS that a CA of our own has signed", async ({ ca, issue }) => {
  const { cert, key } = await issue("localhost");
  const [pem, keyPem] = [cert, key].map((path) => Deno.readTextFileSync(path));
  await using peer = new HttpPeer(() => page("a 1\n"), 0, { cert: pem, key: keyPem });
  await using scraping = new Scraping(`https://localhost:${peer.port}/metrics`, { ca });
  await until(() => scraping.points.length > 0);
});

Deno.test("a large page is whole, and others have their turn while it is decoded", async () => {
  const count = 20_000;
  const text = Array.from({ length: count }, (_, i) => `m{n="${i}",text="${"x".repeat(i % 50)}"} ${i} 1\n`)
    .join("");
  let turns = 0;
  const ticking = setInterval(() => turns++, 0);
  const { points } = await Scraping.once(page(text));
  clearInterval(ticking);
  assert.equal(points.length, count);
  assert.match(points.at(-1)!, /^m \{n=19999,text=x+,instance=x\} 19999 @0.001$/);
  assert.ok(turns > 5, `${turns} turns`);
});

Deno.test("changed bytes never end the input", async () => {
  const original = new TextEncoder().encode(
    '# TYPE a counter\na{b="c",d="e"} 1.5e3 17 # {x="y"} 1\n{"f.g"} NaN\nh 1\n',
  );
  const pages = Array.from({ length: cases(40) }, (_, seed) => {
    const chance = new Chance(seed);
    const bytes = original.slice();
    for (let n = 0; n < 4; n++) bytes[Math.floor(chance.next() * bytes.length)] = chance.next() * 256;
    return bytes;
  });
  const whole = new Uint8Array(await new Blob(pages.flatMap((bytes) => [bytes, '\n"}\n'])).arrayBuffer());
  const { points } = await Scraping.once(
    page(new Uint8Array([...whole, ...new TextEncoder().encode("\nlast 1\n")])),
  );
  assert.ok(points.includes("last {instance=x} 1"));
});

Deno.test("a CA for an address without TLS is a mistake: the page would come in clear text", () => {
  const problems: string[] = [];
  const targets = [{ url: "http://node.test/metrics", ca: "/ca.pem" }];
  config.check({ targets }, [], ({ path, message }) => problems.push(`${path.join(".")}: ${message}`));
  assert.deepEqual(problems, ["targets.0.ca: only https:// has a certificate"]);
});
