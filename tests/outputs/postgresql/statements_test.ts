/** What the output says to PostgreSQL, and when, with a session that a test plays. */
import assert from "node:assert/strict";
import type { BatchReader } from "../../../lib/journal.ts";
import { Changes, changeTriggers, IdsChanged, lockOf } from "../../../lib/outputs/postgresql/changes.ts";
import {
  ChunkPool,
  COPY_HEADER_BYTES,
  CopyIn,
  type FillChunk,
} from "../../../lib/outputs/postgresql/copy_in.ts";
import { HostTimes } from "../../../lib/outputs/postgresql/hosts.ts";
import { Lookups } from "../../../lib/outputs/postgresql/lookups.ts";
import { quoteIdentifier, quoteLiteral } from "../../../lib/outputs/postgresql/names.ts";
import { Partitions, partitionsOf } from "../../../lib/outputs/postgresql/partitions.ts";
import { Pending } from "../../../lib/outputs/postgresql/pending.ts";
import type { Connection } from "../../../lib/outputs/postgresql/pg.ts";
import { Positions, Sequences } from "../../../lib/outputs/postgresql/positions.ts";
import { Marks } from "../../../lib/outputs/postgresql/rollups/marks.ts";
import { Rows } from "../../../lib/outputs/postgresql/rows.ts";
import { Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { metricOf } from "../../kit/decode.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { PlayedSession, saying } from "../../kit/played_session.ts";
import { batchOf, numbered } from "../../kit/points.ts";

const FLOATS = seriesOf(metricOf("floats", "f64"));
Deno.test("names and texts mean themselves, whatever is in them", () => {
  assert.equal(quoteIdentifier('a"b'), '"a""b"');
  assert.deepEqual(["a", "a'b", "a\\'b"].map(quoteLiteral), ["'a'", "'a''b'", " E'a\\\\''b'"]);
});

Deno.test("batches wait until there are enough points, and a transaction has no more of them than it may", () => {
  const batches: Batch[] = [];
  let [position, committed] = [-1, 0];
  const reader = {
    next: () => batches[position + 1] && batches[++position],
    commit: (count: number) => void (committed += count),
    get position() {
      return position;
    },
  } as unknown as BatchReader;
  const pending = new Pending(reader);
  const groupSizes = (points: number) => pending.group(points).map(({ batch }) => batch.length);
  pending.read(10, 1);
  assert.deepEqual([pending.list, groupSizes(10)], [[], []]);
  batches.push(...[4, 6, 5, 30].map((count) => numbered(count)));
  pending.read(10, 7);
  assert.deepEqual(pending.list.map(({ number, readMs }) => [number, readMs]), [[0, 7], [1, 7]]);
  pending.read(10, 8);
  assert.equal(pending.points, 10);
  pending.read(11, 9);
  assert.deepEqual([pending.points, pending.list.at(-1)!.readMs], [15, 9]);
  assert.deepEqual([10, 9, 15, 1].map(groupSizes), [[4, 6], [4], [4, 6, 5], [4]]);
  pending.commit(2);
  assert.deepEqual([pending.points, committed, pending.list.map(({ number }) => number)], [5, 2, [2]]);
  pending.read(1000, 10);
  assert.deepEqual([pending.points, pending.list.length], [35, 2]);
  pending.commit(2);
  // Empty batches, too, are not more than 4096 in a transaction, nor more than twice as many here.
  batches.push(...Array.from({ length: 9000 }, () => new Batch(1)));
  pending.read(1, 11);
  assert.deepEqual([pending.list.length, pending.group(1).length], [8192, 4096]);
});

/** Timers that a test fires; no other timer has their numbers. */
function heldTimers() {
  const { setTimeout } = globalThis;
  const timers: { call: () => void; ms: number }[] = [];
  globalThis.setTimeout =
    ((call: () => void, ms: number) => 2 ** 30 + timers.push({ call, ms })) as unknown as typeof setTimeout;
  return { timers, [Symbol.dispose]: () => void (globalThis.setTimeout = setTimeout) };
}

Deno.test("questions are answered together, and those that wait for too long with 0", async () => {
  using held = heldTimers();
  const client = (n: number) => ({ name: `${n}`, instance: "" });
  let asked = 0;
  const lookups = new Lookups(() => asked++);
  assert.ok(!lookups.waiting);
  const answers = Array.from({ length: 10_001 }, (_, n) => lookups.ask(client(n)));
  assert.equal(await answers[10_000], 0, "there are too many");
  assert.deepEqual([asked, lookups.waiting, held.timers.length, held.timers[0].ms], [
    10_000,
    true,
    10_000,
    4000,
  ]);
  held.timers[1].call();
  assert.equal(await answers[1], 0);
  const sizes: number[] = [];
  await assert.rejects(lookups.serve(() => Promise.reject(new Error("lost"))), /lost/);
  await lookups.serve((clients) => {
    sizes.push(clients.length);
    return Promise.resolve(clients.map(({ name }) => Number(name) + 5));
  });
  assert.deepEqual(sizes, [...Array(19).fill(500), 499]);
  assert.deepEqual([await answers[0], await answers[2], await answers[9999]], [5, 7, 10_004]);
  assert.ok(!lookups.waiting);
  const single = lookups.ask(client(1));
  assert.ok(lookups.waiting);
  await lookups.serve(() => Promise.resolve([8]));
  assert.equal(await single, 8);
  const last = lookups.ask(client(1));
  lookups[Symbol.dispose]();
  assert.deepEqual([await last, await lookups.ask(client(1)), asked], [0, 0, 10_002]);
});

Deno.test("of each host the first and the last microsecond are stored, in an order that is always the same", async () => {
  const host = (name: string) => seriesOf(metricOf("m", "f64"), { attributes: [["relay_client", name]] });
  const hosts = new HostTimes("s");
  assert.deepEqual(hosts.save("j"), []);
  const [b, a] = [host("b"), host("a'\0")];
  const batch = batchOf([
    [b, 1, 99, 0],
    [b, 1, 10, 1999],
    [a, 1, 20, 5000],
    [b, 1, 10, 999],
    [b, 1, 12, 0],
    [b, 1, 11, 0],
    [b, 1, 100, 0],
  ]);
  hosts.note(batch, 1, 6);
  const [text, ...more] = hosts.save("j");
  assert.deepEqual(more, []);
  const time = (micros: number) => `timestamptz 'epoch' + ${micros} * interval '1 microsecond'`;
  assert.ok(
    text.startsWith(
      "INSERT INTO s.host_times AS h (name, journal, first, last, contact) VALUES " +
        `('a''␀', 'j'::uuid, ${time(20_000_005)}, ${time(20_000_005)}, now()), ` +
        `('b', 'j'::uuid, ${time(10_000_000)}, ${time(12_000_000)}, now()) ON CONFLICT`,
    ),
    text,
  );
  hosts.clear();
  assert.deepEqual(hosts.save("j"), []);
  hosts.note(batch, 6, 7);
  assert.match(hosts.save("j")[0], /VALUES \('b', .* 100000000 \* .* 100000000 \* [^)]*now\(\)\) ON/);
  const latest = (ms: string | null) => hosts.latestMs(new PlayedSession(() => [{ ms }]).session);
  assert.deepEqual([await latest(null), await latest("1700000000123")], [undefined, 1_700_000_000_123]);
});

