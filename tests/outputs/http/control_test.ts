/** Whose fault a refusal is, found out by the outputs that post points, towards targets that a test plays. */
import assert from "node:assert/strict";
import type { Batch } from "../../../lib/points/measurement.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { config as influxdb } from "../../../lib/outputs/influxdb/config.ts";
import { InfluxOutput } from "../../../lib/outputs/influxdb/output.ts";
import { config as opentelemetry } from "../../../lib/outputs/opentelemetry/config.ts";
import { OpenTelemetryOutput } from "../../../lib/outputs/opentelemetry/output.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { HttpPeer, type HttpRequest } from "../../kit/http.ts";
import { batchOf } from "../../kit/points.ts";
import { journalOf } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

const QUICK = { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 };

type Context = Pick<PluginContext, "log" | "clock" | "deadLetters">;
const OUTPUTS: Record<string, (url: string, context: Context) => Promise<Output>> = {
  influxdb: (host, context) =>
    InfluxOutput.open(
      { ...influxdb.defaultValue(), bucket: "b", unsigned: "unsigned", flush_interval: 5, host },
      context,
      { backoff: QUICK },
    ),
  opentelemetry: (collector_host, context) =>
    OpenTelemetryOutput.open(
      { ...opentelemetry.defaultValue(), flush_interval: 5, collector_host },
      context,
      { backoff: QUICK },
    ),
};

