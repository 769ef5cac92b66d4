/** The rule by which a stage reads again after it was killed, with disks that do what they do when the test says so. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import { Batch, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import type { AggregationConfig } from "../../lib/transforms/aggregation/config.ts";
import { Stage } from "../../lib/transforms/stage.ts";
import { Eras } from "../../lib/transforms/stage/eras.ts";
import { Chance } from "../kit/bytes.ts";
import { FakeClock, settle } from "../kit/fake_clock.ts";
import { ModelFiles } from "../kit/model_files.ts";
import { ModelDisk, ModelJournal } from "../kit/model_journal.ts";
import { instanceOf } from "../kit/points.ts";
import { stagedOf } from "../kit/stages.ts";
import { TempDir } from "../kit/temp_dir.ts";

const CLIENTS = ["one", "two", "three"];
const SERIES = 3;
const START = 1_700_000_000;
const TOML = `[plugins.aggregation]
interval = "1s"
grace = "300ms"
function = ["Sum", "Count"]
metrics = ["watts"]
`;

interface Point {
  readonly series: number;
  readonly ms: number;
  readonly value: number;
  readonly passes: boolean;
}

interface Options {
  /** Points come late, and times go back. */
  readonly isUntidy?: boolean;
  /** Time passes without points: windows are completed by silence. */
  readonly ticks?: boolean;
  /** The first journal is too full now and then. */
  readonly fills?: boolean;
  /** Keys that each life may have otherwise. */
  readonly configs?: readonly Partial<AggregationConfig>[];
  readonly partPoints?: number;
}

/** The points of each batch; all clients send the same, each for its own series. */
function scriptOf(chance: Chance, { isUntidy }: Options): Point[][] {
  let value = 0;
  let ms = 0;
  const script = Array.from({ length: 25 }, () =>
    Array.from({ length: 1 + chance.int(8) }, (): Point => {
      ms += chance.int(200);
      const back = isUntidy && chance.int(10) === 0 ? chance.int(chance.int(10) === 0 ? 20_000 : 1500) : 0;
      return {
        series: chance.int(SERIES),
        ms: Math.max(0, ms - back),
        value: ++value,
        passes: chance.int(5) === 0,
      };
    }));
  // Each series twice, much later, so that all before is complete.
  for (const later of [100_000, 200_000]) {
    script.push(
      Array.from({ length: SERIES }, (_, series) => ({ series, ms: ms + later, value: 0, passes: false })),
    );
  }
  return script;
}

/** What a journal on disk makes of metrics: the same objects in each life. */
const REGISTRY = new MetricRegistry();
const WATTS = REGISTRY.register({ name: "watts", type: "u64", unit: { base: "W", prefix: "" } });
const OTHER = REGISTRY.register({ name: "other", type: "u64", unit: { base: "1", prefix: "" } });

/** What outlives a process: its two journals, and the files beside the first one. */
class Disks {
  readonly before = new ModelDisk(instanceOf("first"));
  readonly after = new ModelDisk(instanceOf("second"));
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
}

/** One life of a process, whose clients send again what it has not got. Nothing of it goes on after its end. */
class Life implements Disposable {
  readonly before: ModelJournal;
  readonly after: ModelJournal;
  readonly files: ModelFiles;
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  readonly #series = new Map<string, Series>();
  readonly #kill = new AbortController();
  readonly #sent = new Map<string, number>();
  stage!: Stage;
  running!: Promise<void>;

  constructor(disks: Disks) {
    this.before = new ModelJournal(disks.before);
    this.after = new ModelJournal(disks.after);
    this.files = new ModelFiles(disks.files);
    for (const name of CLIENTS) {
      this.#sent.set(name, this.before.clients.get(name, instanceOf(name)).durable);
    }
  }

  async start(config: Partial<AggregationConfig> = {}, partPoints?: number): Promise<void> {
    const staged = stagedOf(TOML, REGISTRY, this.before.clients);
    this.stage = await Stage.open({
      ...staged,
      config: { ...staged.config as AggregationConfig, ...config },
      ...{ before: this.before, after: this.after, directory: "before", files: this.files, partPoints },
      log: createLogger("test", { write: (line) => this.lines.push(line) }),
      clock: this.clock,
    });
    this.running = this.stage.run(this.#kill.signal);
  }

  /** The client sends its next batch. @returns whether it had one. */
  send(client: string, script: readonly (readonly Point[])[]): boolean {
    const sequence = this.#sent.get(client)! + 1;
    const points = script[sequence - 1];
    if (!points) return false;
    const batch = new Batch(points.length);
    for (const { series, ms, value, passes } of points) {
      const of = this.#of(client, series, passes);
      batch.push(of, START + Math.floor(ms / 1000), (ms % 1000) * 1e6, value);
    }
    batch.credit(this.before.clients.get(client, instanceOf(client)), sequence);
    this.before.append(batch);
    this.#sent.set(client, sequence);
    return true;
  }

  #of(client: string, n: number, passes: boolean): Series {
    const key = `${client} ${n} ${passes}`;
    let series = this.#series.get(key);
    if (!series) {
      const rest = {
        resourceKind: "r",
        resourceId: String(n),
        attributes: [["relay_client", client]] as const,
      };
      this.#series.set(key, series = seriesOf(passes ? OTHER : WATTS, rest));
    }
    return series;
  }

