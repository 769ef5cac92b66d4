/** A stage step by step: what it takes, marks, keeps and ticks, with journals and a transform that do what the test says. */
import assert from "node:assert/strict";
import type { BatchReader } from "../../lib/journal.ts";
import { Batch, seriesOf } from "../../lib/points/measurement.ts";
import { type ClientRecord, LOCAL_ORIGIN } from "../../lib/points/origins.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import type { StagedTransform, StageOutput } from "../../lib/plugin.ts";
import { Stage, type StageOptions } from "../../lib/transforms/stage.ts";
import { metricOf } from "../kit/decode.ts";
import { FakeClock, settle } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { journalOf } from "../kit/journal.ts";
import { ModelFiles } from "../kit/model_files.ts";
import { ModelDisk, ModelJournal } from "../kit/model_journal.ts";
import { instanceOf, NUMBERS } from "../kit/points.ts";

/** A journal that notes what its reader is asked for. */
class NotingJournal extends ModelJournal {
  readonly notes: string[] = [];

  override reader(...given: unknown[]): BatchReader {
    const [name, options] = given;
    this.notes.push(`reader ${name} ${JSON.stringify(options)}`);
    return this;
  }

  override wait(timeoutMs?: number, signal?: AbortSignal) {
    this.notes.push(`wait ${timeoutMs}`);
    return super.wait(timeoutMs, signal);
  }

  override keepFrom(number: number): void {
    this.notes.push(`keep ${number}`);
    super.keepFrom(number);
  }

  override commit(count?: number): void {
    this.notes.push(`commit ${count}`);
    super.commit();
  }
}

const made = seriesStore.internDefinition(seriesOf(metricOf("made")));
seriesStore.pin(made);

/** A transform that passes everything on, and makes what the test says. */
class Scripted implements StagedTransform {
  readonly tickMs = 1000;
  readonly completesAtStop: boolean;
  readonly said: string[] = [];
  neededFrom = Infinity;
  problem: Error | null = null;
  /** Called when time may pass. */
  onTime: () => void = () => {};
  /** Values of results of each batch. */
  results: number[] = [];

  constructor(completesAtStop = false) {
    this.completesAtStop = completesAtStop;
  }

  take(
    batch: Batch,
    start: number,
    end: number,
    client: ClientRecord,
    place: number,
    out: StageOutput,
  ): void {
    this.said.push(`${place} ${client.name || "local"}: ${batch.values.subarray(start, end).join(" ")}`);
    for (let row = start; row < end; row++) out.pass(batch, row);
    this.onTime();
    if (this.problem) throw this.problem;
    for (const value of this.results) out.add(client, made, 1, 0, value);
  }

  tick(): void {
    this.said.push("tick");
    this.onTime();
  }

  flush(_out?: StageOutput): void {
    this.said.push("flush");
  }
}

class Kit implements Disposable {
  readonly clock = new FakeClock();
  readonly logs = new LogLines();
  readonly transform: Scripted;
  readonly before: NotingJournal;
  readonly after: ModelJournal;
  readonly disks: readonly [ModelDisk, ModelDisk];
  readonly #kill = new AbortController();
  stage!: Stage;
  running!: Promise<void>;

  constructor(disks?: Kit["disks"], transform = new Scripted()) {
    this.disks = disks ?? [new ModelDisk(instanceOf("first")), new ModelDisk(instanceOf("second"))];
    this.before = new NotingJournal(this.disks[0]);
    this.after = new ModelJournal(this.disks[1]);
    this.transform = transform;
  }

