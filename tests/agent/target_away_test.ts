/** A stop waits for outputs only as long as that can be of use, and for the disk. */
import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import type { JournalConfig } from "../../lib/agent/kept.ts";
import { untilAborted } from "../../lib/base/waiting.ts";
import { general } from "../../lib/config/general.ts";
import type { InputPlugin, OutputPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { LogLines } from "../kit/log_lines.ts";
import { numbered } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { atMost, PATIENCE_MS, pause, until } from "../kit/waiting.ts";

/** Longer than any test. */
const SHUTDOWN_MS = 3_600_000;

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };

function source(points: number): InputPlugin<unknown> {
  return {
    ...declaration,
    name: "source",
    kind: "input",
    open: () =>
      Promise.resolve({
        async run(sink, stop) {
          if (points > 0) await sink.push(numbered(points));
          await untilAborted(stop);
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

/** An output whose target is away, until it takes everything `backMs` after the journal's end. */
function target({ isTargetAway = true, backMs = Infinity }): OutputPlugin<unknown> & { taken: number } {
  const plugin: OutputPlugin<unknown> & { taken: number } = {
    ...declaration,
    name: "target",
    kind: "output",
    taken: 0,
    open: () =>
      Promise.resolve({
        isTargetAway,
        async run(reader, signal) {
          while (!signal.aborted && await reader.wait(Infinity, signal) !== "ended") {
            plugin.taken += reader.next()!.length;
          }
          if (backMs === Infinity) return await untilAborted(signal);
          // The time is tested: how long after the end the target is back.
          await pause(backMs);
          reader.commit(reader.uncommitted);
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
  return plugin;
}

async function stopped(
  points: number,
  output: OutputPlugin<unknown>,
  journal?: JournalConfig,
): Promise<{ code: number; logs: LogLines }> {
  const logs = new LogLines();
  const stop = new AbortController();
  const done = runAgent(
    {
      general: { shutdown_timeout: SHUTDOWN_MS, journal },
      plugins: [{ plugin: source(points), config: {} }, { plugin: output, config: {} }],
    },
    logs.log,
    { stop: stop.signal, signals: false, onRunning: () => stop.abort() },
  );
  return { code: await atMost(PATIENCE_MS, done, () => logs.lines.join("")), logs };
}

Deno.test("a stop does not wait for an absent target if the points are safe on disk", async () => {
  await using dir = new TempDir();
  const journal = { ...general.defaultValue().journal, enable: true, path: dir.file("journal"), min_free: 0 };
  const { code, logs } = await stopped(5, target({}), journal);
  assert.equal(code, 0);
  assert.equal(logs.matching(/INFO.*Stopped kept_in_journal=5/).length, 1, logs.lines.join(""));
  assert.equal(logs.matching(/WARN|ERROR/).length, 0, logs.lines.join(""));
});

Deno.test("a stop does not wait for an absent target if there is nothing to write", async () => {
  const { code, logs } = await stopped(0, target({}));
  assert.equal(code, 0);
  assert.equal(logs.matching(/WARN|ERROR/).length, 0, logs.lines.join(""));
});

Deno.test("a stop waits for an absent target if its points are only in memory", async () => {
  const output = target({ backMs: 100 });
  const { code } = await stopped(5, output);
  assert.deepEqual([code, output.taken], [0, 5]);
});

Deno.test("a stop waits for an output that is writing, wherever its points are", async () => {
  await using dir = new TempDir();
  const journal = { ...general.defaultValue().journal, enable: true, path: dir.file("journal"), min_free: 0 };
  const { code, logs } = await stopped(5, target({ isTargetAway: false, backMs: 100 }), journal);
  assert.equal(code, 0);
  assert.equal(logs.matching(/kept_in_journal/).length, 0, logs.lines.join(""));
});

Deno.test("a stop waits for a slow disk also when its time is over, and then no point is given up", async () => {
  await using dir = new TempDir();
  const journal = { ...general.defaultValue().journal, enable: true, path: dir.file("journal"), min_free: 0 };
  const { syncData } = Deno.FsFile.prototype;
  using _disk = { [Symbol.dispose]: () => void (Deno.FsFile.prototype.syncData = syncData) };
  const { promise: isFast, resolve: hurry } = Promise.withResolvers<void>();
  const logs = new LogLines();
  const stop = new AbortController();
  const onRunning = () => {
    Deno.FsFile.prototype.syncData = async function () {
      await isFast;
      await syncData.call(this);
    };
    stop.abort();
  };
  const output = target({ isTargetAway: false });
  const plugins = [{ plugin: source(5), config: {} }, { plugin: output, config: {} }];
  const settings = { general: { shutdown_timeout: 10, journal: { ...journal, sync: "1h" } }, plugins };
  const done = runAgent(settings, logs.log, { stop: stop.signal, signals: false, onRunning });
  await until(() => logs.matching(/The outputs did not finish in time/).length === 1);
  // The time is tested: a disk may take longer than half a second.
  await pause(600);
  hurry();
  assert.equal(await done, 0, logs.lines.join(""));
  assert.equal(logs.matching(/Stopped kept_in_journal=5/).length, 1, logs.lines.join(""));
});
