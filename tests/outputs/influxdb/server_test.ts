/** The `influxdb` output towards real servers: InfluxDB 1.6 and VictoriaMetrics. */
import assert from "node:assert/strict";
import { Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { decodeLetter } from "../../../lib/dead_letters/codec.ts";
import { DeadLetterFiles, lettersIn } from "../../../lib/dead_letters/files.ts";
import { config, type InfluxConfig } from "../../../lib/outputs/influxdb/config.ts";
import { InfluxOutput } from "../../../lib/outputs/influxdb/output.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { influxd, InfluxDb, VictoriaMetrics, victoriaMetrics } from "../../kit/influx.ts";
import { journalOf } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { needs } from "../../kit/needs.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { runProgram } from "../../kit/process.ts";
import { sessionBatches } from "../../kit/session.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";

const QUICK = { initialMs: 5, maxMs: 50, multiplier: 2, jitter: 0 };
const F64 = { base: "W", prefix: "" };

/** Writes batches with an output of its own. @returns Its log and the dead letters. */
async function write(batches: readonly Batch[], given: Partial<InfluxConfig>) {
  await using dir = new TempDir();
  const logs = new LogLines();
  const context = contextWith({ log: logs.log, stateDirectory: dir.path });
  const options = { ...config.defaultValue(), flush_interval: 5, ...given };
  await using output = await InfluxOutput.open(options, context, { backoff: QUICK });
  const journal = journalOf();
  for (const batch of batches) journal.append(batch);
  journal.end();
  await output.run(journal.reader(), new AbortController().signal);
  assert.equal(journal.pendingPoints, 0);
  const letters = [];
  for (const { path } of await new DeadLetterFiles(`${dir.path}/dead-letters/test`).all()) {
    for (const line of await lettersIn(path)) {
      const letter = decodeLetter(line);
      assert.ok(typeof letter === "object");
      letters.push(letter);
    }
  }
  return { logs, letters, stats: output.stats };
}

async function inflate(http?: string): Promise<{ database: InfluxDb; v1: Partial<InfluxConfig> }> {
  const database = await InfluxDb.start(http);
  await database.ask("CREATE DATABASE d");
  return { database, v1: { api: "v1", database: "d", host: database.url } };
}

Deno.test({
  name: "InfluxDB 1.6 has every point of a recorded session that it can have, as Alumet names them",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate();
    await using _ = database;
    const { letters, stats } = await write(sessionBatches("odd-values"), v1);
    // NaN, an infinity, and 2^64-1, for which it has no type.
    assert.deepEqual(letters.map(({ value }) => String(value)), ["18446744073709551615", "NaN", "Infinity"]);
    const rows = await database.rows("d");
    assert.deepEqual(
      rows.map(({ measurement, tags, row }) => [measurement, tags.resource_kind, row.time, row.value]),
      [
        ["n", "local_machine", "1700000001000000000", "0"],
        ["n", "local_machine", "1700000002000000000", "3"],
        ["power", "local_machine", "1700000000000000005", "12.5"],
        // Three points of one series at one time: the last one is there.
        ["wh", "local_machine", "1700000001000000000", "-0"],
      ],
    );
    assert.deepEqual(rows[1].tags, {
      resource_kind: "local_machine",
      resource_consumer_kind: "local_machine",
      late: "2",
      zz: "9",
      yy: "1",
      relay_client: "A",
    });
    assert.deepEqual([stats.points, stats.refusedPoints], [6, 3]);
  },
});

