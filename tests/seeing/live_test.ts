import assert from "node:assert/strict";
import type { Figures } from "../../lib/agent/figures.ts";
import { http } from "../../lib/http/config.ts";
import { Batch, type Metric, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { Hosts } from "../../lib/seeing/live/hosts.ts";
import { hostPower, powerKindOf } from "../../lib/points/power.ts";
import { LiveRing, SAMPLES, STEP_SECONDS } from "../../lib/seeing/live/ring.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { rates } from "../../lib/transforms/rates.ts";
import { Site } from "./site.ts";

const metric = (name: string, base: string, prefix = ""): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix },
  description: "",
});
const WATTS = metric("meter_power", "W");
const rapl = (domain: string) =>
  seriesOf(metric("rapl_consumed_energy", "J"), { attributes: [["domain", domain]] });

Deno.test("power and energy are known by their units, and meters that contain each other are not added", () => {
  assert.equal(powerKindOf(seriesOf(metric("mem_free", "By"))), null);
  assert.equal(powerKindOf(seriesOf(metric("battery", "W.h"))), null);
  assert.deepEqual(powerKindOf(seriesOf(metric("input_power", "W", "milli"))), {
    role: "other",
    factor: 1e-3,
    isEnergy: false,
  });
  const roles = ["package_total", "dram_total", "pp0_total", "package", "platform_total"].map((domain) =>
    powerKindOf(rapl(domain))!.role
  );
  assert.deepEqual(roles, ["part", "part", "inside", "inside", "whole"]);
  assert.equal(powerKindOf(seriesOf(metric("odd_power", "W", "dozen"))), null);
  // Of joules, only what counters of energy say is added: the others are sums of what powers say.
  const kinds: [attributes: [string, string][], watts: string, joules: string][] = [
    [[["sensor", "total"]], "whole", "inside"],
    [[["sensor", "cpu"]], "other", "other"],
    [[["chip", "power_meter"]], "whole", "inside"],
    [[["chip", "nvme"]], "inside", "inside"],
    [[["ina_channel_label", "VDD_IN"]], "whole", "whole"],
    [[["ina_channel_label", "VDD_GPU"]], "inside", "inside"],
    [[["status", "Discharging"]], "whole", "whole"],
    [[["status", "Charging"]], "inside", "inside"],
    [[["domain", "dram"], ["domain", "platform_total"]], "whole", "whole"],
  ];
  const roleOf = (base: string, rest: Parameters<typeof seriesOf>[1], name = "x") =>
    powerKindOf(seriesOf(metric(name, base), rest))!.role;
  for (const [attributes, watts, joules] of kinds) {
    assert.deepEqual(
      [roleOf("W", { attributes }), roleOf("J", { attributes })],
      [watts, joules],
      `${attributes}`,
    );
  }
  assert.deepEqual([roleOf("W", {}), roleOf("W", {}, "grace_instant_power")], ["other", "inside"]);
  const gpu = { resourceKind: "gpu", resourceId: "0" };
  assert.deepEqual([roleOf("W", gpu), roleOf("J", gpu)], ["part", "inside"]);
  const process = seriesOf(WATTS, { consumerKind: "process", consumerId: "7" });
  assert.equal(powerKindOf(process)!.role, "consumer");
  const meter = (role: "whole" | "part" | "other", name: string, watts: number) => ({
    role,
    metric: name,
    watts,
  });
  assert.equal(
    hostPower([meter("part", "rapl", 50), meter("part", "rapl", 10), meter("part", "gpu", 100)]),
    160,
  );
  assert.equal(
    hostPower([meter("part", "rapl", 50), meter("whole", "ipmi", 200), meter("other", "x", 999)]),
    200,
  );
  assert.equal(hostPower([meter("other", "a", 5), meter("other", "a", 6), meter("other", "b", 7)]), 11);
  assert.equal(hostPower([meter("part", "rapl", 50), meter("other", "x", 999)]), 50);
  assert.ok(Number.isNaN(hostPower([])));
});

