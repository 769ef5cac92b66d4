import assert from "node:assert/strict";
import type { Configuration } from "../../lib/config/configuration.ts";
import { general } from "../../lib/config/general.ts";
import { printDefaultConfig, printEffectiveConfig } from "../../lib/config/print.ts";
import type { Plugin } from "../../lib/plugin.ts";
import {
  type AnyKey,
  duration,
  flag,
  integer,
  list,
  live,
  named,
  optional,
  table,
  tables,
  text,
} from "../../lib/schema.ts";
import type { Path } from "../../lib/schema/path.ts";

const doc = "A key.";
const nothing: Plugin["config"] = table({}, { doc });
const plugin = (kind: Plugin["kind"], name: string, facts = {}) =>
  ({
    kind,
    name,
    description: `The ${name}.`,
    config: nothing,
    open: assert.fail,
    ...facts,
  }) as unknown as Plugin;

/** A configuration without sources. */
const configured = (value: unknown, plugins: readonly Plugin[] = []): Configuration<unknown> => ({
  general: value,
  plugins: plugins.map((plugin) => ({ plugin, config: {}, source: { kind: "default" } })),
  notes: [],
  source: () => ({ kind: "default" }),
});

/** The keys of a default file, behind its introduction. */
function regen(keys: Record<string, AnyKey>, value: Record<string, unknown> = {}): string[] {
  const key = table(keys, { doc });
  const lines = printDefaultConfig({
    general: key,
    plugins: [],
    config: configured({ ...key.defaultValue(), ...value }),
  });
  return lines.split("\n").slice(lines.split("\n").indexOf("") + 1, -1);
}

/** The values in effect. */
function effective(
  keys: Record<string, AnyKey>,
  value: Record<string, unknown> = {},
  resolved: (path: Path) => unknown = () => undefined,
): string[] {
  const key = table(keys, { doc });
  const config = configured({ ...key.defaultValue(), ...value });
  return printEffectiveConfig({ general: key, plugins: [], config, resolved }).split("\n").slice(0, -1);
}

const inner = () =>
  table({ a: integer({ doc: "An a.", default: 1 }), b: optional(integer({ doc: "A b.", default: 2 })) }, {
    doc: "Inner.",
  });

Deno.test("comments have at most 100 characters a line, unless a word is longer", () => {
  const [x, y] = ["x".repeat(48), "y".repeat(49)];
  const linesOf = (doc: string) => regen({ a: integer({ doc, default: 1 }) }).slice(0, -1);
  assert.deepEqual(linesOf(`${x} ${y}`), [`# ${x} ${y}`]);
  assert.equal(linesOf(`${x} ${y}`)[0].length, 100);
  assert.deepEqual(linesOf(`${x}x ${y}`), [`# ${x}x`, `# ${y}`]);
  const long = "z".repeat(120);
  assert.deepEqual(linesOf(`${long} a`), [`# ${long}`, "# a"]);
  assert.deepEqual(linesOf(`a ${long}`), ["# a", `# ${long}`]);
});

Deno.test("above a key of the default file stands what it is for, its values, its default, and whether it can be reloaded", () => {
  const keys = {
    a: live(integer({ doc: "An a.", default: 5, min: 1 })),
    b: text({ doc: "A b.", default: () => "x", defaultDoc: "the name of this host" }),
    c: optional(duration({ doc: "A c.", default: "5s" })),
    d: optional(flag({ doc: "A d.", default: true })),
  };
  assert.deepEqual(regen(keys, { d: false }), [
    "# An a. Values: 1 or more. Reloadable.",
    "a = 5",
    "# A b. Default: the name of this host.",
    '# b = ""',
    "# A c.",
    '# c = "5s"',
    "# A d.",
    "d = false",
  ]);
});

