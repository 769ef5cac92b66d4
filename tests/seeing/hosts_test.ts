import assert from "node:assert/strict";
import type { Figures } from "../../lib/agent/figures.ts";
import type { PowerRole } from "../../lib/points/power.ts";
import { Hosts, orNull } from "../../lib/seeing/live/hosts.ts";
import { type LiveRing, SAMPLES } from "../../lib/seeing/live/ring.ts";

/** A time like those of today, in ms. */
const NOW = 1_800_000_000_000;
/** Memory for the power of that many hosts. */
const roomFor = (hosts: number) => hosts * SAMPLES * 4;

interface Contact {
  readonly at: number;
  readonly received?: number;
  readonly connected?: boolean;
}

/** What a process says of its clients; `""` is the process itself. */
function figuresOf(clients: Record<string, Contact>): Figures {
  return {
    eachContact(see) {
      for (const [name, { at, received = 0 }] of Object.entries(clients)) see(name, at, received);
    },
    connectionOf: (name) => clients[name]?.connected ? { address: "10.0.0.1:5", version: "1.2" } : undefined,
  } as Partial<Figures> as Figures;
}

const rowOf = (hosts: Hosts, name: string, nowMs = NOW) => hosts.rows(nowMs).find((row) => row.name === name);
const stateOf = (hosts: Hosts, name: string, nowMs: number) => rowOf(hosts, name, nowMs)?.state;

interface Meter {
  watts: number;
  silence?: number;
  role?: PowerRole;
}

/** Meters by their slots. */
function ringOf(newestStep: number, ...meters: Meter[]) {
  return {
    newestStep,
    lastOf: (slot) => meters[slot].watts,
    silenceOf: (slot) => meters[slot].silence ?? 0,
    roleOf: (slot) => meters[slot].role ?? "whole",
    metricOf: (slot) => `meter_${slot}`,
  } as Partial<LiveRing> as LiveRing & { newestStep: number };
}

Deno.test("a host that has lost its connection is silent when more than 4 seconds have passed", () => {
  const hosts = new Hosts("server", 0);
  hosts.look(figuresOf({ a: { at: NOW, connected: true } }), NOW);
  hosts.look(figuresOf({ a: { at: NOW } }), NOW + 1000);
  assert.equal(stateOf(hosts, "a", NOW + 4000), "live");
  assert.equal(stateOf(hosts, "a", NOW + 4001), "silent");
});

Deno.test("a host whose points come through a hop, after a connection of its own, is silent when no more come", () => {
  const hosts = new Hosts("server", 0);
  hosts.look(figuresOf({ a: { at: NOW, connected: true } }), NOW);
  // What has arrived on its connection may be taken a moment later.
  hosts.look(figuresOf({ a: { at: NOW + 4000 } }), NOW + 4000);
  assert.equal(stateOf(hosts, "a", NOW + 4001), "silent");
  for (const at of [NOW + 5000, NOW + 6000]) {
    hosts.look(figuresOf({ a: { at } }), at);
    assert.equal(stateOf(hosts, "a", at), "live");
  }
  assert.equal(stateOf(hosts, "a", NOW + 12_000), "live");
  assert.equal(stateOf(hosts, "a", NOW + 16_001), "silent");
});

Deno.test("a silence means something after 6 seconds, and after 2.5 times the usual one, which is 30 seconds at first", () => {
  const fast = new Hosts("server", 0);
  for (const at of [NOW, NOW + 1000]) fast.look(figuresOf({ a: { at } }), at);
  assert.equal(stateOf(fast, "a", NOW + 7000), "live");
  assert.equal(stateOf(fast, "a", NOW + 7001), "silent");

  const unknown = new Hosts("server", 0);
  unknown.look(figuresOf({ a: { at: NOW } }), NOW);
  assert.equal(stateOf(unknown, "a", NOW + 75_000), "live");
  assert.equal(stateOf(unknown, "a", NOW + 75_001), "silent");

  // From the first contact on, whenever that was; looks without a contact change nothing.
  const slow = new Hosts("server", 0);
  slow.look(figuresOf({ a: { at: 1 } }), 1);
  assert.equal(rowOf(slow, "a", 1)!.last_contact, 0.001);
  for (let ms = 10_001; ms <= 20_001; ms += 1000) slow.look(figuresOf({ a: { at: 10_001 } }), ms);
  assert.equal(stateOf(slow, "a", 35_001), "live");
  assert.equal(stateOf(slow, "a", 35_002), "silent");
  // With each shorter one, a tenth of the longest silence is forgotten.
  slow.look(figuresOf({ a: { at: 21_001 } }), 21_001);
  slow.look(figuresOf({ a: { at: 22_001 } }), 22_001);
  assert.equal(stateOf(slow, "a", 22_001 + 24_750), "live");
  assert.equal(stateOf(slow, "a", 22_001 + 24_751), "silent");
});