/** A ring whose points come from one host, or from those that their client names. */
function ringOf(nowMs: number, limitBytes = 1024 * 1024) {
  const store = new SeriesStore();
  const meters: number[] = [];
  const ring = new LiveRing(
    limitBytes,
    {
      hostOf: (number) => Number(store.clientAttributeOf(number)?.[1] ?? 0),
      onMeter: (slot) => void meters.push(slot),
      onForget: (slot) => void meters.splice(meters.indexOf(slot), 1),
    },
    nowMs,
    store,
  );
  const take = (
    ...points: (readonly [series: ReturnType<typeof seriesOf>, seconds: number, value: number])[]
  ) => {
    const batch = new Batch(16, null, store);
    for (const [series, seconds, value] of points) {
      batch.push(series, Math.floor(seconds), Math.round(seconds % 1 * 1e9), value);
    }
    ring.take(batch);
    batch.release();
  };
  return { ring, take, meters, store };
}

const START = 1_800_000_000;

Deno.test("the samples of a series are its values by their times, also of points that come late", () => {
  const { ring, take } = ringOf(START * 1000);
  const power = seriesOf(WATTS);
  take([power, START, 10], [power, START + 0.1, 99], [power, START + 1, 11]);
  ring.advance((START + 2 * STEP_SECONDS) * 1000);
  take([power, START + 2 * STEP_SECONDS, 30], [power, START + STEP_SECONDS, 20]);
  const [slot] = ring.slots();
  assert.deepEqual(ring.samplesOf(slot)!.slice(-4), [NaN, 11, 20, 30]);
  assert.equal(ring.lastOf(slot), 30);
  ring.advance((START + (SAMPLES + 10) * STEP_SECONDS) * 1000);
  assert.ok(ring.samplesOf(slot)!.every(Number.isNaN), "samples of an hour ago are gone");
  assert.equal(ring.lastOf(slot), 30);
});

Deno.test("an energy is shown as power, from its second point on", () => {
  const { ring, take, meters } = ringOf(START * 1000);
  const energy = rapl("package_total");
  take([energy, START, 500]);
  const [slot] = ring.slots();
  assert.ok(Number.isNaN(ring.lastOf(slot)));
  take([energy, START + 2, 500]);
  assert.equal(ring.lastOf(slot), 250);
  assert.deepEqual(meters, [slot]);
});

Deno.test("a full ring keeps what it has, and takes others when series are forgotten", () => {
  const { ring, take, store } = ringOf(START * 1000, 64 * 1024);
  const series = (n: number) => seriesOf(WATTS, { resourceKind: "meter", resourceId: String(n) });
  for (let n = 0; n < 1000; n++) take([series(n), START, n]);
  const known = [...ring.slots()].length;
  assert.ok(known > 100 && known < 1000, `${known}`);
  assert.equal(ring.refused, 1000 - known);
  store.poison();
  for (let n = 0; n < 2000 && [...ring.slots()].length > 0; n++) store.tick();
  assert.deepEqual([...ring.slots()], []);
  take([series(5000), START, 7]);
  const [slot] = ring.slots();
  assert.equal(ring.lastOf(slot), 7);
});

Deno.test("the series of a host that somebody looks at get samples, where there is no room for those of all", () => {
  const { ring, take } = ringOf(START * 1000, 100 * 1024);
  const memory = metric("mem_free", "By");
  const poll = (seconds: number) => {
    ring.advance(seconds * 1000);
    for (let host = 0; host < 30; host++) {
      for (let n = 0; n < 4; n++) {
        const series = seriesOf(memory, { resourceId: `${n}`, attributes: [["relay_client", `${host}`]] });
        take([series, seconds, host + n]);
      }
    }
  };
  poll(START);
  const sampled = (host: number) =>
    [...ring.slots()].filter((slot) => ring.hostOf(slot) === host)
      .filter((slot) => ring.samplesOf(slot)?.includes(host)).length;
  assert.deepEqual([sampled(0) > 0, sampled(29)], [true, 0]);
  ring.look(29);
  poll(START + STEP_SECONDS);
  assert.ok(sampled(29) > 0, "they are sampled from now on");
  for (const other of [28, 27]) ring.look(other);
  poll(START + 2 * STEP_SECONDS);
  assert.deepEqual([sampled(0) > 0, sampled(27) > 0, sampled(29)], [true, true, 0]);
  ring.look(29);
  poll(START + 3 * STEP_SECONDS);
  assert.deepEqual([sampled(29) > 0, sampled(28)], [true, 0]);
});