Deno.test({
  name: "points that InfluxDB 1.6 refuses by their type, their time or their length cost no others",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate();
    await using _ = database;
    await database.ask("ALTER RETENTION POLICY autogen ON d DURATION 52w");
    const now = Math.floor(Date.now() / 1000);
    const long = seriesOf(metricOf("long"), { resourceId: "x".repeat(70_000) });
    const before = ["power", "temp"].map((name) => seriesOf(metricOf(name, "f64", F64)));
    const after = ["power", "temp"].map((name) =>
      seriesOf(metricOf(name, "u64", F64), { resourceKind: "later" })
    );
    await write([batchOf(before.map((one) => [one, 0.5, now]))], v1);
    const batch = new Batch(1);
    const good: string[] = [];
    for (let i = 0; i < 4000; i++) {
      const kind = i % 100;
      if (kind === 13 || kind === 14) batch.pushU64(after[kind - 13], now, i, BigInt(i));
      else if (kind === 50) batch.push(long, now, i, i);
      else if (kind === 60) batch.push(before[0], now - 400 * 86_400, i, i);
      else {
        batch.push(before[i % 2], now, i + 1, i);
        good.push(`${i}`);
      }
    }
    const { letters, stats, logs } = await write([batch], v1);
    const rows = (await database.rows("d")).map(({ row }) => row.value!).filter((value) => value !== "0.5");
    assert.deepEqual(rows.sort((a, b) => Number(a) - Number(b)), good);
    const reasons = Object.groupBy(letters, ({ reason }) => reason);
    const conflict = (name: string) =>
      `partial write: field type conflict: input field "value" on measurement "${name}" is type integer, already ` +
      "exists as type float";
    assert.deepEqual(Object.keys(reasons).sort(), [
      conflict("power"),
      conflict("temp"),
      "partial write: points beyond retention policy",
      "unable to parse: max key length exceeded: 70082 > 65535",
    ]);
    for (const list of Object.values(reasons)) assert.equal(list?.length, 40);
    const [first] = reasons[conflict("power")]!;
    assert.deepEqual([first.value, first.seconds, first.nanos, first.series.resourceKind], [
      13n,
      now,
      13,
      "later",
    ]);
    assert.deepEqual([stats.points, stats.refusedPoints], [3840, 160]);
    assert.ok(stats.requests < 60, `${stats.requests}`);
    assert.equal(logs.matching(/permanently refused/).length, 1);
  },
});

Deno.test({
  name: "a user without rights, a wrong password and a missing database lose nothing, and are logged",
  ...needs(influxd),
  async fn() {
    const database = await InfluxDb.start("auth-enabled = true");
    await using _ = database;
    await using dir = new TempDir();
    await database.ask("CREATE USER root WITH PASSWORD 'r00t' WITH ALL PRIVILEGES");
    const asRoot = { u: "root", p: "r00t" };
    await database.ask("CREATE USER writer WITH PASSWORD 'write-me'", asRoot);
    Deno.writeTextFileSync(dir.file("password"), "wrong\n");
    const logs = new LogLines();
    const journal = journalOf();
    journal.append(numbered(10));
    const output = await InfluxOutput.open(
      {
        ...config.defaultValue(),
        api: "v1",
        host: database.url,
        database: "d",
        username: "writer",
        password_file: dir.file("password"),
      },
      contextWith({ log: logs.log, clock: contextWith({}).clock }),
      { backoff: QUICK },
    );
    const running = output.run(journal.reader(), new AbortController().signal);
    journal.end();
    const status = (code: number) => logs.matching(new RegExp(`ERROR.*status ${code}`)).length > 0;
    await until(() => status(401));
    assert.match(
      logs.matching(/ERROR/)[0],
      /authorization failed.*check plugins.influxdb.username and .*password/,
    );
    Deno.writeTextFileSync(dir.file("password"), "write-me\n");
    // It may not write, then there is nothing to write to. What is wrong is said once a minute: not again here.
    await pause(100);
    await database.ask("CREATE DATABASE d", asRoot);
    await pause(100);
    assert.equal(journal.pendingPoints, 10);
    await database.ask("GRANT WRITE ON d TO writer", asRoot);
    await running;
    await output[Symbol.asyncDispose]();
    assert.equal(journal.pendingPoints, 0);
    assert.deepEqual([output.stats.points, output.stats.refusedPoints], [10, 0]);
    assert.match(logs.lines.at(-1)!, /answers again/);
    assert.ok(!/wrong|write-me/.test(logs.lines.join()), logs.lines.join("\n"));
  },
});

