/** The parts of a stage: what it gathers, which configuration holds for which batch, and its marks. */
import assert from "node:assert/strict";
import { type Batch, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable, isMark, LOCAL_ORIGIN } from "../../lib/points/origins.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { Collector } from "../../lib/transforms/stage/collector.ts";
import { Eras } from "../../lib/transforms/stage/eras.ts";
import { markOf } from "../../lib/transforms/stage/marks.ts";
import { metricOf } from "../kit/decode.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { instanceOf, numbered } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";

const RUNNING = new AbortController().signal;

/** The configurations of a stage whose journal is in that directory. */
function erasOf(
  directory: string | null,
  config: unknown,
  { next = 0, needed = 0, logs = new LogLines(), clock = new FakeClock() } = {},
): Eras {
  return new Eras({ directory, config, next, needed, name: "rates", log: logs.log, clock });
}

Deno.test("a configuration holds from the next batch on, and one that no batch needs is forgotten", async () => {
  await using dir = new TempDir();
  const first = erasOf(dir.path, { a: 1 }, { next: 5 });
  assert.deepEqual([first.first.from, first.isChanging, await first.save(RUNNING, () => false)], [
    0,
    false,
    true,
  ]);
  const saved = () => Deno.readTextFileSync(dir.file("transform.json"));
  assert.equal(saved(), '[{"from":0,"config":{"a":1}}]\n');
  const changed = erasOf(dir.path, { a: 2 }, { next: 10, needed: 9 });
  assert.ok(changed.isChanging);
  assert.deepEqual([-1, 9, 10].map((number) => changed.of(number).config), [{ a: 1 }, { a: 1 }, { a: 2 }]);
  await changed.save(RUNNING, () => false);
  assert.equal(saved(), '[{"from":0,"config":{"a":1}},{"from":10,"config":{"a":2}}]\n');
  const later = erasOf(dir.path, { a: 2 }, { next: 20, needed: 10 });
  assert.deepEqual([later.isChanging, later.first.from, later.of(3).config], [false, 10, { a: 2 }]);
  // It is as it was saved.
  await Deno.remove(dir.file("transform.json"));
  assert.ok(await later.save(RUNNING, () => false));
  assert.throws(saved, Deno.errors.NotFound);
});

Deno.test("a configuration for a journal in memory holds for all batches, and is not saved", async () => {
  const eras = erasOf(null, { a: 1 }, { next: 5 });
  assert.deepEqual([eras.first.from, eras.isChanging, eras.of(0).config], [0, false, { a: 1 }]);
  assert.ok(await eras.save(RUNNING, () => true));
});

Deno.test("a configuration that cannot be saved is tried again until it can be, it is over, or it is aborted", async () => {
  await using dir = new TempDir();
  const logs = new LogLines();
  const clock = new FakeClock();
  const eras = erasOf(`${dir.path}/later`, { a: 1 }, { logs, clock });
  assert.equal(await eras.save(AbortSignal.abort(), () => false), false);
  assert.equal(await eras.save(RUNNING, () => true), false);
  assert.equal(logs.matching(/ERROR.*Cannot save .*transform=rates.*transform\.json/).length, 1);
  let tried = Promise.withResolvers<void>();
  const saving = eras.save(RUNNING, () => (tried.resolve(), false));
  for (let n = 0; n < 2; n++) {
    await tried.promise;
    tried = Promise.withResolvers();
    if (n === 1) Deno.mkdirSync(`${dir.path}/later`);
    await clock.advance(1000);
  }
  assert.ok(await saving);
  assert.equal(logs.matching(/INFO.*The configuration of a transform is saved/).length, 1);
});

Deno.test("a file that is none of configurations is left out, and the log says so", async () => {
  await using dir = new TempDir();
  for (
    const [text, warnings] of [["nonsense", 1], ['[{"from":1.5,"config":{}}]', 1], [undefined, 0]] as const
  ) {
    const logs = new LogLines();
    if (text !== undefined) await Deno.writeTextFile(dir.file("transform.json"), text);
    else await Deno.remove(dir.file("transform.json"));
    const eras = erasOf(dir.path, { a: 1 }, { next: 5, logs });
    assert.deepEqual([eras.first, eras.isChanging], [{ from: 0, config: { a: 1 } }, false]);
    assert.equal(logs.matching(/WARN.*Cannot read the configuration/).length, warnings, text);
  }
});

Deno.test("each kind of mark is an instance of its own, by the first two digits of the journal's id", () => {
  const clients = new ClientTable();
  const id = instanceOf("journal");
  const marks = (["place", "need", "part", "base", "tick", "flush"] as const).map((kind) =>
    markOf(clients, kind, id)
  );
  assert.deepEqual(
    marks.map(({ instance }) => instance),
    [0, 1, 2, 3, 4, 5].map((n) => `0${n}${id.slice(2)}`),
  );
  assert.ok(marks.every(isMark));
});

const made = seriesOf(metricOf("made"));

/** The values of batches, by client. */
const inWords = (batches: readonly Batch[]) =>
  batches.map((batch) =>
    batch.origins.map(({ client: { name }, start, end }) =>
      `${name === LOCAL_ORIGIN ? "local" : name}: ${batch.values.subarray(start, end).join(" ")}`
    ).join(", ")
  );

Deno.test("rows that pass come first, then results by client; each is credited, in batches of the given size", () => {
  const [before, after] = [new ClientTable(), new ClientTable()];
  const [one, two] = ["one", "two"].map((name) => before.get(name, instanceOf(name)));
  const collector = new Collector(after, before.local, 3);
  const series = seriesStore.internDefinition(made);
  const batch = numbered(5);
  const take = () => {
    const batches = collector.take();
    const words = inWords(batches);
    for (const part of batches) part.release();
    return words;
  };
  collector.begin(seriesStore);
  for (
    const [client, rows] of [[before.local, [0, 1]], [one, [2, 3]], [two, []], [before.local, [4]]] as const
  ) {
    collector.beginClient(client);
    for (const row of rows) collector.pass(batch, row);
    for (const row of rows) collector.add(client, series, 1, 0, row + 10);
  }
  collector.add(two, series, 1, 0, 2n ** 60n);
  assert.deepEqual(take(), [
    "local: 0 1, one: 2",
    "one: 3, local: 4 10",
    "local: 11 14, one: 12",
    `one: 13, two: ${2 ** 60}`,
  ]);
  assert.equal(after.get("one", instanceOf("one")).name, "one");
  assert.deepEqual(take(), []);
  for (const forget of [() => collector.clear(), () => collector.isMuted = true]) {
    forget();
    collector.beginClient(one);
    for (let row = 0; row < 5; row++) collector.pass(batch, row);
    collector.add(one, series, 1, 0, 7);
    if (!collector.isMuted) collector.clear();
    assert.deepEqual(take(), []);
  }
});
