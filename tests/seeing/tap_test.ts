import assert from "node:assert/strict";
import { Tap, type TapOptions } from "../../lib/seeing/tap.ts";
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
