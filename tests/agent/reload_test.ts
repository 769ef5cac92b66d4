/** What a running process takes over of a changed configuration. */
import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import { general } from "../../lib/config/general.ts";
import { plugins } from "../../lib/plugins.ts";
import type { Input, InputPlugin, Output, OutputPlugin, Plugin, PluginContext } from "../../lib/plugin.ts";
import { changeOf } from "../../lib/agent/reconfigure.ts";
import { type AnyKey, duration, integer, live, optional, table, tables, text } from "../../lib/schema.ts";
import { formatPath } from "../../lib/schema/path.ts";
import { LogLines } from "../kit/log_lines.ts";
import { until } from "../kit/waiting.ts";

const doc = "A key.";
const group = table({ pid: integer({ doc, default: 0 }), pace: live(duration({ doc, default: "1s" })) }, {
  doc,
});
const keys = table({
  name: text({ doc, default: "n" }),
  pace: live(duration({ doc, default: "1s" })),
  limits: live(table({ low: integer({ doc, default: 1 }), high: integer({ doc, default: 2 }) }, { doc })),
  extra: optional(live(integer({ doc, default: 3 }))),
  groups: tables(group, { doc, default: [group.defaultValue()] }),
}, { doc });

type Keys = ReturnType<typeof keys.defaultValue>;

const declaration = { description: "for tests", config: keys };

