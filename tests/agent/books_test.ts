import assert from "node:assert/strict";
import {
  booksOfAll,
  type ClientBooks,
  hasFoundNothing,
  loggedCounters,
  totalsOf,
} from "../../lib/agent/stats.ts";
import { ClientTable, LOCAL_ORIGIN, markName } from "../../lib/points/origins.ts";
import { clientTotals } from "../../lib/seeing/families.ts";

interface Entry {
  readonly received?: number;
  readonly rejected?: number;
  readonly duplicates?: number;
  readonly transformed?: number;
  readonly at?: number;
  /** By output: points that were kept at the start, stored and dropped. */
  readonly outputs?: Readonly<
    Record<string, readonly [keptAtStart: number, stored: number, dropped: number]>
  >;
}

/** A table of clients by their names, or by `name/instance`; `""` are the inputs of this process. */
function tableOf(outputs: readonly string[], entries: Readonly<Record<string, Entry>>): ClientTable {
  const table = new ClientTable();
  for (const output of outputs) table.addOutput(output);
  for (const [key, entry] of Object.entries(entries)) {
    const [name, instance = ""] = key.split("/");
    const record = name === "" ? table.local : table.get(name, instance);
    record.receivedPoints = entry.received ?? 0;
    record.rejectedPoints = entry.rejected ?? 0;
    record.duplicatePoints = entry.duplicates ?? 0;
    record.transformedPoints = entry.transformed ?? 0;
    record.lastContactMs = entry.at ?? 0;
    for (const [output, [keptAtStart, stored, dropped]] of Object.entries(entry.outputs ?? {})) {
      Object.assign(record.account(output), { keptAtStart, stored, dropped });
    }
  }
  return table;
}

const books = (before: readonly ClientTable[], last: ClientTable) => [...booksOfAll(before, last)];

Deno.test("the books of a client say what came, and what each output has done with it", () => {
  const table = tableOf(["a", "b"], {
    "x/1": {
      ...{ received: 100, rejected: 3, duplicates: 7, transformed: 10, at: 5 },
      outputs: { a: [20, 50, 4], b: [0, 100, 0] },
    },
    y: {},
    [markName("m")]: { received: 1 },
  });
  const none = { keptAtStart: 0, stored: 0, kept: 0, dropped: 0 };
  assert.deepEqual(books([], table), [
    {
      ...{
        client: "x",
        instance: "1",
        lastContactMs: 5,
        received: 100,
        rejected: 3,
        duplicates: 7,
        transformed: 10,
      },
      outputs: {
        a: { keptAtStart: 20, stored: 50, kept: 66, dropped: 4 },
        b: { keptAtStart: 0, stored: 100, kept: 0, dropped: 0 },
      },
    },
    {
      ...{ client: "y", instance: "", lastContactMs: 0, received: 0, rejected: 0, duplicates: 0 },
      outputs: { a: none, b: none },
    },
  ]);
});

Deno.test("the inputs of the process have books if they have points, or had some at the start", () => {
  const clientsOf = (local: Entry) =>
    books([], tableOf(["a"], { "": local, x: {} })).map(({ client }) => client);
  assert.deepEqual(clientsOf({}), ["x"]);
  assert.deepEqual(clientsOf({ received: 1 }), ["", "x"]);
  assert.deepEqual(clientsOf({ outputs: { a: [1, 0, 0] } }), ["", "x"]);
  assert.deepEqual(clientsOf({ outputs: { a: [0, 0, 0] } }), ["x"]);
  assert.deepEqual(
    books([], tableOf(["a"], { [LOCAL_ORIGIN]: { received: 5 } })).map(({ client }) => client),
    [""],
  );
});

