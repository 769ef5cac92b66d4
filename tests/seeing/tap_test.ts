import assert from "node:assert/strict";
import type { HttpRequest, HttpResponse } from "../../lib/http/head.ts";
import { Tap, type TapOptions, tapPage } from "../../lib/seeing/tap.ts";
import type { View } from "../../lib/seeing/view.ts";
import { Batch, type Metric, seriesOf } from "../../lib/points/measurement.ts";
import { numbered } from "../kit/points.ts";
import { until } from "../kit/waiting.ts";
import { Site } from "./site.ts";

const metric = (name: string, type: "f64" | "u64" = "f64"): Metric => ({
  name,
  type,
  unit: { base: "W", prefix: "" },
  description: "",
});

/** A tap whose clock a test sets. */
function tapOf(options: Partial<TapOptions>) {
  const clock = { ms: 0 };
  const tap = new Tap({ rate: 100, format: "json", ...options }, "server-1", () => clock.ms);
  return { tap, clock };
}

const point = (name: string, client?: string) => {
  const batch = new Batch(1);
  const attributes = client === undefined ? [] : [["relay_client", client] as const];
  batch.push(seriesOf(metric(name), { attributes }), 1_700_000_000, 5, 1.5);
  return batch;
};
const metricsOf = (lines: string[]) => lines.map((line) => JSON.parse(line).metric);

Deno.test("patterns choose the points of a tap by metric and client", () => {
  const { tap } = tapOf({ metric: "ra?l*", client: "node-*" });
  for (
    const [name, client] of [["rapl_a", "node-1"], ["rapl_b", "other"], ["rpl", "node-1"], ["raxl", "node-2"]]
  ) {
    tap.take(point(name, client));
  }
  assert.deepEqual(metricsOf(tap.takeLines()), ["rapl_a", "raxl"]);
  const { tap: local } = tapOf({ client: "server-1" });
  local.take(point("a"));
  local.take(point("b", "node-1"));
  assert.deepEqual(metricsOf(local.takeLines()), ["a"]);
});

Deno.test("a hostile pattern or name costs no time", () => {
  const { tap } = tapOf({ metric: "*a".repeat(20) + "b*.(+[" });
  // With a regular expression it would take longer than the universe is old.
  tap.take(point("a".repeat(200)));
  assert.deepEqual(tap.takeLines(), []);
});

Deno.test("points beyond the rate are dropped and counted, and the next second has its own", () => {
  const { tap, clock } = tapOf({ rate: 10 });
  tap.take(numbered(25));
  assert.deepEqual([tap.takeLines().length, tap.takeDropped(), tap.takeDropped()], [10, 15, 0]);
  clock.ms = 500;
  tap.take(numbered(25));
  assert.deepEqual([tap.takeLines().length, tap.takeDropped()], [5, 20]);
});

Deno.test("what nobody reads does not gather", () => {
  const { tap } = tapOf({ rate: 100_000 });
  for (let n = 0; n < 10; n++) tap.take(numbered(1000));
  assert.deepEqual([tap.takeLines().length, tap.takeDropped()], [5000, 5000]);
});

Deno.test("line protocol has tags, exact integers and nanoseconds", () => {
  const { tap } = tapOf({ format: "influx" });
  const batch = new Batch(2);
  batch.pushU64(
    seriesOf(metric("a b", "u64"), { attributes: [["k", "v,w"]] }),
    1_700_000_000,
    7,
    2n ** 64n - 1n,
  );
  tap.take(batch);
  assert.deepEqual(tap.takeLines(), [
    "a\\ b,resource_kind=local_machine,resource_consumer_kind=local_machine,k=v\\,w " +
    "value=18446744073709551615u 1700000000000000007",
  ]);
});

Deno.test("a tap that is not read costs the pipe nothing, and what it missed is said", async () => {
  await using site = await Site.start();
  const response = await fetch(`${site.url}/api/v1/tap?rate=50`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let n = 0; n < 50; n++) site.push(numbered(100));
  await until(() =>
    site.agent.figures.journal().appendedPoints === 5000 && site.agent.figures.pendingPoints === 0
  );
  let text = "";
  while (!/"dropped"/.test(text)) text += (await reader.read()).value ?? "";
  assert.ok(text.split("\n").filter((line) => line.includes('"metric":"numbers"')).length >= 50);
  await reader.cancel();
  assert.equal((await site.get("/api/v1/tap?rate=-1")).status, 400);
});