Deno.test("a series that comes when hosts that are looked at have all the room gets no samples", () => {
  const { ring, take, store } = ringOf(START * 1000, 256 * 1024);
  const memory = metric("mem_free", "By");
  const poll = (host: number, count: number) => {
    for (let n = 0; n < count; n++) {
      take([seriesOf(memory, { resourceId: `${n}`, attributes: [["relay_client", `${host}`]] }), START, n]);
    }
  };
  const samples = (host: number) =>
    [...ring.slots()].filter((slot) => ring.hostOf(slot) === host).map((slot) => ring.samplesOf(slot));
  poll(0, 30);
  poll(1, 200);
  ring.look(1);
  store.poison();
  for (let n = 0; n < 1000 && samples(0).length > 0; n++) {
    store.tick();
    poll(1, 200);
  }
  assert.deepEqual(samples(0), []);
  ring.look(1);
  poll(2, 3);
  assert.deepEqual(samples(2), [null, null, null]);
});

Deno.test("the default memory has room for the last values of 1,000 hosts with 50 series each", () => {
  // A hundredth of both.
  const { ring, take } = ringOf(START * 1000, http.defaultValue().memory / 100);
  const memory = metric("mem_free", "By");
  for (let n = 0; n < 500; n++) take([seriesOf(memory, { resourceId: `${n}` }), START, n]);
  assert.equal(ring.refused, 0);
});

Deno.test("where there is no room for all series, there is some for power", () => {
  const { ring, take } = ringOf(START * 1000, 64 * 1024);
  const memory = metric("mem_free", "By");
  for (let n = 0; n < 2000; n++) take([seriesOf(memory, { resourceId: `${n}` }), START, n]);
  assert.ok(ring.refused > 0);
  take([seriesOf(WATTS), START, 7]);
  assert.deepEqual([...ring.slots()].map((slot) => ring.roleOf(slot)).filter((role) => role !== null), [
    "other",
  ]);
});

Deno.test("a slot that becomes free goes to one series that was refused, and no other is looked at again", () => {
  const { ring, take, store } = ringOf(START * 1000, 64 * 1024);
  const memory = metric("mem_free", "By");
  const plain = Array.from({ length: 500 }, (_, n) => seriesOf(memory, { resourceId: `${n}` }));
  const power = Array.from({ length: 100 }, (_, n) => seriesOf(WATTS, { resourceId: `${n}` }));
  const counts = () => {
    const roles = [...ring.slots()].map((slot) => ring.roleOf(slot));
    return { plain: roles.filter((role) => role === null).length, all: roles.length, refused: ring.refused };
  };
  const poll = (seconds: number, first = 0) =>
    take(...[...plain, ...power].slice(first).map((series, n) => [series, seconds, n] as const));
  poll(START);
  const full = counts();
  assert.ok(full.plain < 500 && full.all - full.plain < 100, `${full.plain}, ${full.all}`);
  assert.equal(full.all + full.refused, 600);
  const asked = new Set<number>();
  const { metricOf } = SeriesStore.prototype;
  store.metricOf = (number) => {
    asked.add(number);
    return metricOf.call(store, number);
  };
  poll(START + 1);
  assert.deepEqual([counts(), asked.size], [full, 0]);

  // The first one does not come any more.
  store.poison();
  store.tick();
  for (let n = 2; counts().all === full.all && n < 1000; n++) {
    poll(START + n, 1);
    store.tick();
  }
  assert.deepEqual([counts(), asked.size], [{ ...full, plain: full.plain - 1, all: full.all - 1 }, 0]);
  poll(START + 1000, 1);
  const after = { plain: full.plain - 1, all: full.all, refused: full.refused - 1 };
  assert.deepEqual([counts(), asked.size], [after, 1], "there is room for power alone");

  for (let n = 0; counts().all > 0 && n < 1000; n++) store.tick();
  assert.deepEqual(counts(), { plain: 0, all: 0, refused: 0 });
});