/** Points that are found by name in the text of any protocol: `point-7.`. */
function points(count: number, from = 0, metric = "count"): Batch {
  return batchOf(
    Array.from({ length: count }, (_, i) => [
      seriesOf(metricOf(metric), { resourceKind: "k", resourceId: `point-${from + i}.` }),
      BigInt(i),
    ]),
  );
}
const namesIn = ({ text }: HttpRequest) => [...text.matchAll(/point-(\d+)\./g)].map(([, n]) => Number(n));
const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** A target that stores points, unless a test has it refuse them. */
class Target implements AsyncDisposable {
  readonly stored: number[] = [];
  /** What it answers instead of storing the points. */
  refuse: (names: readonly number[], request: HttpRequest) => Response | undefined = () => undefined;
  readonly peer = new HttpPeer((request) => {
    const names = namesIn(request);
    const refusal = this.refuse(names, request);
    if (refusal) return refusal;
    this.stored.push(...names);
    return new Response(null, { status: 204 });
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.peer[Symbol.asyncDispose]();
  }
}

class Running implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly target = this.#stack.use(new Target());
  readonly #directory = this.#stack.use(new TempDir());
  readonly logs = new LogLines();
  readonly journal = journalOf();
  readonly context = contextWith({ log: this.logs.log, stateDirectory: this.#directory.path });
  readonly #stop = new AbortController();
  output!: Output;
  #ended: Promise<void> = Promise.resolve();

  static async start(name: string): Promise<Running> {
    const running = new Running();
    running.output = running.#stack.use(await OUTPUTS[name](running.target.peer.url, running.context));
    running.#ended = running.output.run(running.journal.reader(), running.#stop.signal);
    return running;
  }

  get requests(): number {
    return this.target.peer.requests.length;
  }

  async settled(): Promise<void> {
    await until(() => this.journal.pendingPoints === 0);
  }

  async send(batch: Batch): Promise<void> {
    this.journal.append(batch);
    await this.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    await this.#stack.disposeAsync();
  }
}

for (const name of Object.keys(OUTPUTS)) {
  for (const status of [500, 501, 505, 507, 522, 530, 599, 408, 409, 425, 429, 502, 503, 504, 400, 422]) {
    Deno.test(`${name}: an outage with status ${status} after a success costs no point and few requests`, async () => {
      await using running = await Running.start(name);
      const { target, context } = running;
      await running.send(points(1));
      let n = 0;
      let round = 0;
      target.refuse = () => {
        if (running.logs.matching(/keeping the points and trying again/).length === 0) round++;
        return new Response(`no, request ${n++}`, { status });
      };
      running.journal.append(points(1000, 1));
      await until(() => n > 10);
      assert.equal(running.logs.matching(/keeping the points and trying again/).length, 1);
      target.refuse = () => undefined;
      await running.settled();
      assert.ok(round <= 5, `${round} requests`);
      assert.deepEqual(new Set(target.stored), new Set(range(1001)));
      assert.equal(context.deadLetters.refusedPoints, 0);
    });
  }

  for (const status of [400, 500]) {
    Deno.test(`${name}: a target that answers ${status} to all points, but takes a request without any, is at fault itself`, async () => {
      await using running = await Running.start(name);
      const { target, context } = running;
      await running.send(points(10));
      target.refuse = (names) =>
        names.length > 0 ? new Response("the exporter is not available", { status }) : undefined;
      running.journal.append(points(50, 10));
      await until(() => running.logs.matching(/keeping the points and trying again/).length === 1);
      target.refuse = () => undefined;
      await running.settled();
      assert.deepEqual(new Set(target.stored), new Set(range(60)));
      assert.equal(context.deadLetters.refusedPoints, 0);
    });

    Deno.test(`${name}: a point to which a target says ${status} is set aside, at the start and later, and costs no other`, async () => {
      await using running = await Running.start(name);
      const { target, context } = running;
      const bad = [7, 50, 51, 333, 400];
      target.refuse = (names) =>
        names.some((n) => bad.includes(n)) ? new Response("cannot store that", { status }) : undefined;
      await running.send(points(100));
      assert.equal(context.deadLetters.refusedPoints, 3);
      await running.send(points(300, 100));
      await running.send(points(1, 400));
      assert.equal(context.deadLetters.refusedPoints, 5);
      assert.deepEqual(
        [...new Set(target.stored)].sort((a, b) => a - b),
        range(400).filter((n) => !bad.includes(n)),
      );
      // Said when all of the request are known, then at most once a minute.
      assert.equal(
        running.logs.matching(/WARN.*permanently refused.*points=3/).length,
        1,
        running.logs.lines.join(""),
      );
      assert.ok(running.requests < 150, `${running.requests} requests`);
    });
  }

  Deno.test(`${name}: a target that fails at every second request loses nothing`, async () => {
    await using running = await Running.start(name);
    const { target, context } = running;
    let n = 0;
    target.refuse = () => n++ % 2 ? new Response("now and then", { status: 500 }) : undefined;
    for (let i = 0; i < 5; i++) await running.send(points(20, 20 * i));
    assert.deepEqual(new Set(target.stored), new Set(range(100)));
    assert.equal(context.deadLetters.refusedPoints, 0);
  });

  Deno.test(`${name}: points are sent again, not set aside, while the target refuses all others in the same words`, async () => {
    await using running = await Running.start(name);
    const { target, context } = running;
    await running.send(points(1));
    // From the third request of the refused batch on nothing is taken.
    let requests = 0;
    target.refuse = (names, request) => {
      if (request.method === "GET") return;
      requests++;
      return names.includes(17) || requests > 3 ? new Response("bad request", { status: 400 }) : undefined;
    };
    running.journal.append(points(40, 1));
    await until(() => running.logs.matching(/ERROR .*refuses every request/).length === 1);
    target.refuse = (names) => names.includes(17) ? new Response("bad request", { status: 400 }) : undefined;
    await running.settled();
    assert.deepEqual(new Set(target.stored), new Set(range(41).filter((n) => n !== 17)));
    assert.equal(context.deadLetters.refusedPoints, 1);
  });

  Deno.test(`${name}: a page to log in, with status 200, takes no point`, async () => {
    await using running = await Running.start(name);
    const { target } = running;
    const page = "<!doctype html><title>Log in</title>";
    const html = { "content-type": "text/html" };
    target.refuse = () => new Response(page, { headers: html });
    running.journal.append(points(10));
    await until(() =>
      running.logs.matching(/ERROR .*refuses every request.*this is not an answer of .*check/).length === 1
    );
    target.refuse = () => undefined;
    await running.settled();
    // Later, too.
    target.refuse = () => new Response(page, { headers: html });
    running.journal.append(points(10, 10));
    await until(() => running.logs.matching(/refuses every request/).length === 2);
    target.refuse = () => undefined;
    await running.settled();
    assert.deepEqual(target.stored, range(20));
  });
}

Deno.test("influxdb: an error of the server that is a field type conflict stops no other point, and needs no witness", async () => {
  await using running = await Running.start("influxdb");
  const { target, context } = running;
  target.refuse = (_, { text }) =>
    text.includes("conflicting,")
      ? Response.json({
        code: "internal error",
        message: 'unexpected error writing points to database: [shard 7] field type conflict: "conflicting"',
      }, { status: 500 })
      : undefined;
  await running.send(points(1, 0, "conflicting"));
  await running.send(points(100, 1));
  assert.deepEqual(target.stored, range(100, 1));
  assert.equal(context.deadLetters.refusedPoints, 1);
});
