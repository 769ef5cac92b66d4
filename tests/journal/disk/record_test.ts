/** Whose points the records of a segment have, and what is counted of them, without a disk. */
import assert from "node:assert/strict";
import { Census, Counter, guessPoints, keyOf, LOCAL_KEY } from "../../../lib/journal/disk/format/census.ts";
import { OriginReader, OriginWriter, whole, writeIdentity } from "../../../lib/journal/disk/format/record.ts";
import { type ClientState, encodeSnapshot } from "../../../lib/journal/disk/format/snapshot.ts";
import type { ClientIdentity, ClientRecord, Origin } from "../../../lib/points/origins.ts";
import { PostcardError, PostcardReader, PostcardWriter } from "../../../lib/postcard.ts";
import { fromHex, toHex } from "../../kit/bytes.ts";

const ONE = { name: "one", instance: "f10e".repeat(8) };
const TWO = { name: "two", instance: "" };
const THREE = { name: "three", instance: "1e".repeat(16) };

/** That many points of a client, in its batch of that number. */
function origin(client: ClientIdentity, points: number, sequence = 0): Origin {
  return { client: client as ClientRecord, start: 5, end: 5 + points, sequence };
}

/** Payloads of the records of one segment. The batch of each begins with the number of its points; data follows. */
function payloadsOf(...records: Origin[][]): Uint8Array[] {
  const origins = new OriginWriter();
  return records.map((record) => {
    const writer = new PostcardWriter();
    origins.write(writer, record);
    const points = record.reduce((sum, { start, end }) => sum + end - start, 0);
    return writer.u64(points).raw(new Uint8Array(points)).written.slice();
  });
}

/** Reads the records of one segment, and notes what it finds. */
class Found {
  readonly lines: string[] = [];
  readonly reader = new OriginReader<ClientIdentity>({
    client: (identity) => {
      this.lines.push(`client ${identity.name} ${identity.instance}`);
      return identity;
    },
    origin: ({ name }, points, sequence) => void this.lines.push(`${points} of ${name} in ${sequence}`),
  });

  /** What is found in one more record. */
  in(payload: Uint8Array): (string | number)[] {
    this.lines.length = 0;
    return [this.reader.read(new PostcardReader(payload)), ...this.lines];
  }

  /** What is salvaged of one more record. */
  salvaged(payload: Uint8Array): string[] {
    const found: string[] = [];
    this.reader.salvage(
      new PostcardReader(payload),
      ({ name }, sequence) => void found.push(`${name} ${sequence}`),
    );
    return found;
  }

  passDamaged(payload: Uint8Array): void {
    this.reader.passDamaged(new PostcardReader(payload));
  }
}

Deno.test("a record names its clients, each of them in full when it comes first, with points and numbers", () => {
  const payloads = payloadsOf(
    [origin(ONE, 3, 7), origin(TWO, 1), origin(ONE, 2, 300)],
    [origin(TWO, 0, 1)],
    [],
  );
  assert.deepEqual(payloads.map(toHex), [
    "03" + "00" + "036f6e65" + "01" + ONE.instance + "0307" + "00" + "0374776f" + "00" + "0100" +
    "0102ac02" +
    "06" + "00".repeat(6),
    "01" + "020001" + "00",
    "00" + "00",
  ]);
  const found = new Found();
  assert.deepEqual(payloads.map((payload) => found.in(payload)), [
    [3, `client one ${ONE.instance}`, "3 of one in 7", "client two ", "1 of two in 0", "2 of one in 300"],
    [1, "0 of two in 1"],
    [0],
  ]);
});

Deno.test("a client that no record has named is not valid, nor is a number of points above 2^53", () => {
  const found = new Found();
  found.in(payloadsOf([origin(ONE, 1), origin(TWO, 1)])[0]);
  assert.throws(() => found.in(fromHex("02010101030101")), {
    code: "bad_discriminant",
    offset: 4,
    message: /client 3 of 2/,
  });
  const read = (number: bigint) => {
    const reader = new PostcardReader(new PostcardWriter().u8(1).u64(number).written);
    reader.u8();
    return whole(reader);
  };
  assert.equal(read(2n ** 53n), 2 ** 53);
  assert.throws(() => read(2n ** 53n + 1n), { code: "bad_varint", offset: 1 });
});