Deno.test({
  name: "requests that are larger than InfluxDB 1.6 takes are cut",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate("max-body-size = 20000");
    await using _ = database;
    for (const gzip of [true, false]) {
      const { stats } = await write([numbered(3000, gzip ? 0 : 3000)], { ...v1, gzip });
      assert.deepEqual([stats.points, stats.refusedPoints], [3000, 0]);
    }
    assert.equal((await database.rows("d")).length, 6000);
  },
});

Deno.test({
  name: "attributes of every type are fields of InfluxDB 1.6 if configured",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate();
    await using _ = database;
    const series = seriesOf(metricOf("m"), {
      attributes: [
        ["text", 'a "b"\\ c,d=e\n'],
        ["odd = name,", 1n],
        ["f64", -0.5],
        ["yes", true],
        ["list", [1n, 2n]],
        ["value", 7n],
        ["tag", "x y"],
        ["none", NaN],
        ["large", 2n ** 64n - 1n],
        ["empty", ""],
      ],
    });
    const { letters, logs } = await write([batchOf([[series, 5n]])], {
      ...v1,
      attributes_as: "field",
      attributes_as_tags: ["tag"],
    });
    assert.deepEqual(letters, []);
    const [{ tags, row }] = await database.rows("d");
    assert.deepEqual(tags, {
      resource_kind: "local_machine",
      resource_consumer_kind: "local_machine",
      tag: "x y",
    });
    const { time: _time, ...fields } = row;
    // An integer above 2^63-1 and NaN have no field here.
    assert.deepEqual(fields, {
      alumet_attribute__value: "7",
      empty: "",
      f64: "-0.5",
      list: "1,2",
      "odd = name,": "1",
      text: 'a "b"\\ c,d=e\\x0a',
      value: "5",
      yes: true,
    });
    assert.equal(logs.matching(/INFO.*Attributes are fields/).length, 1);
  },
});

/** Texts of chance in every place; the number is in the value, so each point can be found again. */
function chancePoints(chance: Chance, count: number): Batch {
  const alphabet = [
    "a",
    "\\",
    "\\",
    " ",
    ",",
    "=",
    '"',
    "'",
    "\n",
    "\r",
    "\t",
    "\0",
    "#",
    "é",
    "🔋",
    "\u0085",
    ";",
    "x",
  ];
  const text = () => Array.from({ length: chance.int(5) }, () => chance.pick(alphabet)).join("");
  const batch = new Batch(count);
  for (let i = 0; i < count; i++) {
    const series = seriesOf(metricOf(`m${text()}`), {
      resourceKind: text(),
      resourceId: text(),
      consumerKind: text(),
      consumerId: text(),
      attributes: Array.from({ length: chance.int(3) }, () => [text(), text()] as const),
    });
    batch.pushU64(series, 1_700_000_000 + i, 0, BigInt(i));
  }
  return batch;
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test({
  name: "random names arrive at InfluxDB 1.6, each point once",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate();
    await using _ = database;
    const count = cases(2000);
    const chance = new Chance(Number(Deno.env.get("SEED") ?? 1));
    const fields = chance.int(2) === 0 ? ["a", "x", ""] : [];
    const { letters } = await write([chancePoints(chance, count)], { ...v1, attributes_as_fields: fields });
    assert.deepEqual(letters, []);
    const found = (await database.rows("d")).map(({ row }) => Number(row.value)).sort((a, b) => a - b);
    assert.deepEqual(found, numbers(count));
  },
});