  async start(options: Partial<StageOptions> = {}): Promise<this> {
    this.stage = await Stage.open({
      ...{ name: "t", config: {}, open: () => Promise.resolve(this.transform), directory: null },
      ...{ before: this.before, after: this.after, log: this.logs.log, clock: this.clock, ...options },
    });
    this.running = this.stage.run(this.#kill.signal);
    await settle();
    return this;
  }

  /** The rows of one batch, by the clients' names; "" for this process. */
  async send(...parts: readonly (readonly [client: string, ...values: number[]])[]): Promise<void> {
    const batch = new Batch(8);
    for (const [name, ...values] of parts) {
      for (const value of values) batch.push(NUMBERS, 1, 0, value);
      if (name !== "") batch.credit(this.before.clients.get(name, instanceOf(name)), 1);
    }
    this.before.append(batch);
    this.before.sync(Infinity);
    await settle();
  }

  /** What the reader was asked for since the last time. */
  get notes(): string {
    return this.before.notes.splice(0).join(", ");
  }

  /** What is in a journal: values by client, and marks with their numbers. */
  async stored(disk = this.disks[1], journal = this.after): Promise<string[]> {
    journal.sync(Infinity);
    await settle();
    return disk.entries.splice(0).map(({ rows, origins }) =>
      origins.map(({ name, start, end, sequence }) =>
        name === LOCAL_ORIGIN || !name.startsWith("\0")
          ? `${name === LOCAL_ORIGIN ? "local" : name}: ${
            rows.slice(start, end).map(({ value }) => value).join(" ")
          }`
          : `${name.slice(1)}=${sequence}`
      ).join(", ")
    );
  }

  async abort(): Promise<void> {
    this.#kill.abort();
    await this.running;
  }

  [Symbol.dispose](): void {
    this.before.die();
    this.after.die();
    this.#kill.abort();
    this.stage[Symbol.dispose]();
  }
}

Deno.test("each batch is taken client by client, and its results are stored with its number", async () => {
  using k = await new Kit().start();
  assert.equal(k.notes, 'reader t {"onlyWritten":true}, keep 0, wait Infinity');
  await k.send(["", 1, 2]);
  await k.send(["a", 3], ["b", 4, 5]);
  assert.deepEqual(k.transform.said, ["0 local: 1 2", "1 a: 3", "1 b: 4 5"]);
  assert.deepEqual(await k.stored(), [
    "local: 1 2, place=1, need=2",
    "a: 3, b: 4 5, place=2, need=3",
  ]);
  const received = ["a", "b"].map((name) => k.after.clients.get(name, instanceOf(name)).receivedPoints);
  assert.deepEqual(received, [1, 2]);
  // Kept until it is stored.
  assert.equal(k.notes, "keep 0, commit 1, wait Infinity, keep 0, commit 1, wait Infinity, keep 2");
  assert.equal(k.stage.name, "t");
  await k.abort();
});

Deno.test("what the transform needs is kept, and nothing that is not stored yet is given up", async () => {
  using k = await new Kit().start();
  await k.send(["a", 1]);
  void k.notes;
  k.transform.neededFrom = 1;
  await k.send(["a", 2]);
  await k.send(["a", 3]);
  assert.match(k.notes, /^keep 0, commit 1, wait 1000, keep 0, commit 1, wait 1000$/);
  // The results of two batches are stored.
  k.after.sync(2);
  assert.equal(k.notes, "keep 1");
  k.after.sync(1);
  assert.equal(k.notes, "keep 1");
  k.after.sync(Infinity);
  assert.equal(k.notes, "");
  assert.deepEqual(await k.stored(), [
    "a: 1, place=1, need=2",
    "a: 2, place=2, need=2",
    "a: 3, place=3, need=2",
  ]);
});

Deno.test("results in many parts are marked with how many parts there are, and the last one with the batch", async () => {
  using k = await new Kit().start({ partPoints: 2 });
  k.transform.results = [10];
  await k.send(["a", 1, 2, 3], ["b", 4]);
  await k.send(["a", 5]);
  await k.send(["a", 6, 7]);
  assert.deepEqual(await k.stored(), [
    "a: 1 2, part=1",
    "a: 3, b: 4, part=2",
    "a: 10, b: 10, place=1, need=2, base=2",
    "a: 5 10, place=2, need=3",
    "a: 6 7, part=3",
    "a: 10, place=3, need=4, base=3",
  ]);
});

Deno.test("after a restart what is stored is not stored again, and what is not needed is not taken", async () => {
  using first = await new Kit().start({ partPoints: 2 });
  for (const values of [[1], [2], [3, 4, 5]]) {
    first.transform.neededFrom = values[0] === 1 ? Infinity : 1;
    await first.send(["a", ...values]);
  }
  // All but the last part.
  first.after.sync(3);
  assert.deepEqual(await first.stored(undefined, { sync: () => {} } as unknown as ModelJournal), [
    "a: 1, place=1, need=2",
    "a: 2, place=2, need=2",
    "a: 3 4, part=1",
  ]);
  first.after.die();
  first.disks[0].cursor = 0;
  const { entries } = first.disks[0];
  assert.deepEqual(entries.map(({ number }) => number), [0, 1, 2]);
  using again = await new Kit(first.disks).start({ partPoints: 2 });
  assert.match(again.notes, /^reader t .*, keep 1, wait Infinity/);
  assert.deepEqual(again.transform.said, ["1 a: 2", "2 a: 3 4 5"]);
  assert.deepEqual(await again.stored(), ["a: 5, place=3, need=4, base=1"]);
  await again.send(["a", 6, 7, 8]);
  again.after.sync(1);
  again.after.die();
  again.disks[1].entries.length = 0;
  // With numbers of parts that do not begin at 0.
  using third = await new Kit(first.disks).start({ partPoints: 2 });
  assert.deepEqual(await third.stored(), ["a: 8, place=1001, need=1002, base=2"]);
});

Deno.test("a transform that needs something ticks once a second: one tick that waits to be read is enough", async () => {
  using k = await new Kit().start();
  const ticks = async () => (await k.stored(k.disks[0], k.before)).filter((text) => text !== "");
  await k.send(["a", 1]);
  void k.notes;
  k.transform.neededFrom = 0;
  await k.send(["a", 2]);
  assert.match(k.notes, /wait 1000$/);
  k.clock.spend(400);
  await k.send(["a", 3]);
  assert.match(k.notes, /wait 600$/);
  k.clock.spend(599);
  await k.send(["a", 4]);
  assert.equal(k.before.unwritten, 0);
  assert.match(k.notes, /wait 1$/);
  k.clock.spend(1);
  await k.send(["a", 5]);
  assert.equal(k.before.unwritten, 1, "it is due");
  assert.match(k.notes, /wait 1000$/);
  // It is not read yet.
  k.clock.spend(1000);
  k.before.timeOut();
  await settle();
  assert.equal(k.before.unwritten, 2, "the journal was idle: the one before is lost");
  void await ticks();
  assert.deepEqual(k.transform.said.filter((text) => text === "tick").length, 2);
  k.transform.neededFrom = Infinity;
  await k.send(["a", 6]);
  assert.match(k.notes, /wait Infinity$/);
  k.clock.spend(5000);
  k.before.timeOut();
  await settle();
  assert.equal(k.before.unwritten, 0);
});

Deno.test("while a tick waits to be read there is no other one, and the next one is due when it is read", async () => {
  using k = await new Kit().start();
  k.transform.neededFrom = 0;
  k.transform.onTime = () => k.clock.spend(1000);
  for (let n = 0; n < 4; n++) {
    const batch = new Batch(1);
    batch.push(NUMBERS, 1, 0, n);
    k.before.append(batch);
  }
  k.before.sync(Infinity);
  await settle();
  assert.equal(k.transform.said.length, 4);
  assert.equal(k.before.unwritten, 1);
  k.before.sync(Infinity);
  await settle();
  assert.deepEqual(k.transform.said.slice(4), ["tick"]);
  assert.equal(k.before.unwritten, 1);
});

Deno.test("ticks have numbers of their own, which go on after a restart, and points between are no ticks", async () => {
  using k = await new Kit().start();
  k.transform.neededFrom = 0;
  await k.send(["a", 1]);
  for (let n = 0; n < 2; n++) {
    k.clock.spend(1000);
    k.before.timeOut();
    await settle();
    k.before.sync(Infinity);
    await settle();
  }
  assert.deepEqual(await k.stored(k.disks[0], k.before), ["a: 1", "tick=1", "tick=2"]);
  assert.deepEqual(k.transform.said, ["0 a: 1", "tick", "tick"]);
  assert.deepEqual(await k.stored(), ["a: 1, place=1, need=1"], "a tick without results is not stored");
  using again = await new Kit(k.disks).start();
  again.transform.neededFrom = 0;
  await again.send(["a", 2]);
  again.clock.spend(1000);
  again.before.timeOut();
  await settle();
  assert.deepEqual((await again.stored(k.disks[0], again.before)).at(-1), "tick=3");
});

Deno.test("where more than half of the journal is used, a tick completes everything, and the log says so", async () => {
  using k = await new Kit().start();
  k.transform.neededFrom = 0;
  await k.send(["a", 1]);
  for (const bytes of [50, 51]) {
    k.before.usage.bytes = bytes;
    k.clock.spend(1000);
    k.before.timeOut();
    await settle();
    k.before.sync(Infinity);
    await settle();
    assert.equal(k.logs.matching(/WARN.*completed early.*bytes=51.*max_bytes=100/).length, bytes - 50);
  }
  assert.deepEqual(k.transform.said, ["0 a: 1", "tick", "flush"]);
});

Deno.test("a stop completes what the transform has if it is to, and a journal that has ended takes no mark", async () => {
  for (const completes of [false, true]) {
    using k = await new Kit(undefined, new Scripted(completes)).start();
    await k.send(["a", 1]);
    k.stage.beforeEnd();
    k.before.sync(Infinity);
    k.before.end();
    k.before.sync(Infinity);
    await k.running;
    assert.deepEqual(k.transform.said, completes ? ["0 a: 1", "flush"] : ["0 a: 1"]);
    k.stage.beforeEnd();
    assert.equal(k.before.unwritten, 0);
  }
});

Deno.test("the batches of a transform that fails are passed on as they are, which is said with their number", async () => {
  using k = await new Kit().start({ partPoints: 3 });
  k.transform.results = [10];
  k.transform.problem = new Error("internal");
  await k.send(["", 1, 2]);
  await k.send(["a", 3], ["b", 4, 5, 6]);
  k.transform.problem = null;
  await k.send(["b", 7]);
  assert.deepEqual(await k.stored(), [
    "local: 1 2, place=1, need=2",
    "a: 3, b: 4 5, part=1",
    "b: 6, place=2, need=3, base=1",
    "b: 7 10, place=3, need=4",
  ]);
  assert.equal(
    k.logs.matching(/ERROR.*Transform t failed, its batches are passed on unchanged.*batches=1/).length,
    1,
  );
});

Deno.test("what follows sees each part; a batch of which nothing is left is not stored, but as the last of several parts", async () => {
  const watched: number[] = [];
  const only = (test: (value: number) => boolean) => ({
    apply(batch: Batch) {
      const out = new Batch(8);
      for (const { client, start, end, sequence } of batch.origins) {
        for (let row = start; row < end; row++) if (test(batch.values[row])) out.pushFrom(batch, row);
        out.credit(client, sequence);
      }
      return out;
    },
  });
  const same = { apply: (batch: Batch) => batch };
  const broken = { apply: () => assert.fail("internal") };
  using k = await new Kit().start({
    partPoints: 2,
    followers: [
      { name: "same", transform: same },
      { name: "broken", transform: broken },
      { name: "small", transform: only((value) => value < 10) },
    ],
    watch: (batch) => void watched.push(batch.length),
  });
  await k.send(["a", 1, 20]);
  await k.send(["a", 20]);
  await k.send(["a", 1, 2, 20]);
  await k.send(["a", 20, 20, 1]);
  assert.deepEqual(await k.stored(), [
    "a: 1, place=1, need=2",
    "a: 1 2, part=1",
    "place=3, need=4, base=1",
    "part=2",
    "a: 1, place=4, need=5, base=2",
  ]);
  assert.deepEqual(watched, [1, 2, 0, 0, 1]);
  assert.equal(k.after.clients.get("a", instanceOf("a")).receivedPoints, 4);
  assert.match(
    k.logs.matching(/ERROR.*Transform broken failed, a batch is passed on unchanged/)[0],
    /internal/,
  );
});

Deno.test("while the next journal has no room nothing more is read, and an abort ends the wait", async () => {
  for (const isAborted of [false, true]) {
    using k = new Kit();
    const { promise: room, resolve } = Promise.withResolvers<void>();
    const { after } = k;
    const append = after.append.bind(after);
    after.append = (batch: Batch) => (append(batch), after.unwritten === 1 ? room : undefined) as void;
    await k.start();
    await k.send(["a", 1]);
    await k.send(["a", 2]);
    assert.deepEqual(k.transform.said, ["0 a: 1"]);
    assert.doesNotMatch(k.notes, /commit/);
    if (isAborted) {
      await k.abort();
      assert.deepEqual(k.transform.said, ["0 a: 1"]);
      assert.doesNotMatch(k.notes, /commit/);
    } else {
      resolve();
      await settle();
      assert.deepEqual(k.transform.said, ["0 a: 1", "1 a: 2"]);
    }
  }
});

Deno.test("results go into batches of 4,096 points", async () => {
  using k = await new Kit().start();
  await k.send(["a", ...Array.from({ length: 4097 }, (_, n) => n)]);
  assert.deepEqual(
    (await k.stored()).map((text) => text.split(" ").filter((word) => /^\d+,?$/.test(word)).length),
    [
      4096,
      1,
    ],
  );
});

Deno.test("a stage whose configuration is not saved reads nothing, also where the journal ends", async () => {
  using k = new Kit();
  k.before.end();
  const batch = new Batch(1);
  batch.push(NUMBERS, 1, 0, 1);
  k.before.append(batch);
  k.before.sync(Infinity);
  await k.start({ directory: "/nowhere/at/all" });
  await k.running;
  assert.deepEqual(k.transform.said, []);
});

/** Lives of a stage with a directory, each with a configuration. */
class Configured {
  readonly disks: Kit["disks"] = [new ModelDisk(instanceOf("first")), new ModelDisk(instanceOf("second"))];
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();