Deno.test("a position is read, made and moved by the ids of the journal", async () => {
  const id = "0123456789abcdef0123456789abcdef";
  const row = { id: "01234567-89ab-cdef-0123-456789abcdef", position: "7", transaction: "t" };
  const positions = new Positions("s");
  const there = new PlayedSession((text) => text.startsWith("SELECT") ? [row] : []);
  assert.deepEqual(await positions.read(there.session, id, false), { id, position: 7, transaction: "t" });
  assert.deepEqual([there.texts.length, there.values], [1, [[id, id]]]);
  const missing = new PlayedSession((text) => text.startsWith("INSERT") ? [{ ...row, position: "-1" }] : []);
  assert.equal((await positions.read(missing.session, id, true, "before")).position, -1);
  assert.deepEqual(missing.texts.map((text) => text.split(" ")[0]), ["DELETE", "SELECT", "INSERT"]);
  assert.match(missing.texts[0], /in_memory AND changed_at < now\(\) - interval '30 days'/);
  assert.deepEqual([missing.values[1], missing.values[2]?.[0], missing.values[2]?.[3]], [
    [id, "before"],
    id,
    true,
  ]);
  const move = positions.move({ id: "a", position: 1, transaction: "x" }, {
    id: "b",
    position: 2,
    transaction: "y",
  });
  assert.match(
    move,
    /^UPDATE s.journals SET id = 'b', position = 2, transaction = 'y'.* WHERE id = 'a' AND transaction = 'x'$/,
  );
});