Deno.test("a host whose points come through another program is live while it has power", () => {
  const hosts = new Hosts("server", roomFor(5));
  for (const name of ["a", "b"]) hosts.numberOf(name);
  hosts.addMeter(hosts.numberOf("a"), 0);
  hosts.look(figuresOf({}), NOW);
  hosts.sample(ringOf(1000, { watts: 5 }), 0);
  const { state, watts, ...rest } = rowOf(hosts, "a")!;
  assert.deepEqual([state, watts], ["live", 5]);
  assert.deepEqual(rest, {
    name: "a",
    isLocal: false,
    connected: false,
    last_contact: null,
    silent_seconds: null,
    points: 0,
    points_per_second: 0,
    pending_points: 0,
    version: null,
    address: null,
  });
  const silent = rowOf(hosts, "b")!;
  assert.deepEqual([silent.state, silent.watts], ["silent", null]);
});

Deno.test("a row says when a host was heard, from where, and how long ago to a tenth of a second", () => {
  const hosts = new Hosts("server", 0);
  hosts.look(figuresOf({ a: { at: NOW + 250, connected: true, received: 7 } }), NOW + 500);
  assert.deepEqual(rowOf(hosts, "a", NOW + 60_349), {
    name: "a",
    isLocal: false,
    state: "live",
    connected: true,
    last_contact: NOW / 1000 + 0.25,
    silent_seconds: 60.1,
    points: 7,
    points_per_second: 0,
    pending_points: 0,
    watts: null,
    version: "1.2",
    address: "10.0.0.1:5",
  });
  // Its clock may be ahead.
  assert.equal(rowOf(hosts, "a", NOW)!.silent_seconds, 0);
});

Deno.test("the machine of the process is shown under its name when it has points, and is never silent", () => {
  const hosts = new Hosts("server", 0);
  hosts.numberOf("");
  assert.deepEqual(hosts.rows(NOW), []);
  hosts.look(figuresOf({ "": { at: NOW, received: 1 } }), NOW);
  const { name, isLocal, state, connected, silent_seconds, last_contact } = hosts.rows(NOW + 1e9)[0];
  assert.deepEqual([name, isLocal, state, connected, silent_seconds, last_contact], [
    "server",
    true,
    "live",
    true,
    null,
    NOW / 1000,
  ]);
});

Deno.test("hosts are found by the names that are shown, and one of the same name is not the machine of the process", () => {
  const hosts = new Hosts("server", 0);
  assert.equal(hosts.find("server"), undefined);
  assert.deepEqual([hosts.numberOf("a"), hosts.numberOf(""), hosts.numberOf("a")], [0, 1, 0]);
  assert.deepEqual([hosts.find("a"), hosts.find("server"), hosts.find("b")], [0, 1, undefined]);
  assert.deepEqual([hosts.shownName(0), hosts.shownName(1), hosts.shown("x"), hosts.shown("")], [
    "a",
    "server",
    "x",
    "server",
  ]);
  assert.deepEqual([hosts.named("server"), hosts.named("a"), hosts.named("nobody")], ["", "a", "nobody"]);
  assert.equal(hosts.numberOf("server"), 2);
  assert.deepEqual([hosts.find("server"), hosts.named("server")], [2, "server"]);
});

Deno.test("a rate is that of the last seconds, and fades with a time of 15 seconds", () => {
  const hosts = new Hosts("server", 0);
  const look = (seconds: number, received: number) =>
    hosts.look(figuresOf({ a: { at: NOW, received } }), NOW + seconds * 1000);
  const rate = () => rowOf(hosts, "a")!.points_per_second;
  look(0, 50);
  assert.equal(rate(), 0);
  look(1, 1050);
  assert.equal(rate(), 1000);
  // Whoever looks a second time at once sees the same.
  look(1, 9999);
  assert.deepEqual([rate(), rowOf(hosts, "a")!.points], [1000, 1050]);
  look(16, 1050);
  assert.equal(rate(), Math.round(10_000 / Math.E / (1 / Math.E + 15)) / 10);
  // A client that is forgotten leaves what it has sent, and what it sends again is not negative.
  look(17, 3);
  assert.equal(rowOf(hosts, "a")!.points, 1050);
  const fade = Math.exp(-1 / 15);
  assert.equal(rate(), Math.round(10_000 / Math.E * fade / ((1 / Math.E + 15) * fade + 1)) / 10);
});

