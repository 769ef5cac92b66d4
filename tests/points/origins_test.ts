import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import { instanceOf, numbered } from "../kit/points.ts";

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