Deno.test("of more points than there is time for, power alone is taken until the next look", () => {
  const { ring, take, store } = ringOf(START * 1000);
  const [power, memory] = [seriesOf(WATTS), seriesOf(metric("mem_free", "By"))];
  take([power, START, 1], [memory, START, 1]);
  const many = new Batch(5000, null, store);
  for (let n = 0; n < 5000; n++) many.push(power, START + 1, 0, 2);
  for (let n = 0; n < 24; n++) ring.take(many);
  many.release();
  take([power, START + 2, 3], [memory, START + 2, 3]);
  const lasts = () => [...ring.slots()].map((slot) => ring.lastOf(slot));
  assert.deepEqual(lasts(), [3, 1]);
  ring.advance((START + 3) * 1000);
  take([power, START + 3, 4], [memory, START + 3, 4]);
  assert.deepEqual(lasts(), [4, 4]);
});

/** Figures with these clients; a client may have several instances. */
function figuresOf(
  clients: Record<string, { at: number; connected?: boolean; received?: number }>,
  more: typeof clients = {},
): Figures {
  return {
    eachContact(see) {
      for (const instances of [clients, more]) {
        for (const [name, { at, received = 0 }] of Object.entries(instances)) see(name, at, received);
      }
    },
    connectionOf: (name: string) => clients[name]?.connected ? { address: "a", version: "v" } : undefined,
  } as Partial<Figures> as Figures;
}

const statesAt = (hosts: Hosts, nowMs: number) =>
  Object.fromEntries(hosts.rows(nowMs).map(({ name, state }) => [name, state]));

Deno.test("a host that was connected is silent seconds after its connection has gone, and not while it reconnects", () => {
  const hosts = new Hosts("server", 1e6);
  hosts.look(figuresOf({ a: { at: 1000, connected: true } }), 1000);
  hosts.look(figuresOf({ a: { at: 2000 } }), 2000);
  assert.deepEqual(statesAt(hosts, 4000), { a: "live" });
  assert.deepEqual(statesAt(hosts, 9000), { a: "silent" });
  hosts.look(figuresOf({ a: { at: 10_000, connected: true } }), 10_000);
  assert.deepEqual(statesAt(hosts, 10_000), { a: "live" });
});

Deno.test("a host that is connected is silent when it says nothing for much longer than usual", () => {
  const hosts = new Hosts("server", 1e6);
  for (let second = 1; second <= 30; second++) {
    const slow = second < 30 ? 1000 : 30_000;
    hosts.look(
      figuresOf({ fast: { at: second * 1000, connected: true }, slow: { at: slow, connected: true } }),
      second * 1000,
    );
  }
  assert.deepEqual(statesAt(hosts, 34_000), { fast: "live", slow: "live" });
  assert.deepEqual(statesAt(hosts, 40_000), { fast: "silent", slow: "live" });
  assert.deepEqual(statesAt(hosts, 150_000), { fast: "silent", slow: "silent" });
});

Deno.test("the rate of a host is what came since the last look", () => {
  const hosts = new Hosts("server", 1e6);
  hosts.look(figuresOf({ a: { at: 1000, received: 100 } }), 1000);
  hosts.look(figuresOf({ a: { at: 3000, received: 500 } }), 3000);
  assert.equal(hosts.rows(3000)[0].points_per_second, 200);
});