  [Symbol.dispose](): void {
    for (const disk of [this.before, this.after, this.files]) disk.die();
    this.#kill.abort();
    this.stage[Symbol.dispose]();
  }
}

/** Lets clients, disks, clock and death take turns, until everything is stored. */
async function play(
  seed: number,
  options: Options = {},
): Promise<{ script: Point[][]; disk: ModelDisk; deaths: number }> {
  const chance = new Chance(seed);
  const script = scriptOf(chance, options);
  const disks = new Disks();
  const { configs = [{}] } = options;
  let deaths = 0;
  for (let isOver = false; !isOver; deaths++) {
    using life = new Life(disks);
    const { before, after, files, clock } = life;
    await life.start(chance.pick(configs), options.partPoints);
    // The last life sees everything through.
    const lastsUntil = deaths < 5 ? chance.int(90) : Infinity;
    for (let step = 0; step < lastsUntil && !isOver; step++) {
      const what = chance.int(11);
      if (what < 4) life.send(chance.pick(CLIENTS), script);
      else if (what < 6) before.sync(1 + chance.int(3));
      else if (what < 8) after.sync(1 + chance.int(2));
      else if (what < 9) before.saveCursor();
      else if (what < 10) await files.steps(1 + chance.int(6));
      else {
        before.usage.bytes = options.fills && chance.int(3) === 0 ? 99 : 0;
        if (options.ticks) {
          files.isFull = !files.isFull && chance.int(3) === 0;
          await clock.advance(1000);
        }
        before.timeOut();
        seriesStore.tick();
      }
      await settle();
      if (lastsUntil < Infinity) continue;
      const isSent = CLIENTS.every((client) =>
        before.clients.get(client, instanceOf(client)).durable === script.length
      );
      if (isSent && before.unwritten === 0 && files.waiting === 0 && clock.sleepers === 0) {
        before.end();
        await life.running;
        after.sync(Infinity);
        isOver = true;
      }
    }
  }
  return { script, disk: disks.after, deaths };
}

/** Sums and counts by client, series and window; points that pass, by value. Without the windows at the end. */
function expectedOf(script: readonly (readonly Point[])[]): Map<string, number> {
  const expected = new Map<string, number>();
  const add = (key: string, value: number) => expected.set(key, (expected.get(key) ?? 0) + value);
  for (const client of CLIENTS) {
    for (const { series, ms, value, passes } of script.slice(0, -2).flat()) {
      if (passes) add(`${client} other ${series} ${value}`, 1);
      else {
        add(`${client} watts_sum ${series} ${START + Math.floor(ms / 1000)}`, value);
        add(`${client} watts_count ${series} ${START + Math.floor(ms / 1000)}`, 1);
      }
    }
  }
  return expected;
}

function totalsOf(disk: ModelDisk, script: readonly (readonly Point[])[]) {
  const totals = new Map<string, number>();
  const rows = new Map<string, number>();
  const end = START + (script.at(-2)![0].ms - 50_000) / 1000;
  for (const { series: { metric: { name }, resourceId }, seconds, value, client } of disk.rows()) {
    if (seconds > end) continue;
    const passes = name === "other";
    const key = `${client} ${name} ${resourceId} ${passes ? value : seconds}`;
    totals.set(key, (totals.get(key) ?? 0) + (passes ? 1 : value));
    rows.set(key, (rows.get(key) ?? 0) + 1);
  }
  return { totals, rows };
}

const sorted = (map: Map<string, number>) => [...map].sort(([a], [b]) => a < b ? -1 : 1);
const SEEDS = Number(Deno.env.get("ALUMET_RELAY_SEEDS") ?? 8);

/** Whoever reads a series after it was given back is found out. */
seriesStore.poison();

Deno.test("killed anywhere, with a configuration that each life may change: each point is in one window", async () => {
  const configs = [{}, { interval: 3000 }, { interval: 500, grace: 0 }];
  for (let seed = 0; seed < SEEDS; seed++) {
    const { script, disk } = await play(seed, { configs, ticks: true, isUntidy: true });
    // Windows differ, so what is left to compare are series.
    const ofSeries = (map: Map<string, number>) => {
      const sums = new Map<string, number>();
      for (const [key, value] of map) {
        const series = key.includes("watts") ? key.replace(/\d+(\.5)?$/, "") : key;
        sums.set(series, (sums.get(series) ?? 0) + value);
      }
      return sorted(sums);
    };
    assert.deepEqual(ofSeries(totalsOf(disk, script).totals), ofSeries(expectedOf(script)), `seed ${seed}`);
  }
});

