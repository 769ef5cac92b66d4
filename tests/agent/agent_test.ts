import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import { EXIT, ExitError } from "../../lib/base/errors.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import type {
  BatchSink,
  Input,
  InputPlugin,
  Output,
  OutputPlugin,
  Plugin,
  PluginContext,
  TransformPlugin,
} from "../../lib/plugin.ts";
import { general } from "../../lib/config/general.ts";
import type { JournalConfig } from "../../lib/agent/kept.ts";
import { table } from "../../lib/schema.ts";
import { type StateBase, StateDirectory } from "../../lib/agent/state_directory.ts";
import { LogLines } from "../kit/log_lines.ts";
import { numbered } from "../kit/points.ts";
import { unlocked } from "../kit/locks.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };

/** An input that pushes batches, and one more when it is told to stop. */
function source(name: string, batches: Batch[], last?: Batch): InputPlugin<unknown> & { disposed: boolean } {
  const plugin = {
    ...declaration,
    name,
    kind: "input" as const,
    disposed: false,
    open: (): Promise<Input> =>
      Promise.resolve({
        async run(sink: BatchSink, stop: AbortSignal) {
          for (const batch of batches) await sink.push(batch);
          await new Promise<void>((resolve) => {
            if (stop.aborted) resolve();
            else stop.addEventListener("abort", () => resolve(), { once: true });
          });
          if (last) await sink.push(last);
        },
        stats: { batches: batches.length },
        [Symbol.asyncDispose]() {
          plugin.disposed = true;
          return Promise.resolve();
        },
      }),
  };
  return plugin;
}

/** An output that keeps the values of all points. */
function store(
  name: string,
  open?: () => Promise<Output>,
): OutputPlugin<unknown> & { values: number[]; disposed: boolean } {
  const plugin = {
    ...declaration,
    name,
    kind: "output" as const,
    values: [] as number[],
    disposed: false,
    open: open ?? ((): Promise<Output> =>
      Promise.resolve({
        async run(reader, signal) {
          while (await reader.wait(Infinity, signal) === "ready") {
            const batch = reader.next()!;
            plugin.values.push(...batch.values.subarray(0, batch.length));
            reader.commit(1);
          }
        },
        [Symbol.asyncDispose]() {
          plugin.disposed = true;
          return Promise.resolve();
        },
      })),
  };
  return plugin;
}

interface Started {
  done: Promise<number>;
  stop: () => void;
  logs: LogLines;
  agent: () => RunningAgent | undefined;
}

function start(plugins: Plugin[], shutdown_timeout = 60_000, journal?: JournalConfig): Started {
  const stop = new AbortController();
  const logs = new LogLines();
  let agent: RunningAgent | undefined;
  const done = runAgent(
    { general: { shutdown_timeout, journal }, plugins: plugins.map((plugin) => ({ plugin, config: {} })) },
    logs.log,
    { stop: stop.signal, signals: false, onRunning: (running) => void (agent = running) },
  );
  return { done, stop: () => stop.abort(), logs, agent: () => agent };
}

Deno.test("a stop brings the last points of the inputs to every output, and exits with 0", async () => {
  const [a, b] = [store("a"), store("b")];
  const input = source("in", [numbered(3)], numbered(2, 3));
  const { done, stop, agent } = start([input, a, b]);
  await until(() => a.values.length === 3 && b.values.length === 3);
  assert.deepEqual(agent()!.figures.counters(), {
    in: { batches: 1 },
    journal: { appendedPoints: 3, droppedPoints: 0 },
  });
  stop();
  assert.equal(await done, EXIT.ok);
  for (const { values } of [a, b]) assert.deepEqual(values, [0, 1, 2, 3, 4]);
  assert.ok(input.disposed && a.disposed && b.disposed);
});

/** An input that measures its machine, and what has come of it. */
function measuring(name: string, found: number, stats: Record<string, number>): InputPlugin<unknown> {
  const input = source(name, []);
  const findings = Array.from({ length: found }, () => ({ what: "a sensor", file: "/sys/x" }));
  return {
    ...input,
    open: async (config, context) => Object.assign(await input.open(config, context), { stats, findings }),
  };
}