Deno.test("tables stand behind values, and those that are not set are examples in comments", () => {
  const keys = {
    set: inner(),
    unset: optional(inner()),
    "x y": tables(inner(), { doc: "A list.", default: [] }),
    free: named(inner(), { doc: "Free.", exampleName: "x" }),
    numbers: named(integer({ doc, default: 1 }), { doc: "Numbers.", exampleName: "x" }),
    z: integer({ doc: "A z.", default: 9 }),
    filled: tables(inner(), { doc: "Filled.", default: [{ a: 3, b: undefined }] }),
  };
  const innerOf = (a: number) => ["# An a.", `a = ${a}`, "# A b.", "# b = 2"];
  const example = ["# # An a.", "# a = 1", "# # A b.", "# # b = 2"].map((line) => line.replace("# # ", "# "));
  assert.deepEqual(regen(keys), [
    "# Numbers.",
    "numbers = {}",
    "# A z.",
    "z = 9",
    "",
    "# Inner.",
    "[set]",
    ...innerOf(1),
    "",
    "# Inner.",
    "# [unset]",
    ...example,
    "",
    "# A list.",
    '# [["x y"]]',
    ...example,
    "",
    "# Free.",
    "# [free.x]",
    ...example,
    "",
    "# Filled.",
    "[[filled]]",
    ...innerOf(3),
  ]);
  // A list that is empty, although its default is not, is a value.
  const emptied = regen(keys, { filled: [] });
  assert.deepEqual(emptied.slice(emptied.indexOf("# Filled.")).slice(0, 2), ["# Filled.", "filled = []"]);
});

Deno.test("each table of a list or with a free name has a header, and only the first one a comment", () => {
  const keys = {
    list: tables(inner(), { doc: "A list.", default: [] }),
    free: named(inner(), { doc: "Free.", exampleName: "x" }),
  };
  const value = {
    list: [{ a: 1, b: 5 }, { a: 2, b: 6 }],
    free: { "a b": { a: 3, b: 7 }, c: { a: 4, b: 8 } },
  };
  const innerOf = (a: number, b: number) => ["# An a.", `a = ${a}`, "# A b.", `b = ${b}`];
  const lists = ["", "# A list.", "[[list]]", ...innerOf(1, 5), "", "[[list]]", ...innerOf(2, 6)];
  const free = ["", "# Free.", '[free."a b"]', ...innerOf(3, 7), "", "[free.c]", ...innerOf(4, 8)];
  assert.deepEqual(regen(keys, value), [...lists, ...free]);
  assert.deepEqual(
    regen(keys, { list: [value.list[0]], free: { c: value.free.c } }).filter((line) => line.startsWith("[")),
    [
      "[[list]]",
      "[free.c]",
    ],
  );
  assert.deepEqual(effective(keys, { free: { c: value.free.c } }).slice(0, 3), [
    "list = [] # default",
    "",
    "[free.c]",
  ]);
  const valuesOf = (a: number, b: number) => [`a = ${a} # default`, `b = ${b} # default`];
  assert.deepEqual(effective(keys, value), [
    ...["", "[[list]]", ...valuesOf(1, 5), "", "[[list]]", ...valuesOf(2, 6)],
    ...["", '[free."a b"]', ...valuesOf(3, 7), "", "[free.c]", ...valuesOf(4, 8)],
  ]);
});

Deno.test("tables within the example of a table are comments, too, and so are the empty lines between them", () => {
  const outer = optional(
    table({ inner: inner(), z: integer({ doc: "A z.", default: 1 }) }, { doc: "Outer." }),
  );
  assert.deepEqual(regen({ outer }), [
    "",
    "# Outer.",
    "# [outer]",
    "# A z.",
    "# z = 1",
    "#",
    "# Inner.",
    "# [outer.inner]",
    "# An a.",
    "# a = 1",
    "# A b.",
    "# b = 2",
  ]);
});