Deno.test("clients that have no row get one, each once, and are locked in one order", async () => {
  const sequences = new Sequences("s");
  const played = new PlayedSession();
  const client = (name: string) => ({ name, instance: `${name}i` });
  const clients = new Map([["b", client("B\0")], ["a", client("A")]]);
  await sequences.prepare(played.session, clients);
  assert.deepEqual(played.values, [[["a", "b"], ["Ai", "B␀i"], ["A", "B␀"]]]);
  await sequences.prepare(played.session, clients);
  assert.equal(played.texts.length, 1);
  await sequences.prepare(played.session, new Map([...clients, ["c", client("C")]]));
  assert.deepEqual(played.values[1], [["c"], ["Ci"], ["C"]]);
  sequences.forget();
  await sequences.prepare(played.session, clients);
  assert.equal(played.texts.length, 3);
  assert.match(sequences.lock(["x", "y"]), /WHERE key IN \('x','y'\) ORDER BY key FOR UPDATE$/);
  assert.match(
    sequences.raise(new Map([["x", 3], ["y", 4]])),
    /VALUES \('x'::uuid,3::bigint\),\('y'::uuid,4::bigint\)\)/,
  );
  const read = new PlayedSession(() => [{ instance: "1", sequence: "12" }]);
  const found = await sequences.read(read.session, [{ name: "n", instance: "1" }, {
    name: "n",
    instance: "2",
  }]);
  assert.deepEqual([found, read.values], [[12, 0], [[["1", "2"]]]]);
});

const DAY_MS = 86_400_000;
const TODAY = 20_000;

/** At noon of a day. */
function onDay(day: number) {
  const { now } = Date;
  Date.now = () => (day + 0.5) * DAY_MS;
  return { [Symbol.dispose]: () => void (Date.now = now) };
}