Deno.test("inputs that found nothing have one line together at the stop, the others a summary each", async () => {
  const { done, stop, logs } = start([
    measuring("rapl", 0, { polls: 2, points: 0, failedPolls: 0 }),
    measuring("nvml", 0, { polls: 2, points: 0, failedPolls: 0 }),
    measuring("hwmon", 1, { polls: 2, points: 0, failedPolls: 0 }),
    measuring("procfs", 0, { polls: 2, points: 0, failedPolls: 2 }),
    store("out"),
  ]);
  stop();
  await done;
  assert.equal(
    logs.matching(/INFO.*Found nothing to measure inputs=rapl,nvml$/m).length,
    1,
    logs.lines.join(""),
  );
  assert.equal(logs.matching(/(?:rapl|nvml): Summary/).length, 0);
  assert.equal(logs.matching(/(?:hwmon|procfs): Summary/).length, 2);
});

/** A transform that does that. */
const transform = (name: string, apply: (batch: Batch) => Batch): TransformPlugin<unknown> => ({
  ...declaration,
  name,
  kind: "transform",
  open: () => Promise.resolve({ apply }),
});

Deno.test("every batch goes through the transforms, in order, and may be emptied or replaced", async () => {
  const seen: string[] = [];
  const out = store("out");
  const { done, stop } = start([
    source("in", [numbered(1), numbered(2), numbered(3)]),
    transform(
      "empty",
      (batch) => (seen.push(`empty ${batch.length}`), batch.length === 2 ? numbered(0) : batch),
    ),
    transform("double", (batch) => (seen.push(`double ${batch.length}`), numbered(batch.length * 2))),
    out,
  ]);
  await until(() => out.values.length === 8);
  stop();
  assert.equal(await done, EXIT.ok);
  assert.deepEqual(seen, ["empty 1", "double 1", "empty 2", "double 0", "empty 3", "double 3"]);
});

Deno.test("a transform that fails passes its batch on unchanged, and is reported once a minute", async () => {
  const out = store("out");
  const { done, stop, logs } = start([
    source("in", [numbered(1), numbered(2), numbered(3)]),
    transform("bad", () => {
      throw new Error("unexpected");
    }),
    transform("double", (batch) => numbered(batch.length * 2)),
    out,
  ]);
  await until(() => out.values.length === 12);
  stop();
  assert.equal(await done, EXIT.ok);
  assert.equal(logs.matching(/ERROR.*Transform bad failed/).length, 1);
});

Deno.test("a plugin that cannot be opened ends the process with its exit code, and open plugins are closed", async () => {
  const input = source("in", []);
  const broken = store("broken", () => Promise.reject(new ExitError(EXIT.config, "Cannot do that")));
  const { done, logs } = start([input, broken]);
  assert.equal(await done, EXIT.config);
  assert.equal(logs.matching(/ERROR test: Cannot do that/).length, 1);
  assert.ok(input.disposed);
});