/** The page of taps of a process, with a clock that a test sets. */
function pageOf() {
  const clock = { ms: 5000 };
  const watchers = new Set<(batch: Batch) => void>();
  const agent = {
    watch(watcher: (batch: Batch) => void) {
      watchers.add(watcher);
      return { [Symbol.dispose]: () => void watchers.delete(watcher) };
    },
  };
  const view = { agent, facts: { host: "server-1" } } as unknown as View;
  const page = tapPage(view, () => clock.ms);
  const ask = (query: string) => page({ query } as HttpRequest);
  return { view, ask, clock, watchers };
}

/** Reads a page as it is written. */
function readerOf({ stream }: HttpResponse) {
  const end = new AbortController();
  let take: (text: string) => void = () => {};
  const written = () => new Promise<string>((resolve) => void (take = resolve));
  const write = (part: Uint8Array | string) => {
    take(String(part));
    return Promise.resolve();
  };
  const done = stream!({ write, signal: end.signal });
  return { end, done, written };
}

Deno.test("a tap is asked for with a rate and a format, and four may look at once", () => {
  const { view, ask } = pageOf();
  for (const query of ["rate=0", "rate=-1", "rate=x", "rate=100001", "format=csv", "rate=5&format="]) {
    const { status, body } = ask(query);
    assert.equal(status, 400, query);
    assert.equal(
      new TextDecoder().decode(body),
      "rate is a number up to 100000, format is json or influx.\n",
    );
  }
  const types = ["", "rate=0.5&format=json", "rate=100000&format=influx", "client=a"].map((query) => {
    const { status, headers, release } = ask(query);
    if (query === "") release!();
    return [status, headers["content-type"]];
  });
  const json = [200, "application/x-ndjson"];
  assert.deepEqual(types, [json, json, [200, "text/plain; charset=utf-8"], json]);
  assert.equal(ask("").status, 200);
  const { status, headers, body } = ask("");
  assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
  assert.match(new TextDecoder().decode(body), /^Others look at the points already/);
  const starting = pageOf();
  starting.view.agent = null;
  assert.equal(starting.ask("").status, 503);
  assert.match(new TextDecoder().decode(starting.ask("").body), /^The process is starting/);
  assert.ok(view.agent);
});

Deno.test("a tap has a line for each point, and once a second how many were dropped", async () => {
  for (const [format, dropped] of [["json", '{"dropped":1}'], ["influx", "# 1 points dropped"]]) {
    const { ask, clock, watchers } = pageOf();
    const { end, done, written } = readerOf(ask(`format=${format}`));
    const [watcher] = watchers;
    const take = async (points: number) => {
      const text = written();
      watcher(numbered(points));
      const lines = (await text).split("\n");
      assert.equal(lines.pop(), "");
      return [lines.length, lines.at(-1)];
    };
    const [count, last] = await take(1001);
    assert.deepEqual([count, last === dropped], [1000, false]);
    clock.ms += 999;
    assert.equal((await take(1))[0], 1);
    clock.ms += 1;
    assert.deepEqual(await take(1), [2, dropped]);
    // The next word of it is due a second later, if there is something to say.
    assert.doesNotMatch(String((await take(3000))[1]), /dropped/);
    clock.ms += 1000;
    assert.match(String((await take(1))[1]), /dropped/);
    clock.ms += 1000;
    assert.equal((await take(1))[0], 1);
    end.abort();
    await done;
    assert.equal(watchers.size, 0);
  }
});

Deno.test("whoever waits for a tap is woken by a line, and not by points that are not wanted", async () => {
  const { tap, clock } = tapOf({ metric: "a", rate: 10 });
  const woken = tap.wakeup.wait();
  tap.take(point("b"));
  assert.ok(tap.wakeup.isAwaited);
  tap.take(point("a"));
  await woken;
  assert.equal(tap.takeLines().length, 1);
  // What was not used of a rate is kept for a second at most.
  clock.ms = 10_000;
  for (let n = 0; n < 12; n++) tap.take(point("a"));
  assert.deepEqual([tap.takeLines().length, tap.takeDropped()], [10, 2]);
  clock.ms = 10_100;
  for (let n = 0; n < 3; n++) tap.take(point("a"));
  assert.deepEqual([tap.takeLines().length, tap.takeDropped()], [1, 2]);
});