Deno.test("days from a year ago to tomorrow have partitions, each made once", async () => {
  using _day = onDay(TODAY);
  const played = new PlayedSession((text) =>
    text.includes("pg_inherits")
      ? ["points_20241001", "points_default", "points_20240930"].map((name) => ({ name }))
      : text.includes("to_regclass")
      ? [{ exists: text.includes("20241003") }]
      : []
  );
  const tables = { schema: "s", hypertable: false };
  const there = await partitionsOf(played.session, tables);
  assert.deepEqual(there, [19_996, 19_997]);
  const partitions = new Partitions(tables, new LogLines().log);
  await partitions.load(played.session);
  const made = async (...days: number[]) => {
    const from = played.texts.length;
    await partitions.ensure(played.session, days);
    return played.texts.slice(from).flatMap((text) =>
      /FROM \('([\d-]+) 00:00:00\+00'\) TO \('([\d-]+) /.exec(text)?.slice(1) ?? []
    );
  };
  assert.deepEqual(await made(TODAY + 2, TODAY - 367, 19_996, 19_997), []);
  assert.deepEqual(await made(TODAY + 1, TODAY, TODAY), [
    "2024-10-05",
    "2024-10-06",
    "2024-10-04",
    "2024-10-05",
  ]);
  assert.deepEqual(await made(TODAY), []);
  assert.deepEqual(await made(TODAY - 366), ["2023-10-04", "2023-10-05"]);
  // Another process has made it meanwhile.
  assert.deepEqual(await made(TODAY - 1), []);
  assert.deepEqual(played.texts.at(-1), "COMMIT");
  const hypertable = new Partitions({ schema: "s", hypertable: true }, new LogLines().log);
  const none = new PlayedSession();
  await hypertable.load(none.session);
  await hypertable.ensure(none.session, [TODAY]);
  assert.deepEqual(none.texts, []);
});

Deno.test("a partition that cannot be made is said, and points go to the default one", async () => {
  using _day = onDay(TODAY);
  const ensure = async (error: Error, days: number[], lost = false) => {
    const logs = new LogLines();
    const played = new PlayedSession((text) =>
      text.includes("to_regclass") ? [{ exists: false }] : text.includes("CREATE") ? error : []
    );
    played.lost = lost;
    const partitions = new Partitions({ schema: "s", hypertable: false }, logs.log);
    let thrown: unknown;
    for (let round = 0; round < 2; round++) {
      await partitions.ensure(played.session, days).catch((reason) => thrown = reason);
    }
    const count = (word: string) => played.texts.filter((text) => text.startsWith(word)).length;
    return { begun: count("BEGIN"), back: count("ROLLBACK"), lines: logs.lines.length, thrown, logs };
  };
  const stays = await ensure(saying("23514"), [TODAY, TODAY - 1]);
  assert.deepEqual([stays.begun, stays.back, stays.thrown], [2, 2, undefined]);
  assert.equal(stays.logs.matching(/INFO .*stay in points_default.*day=2024-10-0[34]/).length, 2);
  const denied = await ensure(saying("42501"), [TODAY, TODAY - 1]);
  assert.deepEqual([denied.begun, denied.back, denied.lines, denied.thrown], [1, 1, 1, undefined]);
  assert.equal(denied.logs.matching(/WARN .*Cannot create partitions/).length, 1);
  const other = await ensure(saying("55P03"), [TODAY]);
  assert.deepEqual([other.begun, other.back, other.thrown], [2, 2, other.thrown]);
  assert.match(String(other.thrown), /no/);
  const lost = await ensure(saying("23514"), [TODAY], true);
  assert.deepEqual([lost.begun, lost.back, lost.lines], [2, 0, 0]);
  assert.match(String(lost.thrown), /no/);
});

Deno.test("what was deleted or is summed up otherwise since it was noted is an error", async () => {
  const noted = async (hasRollups: boolean | undefined, row: Record<string, unknown> | undefined) => {
    const changes = new Changes("s", hasRollups);
    await changes.note(new PlayedSession(() => row ? [row] : []).session);
    return changes;
  };
  const plain = await noted(undefined, { state: "7,1,2" });
  assert.equal(plain.rollups, null);
  plain.check([{ state: "7,1,2" }]);
  assert.throws(() => plain.check([{ state: "8,1,2" }]), IdsChanged);
  assert.throws(() => plain.check([]), IdsChanged);
  (await noted(false, { state: null })).check([{ state: null }]);
  const summed = await noted(true, { state: "7,1,2,-Infinity,60", levels: "1700000000,60,3600" });
  assert.deepEqual(summed.rollups, { every: [60, 3600], settledS: 1_700_000_000 });
  assert.deepEqual(summed.statements.map((text) => text.includes("rollup_levels")), [false, true]);
  assert.deepEqual(plain.statements.map((text) => text.includes("rollup_levels")), [false, false]);
  await assert.rejects(noted(false, undefined), /the table changes is empty/);
  await assert.rejects(
    noted(true, { state: "7", levels: null }),
    /rows of the table rollup_levels are missing/,
  );
  (await noted(false, { state: "7", levels: null })).check([{ state: "7" }]);
  assert.match(
    changeTriggers("s"),
    /setval\(pg_get_serial_sequence\('s\.series', 'id'\)::regclass, highest\) FROM/,
  );
  assert.match(lockOf("s", "shared"), /^pg_advisory_xact_lock_shared\(/);
  assert.match(lockOf("s", "exclusive"), /^pg_advisory_xact_lock\(/);
});

/** Rows of points `[id, second, nanos, value]`. */
function rowsOf(...points: [id: number, second: number, nanos: number, value: number][]): Rows {
  const rows = new Rows();
  const batch = batchOf(
    points.map((
      [, second, nanos, value],
    ): [Series, number, number, number] => [FLOATS, value, second, nanos]),
  );
  rows.add(batch, 0, batch.length, (_, row) => points[row][0]);
  rows.sort();
  return rows;
}

Deno.test("intervals with new points are marked; points of a time that is settled are added at once", () => {
  const marks = new Marks();
  marks.begin(null);
  marks.note(rowsOf([1, 60, 0, 1]));
  assert.deepEqual(marks.statements("s"), []);
  marks.begin({ every: [], settledS: 0 });
  marks.note(rowsOf([1, 60, 0, 1]));
  assert.deepEqual(marks.statements("s"), []);
  marks.begin({ every: [60, 300], settledS: 1000 });
  assert.deepEqual(marks.statements("s"), []);
  marks.note(rowsOf([1, 1205, 0, 1], [2, 1205, 0, 1], [40, 1319, 0, 1]));
  const insert = "INSERT INTO s.rollup_marks (every, start, series) VALUES ";
  assert.deepEqual(marks.statements("s"), [
    `${insert}(60, to_timestamp(1200), '{1,2}'), (60, to_timestamp(1260), '{40,40}')`,
  ]);
  // A mark has no more than 256 ranges: of more, the nearest are one.
  for (const count of [256, 257]) {
    marks.begin({ every: [60], settledS: 0 });
    const ids = Array.from({ length: count }, (_, n) => n === 0 ? 30 : 1 + 40 * n);
    marks.note(rowsOf(...ids.map((id): [number, number, number, number] => [id, 60, 0, 1])));
    const [text] = marks.statements("s");
    const ranges = /'\{(.*)\}'/.exec(text)![1].split(",").map(Number);
    assert.deepEqual([ranges.length, ranges[1]], [2 * 256, count === 256 ? 30 : 41]);
  }
  marks.begin({ every: [60], settledS: 0 });
  assert.deepEqual(marks.statements("s"), []);
});

Deno.test("late points are added by series and interval, with the first and the last of each", () => {
  const marks = new Marks();
  marks.begin({ every: [60, 3600], settledS: 100_000 });
  const rows = rowsOf(
    [2, 119, 1999, 4],
    [1, 3605, 0, 7],
    [1, 119, 5000, -3],
    [1, 119, 4000, 5],
    [1, 60, 0, 2],
    [1, 120, 0, 1],
    [1, 118, 0, NaN],
    [3, 60, 0, 9],
  );
  marks.note(rows, (n) => rows.source(n).batch.values[rows.source(n).row] !== 9);
  const [minutes, hours, ...more] = marks.statements("s");
  assert.deepEqual(more, []);
  const rowsIn = (text: string) => {
    const [, table, list] = /^INSERT INTO s\.(\w+) AS r .* VALUES (.*) ON CONFLICT/.exec(text)!;
    return [
      table,
      ...list.split("), (").map((row) =>
        row.replaceAll(/to_timestamp\((\d+)\)/g, "$1").replaceAll(/[()]|::float8|'/g, "").replaceAll(
          " * interval 1 microsecond",
          "us",
        )
      ),
    ];
  };
  assert.deepEqual(rowsIn(minutes), [
    "rollup_1m",
    "1, 60, 3, 4, -3, 5, 2, -3, 60 + 0us, 119 + 5us",
    "1, 120, 1, 1, 1, 1, 1, 1, 120 + 0us, 120 + 0us",
    "1, 3600, 1, 7, 7, 7, 7, 7, 3605 + 0us, 3605 + 0us",
    "2, 60, 1, 4, 4, 4, 4, 4, 119 + 1us, 119 + 1us",
  ]);
  assert.deepEqual(rowsIn(hours), [
    "rollup_1h",
    "1, 0, 4, 5, -3, 5, 2, 1, 60 + 0us, 120 + 0us",
    "1, 3600, 1, 7, 7, 7, 7, 7, 3605 + 0us, 3605 + 0us",
    "2, 0, 1, 4, 4, 4, 4, 4, 119 + 1us, 119 + 1us",
  ]);
  assert.match(minutes, /sum = CASE WHEN .* THEN r\.sum \+ excluded\.sum ELSE \(SELECT/);
  marks.begin({ every: [60], settledS: 100 });
  marks.note(rowsOf([1, 60, 0, 2]));
  assert.deepEqual(marks.statements("s").map((text) => rowsIn(text).length), [2]);
});

/** A COPY whose socket a test empties. */
class Copying {
  readonly pool = new ChunkPool(64);
  readonly said: string[] = [];
  readonly #written: (() => void)[] = [];
  readonly connection = {
    stream: {
      write: (bytes: Uint8Array, done: () => void) => {
        const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1);
        this.said.push(
          `${String.fromCharCode(bytes[0])} ${length} ${bytes.subarray(COPY_HEADER_BYTES).join()}`,
        );
        this.#written.push(done);
        return true;
      },
    },
    query: (text: string) => this.said.push(text),
    endCopyFrom: () => this.said.push("end"),
    sendCopyFail: (reason: string) => this.said.push(`fail: ${reason}`),
  } as unknown as Connection;
  readonly copy: CopyIn;

  /** @param chunks How many there are to be sent. */
  constructor(chunks: number, fill?: FillChunk) {
    let next = 0;
    this.copy = new CopyIn(
      "COPY",
      this.pool,
      fill ?? ((chunk) => {
        if (next === chunks) return false;
        chunk.bytes[chunk.length++] = ++next;
        return true;
      }),
    );
    this.copy.submit(this.connection);
    this.copy.handleCopyInResponse(this.connection);
  }

  /** So many writes have ended. */
  async written(count = 1): Promise<void> {
    for (const done of this.#written.splice(0, count)) done();
    for (let n = 0; n < 20; n++) await Promise.resolve();
  }
}

Deno.test("three chunks are under way at most, and the copy ends when the last one is written", async () => {
  const { said, ...copying } = new Copying(0);
  await Promise.resolve();
  assert.deepEqual(said, ["COPY", "end"]);
  assert.ok(copying.pool.isIdle);
  const many = new Copying(5);
  await many.written(0);
  assert.deepEqual(many.said, ["COPY", "d 5 1", "d 5 2", "d 5 3"]);
  await many.written();
  await many.written();
  assert.deepEqual(many.said.slice(4), ["d 5 4", "d 5 5"]);
  await many.written(2);
  assert.ok(!many.said.includes("end"));
  await many.written();
  assert.deepEqual(many.said.slice(6), ["end"]);
  many.copy.handleCommandComplete({ text: "COPY 5" });
  many.copy.handleCommandComplete({ text: "COMMIT" });
  many.copy.handleReadyForQuery();
  assert.deepEqual(await many.copy.done, ["COPY 5", "COMMIT"]);
});

Deno.test("a copy that the database refuses sends nothing more, and one that we cannot go on with is taken back", async () => {
  const refused = new Copying(9);
  await refused.written(0);
  const { length } = refused.said;
  refused.copy.handleError(new Error("refused"));
  refused.copy.handleError(new Error("later"));
  refused.copy.handleReadyForQuery();
  await assert.rejects(refused.copy.done, /refused/);
  await refused.written(3);
  assert.equal(refused.said.length, length);
  assert.ok(refused.pool.isIdle);
  // Also where only the last chunks are to be written.
  const last = new Copying(2);
  await last.written(0);
  last.copy.handleError(new Error("refused"));
  await assert.rejects(last.copy.done, /refused/);
  await last.written(2);
  assert.ok(!last.said.includes("end"));
  const broken = new Copying(0, () => {
    throw new Error("defect");
  });
  await broken.written(0);
  assert.deepEqual(broken.said, ["COPY", "fail: alumet-relay could not go on"]);
  // What the database says of that is not the reason.
  broken.copy.handleError(new Error("COPY from stdin failed"));
  await assert.rejects(broken.copy.done, /defect/);
});
