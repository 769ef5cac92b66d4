import assert from "node:assert/strict";
import {
  ClientRecord,
  ClientTable,
  isMark,
  isOwn,
  LOCAL_ORIGIN,
  markName,
} from "../../lib/points/origins.ts";
import { instanceOf, numbered, NUMBERS } from "../kit/points.ts";

Deno.test("records of one instance share their numbers, and no others do", () => {
  const clients = new ClientTable();
  const [one, two] = [clients.get("one", instanceOf("x")), clients.get("two", instanceOf("x"))];
  const others = [clients.get("one", instanceOf("y")), clients.get("one"), clients.get("two")];
  one.numbers.accepted = 5;
  const batch = numbered(2);
  batch.credit(one, 4);
  clients.makeDurable(batch);
  assert.deepEqual([two.accepted, two.durable], [5, 4]);
  for (const other of others) assert.deepEqual([other.accepted, other.durable], [0, 0]);
});

Deno.test("what outputs have stored counts for an instance under each of its names", () => {
  const clients = new ClientTable();
  clients.addOutput("a");
  clients.addOutput("b");
  const [one, two] = [clients.get("one", instanceOf("x")), clients.get("two", instanceOf("x"))];
  for (const [client, output, sequence] of [[one, "a", 7], [two, "a", 9], [one, "b", 8]] as const) {
    const batch = numbered(1);
    batch.credit(client, sequence);
    clients.settle(batch, output, "stored");
  }
  assert.deepEqual([one.stored, two.stored], [8, 8]);
});

Deno.test("an instance keeps its numbers as long as one of its names is remembered", () => {
  const clients = new ClientTable();
  const one = clients.get("one", instanceOf("x"));
  one.numbers.accepted = 3;
  clients.get("two", instanceOf("x"));
  clients.forget(one);
  assert.equal(clients.get("three", instanceOf("x")).accepted, 3);
  for (const client of [...clients]) clients.forget(client);
  assert.equal(clients.get("one", instanceOf("x")).accepted, 0);
  clients.forget(clients.get("one", instanceOf("x")));
  clients.remember(one);
  assert.equal(clients.get("two", instanceOf("x")).accepted, 3);
});

Deno.test("an account begins with nothing, and each point is counted where it went", () => {
  const clients = new ClientTable();
  clients.addOutput("a");
  clients.addOutput("a");
  const client = clients.get("c", instanceOf("c"));
  assert.deepEqual(client.account("a"), { keptAtStart: 0, stored: 0, dropped: 0, sequence: 0 });
  assert.deepEqual([client.stored, client.isKept, client.kept("a")], [0, false, 0]);
  client.receivedPoints = 10;
  client.rejectedPoints = 2;
  client.duplicatePoints = 1;
  assert.deepEqual([client.kept("a"), client.isKept, client.lastContactMs], [7, true, 0]);
  const batch = numbered(5);
  batch.credit(client, 3);
  batch.push(NUMBERS, 1, 0, 5);
  batch.credit(clients.local);
  clients.transform(batch, -1);
  assert.deepEqual([client.transformedPoints, clients.local.transformedPoints], [-5, -1]);
  assert.equal(client.kept("a"), 2);
  clients.transform(batch, 1);
  clients.settle(batch, "a", "stored");
  assert.deepEqual([client.kept("a"), client.account("a").sequence, client.stored], [2, 3, 3]);
  const last = numbered(2);
  last.credit(client, 2);
  clients.settle(last, "a", "dropped");
  assert.deepEqual(client.account("a"), { keptAtStart: 0, stored: 5, dropped: 2, sequence: 3 });
  assert.equal(client.isKept, false);
  const own = numbered(4);
  clients.transform(own, -1);
  clients.settle(own, "a", "stored");
  assert.deepEqual([clients.local.transformedPoints, clients.local.account("a").stored], [-4, 5]);
});

Deno.test("a client without contact for 30 days is forgotten, unless its points are kept", () => {
  const DAYS = 24 * 3_600_000;
  let now = 1000 * DAYS;
  const clients = new ClientTable(100, () => now);
  clients.addOutput("a");
  const [quiet, kept, busy] = ["quiet", "kept", "busy"].map((name) => clients.get(name, instanceOf(name)));
  const mark = clients.get(markName("x"));
  for (const client of [quiet, kept, busy]) client.lastContactMs = now;
  kept.receivedPoints = 1;
  now += 30 * DAYS;
  clients.forgetOld();
  assert.deepEqual([quiet, kept, busy].map(({ isRemembered }) => isRemembered), [true, true, true]);
  busy.lastContactMs = now;
  now += 1;
  clients.forgetOld();
  assert.deepEqual([quiet, kept, busy, mark].map(({ isRemembered }) => isRemembered), [
    false,
    true,
    true,
    true,
  ]);
  assert.ok(!new ClientRecord("busy", instanceOf("busy")).isRemembered, "another one with its name");
  clients.remember(quiet);
  clients.remember(quiet);
  assert.ok(quiet.isRemembered && clients.size === 4);
  now += 31 * DAYS;
  clients.forgetOld();
  const again = clients.get("quiet", instanceOf("quiet"));
  clients.remember(quiet);
  assert.deepEqual([quiet.isRemembered, again.isRemembered], [false, true], "another one has its place");
});

