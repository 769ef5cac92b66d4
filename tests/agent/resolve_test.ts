import assert from "node:assert/strict";
import { resolver } from "../../lib/agent/resolve.ts";
import { defaultSeriesBytes } from "../../lib/agent/series_memory.ts";
import { general } from "../../lib/config/general.ts";
import type { Plugin } from "../../lib/plugin.ts";

const INPUT = { kind: "input", name: "meter" };
const SERVER = { kind: "input", name: "in", receives: true };
const STORE = { kind: "output", name: "store" };
const CLIENT = { kind: "output", name: "out", sends: true };

type Settings = Record<string, Record<string, unknown>>;

/** What a process with these plugins uses at a path. */
function resolved(
  plugins: readonly Record<string, unknown>[],
  settings: Settings = {},
  base: string | null = "/base",
) {
  const values = Object.fromEntries(
    Object.entries(general.defaultValue()).map((
      [name, value],
    ) => [name, typeof value === "object" ? { ...value, ...settings[name] } : value]),
  );
  const configured = plugins.map((plugin) => ({ plugin: plugin as unknown as Plugin, config: { a: 1 } }));
  const at = resolver(
    { general: values as never, plugins: configured },
    base === null ? null : { path: base, from: "test" } as never,
  );
  return (path: string) => at(path.split("."));
}

Deno.test("a relay has its journal on disk, in the directory of its role, and a local process has none", () => {
  const journalOf = (
    plugins: readonly Record<string, unknown>[],
    settings?: Settings,
    base?: string | null,
  ) => {
    const at = resolved(plugins, settings, base);
    return [at("journal.enable"), at("journal.path")];
  };
  assert.deepEqual(journalOf([SERVER, STORE]), [true, "/base/server/journal"]);
  assert.deepEqual(journalOf([INPUT, CLIENT]), [true, "/base/client/journal"]);
  assert.deepEqual(journalOf([INPUT, STORE]), [false, undefined]);
  // Without a directory there is only that of the configuration.
  assert.deepEqual(journalOf([SERVER, STORE], {}, null), [false, undefined]);
  assert.deepEqual(journalOf([SERVER, STORE], { journal: { path: "/j" } }, null), [true, undefined]);
  // What the configuration says needs no other value.
  assert.deepEqual(journalOf([SERVER, STORE], { journal: { path: "/j" } }), [true, undefined]);
  assert.deepEqual(journalOf([INPUT, STORE], { journal: { enable: true } }), [
    undefined,
    "/base/local/journal",
  ]);
  assert.deepEqual(journalOf([SERVER, STORE], { journal: { enable: false } }), [undefined, undefined]);
  assert.deepEqual(journalOf([SERVER, STORE], { journal: { enable: true } }, null), [undefined, undefined]);
});

Deno.test("a page, the policy of a full journal and the memory for series have values where none is given", () => {
  const pages = [[SERVER, STORE], [SERVER, CLIENT], [INPUT, CLIENT], [INPUT, STORE]].map((plugins) =>
    resolved(plugins)("http.enable")
  );
  assert.deepEqual(pages, [true, true, false, false]);
  const server = resolved([SERVER, STORE]);
  assert.deepEqual([server("journal.on_full"), server("series.memory")], ["block", defaultSeriesBytes()]);
  assert.equal(resolved([INPUT, STORE])("journal.on_full"), "drop_oldest");
  const given = resolved([SERVER, STORE], {
    journal: { on_full: "block" },
    http: { enable: false },
    series: { memory: 5 },
  });
  assert.deepEqual(
    ["journal.on_full", "http.enable", "series.memory", "nothing"].map(given),
    Array(4).fill(undefined),
  );
});

Deno.test("a plugin says what it uses for its own keys, with its configuration and the directory of the process", () => {
  const store = { ...STORE, resolve: (config: unknown, directory: unknown) => ({ path: directory, config }) };
  const at = resolved([SERVER, store]);
  assert.deepEqual([at("plugins.store.path"), at("plugins.store.config"), at("plugins.in.path")], [
    "/base/server",
    { a: 1 },
    undefined,
  ]);
  assert.equal(resolved([SERVER, store], {}, null)("plugins.store.path"), null);
});