Deno.test("the values in effect have no examples, no comments above keys, and lists that are empty", () => {
  const keys = {
    unset: optional(inner()),
    list: tables(inner(), { doc: "A list.", default: [] }),
    free: named(inner(), { doc: "Free.", exampleName: "x" }),
    numbers: named(integer({ doc, default: 1 }), { doc: "Numbers.", exampleName: "x" }),
  };
  assert.deepEqual(effective(keys, { numbers: { a: 1 } }), [
    "list = [] # default",
    "free = {} # default",
    "numbers = { a = 1 } # default",
  ]);
});

Deno.test("a secret is masked, unless it is empty or its key says that the value has none", () => {
  const keys = {
    a: text({ doc, default: "", secret: true }),
    b: text({ doc, default: "", secret: true }),
    c: text({ doc, default: "", secret: (value) => value.includes("@") }),
    d: text({ doc, default: "", secret: (value) => value.includes("@") }),
  };
  assert.deepEqual(effective(keys, { b: "hunter2", c: "x", d: "x@y" }), [
    'a = "" # default',
    'b = "***" # default',
    'c = "x" # default',
    'd = "***" # default',
  ]);
});

Deno.test("behind a value stands what it means: the one in effect, or what its documentation says of an empty one", () => {
  const keys = {
    path: text({ doc: "A path. Empty: no file. It is read once.", default: "" }),
    list: list(text({ doc, default: "" }), { doc: "A list. Empty: all.", default: [] }),
    full: list(text({ doc, default: "" }), { doc: "A list. Empty: all.", default: ["a"] }),
    number: integer({ doc: "A number. Empty: none.", default: 0 }),
    limit: optional(integer({ doc, unset: "no limit", default: 1 })),
    open: optional(integer({ doc, default: 1 })),
    own: optional(integer({ doc, unset: "no limit", default: 1 })),
  };
  assert.deepEqual(effective(keys), [
    'path = "" # default: no file',
    "list = [] # default: all",
    'full = ["a"] # default',
    "number = 0 # default",
    "# limit is not set: no limit",
    "# open is not set",
    "# own is not set: no limit",
  ]);
  const inEffect = new Map<string, unknown>([["path", "/x"], ["own", 7]]);
  const lines = effective(keys, {}, ([name]) => inEffect.get(String(name)));
  assert.deepEqual([lines[0], lines.at(-1)], ['path = "" # default: "/x"', "# own is not set: 7"]);
});

Deno.test("the default file says which plugins make a client, a server and a hop, and has a section for each", () => {
  const plugins = [
    plugin("input", "meter"),
    plugin("input", "receiver", { receives: true }),
    plugin("input", "other", { receives: true }),
    plugin("output", "sender", { sends: true }),
    plugin("output", "store"),
  ];
  const key = table({ a: integer({ doc, default: 1 }) }, { doc });
  const config = configured(key.defaultValue(), [plugins[0]]);
  const printed = printDefaultConfig({ general: key, plugins, config });
  assert.match(
    printed.replaceAll("\n# ", " "),
    /A client has inputs and sender, a server has receiver or other and an output, a hop has receiver or other and sender\.\n/,
  );
  assert.ok(printed.endsWith("\n\n\n# The store.\n[plugins.store]\nenable = false\n"), printed);
  assert.match(printed, /\n\n\n# The meter\.\n\[plugins\.meter\]\nenable = true\n/);
  const shown = (enabled: readonly Plugin[]) =>
    printEffectiveConfig({
      general: key,
      plugins,
      config: configured(key.defaultValue(), enabled),
      resolved: () => undefined,
    }).split("\n").slice(1, -1);
  assert.deepEqual(shown(plugins.slice(0, 4)).slice(-5), [
    "",
    "[plugins.sender]",
    "enable = true # default",
    "",
    "# Plugins that are not enabled: store",
  ]);
  assert.equal(shown(plugins).at(-1), "enable = true # default");
});

Deno.test("what is printed of the keys outside of plugins is text", () => {
  const printed = printDefaultConfig({ general, plugins: [], config: configured(general.defaultValue()) });
  assert.doesNotMatch(printed, /NaN|undefined/);
});