Deno.test("of too many clients those longest without contact go first, and those with points here last", () => {
  let now = 1;
  const clients = new ClientTable(4, () => now);
  clients.addOutput("a");
  const all = ["a", "b", "c", "d", "e"].map((name, n) => {
    const client = clients.get(name, instanceOf(name));
    client.lastContactMs = [3, 2, 5, 1, 4][n];
    return client;
  });
  const names = () => [...clients].map(({ name }) => name).join("");
  // With a quarter more than its number the table is tidied at the next one.
  assert.equal(names(), "abcde");
  all[3].receivedPoints = 1;
  now = 10;
  clients.get("f", instanceOf("f")).lastContactMs = now;
  assert.equal(names(), "acdef");
  clients.forgetOld();
  assert.equal(names(), "cdef");
});

Deno.test("points that are here keep two clients in a full table, however old they are", () => {
  const clients = new ClientTable(3, () => 10);
  clients.addOutput("a");
  for (const [name, points] of [["a", 1], ["b", 0], ["c", 1], ["d", 0]] as const) {
    const client = clients.get(name, instanceOf(name));
    client.lastContactMs = clients.size;
    client.receivedPoints = points;
  }
  clients.forgetOld();
  assert.equal([...clients].map(({ name }) => name).join(""), "acd");
});

Deno.test("a table forgets nobody until it has a quarter more than its number, which is 20,000", () => {
  const clients = new ClientTable(undefined, () => 1e12);
  for (let n = 0; n < 25_000; n++) clients.get(`${n}`);
  assert.equal(clients.size, 25_000);
  clients.get("next");
  assert.equal(clients.size, 1, "all others have had no contact for long");
  const few = new ClientTable(6, () => 10);
  for (const name of "abcd") few.get(name);
  few.forgetOld();
  assert.equal(few.size, 4);
});

Deno.test("a name without an account of an output does not count as one that has stored something", () => {
  const clients = new ClientTable();
  const [one, two] = [clients.get("one", instanceOf("x")), clients.get("two", instanceOf("x"))];
  assert.equal(one.account("a").sequence, 0);
  assert.deepEqual([one.stored, two.stored], [0, 0]);
});

Deno.test("of a name's instances the thousand last ones are known when there are more than two thousand", () => {
  const clients = new ClientTable(1e6, () => 0);
  clients.addOutput("a");
  const of = (n: number) => clients.get("same", instanceOf(`${n}`));
  // Those that were forgotten, or remembered although they were there, are not counted.
  clients.remember(of(0));
  clients.forget(of(9999));
  for (let n = 0; n < 2000; n++) of(n).lastContactMs = 7 * n % 2000;
  assert.equal(clients.size, 2000);
  of(0).receivedPoints = 1;
  clients.get("other", instanceOf("other"));
  of(2000).lastContactMs = 2000;
  assert.equal(clients.size, 1002);
  const left = new Set([...clients].map(({ lastContactMs, name }) => name === "same" ? lastContactMs : -1));
  // The last one had no contact yet when the others went.
  assert.ok(left.has(0) && left.has(1999) && left.has(2000) && !left.has(1000), `${[...left].slice(0, 5)}`);
  for (let n = 3000; n < 3999; n++) of(n);
  assert.equal(clients.size, 2001);
  of(4000);
  assert.equal(clients.size, 1002);
});

Deno.test("what outputs know of a client counts, and one that cannot say is passed over", async () => {
  const clients = new ClientTable();
  clients.addOutput("a");
  const client = clients.get("c", instanceOf("c"));
  client.numbers.accepted = 5;
  client.numbers.durable = 4;
  client.account("a").sequence = 2;
  assert.deepEqual(
    [await clients.sequenceOf(client, "stored"), await clients.sequenceOf(client, "durable")],
    [2, 4],
  );
  clients.sources.push(
    () => Promise.resolve(7),
    () => Promise.reject(new Error("away")),
    () => Promise.resolve(0),
  );
  assert.equal(await clients.sequenceOf(client, "durable"), 4);
  assert.equal(client.accepted, 5);
  assert.equal(await clients.sequenceOf(client, "stored"), 7);
  assert.equal(client.accepted, 7);
  client.account("a").sequence = 9;
  assert.equal(await clients.sequenceOf(client, "stored"), 9);
  const [none, one] = [new ClientTable(), new ClientTable()];
  assert.equal(await none.sequenceOf(new ClientRecord("n", ""), "stored"), 0);
  none.sources.push(() => Promise.reject(new Error("away")));
  assert.equal(await none.sequenceOf(new ClientRecord("n", ""), "stored"), 0);
  one.sources.push(() => Promise.resolve(7));
  assert.equal(await one.sequenceOf(new ClientRecord("n", ""), "stored"), 7);
});

Deno.test("names of this program's own are no clients, and all but the inputs' are marks", () => {
  assert.deepEqual([isOwn({ name: LOCAL_ORIGIN }), isMark({ name: LOCAL_ORIGIN })], [true, false]);
  assert.deepEqual([isOwn({ name: markName("m") }), isMark({ name: markName("m") })], [true, true]);
  for (const name of ["", "local", "node"]) {
    assert.deepEqual([isOwn({ name }), isMark({ name })], [false, false]);
  }
});