Deno.test({
  name: "random names arrive at VictoriaMetrics, each point once",
  ...needs(victoriaMetrics),
  async fn() {
    await using database = await VictoriaMetrics.start();
    const count = cases(2000);
    const { letters } = await write([chancePoints(new Chance(1), count)], {
      bucket: "b",
      host: database.url,
    });
    assert.deepEqual(letters, []);
    const series = await database.series();
    assert.deepEqual(series.flatMap(({ values }) => values).sort((a, b) => a - b), numbers(count));
    assert.ok(series.every(({ metric: { __name__ } }) => __name__.endsWith("_value")));
  },
});

Deno.test({
  name: "VictoriaMetrics takes unsigned numbers, by both of its APIs",
  ...needs(victoriaMetrics),
  async fn() {
    await using database = await VictoriaMetrics.start();
    for (const given of [{ bucket: "b" }, { api: "v1", database: "d" }] as const) {
      const { stats } = await write([
        batchOf([[seriesOf(metricOf(`large_${given.api ?? "v2"}`)), 2n ** 64n - 1n]]),
      ], {
        ...given,
        host: database.url,
      });
      assert.deepEqual([stats.points, stats.refusedPoints], [1, 0]);
    }
    // It keeps about 15 digits.
    const found = (await database.series()).map(({ metric: { __name__ }, values }) => [
      __name__,
      values[0].toPrecision(12),
    ]);
    const large = (2 ** 64).toPrecision(12);
    assert.deepEqual(found.sort(), [["large_v1_value", large], ["large_v2_value", large]]);
  },
});

Deno.test({
  name: "what InfluxDB 1.6 has refused is stored by a replay, when the reason is gone",
  ...needs(influxd),
  async fn() {
    const { database, v1 } = await inflate();
    await using _ = database;
    await using dir = new TempDir();
    const toml = dir.file("config.toml");
    Deno.writeTextFileSync(
      toml,
      `[plugins.influxdb]\nhost = "${database.url}"\napi = "v1"\ndatabase = "d"\npassword = "s3cret"\nusername = "me"\n`,
    );
    const flags = ["--state-dir", dir.path, "--config", toml];
    // The role of a process with this configuration is "local".
    const context = contextWith({ log: new LogLines().log });
    const { DeadLetterBox } = await import("../../../lib/dead_letters.ts");
    const deadLetters = new DeadLetterBox({
      directory: `${dir.path}/local/dead-letters/influxdb`,
      maxBytes: 1e6,
      log: context.log,
    });
    const series = (type: "u64" | "f64"): Series => seriesOf(metricOf("power", type, F64));
    await write([batchOf([[series("f64"), 0.5]])], v1);
    const output = await InfluxOutput.open({ ...config.defaultValue(), ...v1 }, { ...context, deadLetters });
    const journal = journalOf();
    journal.append(batchOf([[series("u64"), 9007199254740993n, 1_700_000_000, 123456789]]));
    journal.end();
    await output.run(journal.reader(), new AbortController().signal);
    await output[Symbol.asyncDispose]();
    assert.equal(deadLetters.refusedPoints, 1);

    const list = await runProgram(["dead-letters", "list", ...flags]);
    assert.match(list.stdout, /influxdb \(local\): 1 point, .*\n +1 +partial write: field type conflict/);
    const again = await runProgram(["dead-letters", "replay", ...flags]);
    assert.equal(again.code, 69, again.stderr);
    assert.equal(again.stdout, "influxdb: 0 points written, 1 refused again\n");
    await database.ask("DROP MEASUREMENT power", { db: "d" });
    const last = await runProgram(["dead-letters", "replay", "influxdb", ...flags]);
    assert.deepEqual([last.code, last.stdout], [0, "influxdb: 1 point written\n"], last.stderr);
    const [{ row }] = await database.rows("d");
    assert.deepEqual(row, { time: "1700000000123456789", value: "9007199254740993" });
    for (const { stderr, stdout } of [list, again, last]) assert.ok(!(stderr + stdout).includes("s3cret"));
  },
});