Deno.test("what instances of one host have sent is added", () => {
  const hosts = new Hosts("server", 1e6);
  hosts.look(figuresOf({ a: { at: 1000, received: 100 } }, { a: { at: 900, received: 7 } }), 1000);
  hosts.look(figuresOf({ a: { at: 1000, received: 100 } }, { a: { at: 2500, received: 27 } }), 3000);
  const [{ last_contact, points, points_per_second }] = hosts.rows(3000);
  assert.deepEqual([last_contact, points, points_per_second], [2.5, 127, 10]);
});

Deno.test("the power of a host in a step is the last one of that step, or of its end where nothing came", () => {
  const [store, hosts] = [new SeriesStore(), new Hosts("server", 1e6)];
  const ring: LiveRing = new LiveRing(
    1024 * 1024,
    {
      hostOf: () => hosts.numberOf("a"),
      onMeter: (slot) => hosts.addMeter(ring.hostOf(slot), slot),
      onForget: () => {},
    },
    START * 1000,
    store,
  );
  const take = (seconds: number, watts: number) => {
    const batch = new Batch(1, null, store);
    batch.push(seriesOf(WATTS), seconds, 0, watts);
    ring.take(batch);
    batch.release();
  };
  const step = (steps: number) =>
    hosts.sample(ring, ring.advance((ring.newestStep + steps) * STEP_SECONDS * 1000));
  take(START, 10);
  step(1);
  take(START + STEP_SECONDS, 30);
  step(3);
  take(START + 4 * STEP_SECONDS, 50);
  hosts.sample(ring, 0);
  assert.deepEqual(hosts.power(ring, 1)[0].watts.slice(-5), [10, 30, 30, 30, 50]);
});

Deno.test("the API shows hosts, their power and their series as they were sent", async () => {
  await using site = await Site.start();
  assert.deepEqual(await site.json("/api/v1/hosts"), []);
  const batch = new Batch();
  const now = Math.floor(Date.now() / 1000);
  const hostile = 'a"<script>\u202e';
  for (const [host, watts] of [["node-1", 123.5], [hostile, 50]] as const) {
    batch.push(seriesOf(WATTS, { attributes: [["relay_client", host]] }), now, 0, watts);
  }
  batch.push(
    seriesOf(metric("share_power", "W"), {
      consumerKind: "cgroup",
      consumerId: "/job-7",
      attributes: [["relay_client", "node-1"]],
    }),
    now,
    0,
    40,
  );
  site.push(batch);
  await until(
    async () => (await site.json("/api/v1/power")).hosts.length === 2,
    undefined,
    "the power of two hosts",
  );
  const { hosts } = await site.json("/api/v1/power");
  assert.deepEqual(
    hosts.map(({ name, watts }: { name: string; watts: number[] }) => [name, watts.at(-1)]),
    [["node-1", 123.5], [hostile, 50]],
  );
  // What is asked for is as it is now, not as it was at the last look; an answer is kept for the next who ask the same.
  const rows: { isLocal: boolean; points: number }[] = await site.json("/api/v1/hosts?again");
  assert.equal(rows.find(({ isLocal }) => isLocal)?.points, 3);
  const { series, step_seconds } = await site.json(`/api/v1/host?name=${encodeURIComponent(hostile)}`);
  assert.equal(step_seconds, STEP_SECONDS);
  assert.deepEqual([series.length, series[0].metric, series[0].unit, series[0].last], [
    1,
    "meter_power",
    "W",
    50,
  ]);
  assert.ok(series[0].values.includes(50));
  assert.deepEqual(await site.json("/api/v1/consumers"), [
    { host: "node-1", consumer: "cgroup /job-7", metric: "share_power", watts: 40 },
  ]);
  assert.equal((await site.get("/api/v1/host?name=nobody")).status, 404);
  const status = await site.json("/api/v1/status");
  assert.deepEqual([status.version, status.host, status.role, status.points], [
    "1.2.3",
    "server-1",
    "local",
    3,
  ]);
  assert.equal(status.outputs[0].name, "store");
  const log = await site.json("/api/v1/log");
  assert.ok(log.some(({ message }: { message: string }) => message === "Running"));
  const paths: string[] = await site.json("/api/v1");
  for (const path of paths.filter((path) => !/events|tap|host\?/.test(path))) {
    assert.equal((await site.get(path)).status, 200, path);
  }
});

