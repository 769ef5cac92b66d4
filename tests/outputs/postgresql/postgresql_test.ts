/** What the `postgresql` output writes: rows, what it refuses, and whose they are. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf, instanceOf, numbered, NUMBERS } from "../../kit/points.ts";
import { count, now, onOwnPostgres, onPostgres, Writing } from "../../kit/postgres_output.ts";
import { until } from "../../kit/waiting.ts";

const POWER = metricOf("power", "f64", { base: "W", prefix: "" });

onPostgres(
  "The view reads like the CSV, is exact beside the doubles, and finds a metric of a client by an index",
  async (server) => {
    await using writing = new Writing(server);
    const node = seriesOf(POWER, {
      resourceKind: "gpu",
      resourceId: "0",
      attributes: [["relay_client", "node-7"]],
    });
    const counter = seriesOf(metricOf("counter", "u64", { base: "By", prefix: "kilo" }));
    const seconds = now();
    await writing.write(
      batchOf([[node, 1.5, seconds, 123_456_789], [counter, 2n ** 64n - 1n, seconds], [
        counter,
        2n ** 53n - 1n,
        seconds + 1,
      ]]),
    );
    const columns =
      "metric, unit, extract(epoch FROM time)::bigint, value, relay_client, resource_kind, resource_id, " +
      "consumer_kind, consumer_id, attributes, exact_value, time_ns";
    const machine = ["local_machine", "", "local_machine", ""];
    assert.deepEqual(
      await server.sql(`SELECT ${columns} FROM alumet.measurements ORDER BY time_ns DESC`),
      [
        [
          ...["counter", "kB", seconds + 1, "9.007199254740991e+15", "", ...machine, "{}"],
          ...["9007199254740991", `${seconds + 1}000000000`],
        ],
        [
          ...["power", "W", seconds, "1.5", "node-7", "gpu", "0", "local_machine", ""],
          ...["{}", "", `${seconds}123456789`],
        ],
        [
          ...["counter", "kB", seconds, "1.8446744073709552e+19", "", ...machine, "{}"],
          ...["18446744073709551615", `${seconds}000000000`],
        ],
      ].map((row) => row.join("\t")),
    );

    const others = Array.from({ length: 100 }, (_, i) => seriesOf(POWER, { resourceId: String(i) }));
    await writing.write(
      batchOf(Array.from({ length: 20_000 }, (_, i) => [others[i % 100], i, seconds - Math.floor(i / 100)])),
    );
    await server.sql("ANALYZE");
    const plan = await server.sql(
      "EXPLAIN SELECT time, value FROM alumet.measurements WHERE metric = 'power' AND relay_client = 'node-7' " +
        "AND time > now() - interval '1 hour'",
    );
    assert.ok(plan.some((line) => /series_time|series_id_time_idx/.test(line)), plan.join("\n"));
    assert.ok(!plan.some((line) => /Seq Scan on points_\d/.test(line)), plan.join("\n"));
  },
);

onPostgres(
  "Points that a constraint or a trigger refuses are dead letters with the reason, and cost no other point",
  async (server) => {
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    await server.sql(
      "ALTER TABLE alumet.points ADD CONSTRAINT no_seven CHECK (value NOT IN (1007, 1500, 1501))",
    );
    await writing.write(numbered(1000, 1000), numbered(10, 2000));
    const letters = await writing.letters();
    assert.deepEqual(letters.map(({ value }) => value).sort(), [1007n, 1500n, 1501n]);
    for (const { reason } of letters) {
      assert.match(reason, /no_seven.*Failing row contains.*\(SQLSTATE 23514\)/s);
    }
    assert.equal(await count(server), 10 + 997 + 10);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "1017");
    assert.deepEqual([writing.stats.points, writing.stats.refusedPoints], [1017, 3]);

    // At the end of the transaction, where it is not clear whom it means.
    await server.sql(`
      ALTER TABLE alumet.points DROP CONSTRAINT no_seven;
      CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.value = 3007 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER late AFTER INSERT ON alumet.points DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION late()`);
    await writing.write(numbered(100, 3000));
    const [letter] = (await writing.letters()).filter(({ value }) => value === 3007n);
    assert.match(letter.reason, /not this one \(SQLSTATE P0001\)/);
    assert.equal(await count(server), 1017 + 99);

    // All of them.
    await server.sql("ALTER TABLE alumet.points ADD CONSTRAINT none CHECK (value < 4000)");
    await writing.write(numbered(300, 4000));
    assert.equal((await writing.letters()).length, 4 + 300);
    assert.equal(await count(server), 1116);
    assert.equal(writing.stats.failures, 0);
  },
);

onPostgres("A series that the database refuses makes dead letters of its points alone", async (server) => {
  await using writing = new Writing(server);
  await writing.write(numbered(1));
  await server.sql(
    "ALTER TABLE alumet.series ADD CHECK (resource_id <> '13'); ALTER TABLE alumet.metrics ADD CHECK (name <> 'bad')",
  );
  const of = (id: number) => seriesOf(POWER, { resourceId: String(id) });
  const bad = seriesOf(metricOf("bad"));
  await writing.write(
    batchOf(Array.from({ length: 50 }, (_, i) => [of(i), i, now()])),
    batchOf([[bad, 1n], [of(13), 130, now()], [of(14), 140, now()], [bad, 2n]]),
  );
  assert.equal(await count(server), 1 + 49 + 1);
  const letters = await writing.letters();
  assert.deepEqual(letters.map(({ value }) => String(value)).sort(), ["1", "13", "130", "2"]);
  assert.ok(letters.every(({ reason }) => reason.includes("SQLSTATE 23514")));
  assert.equal(writing.stats.refusedPoints, 4);
});

onPostgres(
  "A server that stops in good order leaves no row of a journal that was in memory",
  async (server) => {
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    assert.equal(await server.value("SELECT count(*) FROM alumet.journals"), "1");
    await writing.finish();
    assert.equal(await server.value("SELECT count(*) FROM alumet.journals"), "0");
    assert.equal(await count(server), 10);
  },
);

onOwnPostgres(
  "What the database has of a client is answered within seconds, and is nothing while it is away",
  async (server) => {
    await using writing = new Writing(server, {}, { acknowledges: "stored" });
    const [source] = writing.journal.clients.sources;
    const client = { name: "no\0de", instance: "0123456789abcdef0123456789abcdef" };
    assert.equal(await source(client), 0);
    const batch = numbered(10);
    batch.credit(writing.journal.clients.get(client.name, client.instance), 7);
    await writing.write(batch);
    const answers = () =>
      Promise.all(
        Array.from(
          { length: 1200 },
          (_, n) =>
            source(n === 700 ? { ...client, name: "other" } : { ...client, instance: instanceOf(`${n}`) }),
        ),
      );
    const known = Array.from({ length: 1200 }, (_, n) => n === 700 ? 7 : 0);
    // A slow machine may take longer than a question waits; then the answer is 0.
    await until(async () => isDeepStrictEqual(await answers(), known));
    assert.equal(await server.value("SELECT name FROM alumet.clients WHERE sequence = 7"), "no␀de");
    await server.kill();
    assert.equal(await source(client), 0);
    const question = source(client);
    await writing[Symbol.asyncDispose]();
    assert.equal(await question, 0);
    assert.equal(writing.journal.clients.sources.length, 0);
  },
);

onPostgres(
  "Numbers of clients leave nothing out where the journal is what is acknowledged",
  async (server) => {
    const instance = "0123456789abcdef0123456789abcdef";
    const write = async (first: number, sequence: number) => {
      await using writing = new Writing(server);
      assert.equal(writing.journal.clients.sources.length, 0);
      const batch = numbered(10, first);
      batch.credit(writing.journal.clients.get("node", instance), sequence);
      await writing.write(batch);
    };
    // The second batch comes by another server, and earlier.
    await write(10, 2);
    await write(0, 1);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "20");
  },
);

onPostgres(
  "Origins of many clients in one transaction: each is taken once, rows of nobody and of real agents always",
  async (server) => {
    const build = (writing: Writing, from: number, sequences: [client: string, sequence: number][]) => {
      const batch = new Batch(16);
      const { clients } = writing.journal;
      let value = from;
      for (const [name, sequence] of sequences) {
        batch.push(NUMBERS, 1_700_000_000, value, value);
        batch.push(NUMBERS, 1_700_000_000, value + 1, value + 1);
        value += 2;
        batch.credit(clients.get(name, sequence > 0 ? instanceOf(name) : ""), sequence);
      }
      batch.push(NUMBERS, 1_700_000_000, value, value);
      return batch;
    };
    const values = async () => await server.sql("SELECT value FROM alumet.points ORDER BY value, nanos");
    {
      await using one = new Writing(server, {}, { acknowledges: "stored" });
      await one.write(build(one, 0, [["a", 1], ["b", 5], ["real", 0], ["a", 2]]));
      assert.deepEqual(await values(), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    }
    await using two = new Writing(server, {}, { acknowledges: "stored" });
    await two.write(
      build(two, 100, [["a", 2], ["a", 3], ["b", 4], ["real", 0], ["b", 5], ["c", 1], ["a", 3]]),
    );
    assert.deepEqual((await values()).slice(9), ["102", "103", "106", "107", "110", "111", "114"]);
    assert.equal(two.stats.duplicatePoints, 8);
    assert.deepEqual(await server.sql("SELECT name, sequence FROM alumet.clients ORDER BY name"), [
      "a\t3",
      "b\t5",
      "c\t1",
      "real\t0",
    ]);
  },
);