Deno.test("an identity with another instance id than 32 hexadecimal digits is not written", () => {
  for (const instance of ["1", "g".repeat(32), "0".repeat(31), "0".repeat(33), "A".repeat(32)]) {
    assert.throws(
      () => writeIdentity(new PostcardWriter(), { name: "one", instance }),
      /Cannot keep the instance id ".*": it is not 32 hexadecimal digits/,
    );
  }
});

Deno.test("what is salvaged of a record is what it has, with data behind it or not", () => {
  const [payload] = payloadsOf([origin(ONE, 3, 7), origin(ONE, 1, 8)]);
  for (const behind of [[], [0, 0, 0], [1, 1, 9, 1, 1, 9]]) {
    const found = new Found();
    assert.deepEqual(found.salvaged(Uint8Array.from([...payload, ...behind])), ["one 7", "one 8"]);
  }
});

Deno.test("clients that a damaged record names are taken where its points are those of its batch", () => {
  const [first, damaged, last] = payloadsOf(
    [origin(ONE, 1, 1)],
    [origin(TWO, 2, 5), origin(ONE, 1, 2), origin(THREE, 1, 6)],
    [origin(THREE, 1, 7), origin(ONE, 1, 3), origin(TWO, 1, 8)],
  );
  const found = new Found();
  found.in(first);
  found.passDamaged(damaged);
  assert.deepEqual(found.in(last), [3, "1 of three in 7", "1 of one in 3", "1 of two in 8"]);
});

Deno.test("once clients of a damaged record are uncertain, only those that were named before are known", () => {
  const records = payloadsOf(
    [origin(ONE, 1, 1)],
    [origin(TWO, 1, 5)],
    [origin(THREE, 1, 6)],
    [origin(TWO, 1, 7), origin(ONE, 1, 2), origin(THREE, 1, 8)],
  );
  // The numbers of points differ; and a record that seems to have no clients may have had some.
  const uncertain = [records[1].with(-2, 3), Uint8Array.of(0, 0), Uint8Array.of(0, 7)];
  for (const damaged of uncertain) {
    const found = new Found();
    found.in(records[0]);
    found.passDamaged(damaged);
    assert.deepEqual(found.salvaged(records[2]), ["three 6"], "it is named there");
    assert.deepEqual(found.salvaged(records[3]), ["one 2"]);
    // What is certain in itself has no certain numbers any more.
    found.passDamaged(records[1]);
    assert.deepEqual(found.salvaged(records[3]), ["one 2"]);
  }
  assert.throws(() => new Found().passDamaged(records[1].subarray(0, 4)), PostcardError);
});

function stateOf(client: ClientIdentity, sequence: number, points: number, contactMs: number): ClientState {
  return { name: client.name, instance: client.instance, sequence, points, contactMs };
}

const LOCAL = { name: "", instance: "" };

Deno.test("points are counted for the clients of a record, or for this process where it names none", () => {
  const counter = new Counter(new Census(100), 5000);
  const payloads = payloadsOf(
    [origin(ONE, 3, 7), origin(TWO, 1), origin(ONE, 2, 6)],
    [],
    [origin(ONE, 4, 9)],
  );
  payloads[1][1] = 8;
  assert.deepEqual(payloads.map((payload) => counter.add(payload)), [6, 8, 4]);
  const { census } = counter;
  assert.equal(census.points, 118);
  assert.deepEqual([...census.clients], [
    [LOCAL_KEY, stateOf(LOCAL, 0, 8, 0)],
    [keyOf(ONE), stateOf(ONE, 9, 9, 5000)],
    [keyOf(TWO), stateOf(TWO, 0, 1, 5000)],
  ]);
  // Other records of these clients came later.
  const earlier = new Counter(census.copy(), 4000);
  assert.equal(earlier.add(payloadsOf([origin(ONE, 1, 8)])[0]), 1);
  assert.deepEqual(earlier.census.clients.get(keyOf(ONE)), stateOf(ONE, 9, 10, 5000));
  assert.equal(census.clients.get(keyOf(ONE))!.points, 9, "a copy has states of its own");
  const unseen = new Counter(new Census());
  assert.equal(unseen.census.points, 0);
  unseen.add(payloads[0]);
  assert.equal(unseen.census.clients.get(keyOf(ONE))!.contactMs, 0);
});