/** An input that does nothing, and keeps what it is given, and told to take over. */
function input(name: string): InputPlugin<Keys> & { taken: unknown[]; context?: PluginContext } {
  const plugin = {
    ...declaration,
    name,
    kind: "input" as const,
    taken: [] as unknown[],
    context: undefined as PluginContext | undefined,
    open(_: Keys, context: PluginContext): Promise<Input> {
      plugin.context = context;
      return Promise.resolve({
        run: (_, stop) =>
          new Promise((resolve) => stop.addEventListener("abort", () => resolve(), { once: true })),
        reconfigure: (config) => void plugin.taken.push(config),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
  };
  return plugin;
}

function output(name: string): OutputPlugin<Keys> {
  return {
    ...declaration,
    name,
    kind: "output",
    open: (): Promise<Output> =>
      Promise.resolve({
        async run(reader, signal) {
          while (await reader.wait(Infinity, signal) === "ready") reader.commit(reader.next() ? 1 : 0);
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

const settings = (general: object, ...configured: [Plugin, object?][]) => ({
  general: { ...defaults, ...general },
  plugins: configured.map(([plugin, config]) => ({
    plugin,
    config: { ...keys.defaultValue(), ...config },
  })),
});
const defaults = general.defaultValue();

Deno.test("live keys are applied, all others keep their values and are named", () => {
  const plugin = input("in");
  const before = settings({}, [plugin]);
  const after = settings({ shutdown_timeout: 9, journal: { ...defaults.journal, max_size: 5e6 } }, [plugin, {
    name: "other",
    pace: 7,
    limits: { low: 1, high: 9 },
    extra: 4,
    groups: [{ pid: 3, pace: 8 }],
  }]);
  const change = changeOf(before, after, () => true);
  assert.deepEqual(change.taken, [
    "shutdown_timeout",
    "plugins.in.pace",
    "plugins.in.limits.high",
    "plugins.in.extra",
    "plugins.in.groups[0].pace",
  ]);
  assert.deepEqual(change.restart, ["journal.max_size", "plugins.in.name", "plugins.in.groups[0].pid"]);
  assert.deepEqual(change.plugins, ["in"]);
  assert.deepEqual(change.settings.general, { ...defaults, shutdown_timeout: 9 });
  assert.deepEqual(change.settings.plugins[0].config, {
    name: "n",
    pace: 7,
    limits: { low: 1, high: 9 },
    extra: 4,
    groups: [{ pid: 0, pace: 8 }],
  });
  // What was taken over is what the next change is compared with, what was not is named again.
  assert.deepEqual(changeOf(change.settings, after, () => true).restart, change.restart);
  assert.deepEqual(changeOf(change.settings, after, () => true).taken, []);
});

Deno.test("a list of tables of another length, and a plugin without reconfigure, need a restart", () => {
  const plugin = input("in");
  const two = { pace: 7, groups: [group.defaultValue(), group.defaultValue()] };
  const change = changeOf(settings({}, [plugin]), settings({}, [plugin, two]), () => true);
  assert.deepEqual(change.restart, ["plugins.in.groups"]);
  assert.deepEqual(change.taken, ["plugins.in.pace"]);
  const unable = changeOf(settings({}, [plugin]), settings({}, [plugin, two]), () => false);
  assert.deepEqual(unable.restart, ["plugins.in.pace", "plugins.in.groups"]);
  assert.deepEqual(unable.plugins, []);
  assert.deepEqual(unable.settings.plugins[0].config, keys.defaultValue());
});

Deno.test("added and removed plugins, and transforms in another order, need a restart", () => {
  const [a, b] = [input("a"), output("b")];
  const [t, u]: Plugin[] = ["t", "u"].map((name) => ({
    ...declaration,
    name,
    kind: "transform",
    open: () => Promise.resolve({ apply: (batch) => batch }),
  }));
  const change = changeOf(settings({}, [a], [t]), settings({}, [a], [b]), () => true);
  assert.deepEqual(change.restart, ["plugins.t.enable", "plugins.b.enable"]);
  assert.deepEqual(change.settings.plugins.map(({ plugin }) => plugin.name), ["a", "t"]);
  const order = changeOf(settings({}, [a], [t], [u]), settings({}, [a], [u], [t]), () => true);
  assert.deepEqual(order.restart, ["the order of the transforms"]);
  assert.deepEqual(changeOf(settings({}, [t], [a]), settings({}, [a], [t]), () => true).restart, []);
});

Deno.test("an agent gives a plugin a configuration in which only live keys have changed", async () => {
  const plugin = input("in");
  const stop = new AbortController();
  let agent: RunningAgent | undefined;
  const done = runAgent(settings({ journal: undefined }, [plugin], [output("out")]), new LogLines().log, {
    stop: stop.signal,
    signals: false,
    onRunning: (running) => void (agent = running),
  });
  await until(() => agent !== undefined);
  assert.equal(plugin.context!.drainMs(), 2000);
  const changed = { pace: 7, name: "other" };
  const change = await agent!.reconfigure(
    settings({ journal: undefined, shutdown_timeout: 77 }, [plugin, changed], [output("out"), changed]),
  );
  assert.deepEqual(plugin.taken, [{ ...keys.defaultValue(), pace: 7 }]);
  assert.deepEqual(change.taken, ["shutdown_timeout", "plugins.in.pace"]);
  assert.deepEqual(change.restart, ["plugins.in.name", "plugins.out.name", "plugins.out.pace"]);
  assert.equal(agent!.settings.general.shutdown_timeout, 77);
  assert.equal(plugin.context!.drainMs(), 0.4 * 77, "inputs drain for a share of what is in effect");
  assert.deepEqual(agent!.stalls(), []);
  stop.abort();
  assert.equal(await done, 0);
});

/** The paths of all keys, and whether each one is live. */
function allKeys(key: AnyKey, path: string[] = [], inherited = false): [path: string, isLive: boolean][] {
  const isLive = inherited || key.live === true;
  if (key.keys) {
    return Object.entries(key.keys).flatMap(([name, inner]) => allKeys(inner, [...path, name], isLive));
  }
  return [[formatPath(path), isLive]];
}

/** Whether a name stands for a key: `plugins.*.poll_interval` for those of all plugins, `journal.*` for all below. */
function covers(name: string, key: string): boolean {
  if (name.endsWith(".*")) return key.startsWith(name.slice(0, -1));
  const parts = key.split(".");
  const wanted = name.split(".");
  return parts.length === wanted.length && wanted.every((part, i) => part === "*" || part === parts[i]);
}

const isOfInput = (path: string) =>
  plugins.some(({ kind, name }) => kind === "input" && path.startsWith(`plugins.${name}.`));

Deno.test("docs/operations.md names the reloadable keys, and the example marks each of them", () => {
  const keys = [general as AnyKey, ...plugins.map(({ config }) => config)].flatMap((key, i) =>
    allKeys(key, i === 0 ? [] : ["plugins", plugins[i - 1].name])
  );
  const live = keys.filter(([, isLive]) => isLive).map(([path]) => path);
  assert.ok(live.length > 10, live.join(" "));
  const docs = Deno.readTextFileSync(new URL("../../docs/operations.md", import.meta.url));
  const [, rows] = docs.match(/^\| reloadable .*?\n\|[ -|]*\n((?:\|.*\n)+)/m)!;
  const named = [...rows.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  for (const key of live) assert.ok(named.some((name) => covers(name, key)), `${key} is not in the docs`);
  for (const name of named) {
    // The table says `plugins.*` of inputs alone.
    const meant = keys.filter(([path]) =>
      covers(name, path) && (!name.startsWith("plugins.*") || isOfInput(path))
    );
    assert.ok(meant.length > 0, `${name}: there is no such key`);
    for (const [path, isLive] of meant) assert.ok(isLive, `${name}: ${path} is not reloadable`);
  }
  const example = Deno.readTextFileSync(new URL("../../config.example.toml", import.meta.url));
  assert.ok(example.match(/Reloadable\./g)!.length > 5);
});