Deno.test("books over several journals add up what waits, and count what came between them as made by transforms", () => {
  const first = tableOf(["s1"], {
    x: { received: 100, rejected: 5, duplicates: 5, transformed: -10, at: 70, outputs: { s1: [8, 60, 2] } },
    old: { received: 10, at: 5, outputs: { s1: [0, 10, 0] } },
  });
  const second = tableOf(["s2"], {
    x: { received: 50, rejected: 1, duplicates: 2, transformed: 3, at: 90, outputs: { s2: [1, 40, 1] } },
  });
  const last = tableOf(["a", "b"], {
    x: { received: 30, at: 80, outputs: { a: [4, 25, 1], b: [0, 30, 0] } },
    fresh: { received: 6, outputs: { a: [0, 6, 0] } },
  });
  assert.deepEqual(books([first, second], last), [
    {
      ...{ client: "x", instance: "", lastContactMs: 90, received: 100, rejected: 5, duplicates: 5 },
      // -10 + 3, and what came to a journal less what the one before has stored: 50 - 60 and 30 - 40.
      transformed: -10 + 3 + (50 - 60) + (30 - 40),
      outputs: {
        // 26 wait in the first journal, and 10 in the second one.
        a: { keptAtStart: 13, stored: 25, kept: 8 + 26 + 10, dropped: 4 },
        b: { keptAtStart: 9, stored: 30, kept: 26 + 10, dropped: 3 },
      },
    },
    {
      ...{
        client: "old",
        instance: "",
        lastContactMs: 5,
        received: 10,
        rejected: 0,
        duplicates: 0,
        transformed: -10,
      },
      outputs: {
        a: { keptAtStart: 0, stored: 0, kept: 0, dropped: 0 },
        b: { keptAtStart: 0, stored: 0, kept: 0, dropped: 0 },
      },
    },
    {
      ...{
        client: "fresh",
        instance: "",
        lastContactMs: 0,
        received: 0,
        rejected: 0,
        duplicates: 0,
        transformed: 6,
      },
      outputs: {
        a: { keptAtStart: 0, stored: 6, kept: 0, dropped: 0 },
        b: { keptAtStart: 0, stored: 0, kept: 6, dropped: 0 },
      },
    },
  ]);
});

Deno.test("instances of one name have books of their own, and a client whose transforms change nothing has no word of them", () => {
  const [first, last] = [
    tableOf(["s"], {
      "x/1": { received: 5, outputs: { s: [0, 5, 0] } },
      "x/2": { received: 7, outputs: { s: [0, 7, 0] } },
    }),
    tableOf(["a"], { "x/1": { received: 5 }, "x/2": { received: 8 } }),
  ];
  const found = books([first], last);
  assert.deepEqual(found.map(({ instance, received, transformed }) => [instance, received, transformed]), [[
    "1",
    5,
    undefined,
  ], ["2", 7, 1]]);
  assert.deepEqual(found.map((books) => "transformed" in books), [false, true]);
});

Deno.test("totals of a name add its instances up, and what waits is what waits for the output that is furthest behind", () => {
  const output = (kept: number) => ({ keptAtStart: 0, stored: 0, dropped: 0, kept });
  const of = (client: string, lastContactMs: number, more: Partial<ClientBooks> = {}): ClientBooks => ({
    ...{ client, instance: "", lastContactMs, received: 10, rejected: 2, duplicates: 3, outputs: {} },
    ...more,
  });
  const totals = clientTotals([
    of("x", 5, { outputs: { a: output(4), b: output(9) } }),
    of("y", 0),
    of("x", 3, { received: 1, rejected: 1, duplicates: 1, outputs: { a: output(1) } }),
  ]);
  assert.deepEqual([...totals.values()], [
    { client: "x", lastContactMs: 5, received: 11, rejected: 3, duplicates: 4, kept: 10 },
    { client: "y", lastContactMs: 0, received: 10, rejected: 2, duplicates: 3, kept: 0 },
  ]);
});

Deno.test("an input has found nothing if it says so, and nothing has come or failed", () => {
  const finding = { what: "it" } as never;
  const cases: [Parameters<typeof hasFoundNothing>[0], boolean][] = [
    [{ findings: [], stats: { points: 0 } }, true],
    [{ findings: [], stats: { points: 0, failedPolls: 0 } }, true],
    [{ findings: [], stats: { points: 1 } }, false],
    [{ findings: [], stats: { points: 0, failedPolls: 1 } }, false],
    [{ findings: [finding], stats: { points: 0 } }, false],
    [{ stats: { points: 0 } }, false],
    [{ findings: [] }, false],
  ];
  for (const [input, expected] of cases) {
    assert.equal(hasFoundNothing(input), expected, JSON.stringify(input));
  }
  assert.deepEqual(loggedCounters({ points: 1, missedPolls: 2, aBC: 3 }), {
    points: 1,
    missed_polls: 2,
    a_b_c: 3,
  });
});

Deno.test("the totals of an output are those of all clients that it has books of", () => {
  const of = (received: number, outputs: ClientBooks["outputs"]): ClientBooks => ({
    ...{ client: "x", instance: "", lastContactMs: 1, received, rejected: 2, duplicates: 3, outputs },
  });
  const output = { keptAtStart: 4, stored: 5, kept: 6, dropped: 7 };
  const totals = totalsOf([of(10, { a: output, b: output }), of(20, { a: output })]);
  assert.deepEqual(Object.fromEntries(totals), {
    a: {
      clients: 2,
      received: 30,
      keptAtStart: 8,
      stored: 10,
      kept: 12,
      rejected: 4,
      duplicates: 6,
      dropped: 14,
    },
    b: {
      clients: 1,
      received: 10,
      keptAtStart: 4,
      stored: 5,
      kept: 6,
      rejected: 2,
      duplicates: 3,
      dropped: 7,
    },
  });
});