Deno.test("longer spans than the memory holds come from the database, where an output writes one", async () => {
  await using dir = new TempDir();
  const database = { ...sqlite.config.defaultValue(), path: dir.file("m.sqlite"), flush_interval: 5 };
  const now = Math.floor(Date.now() / 1000);
  {
    await using site = await Site.start();
    assert.equal((await site.json("/api/v1/status")).history, false);
    const { status, text } = await site.get("/api/v1/power?span=3600");
    assert.deepEqual([status, /no output stores them/.test(text)], [503, true]);
  }
  await using site = await Site.start({ plugins: [{ plugin: sqlite, config: database }] });
  assert.equal((await site.json("/api/v1/status")).history, true);
  const batch = new Batch();
  for (const [host, watts] of [["node-1", 120], [undefined, 30]] as const) {
    const attributes = host === undefined ? [] : [["relay_client", host] as [string, string]];
    for (let ago = 1800; ago > 0; ago -= 10) batch.push(seriesOf(WATTS, { attributes }), now - ago, 0, watts);
  }
  site.push(batch);
  await until(() => site.agent.figures.pendingPoints === 0);
  const power = await site.json("/api/v1/power?span=3600");
  assert.deepEqual(
    power.hosts.map(({ name, watts }: { name: string; watts: number[] }) => [name, watts.at(-90)]),
    [["node-1", 120], ["server-1", 30]],
  );
  const host = await site.json("/api/v1/host?name=server-1&span=3600");
  assert.deepEqual([host.whole, host.step_seconds, host.series.length], [true, 10, 1]);
  assert.equal(host.series[0].values.filter((value: number | null) => value === 30).length, 180);
  for (const span of ["0", "x", "1e12"]) {
    assert.equal((await site.get(`/api/v1/power?span=${span}`)).status, 400, span);
  }
  Deno.removeSync(database.path);
  const gone = await site.get("/api/v1/host?name=node-1&span=7200");
  assert.deepEqual([gone.status, /no older values/.test(gone.text)], [503, true]);
});

Deno.test("what transforms with a memory make is seen, and what they take away is not", async () => {
  const rule = { metric: "meter_energy", as: "rate", rename: "meter_watts" };
  const config = rates.config.check({ rules: [rule] }, [], ({ message }) => assert.fail(message));
  await using site = await Site.start({ plugins: [{ plugin: rates, config }] });
  await site.json("/api/v1/hosts");
  const joules = seriesOf(metric("meter_energy", "J"));
  const now = Math.floor(Date.now() / 1000);
  for (const seconds of [now - 2, now]) {
    const batch = new Batch();
    batch.push(joules, seconds, 0, 50);
    site.push(batch);
  }
  const host = async () => (await site.json("/api/v1/host?name=server-1")).series;
  await until(async () => (await site.get("/api/v1/host?name=server-1")).status === 200);
  await until(async () => (await host()).length > 0);
  const series = await host();
  assert.deepEqual(series.map(({ metric, last }: { metric: string; last: number }) => [metric, last]), [[
    "meter_watts",
    25,
  ]]);
});

Deno.test("events come as they happen, to each who listens", async () => {
  await using site = await Site.start();
  const readers = await Promise.all([1, 2].map(async () => {
    const response = await fetch(`${site.url}/api/v1/events`);
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    return response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }));
  const texts = ["", ""];
  const reading = readers.map(async (reader, i) => {
    for (let part; !(part = await reader.read()).done;) texts[i] += part.value;
  });
  site.push(new Batch());
  await until(() => texts.every((text) => text.split("event: tick").length >= 3));
  const data = texts[0].split("\n").findLast((line) => line.startsWith("data: "))!;
  assert.equal(JSON.parse(data.slice(6)).status.role, "local");
  await Promise.all(readers.map((reader) => reader.cancel()));
  await Promise.all(reading);
});
