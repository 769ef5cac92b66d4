import assert from "node:assert/strict";
import { config } from "../../../lib/inputs/kwollect_input/config.ts";
import { KwollectSource } from "../../../lib/inputs/kwollect_input/source.ts";
import { timeOf, unitOf, valuesOf } from "../../../lib/inputs/kwollect_input/values.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { HttpPeer } from "../../kit/http.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const METRIC = "wattmetre_power_watt";
/** When the source is opened: 12 minutes after the hour. */
const START_S = Date.parse("2026-03-05T10:12:00+01:00") / 1000;

/** An entry of an answer, so many seconds after the start. */
function entry(afterS: number, value: unknown, more: Record<string, unknown> = {}) {
  const timestamp = new Date((START_S + afterS + 3600) * 1000).toISOString().replace("Z", "+01:00");
  return { timestamp, device_id: "taurus-1", metric_id: METRIC, value, labels: {}, ...more };
}

async function asked(answer: { value: unknown }, status = () => 200) {
  const dir = new TempDir();
  const password_file = dir.file("password");
  await Deno.writeTextFile(password_file, "s3cret\n");
  const server = new HttpPeer(() => Response.json(answer.value, { status: status() }));
  const clock = new FakeClock();
  clock.spend(START_S * 1000);
  const lines: string[] = [];
  const source = new KwollectSource({
    ...config.defaultValue(),
    site: "lyon",
    hostname: "taurus-1",
    metrics: [METRIC, "network_in_bytes_total"],
    login: "me",
    password_file,
    api_url: `${server.url}/stable/`,
    timeout: 90_000,
  }, measuringOf({}, lines, clock));
  return {
    server,
    lines,
    /** Points, with their times after the start, in seconds. */
    async pollAfter(ms: number) {
      clock.spend(ms);
      await source.gather(false);
      const batch = pollOnce(source);
      const times = [...batch.seconds.subarray(0, batch.length)].map((seconds) => seconds - START_S);
      const points = rows(batch).map((row, i) => `${times[i]} ${row}`);
      batch.release();
      return points;
    },
    async [Symbol.asyncDispose]() {
      source.close();
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const row = (afterS: number, value: number) =>
  `${afterS} ${METRIC}{metric_id=${METRIC}} device_id:taurus-1 local_machine ${value}`;

Deno.test("each value is given once, with its own time, under its own metric", async () => {
  const answer = { value: [] as unknown[] };
  await using k = await asked(answer);
  const network = entry(3, 7, {
    metric_id: "network_in_bytes_total",
    device_id: "gw",
    labels: { _device_orig: "taurus-1-eth0" },
  });
  answer.value = [entry(2, 101), entry(1, 100.5), entry(-5, 1), network, entry(1, 9, { metric_id: "other" })];
  assert.deepEqual(await k.pollAfter(4000), [
    row(1, 100.5),
    row(2, 101),
    "3 network_in_bytes_total{metric_id=network_in_bytes_total} device_id:gw device_origin:taurus-1-eth0 7",
  ]);
  answer.value = [...answer.value, entry(12, 102)];
  assert.deepEqual(await k.pollAfter(10_000), [row(12, 102)], "what was taken is asked for and left out");
  const [{ path, headers }] = k.server.requests;
  assert.equal(
    path,
    `/stable/sites/lyon/metrics?nodes=taurus-1&metrics=${METRIC}%2Cnetwork_in_bytes_total` +
      `&start_time=${START_S}&end_time=${START_S + 5}`,
  );
  assert.equal(headers.get("authorization"), `Basic ${btoa("me:s3cret")}`);
  await k.pollAfter(100_000);
  assert.match(k.server.requests[2].path, new RegExp(`start_time=${START_S + 114 - 60}&`), "look_back is 1m");
});

Deno.test("an answer that fails is reported, costs nothing of what comes later, and is asked for again", async () => {
  const answer = { value: {} as unknown };
  let status = 401;
  await using k = await asked(answer, () => status);
  assert.deepEqual(await k.pollAfter(1000), []);
  assert.match(k.lines.join(""), /WARN .*Cannot ask Kwollect: HTTP 401/);
  status = 200;
  assert.deepEqual(await k.pollAfter(60_000), []);
  assert.match(k.lines.join(""), /the answer is not a list/);
  answer.value = [entry(55, 5)];
  assert.deepEqual(await k.pollAfter(10_000), [row(55, 5)]);
  assert.match(k.lines.join(""), /Kwollect answers again/);
  await k.server[Symbol.asyncDispose]();
  assert.deepEqual(await k.pollAfter(60_000), []);
  assert.match(k.lines.at(-1)!, /Cannot ask Kwollect: client error .* url=/);
});

Deno.test("entries that are not values are left out", () => {
  const bad = [null, 7, [], {}, entry(1, "7"), entry(1, null), entry(1, 1, { device_id: "" })];
  const worse = [
    entry(1, 1, { timestamp: "today" }),
    entry(1, 1, { metric_id: 7 }),
    entry(1, 1, { device_id: "a b" }),
  ];
  assert.deepEqual(valuesOf([...bad, ...worse]), []);
  assert.equal(
    valuesOf([entry(1, 1, { labels: null }), entry(1, 1, { labels: { _device_orig: 7 } })]).length,
    2,
  );
  assert.throws(() => valuesOf({ message: "no" }), /not a list/);
});

Deno.test("times have their offset and all their digits, and names say the units", () => {
  assert.deepEqual(timeOf("2026-03-05T10:12:00.123456+01:00"), { seconds: START_S, nanos: 123_456_000 });
  assert.deepEqual(timeOf("2026-03-05T09:12:00Z"), { seconds: START_S, nanos: 0 });
  for (const wrong of ["2026-03-05T10:12:00", "2026-13-05T10:12:00Z", "", 7]) {
    assert.equal(timeOf(wrong), undefined);
  }
  assert.deepEqual(unitOf(METRIC), { base: "W", prefix: "" });
  assert.deepEqual(unitOf("pdu_power_kilowatt"), { base: "W", prefix: "kilo" });
  assert.deepEqual(unitOf("network_in_bytes_total"), { base: "By", prefix: "" });
  assert.deepEqual(unitOf("pdu_VAr"), { base: "V.A_r", prefix: "" });
  assert.deepEqual(unitOf("x_constructor"), { base: "constructor", prefix: "" });
});