Deno.test("what waits for the output that is furthest behind is added over the instances of a host", () => {
  const hosts = new Hosts("server", 0);
  const books = (client: string, ...kept: number[]) => ({
    client,
    outputs: Object.fromEntries(
      kept.map((kept, i) => [`out${i}`, { keptAtStart: 0, stored: 0, dropped: 0, kept }]),
    ),
  });
  const clients = () => [books("a", 5, 7), books("a", 1, 0), books("b", 0)];
  hosts.lookAtJournal({ clients } as unknown as Figures);
  assert.deepEqual(hosts.rows(NOW).map(({ name, pending_points }) => [name, pending_points]), [["a", 8], [
    "b",
    0,
  ]]);
});

Deno.test("the power of a host is that of its meters of the last minute", () => {
  const hosts = new Hosts("server", roomFor(5));
  const a = hosts.numberOf("a");
  for (const slot of [0, 1, 2]) hosts.addMeter(a, slot);
  const watts = (...meters: Meter[]) => {
    hosts.sample(ringOf(1000, ...meters), 0);
    return rowOf(hosts, "a")!.watts;
  };
  const parts = [1, 10, 100].map((watts): Meter => ({ watts, role: "part" }));
  assert.equal(watts(...parts), 111);
  parts[1].silence = 60;
  parts[2].silence = 61;
  assert.equal(watts(...parts), 11);
  hosts.removeMeter(a, 7);
  hosts.removeMeter(a, 0);
  assert.equal(watts(...parts), 10);
  hosts.removeMeter(a, 1);
  assert.equal(watts(...parts), null);
  parts[2].silence = 0;
  assert.equal(watts(...parts), 100);
  assert.equal(watts(parts[0], parts[1], { watts: NaN }), null);
  hosts.addMeter(a, 0);
  assert.equal(watts(parts[0], parts[1], { watts: NaN, role: "part" }), 1);
});

Deno.test("hosts have their power over time as long as there is room, and those with the most have lines of their own", () => {
  const hosts = new Hosts("server", roomFor(3) + 100);
  const none = hosts.numberOf("none");
  for (const [slot, name] of ["low", "", "high", "late"].entries()) {
    hosts.addMeter(hosts.numberOf(name), slot);
  }
  const ring = ringOf(10_000, { watts: 1 }, { watts: 22.2222226 }, { watts: 300 }, { watts: 4000 });
  hosts.sample(ring, 0);
  ring.newestStep++;
  hosts.addMeter(none, 3);
  hosts.sample(ring, 1);
  const last = (most: number) =>
    hosts.power(ring, most).map(({ name, watts, rest }) => [name, watts.length, watts.slice(-3), rest]);
  assert.deepEqual(last(3), [
    ["high", SAMPLES - 1, [null, 300, 300], false],
    ["server", SAMPLES - 1, [null, 22.2222, 22.2222], false],
    ["low", SAMPLES - 1, [null, 1, 1], false],
  ]);
  assert.deepEqual(last(1), [
    ["high", SAMPLES - 1, [null, 300, 300], false],
    ["2 others", SAMPLES - 1, [null, 23.2222, 23.2222], true],
  ]);
  // After a long pause, the whole time has what is known now.
  ring.newestStep += 10 * SAMPLES;
  hosts.sample(ring, 10 * SAMPLES);
  assert.ok(hosts.power(ring, 1)[0].watts.every((watts) => watts === 300));
  assert.deepEqual([orNull(NaN), orNull(Infinity), orNull(1.2345678)], [null, null, 1.23457]);
});

Deno.test("the hosts with the most power are those that have used the most, and of a time that is not known they used none", () => {
  const hosts = new Hosts("server", roomFor(2));
  hosts.addMeter(hosts.numberOf("new"), 0);
  hosts.addMeter(hosts.numberOf("old"), 1);
  const meters = [{ watts: NaN }, { watts: 0.5 }];
  const ring = ringOf(10_000, ...meters);
  hosts.sample(ring, SAMPLES);
  meters[0].watts = 2;
  ring.newestStep++;
  hosts.sample(ring, 0);
  assert.deepEqual(hosts.power(ring, 2).map(({ name }) => name), ["old", "new"]);
});

Deno.test("each step of the last quarter of an hour has its own power, oldest first", () => {
  const hosts = new Hosts("server", roomFor(2));
  hosts.addMeter(hosts.numberOf("a"), 0);
  const meter = { watts: 0 };
  const ring = ringOf(10_000, meter);
  for (let step = 0; step < 2 * SAMPLES; step++) {
    ring.newestStep++;
    meter.watts = step;
    hosts.sample(ring, 0);
  }
  const { watts } = hosts.power(ring, 1)[0];
  assert.deepEqual([watts.length, watts[0], watts.at(-1)], [SAMPLES - 1, SAMPLES + 1, 2 * SAMPLES - 1]);
});
