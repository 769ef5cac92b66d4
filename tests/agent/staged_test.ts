/** An agent whose pipe has a transform with a memory. */
import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import { Journals } from "../../lib/agent/journals.ts";
import { general } from "../../lib/config/general.ts";
import { relayServer } from "../../lib/inputs/relay_server.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import type { BatchSink, Input, Output, Plugin, TransformPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { aggregation } from "../../lib/transforms/aggregation.ts";
import { batchOf as clientBatch, open, synced } from "../kit/journal.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf, instanceOf } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };
const START = 1_700_000_000;

/** Points of one metric at seconds from the start. */
type Poll = readonly [metric: string, ...(readonly [seconds: number, value: number])[]];

/** Hands over batches, and is done. */
const source = (polls: readonly Poll[]): Plugin => ({
  ...declaration,
  name: "source",
  kind: "input",
  open: (_config, { registry }): Promise<Input> =>
    Promise.resolve({
      async run(sink: BatchSink) {
        for (const [name, ...points] of polls) {
          const series = seriesOf(registry.register({ name, type: "f64", unit: { base: "W", prefix: "" } }));
          await sink.push(batchOf(points.map(([seconds, value]) => [series, value, START + seconds, 0])));
        }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
});

/** Keeps what it gets, in words. */
const keep = (lines: string[]): Plugin => ({
  ...declaration,
  name: "keep",
  kind: "output",
  open: (): Promise<Output> =>
    Promise.resolve({
      async run(reader, signal) {
        while (await reader.wait(Infinity, signal) === "ready") {
          for (let batch; (batch = reader.next());) {
            for (let row = 0; row < batch.length; row++) {
              lines.push(`${batch.seconds[row] - START}: ${batch.metricAt(row).name} ${batch.values[row]}`);
            }
            reader.commit(1);
          }
        }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
});

/** A transform without a memory that negates values. */
const negate: TransformPlugin<unknown> = {
  ...declaration,
  name: "negate",
  kind: "transform",
  open: () =>
    Promise.resolve({
      apply(batch) {
        for (let row = 0; row < batch.length; row++) batch.values[row] *= -1;
        return batch;
      },
    }),
};

interface Life {
  readonly polls?: readonly Poll[];
  readonly keys?: Record<string, unknown>;
  /** The state directory; without it the journals are in memory. */
  readonly state?: string;
  readonly transforms?: (
    aggregation: { plugin: Plugin; config: unknown },
  ) => { plugin: Plugin; config: unknown }[];
  readonly more?: { plugin: Plugin; config: unknown }[];
}

async function live({ polls = [], keys = {}, state, transforms = (own) => [own], more = [] }: Life) {
  const lines: string[] = [];
  const log = new LogLines();
  const config = aggregation.config.check(
    { interval: "10s", grace: "0s", metrics: ["watts"], ...keys },
    [],
    ({ message }) => assert.fail(message),
  );
  const defaults = general.defaultValue();
  const code = await runAgent(
    {
      general: {
        ...defaults,
        shutdown_timeout: 60_000,
        journal: { ...defaults.journal, enable: state !== undefined },
      },
      stateBase: state === undefined ? null : { path: state, from: "HOME" },
      plugins: [
        { plugin: source(polls), config: {} },
        ...more,
        ...transforms({ plugin: aggregation, config }),
        { plugin: keep(lines), config: {} },
      ],
    },
    log.log,
    { signals: false },
  );
  return { code, lines, log: log.lines.join("\n") };
}

Deno.test("a window outlives a stop on disk, and is completed after the next start", async () => {
  await using dir = new TempDir();
  const first = await live({
    state: dir.path,
    polls: [["watts", [1, 1], [2, 2]], ["other", [3, 9]]],
  });
  assert.deepEqual([first.code, first.lines], [0, ["3: other 9"]], first.log);
  // It must not depend on the memory of the machine at the next start.
  const [role] = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
  const eras = await Deno.readTextFile(dir.file(`${role}/journal/before-aggregation/transform.json`));
  assert.match(eras, /"memory":\d{7}/);
  const second = await live({ state: dir.path, polls: [["watts", [3, 4], [12, 8]]] });
  assert.deepEqual([second.code, second.lines], [0, ["0: watts_sum 7"]], second.log);
  // Nothing comes again.
  const third = await live({ state: dir.path });
  assert.deepEqual([third.code, third.lines], [0, []], third.log);
  const last = await live({ state: dir.path, keys: { complete_at_stop: true } });
  assert.deepEqual([last.code, last.lines], [0, ["10: watts_sum 8"]], last.log);
  assert.deepEqual((await live({ state: dir.path, keys: { complete_at_stop: true } })).lines, []);
});

Deno.test("in memory a stop completes all windows", async () => {
  const { code, lines, log } = await live({ polls: [["watts", [1, 1], [2, 2], [12, 4]]] });
  assert.equal(code, 0, log);
  assert.deepEqual(lines, ["0: watts_sum 3", "10: watts_sum 4"]);
});

Deno.test("another configuration begins with the next point; windows before it are completed with the old one", async () => {
  await using dir = new TempDir();
  await live({ state: dir.path, polls: [["watts", [1, 1], [2, 2]]] });
  const keys = { interval: "4s", function: "Count" };
  const { code, lines, log } = await live({
    state: dir.path,
    keys,
    polls: [["watts", [3, 4], [4, 8]]],
  });
  assert.equal(code, 0, log);
  assert.deepEqual(lines, ["0: watts_sum 3", "0: watts_count 1"]);
});

Deno.test("transforms work in the order of the file, before and behind the journal of one with a memory", async () => {
  const own = { plugin: negate as Plugin, config: {} };
  const polls: Poll[] = [["watts", [1, 1], [2, 2]], ["other", [3, 9]]];
  const outcome = async (transforms: Life["transforms"], state?: string) =>
    (await live({ polls, transforms, state, keys: { function: "Max", complete_at_stop: true } }))
      .lines;
  for (const onDisk of [false, true]) {
    await using dir = new TempDir();
    const state = (name: string) => onDisk ? dir.file(name) : undefined;
    assert.deepEqual(await outcome((a) => [own, a], state("before")), ["3: other -9", "0: watts_max -1"]);
    assert.deepEqual(await outcome((a) => [a, own], state("behind")), ["3: other -9", "0: watts_max -2"]);
    assert.deepEqual(await outcome((a) => [own, a, own], state("both")), ["3: other 9", "0: watts_max 1"]);
  }
});

Deno.test("two transforms with a memory stand behind each other, each with its journal", async () => {
  await using dir = new TempDir();
  const again: Plugin = { ...aggregation, name: "again" } as Plugin;
  const config = aggregation.config.check(
    { interval: "30s", metrics: ["watts_sum"], function: ["Sum", "Count"], complete_at_stop: true },
    [],
    ({ message }) => assert.fail(message),
  );
  const { code, lines, log } = await live({
    state: dir.path,
    keys: { complete_at_stop: true },
    polls: [["watts", [10, 1], [12, 2], [21, 4], [35, 8], [45, 16]]],
    transforms: (own) => [own, { plugin: again, config }],
  });
  assert.equal(code, 0, log);
  assert.deepEqual(lines.sort(), [
    "10: watts_sum_count 3",
    "10: watts_sum_sum 15",
    "40: watts_sum_count 1",
    "40: watts_sum_sum 16",
  ]);
});

Deno.test("the journal of a transform that is no longer enabled is left, and the log says so", async () => {
  await using dir = new TempDir();
  await live({ state: dir.path, polls: [["watts", [1, 1]]] });
  const { code, log } = await live({ state: dir.path, transforms: () => [] });
  assert.equal(code, 0);
  assert.match(log, /journal of a transform that is not enabled.*transform=aggregation.*before-aggregation/);
  const back = await live({ state: dir.path, keys: { complete_at_stop: true } });
  assert.deepEqual(back.lines, ["0: watts_sum 1"]);
});

Deno.test("a server whose database decides what is stored refuses to start with windows", async () => {
  const config = relayServer.config.check({ address: "127.0.0.1:0", acknowledge: "stored" }, [], () => {});
  const { code, log } = await live({ more: [{ plugin: relayServer, config }] });
  assert.equal(code, 78);
  assert.match(log, /acknowledge = "stored"/);
});

Deno.test("a server that gets a transform with a memory knows which batches of its clients it has taken", async () => {
  await using dir = new TempDir();
  const last = dir.file("journal");
  {
    await using journal = await open(last);
    void journal.append(clientBatch(journal.clients, "ours", 5));
    await synced(journal);
  }
  await using after = await open(last);
  await using before = await open(`${last}/before-aggregation`);
  const { first } = new Journals([before, after], 2, { limitBytes: 0 });
  const ours = first.clients.get("ours", instanceOf("ours"));
  assert.deepEqual([ours.accepted, ours.durable], [5, 5]);
  assert.ok(ours.lastContactMs > 0, "or it would be forgotten");
});