  /** @param bad A configuration with which the transform cannot be opened. */
  async live(config: number, work: (kit: Kit, opened: readonly number[]) => Promise<void>, bad?: number) {
    using kit = new Kit(this.disks);
    const files = new ModelFiles(this.#files);
    const opened: number[] = [];
    const open = (config: unknown) => {
      const { n } = config as { n: number };
      opened.push(n);
      return n === bad ? Promise.reject(new Error("it is bad")) : Promise.resolve(kit.transform);
    };
    await kit.start({ directory: "d", files, config: { n: config }, open });
    await files.steps(10);
    await work(kit, opened);
  }

  get saved(): string {
    return new TextDecoder().decode(this.#files.get("d/transform.json"));
  }
}

Deno.test("another configuration begins with the next batch, which a tick is if nothing else comes", async () => {
  for (const [neededFrom, configurations] of [[1000, [2]], [999, [1, 2]]] as const) {
    const lives = new Configured();
    await lives.live(1, async (k) => {
      await k.send(["a", 1]);
      k.after.sync(Infinity);
    });
    assert.equal(lives.saved, '[{"from":0,"config":{"n":1}}]\n');
    await lives.live(2, async (k, opened) => {
      assert.deepEqual(opened, [1]);
      assert.equal(lives.saved, '[{"from":0,"config":{"n":1}},{"from":1000,"config":{"n":2}}]\n');
      k.transform.said.length = 0;
      k.before.sync(Infinity);
      await settle();
      assert.deepEqual([k.transform.said, opened], [["flush", "tick"], [1, 2]]);
      k.transform.neededFrom = neededFrom;
      await k.send(["a", 2]);
      assert.match((await k.stored()).at(-1)!, new RegExp(`place=1002, need=${neededFrom + 1}`));
    });
    // As long as something before is needed, it is read with the configuration of then.
    await lives.live(2, (k, opened) => {
      assert.deepEqual([opened, k.before.unwritten], [configurations, configurations.length - 1]);
      return Promise.resolve();
    });
  }
});

Deno.test("a configuration that cannot be used any more is replaced by the present one; the present one must do", async () => {
  const lives = new Configured();
  await lives.live(1, () => Promise.resolve());
  await lives.live(2, (k, opened) => {
    assert.deepEqual(opened, [1, 2]);
    assert.equal(k.logs.matching(/WARN.*Cannot use the earlier configuration.*it is bad/).length, 1);
    return Promise.resolve();
  }, 1);
  const kit = new Kit();
  await assert.rejects(kit.start({ open: () => Promise.reject(new Error("it is bad")) }), /it is bad/);
  assert.deepEqual(kit.logs.matching(/./), []);
});

Deno.test("in memory nothing is marked, and the end completes what the transform has", async () => {
  using k = new Kit();
  const [before, after] = [journalOf(), journalOf()];
  const transform = new Scripted();
  transform.flush = (out?: StageOutput) => out!.add(before.clients.local, made, 1, 0, 10);
  const reader = after.reader("out");
  await k.start({ before, after, open: () => Promise.resolve(transform) });
  const batch = new Batch(1);
  batch.push(NUMBERS, 1, 0, 5);
  void before.append(batch);
  before.end();
  await k.running;
  const batches = [reader.next()!, reader.next()!];
  assert.deepEqual(batches.map(({ values }) => values[0]), [5, 10]);
  assert.ok(batches.every(({ origins }) => origins.length === 1 && origins[0].client.name === LOCAL_ORIGIN));
  assert.equal(reader.next(), undefined);
});