Deno.test("no batch is read with a new configuration before the next life can know it", async () => {
  const disks = new Disks();
  const script = [[{ series: 0, ms: 0, value: 1, passes: true }]];
  {
    using life = new Life(disks);
    await life.start();
    await life.files.steps(10);
    assert.ok(disks.files.has("before/transform.json"));
  }
  const known = new Map(disks.files);
  using life = new Life(disks);
  const { before, after, files, clock, lines } = life;
  files.isFull = true;
  await life.start({ interval: 3000 });
  life.send("one", script);
  before.sync(Infinity);
  for (let n = 0; n < 3; n++) {
    await files.steps(10);
    await clock.advance(1000);
  }
  assert.equal(after.unwritten, 0);
  assert.deepEqual(disks.files, known);
  assert.match(lines.join(""), /Cannot save the configuration .* the transform waits.*No space left/);
  files.isFull = false;
  // As soon as it is written, and its name is, too.
  while (after.unwritten === 0) {
    assert.equal(files.waiting, 1);
    await files.steps(1);
  }
  assert.match(new TextDecoder().decode(disks.files.get("before/transform.json")), /"interval":3000/);
  assert.match(lines.at(-1)!, /is saved/);
});

Deno.test("what came before a key was set is read without it, and a key that is new in this version is no change", async () => {
  await using dir = new TempDir();
  const erasOf = (config: unknown, next: number) =>
    new Eras({
      ...{ directory: dir.path, config, next, needed: 0, name: "aggregation", clock: new FakeClock() },
      log: createLogger("test", { write: () => {} }),
    });
  const before = { interval: 1, grace: undefined, rules: [{ metric: undefined }] };
  const after = { interval: 1, grace: 3, rules: [] };
  await erasOf(before, 0).save(new AbortController().signal, () => false);
  assert.ok(!erasOf(before, 7).isChanging);
  const eras = erasOf(after, 7);
  assert.ok(eras.isChanging);
  assert.deepEqual([eras.of(6).config, eras.of(7).config], [before, after]);
  await Deno.writeTextFile(dir.file("transform.json"), '[{"from":0,"config":{"interval":1}}]');
  assert.ok(!erasOf({ ...before, memory: 5 }, 7).isChanging);
  assert.ok(erasOf({ ...before, interval: 2 }, 7).isChanging);
});

Deno.test("a stop does not wait for a disk that is full", async () => {
  using life = new Life(new Disks());
  life.files.isFull = true;
  await life.start();
  await life.files.steps(10);
  life.before.end();
  await life.clock.advance(1000);
  await life.files.steps(10);
  await life.running;
  assert.equal(life.after.unwritten, 0);
});

Deno.test("points of a configuration that cannot be used any more are read with the present one", async () => {
  const disks = new Disks();
  const script = Array.from({ length: 3 }, (_, n) => [{ series: 0, ms: n, value: n, passes: true }]);
  for (const config of [{}, { function: ["Unknown"] }, {}]) {
    using life = new Life(disks);
    await life.start(config);
    life.send("one", script);
    await life.files.steps(10);
    life.before.sync(Infinity);
    life.before.end();
    if (config.function) await assert.rejects(life.running, TypeError);
    else {
      await life.running;
      life.after.sync(Infinity);
      const isTold = life.lines.some((line) => line.includes("Cannot use the earlier configuration"));
      assert.equal(isTold, disks.after.entries.length > 1);
    }
  }
  assert.deepEqual([...disks.after.rows()].map(({ value }) => value), [0, 1, 2]);
});

const KINDS: Record<string, Options> = {
  "points in order": {},
  "late points, and clocks that are set back": { isUntidy: true },
  "windows that silence completes": { ticks: true, isUntidy: true },
  "a journal that fills": { ticks: true, fills: true },
  "little memory for windows": { configs: [{ memory: 370 }], isUntidy: true },
  "results in many parts": { partPoints: 3, ticks: true, isUntidy: true },
  "little memory, many parts and silence": {
    ...{ configs: [{ memory: 740 }], partPoints: 2, ticks: true, isUntidy: true },
  },
};

for (const [what, options] of Object.entries(KINDS)) {
  Deno.test(`killed anywhere, with ${what}: each window has each of its points once`, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const { script, disk, deaths } = await play(seed, options);
      assert.ok(deaths > 3);
      const { totals, rows } = totalsOf(disk, script);
      assert.deepEqual(sorted(totals), sorted(expectedOf(script)), `seed ${seed}`);
      // Nothing was late, so there is one result for each window.
      if (what === "points in order") {
        assert.deepEqual([...rows.values()].filter((n) => n > 1), [], `seed ${seed}`);
      }
    }
  });
}