Deno.test("after a damaged record, numbers of batches are known, and their points are not counted", () => {
  const records = payloadsOf([origin(ONE, 1, 5)], [origin(TWO, 1, 5)], [
    origin(TWO, 2, 6),
    origin(ONE, 2, 4),
  ]);
  const counter = new Counter(new Census());
  counter.add(records[0]);
  counter.passDamaged(records[1]);
  counter.salvage(records[2]);
  assert.deepEqual([...counter.census.clients.values()].slice(1), [
    stateOf(ONE, 5, 1, 0),
    stateOf(TWO, 6, 0, 0),
  ]);
  assert.equal(counter.census.points, 1);
});

Deno.test("a census begins with the list of a segment, whose first client is this process", () => {
  const states = [stateOf({ name: "host", instance: "" }, 0, 7, 0), stateOf(ONE, 3, 4, 1000)];
  const census = Census.ofSnapshot(encodeSnapshot(states), 11);
  assert.deepEqual([...census.clients], [[LOCAL_KEY, states[0]], [`${ONE.instance}/one`, states[1]]]);
  assert.equal(census.points, 11);
  assert.ok(census.hasSequences);
  assert.ok(Census.ofStates([states[0], stateOf(TWO, 1, 4, 1000)], 0).hasSequences);
  assert.ok(!Census.ofStates([states[0], stateOf(TWO, 0, 4, 1000)], 0).hasSequences);
  assert.deepEqual([...new Census().clients.values()], [stateOf(LOCAL, 0, 0, 0)]);
});

Deno.test("of another census the numbers of batches are adopted, and its points subtracted", () => {
  const mine = Census.ofStates([stateOf(LOCAL, 0, 7, 0), stateOf(ONE, 3, 4, 1000)], 11);
  const other = Census.ofStates(
    [
      stateOf(LOCAL, 0, 5, 0),
      stateOf(ONE, 2, 9, 3000),
      stateOf(TWO, 1, 1, 2000),
      stateOf(THREE, 0, 1, 2000),
    ],
    8,
  );
  assert.deepEqual([...mine.minus(other).clients.values()], [
    stateOf(LOCAL, 0, 2, 0),
    stateOf(ONE, 3, 0, 1000),
  ]);
  assert.equal(mine.minus(other).points, 3);
  mine.overhear(other);
  assert.deepEqual([...mine.clients.values()], [
    stateOf(LOCAL, 0, 7, 0),
    stateOf(ONE, 3, 4, 3000),
    stateOf(TWO, 1, 0, 2000),
  ]);
  assert.equal(mine.points, 11);
});

Deno.test("the points of a damaged record are guessed from what can be read of it", () => {
  const [payload, next] = payloadsOf(
    [origin(ONE, 3, 7), origin(TWO, 1), origin(ONE, 2, 8)],
    [origin(TWO, 4, 1)],
  );
  assert.deepEqual([guessPoints(payload), guessPoints(next)], [6, 4]);
  // Four clients that came before, with a point each; a row takes half a byte at least.
  assert.equal(guessPoints(fromHex("04" + "010100".repeat(4) + "04" + "0000")), 4);
  assert.equal(guessPoints(Uint8Array.of(0, 6, 0, 0, 0)), 6);
  assert.equal(guessPoints(Uint8Array.of(0, 7, 0, 0, 0)), 0);
  for (const bytes of [[], [1], [0], [3, 1, 1, 1, 9, 9, 9, 9]]) {
    assert.equal(guessPoints(Uint8Array.from(bytes)), 0);
  }
});