Deno.test("an output that gives up stops the process in order: the others get everything, and the loss is counted", async () => {
  const good = store("good");
  const bad: OutputPlugin<unknown> = {
    ...declaration,
    name: "bad",
    kind: "output",
    open: (_config, { fail }) =>
      Promise.resolve({
        async run(reader, signal) {
          await reader.wait(Infinity, signal);
          fail(new ExitError(EXIT.unavailable, "Cannot reach it"));
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
  const { done, logs } = start([source("in", [numbered(3)], numbered(4, 3)), good, bad]);
  assert.equal(await done, EXIT.unavailable);
  assert.deepEqual(good.values, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(logs.matching(/ERROR test: Cannot reach it; 7 points are given up/).length, 1);
});

Deno.test("an output that throws is an internal error, with exit code 70", async () => {
  const bad = store("bad", () =>
    Promise.resolve({
      run: () => Promise.reject(new TypeError("oops")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }));
  const { done, logs } = start([source("in", []), bad]);
  assert.equal(await done, EXIT.software);
  assert.ok(logs.matching(/bad failed.*oops/).length === 1);
});

Deno.test("a stop waits for an output for at most shutdown_timeout, and counts lost points", async () => {
  const stuck = store("stuck", () =>
    Promise.resolve({
      run: (_reader, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }));
  const { done, stop, logs, agent } = start([source("in", [numbered(5)]), stuck], 200);
  await until(() => agent() !== undefined);
  stop();
  assert.equal(await done, EXIT.unavailable);
  assert.equal(logs.matching(/5 points could not be written in time and are given up/).length, 1);
});

Deno.test("the process ends when all inputs have ended by themselves", async () => {
  const out = store("out");
  const once: InputPlugin<unknown> = {
    ...declaration,
    name: "once",
    kind: "input",
    open: () =>
      Promise.resolve({
        async run(sink) {
          await sink.push(numbered(2));
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
  assert.equal(await start([once, out]).done, EXIT.ok);
  assert.deepEqual(out.values, [0, 1]);
});

/** A journal on disk below `dir`. */
function onDisk(dir: string): JournalConfig {
  return { ...general.defaultValue().journal, enable: true, path: `${dir}/journal`, min_free: 0 };
}

Deno.test("a journal on disk keeps points that an output could not take in time, and they come first at the next start", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const stuck = store("out", () =>
      Promise.resolve({
        run: (_reader, signal) =>
          new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }));
    const first = start([source("in", [numbered(5)], numbered(2, 5)), stuck], 200, onDisk(dir));
    await until(() => first.agent() !== undefined);
    first.stop();
    assert.equal(await first.done, EXIT.ok, first.logs.lines.join(""));
    assert.equal(first.logs.matching(/Stopped kept_in_journal=7/).length, 1);

    const out = store("out");
    const second = start([source("in", [numbered(3, 7)]), out], 60_000, onDisk(dir));
    await until(() => out.values.length === 10);
    second.stop();
    assert.equal(await second.done, EXIT.ok);
    assert.deepEqual(out.values, Array.from({ length: 10 }, (_, i) => i));
    const books = /Books of all clients .*received=3 kept_at_start=7 stored=10 kept=0 rejected=0/;
    assert.equal(second.logs.matching(books).length, 1, second.logs.lines.join(""));

    const third = start([source("in", []), store("out")], 60_000, onDisk(dir));
    await until(() => third.agent() !== undefined);
    third.stop();
    assert.equal(await third.done, EXIT.ok);
    assert.equal(third.logs.matching(/kept_in_journal/).length, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a journal that cannot be used ends the process, and the error names its directory and what to do", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/file`, "");
    const { done, logs } = start([source("in", []), store("out")], 60_000, onDisk(`${dir}/file`));
    assert.equal(await done, EXIT.unavailable);
    assert.equal(logs.matching(/Cannot use the journal in .*file\/journal/).length, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Runs to the end at once; `written` is the context that a plugin was given. */
async function runWithState(
  plugins: readonly Plugin[],
  stateBase: StateBase | null,
  journal: Partial<JournalConfig> = {},
): Promise<{ code: number; logs: LogLines; context: PluginContext | undefined }> {
  let context: PluginContext | undefined;
  const spy: Plugin = {
    ...declaration,
    name: "spy",
    kind: "transform",
    open: (_, given) => {
      context = given;
      return Promise.resolve({ apply: (batch: Batch) => batch });
    },
  };
  const logs = new LogLines();
  const stop = AbortSignal.abort();
  const settings = {
    general: { shutdown_timeout: 60_000, journal: { ...general.defaultValue().journal, ...journal } },
    plugins: [...plugins, spy].map((plugin) => ({ plugin, config: {} })),
    stateBase,
  };
  const code = await runAgent(settings, logs.log, { stop, signals: false });
  return { code, logs, context };
}

const receiver = { ...source("receiver", []), receives: true };
const sender = { ...store("sender"), sends: true };

Deno.test("a relay has its journal on disk by default, in the directory of its role, and a local process has none", async () => {
  await using dir = new TempDir();
  const base = { path: dir.path, from: "XDG_STATE_HOME" };
  const roles = {
    client: [source("in", []), sender],
    server: [receiver, store("out")],
    hop: [receiver, sender],
    local: [source("in", []), store("out")],
  };
  for (const [role, plugins] of Object.entries(roles)) {
    const { code, context, logs } = await runWithState(plugins, base);
    assert.equal(code, EXIT.ok);
    assert.equal(context!.stateDirectory, dir.file(role));
    assert.equal(context!.keepsOnDisk, role !== "local");
    assert.deepEqual(logs.matching(/WARN|ERROR/), []);
    const off = await runWithState(plugins, base, { enable: false });
    assert.deepEqual([off.code, off.context!.keepsOnDisk], [EXIT.ok, false]);
    assert.equal(off.context!.stateDirectory, dir.file(role));
    const on = await runWithState(plugins, base, { enable: true });
    assert.deepEqual([on.code, on.context!.keepsOnDisk], [EXIT.ok, true]);
    assert.deepEqual([...Deno.readDirSync(dir.file(role))].map(({ name }) => name).sort(), [
      "journal",
      "lock",
    ]);
  }
});

Deno.test("without the default directory a relay runs in memory and warns once, and a directory that was asked for is an error", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("file"), "");
  await using stack = new AsyncDisposableStack();
  const locked = dir.file("locked");
  stack.use(await StateDirectory.open({ path: locked, from: "HOME" }, "client"));
  const plugins = [source("in", []), sender];
  const cases: [StateBase | null, RegExp, number][] = [
    [null, /none of STATE_DIRECTORY.*--state-dir/, EXIT.config],
    [{ path: dir.file("file"), from: "HOME" }, /file\/client \(by HOME\).*--state-dir/, EXIT.unavailable],
    [{ path: locked, from: "HOME" }, /locked\/client .*process \d+ uses it.*--state-dir/, EXIT.unavailable],
  ];
  for (const [base, reason, exitCode] of cases) {
    const { code, logs, context } = await runWithState(plugins, base);
    assert.equal(code, EXIT.ok);
    assert.equal(context!.keepsOnDisk, false);
    assert.equal(context!.stateDirectory, null);
    const warnings = logs.matching(/WARN|ERROR/);
    assert.equal(warnings.length, 1, warnings.join(""));
    assert.match(warnings[0], /in memory only/);
    assert.match(warnings[0], reason);

    const local = await runWithState(
      [source("in", []), store("out")],
      base && { ...base, path: dir.file("file") },
    );
    assert.deepEqual([local.code, local.logs.matching(/WARN|ERROR/)], [EXIT.ok, []]);
    const asked = await runWithState(plugins, base, { enable: true });
    assert.equal(asked.code, exitCode);
    assert.equal(asked.logs.matching(/ERROR/).length, 1);
    assert.match(asked.logs.matching(/ERROR/)[0], reason);
    if (!base) continue;
    const flag = await runWithState(plugins, { ...base, from: "--state-dir" });
    assert.equal(flag.code, exitCode);
  }
  // A path of its own needs no such directory.
  const own = await runWithState(plugins, null, { path: dir.file("own") });
  assert.deepEqual([own.code, own.context!.keepsOnDisk, own.logs.matching(/WARN/)], [EXIT.ok, true, []]);
  assert.equal((await runWithState(plugins, null, { path: dir.file("file/own") })).code, EXIT.unavailable);
  await stack.disposeAsync();
  await unlocked(`${locked}/client/lock`);
});

/** An input that receives `rejected`, duplicate and good points of two clients. */
function network(): InputPlugin<unknown> {
  return {
    ...declaration,
    name: "network",
    kind: "input",
    receives: true,
    open: (_, { clients }): Promise<Input> =>
      Promise.resolve({
        async run(sink: BatchSink, stop: AbortSignal) {
          const [a, b] = [clients.get("a", "1".repeat(32)), clients.get("b")];
          const batch = numbered(10);
          batch.truncate(6);
          batch.credit(a, 1);
          for (let i = 0; i < 4; i++) batch.pushNumber(batch.series[0], 1, i, i);
          batch.credit(b);
          a.receivedPoints += 6 + 3;
          a.duplicatePoints += 3;
          b.receivedPoints += 4 + 2;
          b.rejectedPoints += 2;
          await sink.push(batch);
          await new Promise<void>((resolve) =>
            stop.addEventListener("abort", () => resolve(), { once: true })
          );
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

Deno.test("the books of each client and output account for all points, including local ones", async () => {
  const stuck = store("stuck", () =>
    Promise.resolve({
      run: (_reader, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }));
  const good = store("good");
  const { done, stop, logs, agent } = start([network(), source("in", [numbered(5)]), good, stuck], 100);
  await until(() => good.values.length === 15);
  const books = new Map([...agent()!.figures.clients()].map(({ client, ...books }) => [client, books]));
  const outputs = (points: number) => ({
    good: { keptAtStart: 0, stored: points, kept: 0, dropped: 0 },
    stuck: { keptAtStart: 0, stored: 0, kept: points, dropped: 0 },
  });
  assert.deepEqual([...books], [
    ["", { instance: "", lastContactMs: 0, received: 5, rejected: 0, duplicates: 0, outputs: outputs(5) }],
    ["a", {
      instance: "1".repeat(32),
      lastContactMs: 0,
      received: 9,
      rejected: 0,
      duplicates: 3,
      outputs: outputs(6),
    }],
    ["b", { instance: "", lastContactMs: 0, received: 6, rejected: 2, duplicates: 0, outputs: outputs(4) }],
  ]);
  stop();
  assert.equal(await done, EXIT.unavailable);
  assert.equal(
    logs.matching(/INFO.*journal: Summary appended_points=15 dropped_points=0/).length,
    1,
    logs.lines.join(""),
  );
  const lines = logs.matching(
    /DEBUG.*Books client=a .*received=9 rejected=0 duplicates=3 output=stuck kept_at_start=0 stored=0 kept=6/,
  );
  assert.equal(lines.length, 1, logs.lines.join(""));
  const totals = logs.matching(
    /INFO.*Books of all clients output=stuck clients=3 received=20 kept_at_start=0 stored=0 kept=15 rejected=2 duplicates=3 dropped=0/,
  );
  assert.equal(totals.length, 1, logs.lines.join(""));
});

/** An input that pushes batches until one has to wait, or it has pushed `most`. */
function eager(facts: Partial<InputPlugin<unknown>>, most: number) {
  const pushed = { batches: 0, waited: false };
  const plugin: InputPlugin<unknown> = {
    ...declaration,
    ...facts,
    name: "made-up",
    kind: "input",
    open: (): Promise<Input> =>
      Promise.resolve({
        async run(sink: BatchSink, stop: AbortSignal) {
          while (pushed.batches < most && !pushed.waited) {
            const room = sink.push(numbered(4096));
            pushed.batches++;
            pushed.waited = room !== undefined;
          }
          await new Promise<void>((resolve) =>
            stop.addEventListener("abort", () => resolve(), { once: true })
          );
        },
        ...(facts.receives && { connectedClients: 2 }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
  return { plugin, pushed };
}

/** An output that takes nothing before the stop. */
const idle = () =>
  store("idle", () =>
    Promise.resolve({
      run: (_reader, signal) =>
        new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }));

Deno.test("every input that receives waits for room, and none of its points is dropped", async () => {
  const { plugin, pushed } = eager({ receives: true }, 10_000);
  const { done, stop, agent } = start([plugin, idle()], 100);
  await until(() => pushed.waited && agent() !== undefined);
  assert.equal(agent()!.figures.counters().journal.droppedPoints, 0);
  assert.equal(agent()!.figures.pendingPoints, pushed.batches * 4096);
  assert.equal(agent()!.figures.connectedClients, 2);
  stop();
  assert.equal(await done, EXIT.unavailable);
});

Deno.test("an input that only measures never waits, and the oldest points are dropped", async () => {
  const { plugin, pushed } = eager({}, 10_000);
  const { done, stop, agent } = start([plugin, idle()], 100);
  await until(() => pushed.batches === 10_000 && agent() !== undefined);
  assert.ok(!pushed.waited);
  assert.ok(agent()!.figures.counters().journal.droppedPoints > 0);
  assert.equal(agent()!.figures.connectedClients, undefined);
  stop();
  assert.equal(await done, EXIT.unavailable);
});

Deno.test("outputs learn that an input acknowledges only stored points", async () => {
  for (const acknowledges of ["stored", "durable"] as const) {
    let told: PluginContext["acknowledges"] | undefined;
    const output: OutputPlugin<unknown> = {
      ...store("out"),
      open: (_config, context) => {
        told = context.acknowledges;
        return Promise.resolve({
          run: () => Promise.resolve(),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        });
      },
    };
    const { plugin } = eager({ receives: true, acknowledges: () => acknowledges }, 0);
    const { done, stop } = start([source("local", []), plugin, output]);
    await until(() => told !== undefined);
    stop();
    await done;
    assert.equal(told, acknowledges);
  }
});

Deno.test("figures of an output say how many points wait for it, and for how long", async () => {
  const stuck = store("stuck", () =>
    Promise.resolve({
      async run(_reader, signal) {
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true })
        );
      },
      isTargetAway: true,
      async [Symbol.asyncDispose]() {},
    }));
  const good = store("good");
  const { done, stop, agent } = start([source("in", [numbered(3)]), stuck, good], 10);
  await until(() => good.values.length === 3);
  const { figures } = agent()!;
  const [first, second] = figures.outputs();
  assert.deepEqual([first.name, first.pendingPoints, first.isTargetAway], ["stuck", 3, true]);
  assert.ok(first.lagSeconds > 0 && first.lagSeconds < 60, `${first.lagSeconds}`);
  assert.deepEqual([second.name, second.pendingPoints, second.lagSeconds], ["good", 0, 0]);
  const { pendingPoints, bytes, isFull, appendedPoints } = figures.journal();
  assert.deepEqual([pendingPoints, bytes > 0, isFull, appendedPoints], [3, true, false, 3]);
  assert.equal(figures.role, "local");
  assert.ok(figures.process().residentBytes > 1e6);
  stop();
  await done;
});
