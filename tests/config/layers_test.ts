/** The layers of a configuration: where each value comes from, variables in texts, and which plugins run. */
import assert from "node:assert/strict";
import { substituteTree } from "../../lib/config/env.ts";
import { LayeredValues } from "../../lib/config/layers.ts";
import { parseOverride, pluginOverride } from "../../lib/config/overrides.ts";
import { selectPlugins } from "../../lib/config/select.ts";
import { describeProblem } from "../../lib/config/source.ts";
import { LooseText, table, text } from "../../lib/schema.ts";
import { configOf, load, names, plugins } from "../kit/made_up_config.ts";

Deno.test("a value is that of the last flag that sets it, or something around it", () => {
  const values = new LayeredValues(undefined, [
    parseOverride("log_level=debug"),
    parseOverride("plugins.csv.list=[1, 2]"),
    pluginOverride("--output-file", "csv", "output_path", "x"),
  ]);
  const flagOf = (...path: (string | number)[]) => {
    const source = values.source(path);
    return source.kind === "flag" ? source.flag : source.kind;
  };
  assert.equal(flagOf("log_level"), "--config-override log_level");
  assert.equal(flagOf("plugins", "csv", "list"), "--config-override plugins.csv.list");
  assert.equal(flagOf("plugins", "csv", "list", 0), "--config-override plugins.csv.list");
  assert.equal(flagOf("plugins", "csv", "output_path"), "--output-file");
  assert.equal(flagOf("plugins", "csv"), "--output-file");
  assert.equal(flagOf("plugins", "csv", "other"), "default");
});

Deno.test("a problem says whose it is: a flag's, the file's with its line, or nobody's", () => {
  const problem = { path: ["a", "b"], problem: "is odd" };
  assert.equal(
    describeProblem({ ...problem, source: { kind: "flag", flag: "--x" } }),
    "Cannot use --x: a.b: is odd",
  );
  assert.equal(
    describeProblem({ ...problem, source: { kind: "default" } }),
    "Cannot use the configuration: a.b: is odd",
  );
  const file = { kind: "file", file: "c.toml", variables: [] } as const;
  assert.equal(
    describeProblem({ ...problem, source: { ...file, line: 3 } }),
    "Cannot read c.toml:3: a.b: is odd",
  );
  assert.equal(describeProblem({ ...problem, path: [], source: file }), "Cannot read c.toml: is odd");
});

Deno.test("a text without a variable stays a text, and a date a date", () => {
  const { tree, variables } = substituteTree({ a: "$${x}", b: "${x}", c: new Date(0), d: ["1"] }, () => "5");
  assert.equal(tree.a, "${x}");
  assert.ok(tree.b instanceof LooseText && tree.b.text === "5");
  assert.deepEqual([tree.c, tree.d], [new Date(0), ["1"]]);
  assert.deepEqual(variables, [{ path: ["b"], names: ["x"] }]);
});

Deno.test("whether a section is enabled may come from a variable, which says true or false", () => {
  const toml =
    '[plugins.relay-client]\nrelay_server = "a:1"\n[plugins.procfs]\n[plugins.filter]\nenable = "${E}"';
  const of = (E: string) => names(load(toml, { variables: { E } }));
  assert.deepEqual(of("true"), ["relay-client", "procfs", "filter"]);
  assert.deepEqual(of("false"), ["relay-client", "procfs"]);
  assert.throws(() => of("maybe"), /plugins\.filter\.enable: expected true or false/);
});

Deno.test("a plugin may have a key enable of its own, which does not say whether its section is enabled", () => {
  const config = table({ enable: text({ doc: "What to enable.", default: "" }) }, { doc: "Its keys." });
  const own = { ...plugins[0], name: "own", config };
  const loaded = load('[plugins.relay-client]\n[plugins.own]\nenable = "all"\nenabled = true', {
    plugins: [...plugins, own],
  });
  assert.deepEqual(names(loaded), ["relay-client", "own"]);
  assert.deepEqual(configOf(loaded, "own"), { enable: "all" });
});

Deno.test("a section of one of Alumet's plugins that is not there is named", () => {
  assert.throws(
    () => load("[plugins.quarch]"),
    /Alumet's plugin is not available here: quarch; write enable = false/,
  );
});

Deno.test("a flag for a plugin that does not exist is a mistake of the command line", () => {
  const options = { plugins: [], sections: new Map(), complete: false };
  assert.throws(
    () => selectPlugins({ ...options, implied: [{ flag: "--relay-in", plugin: "relay-server" }] }),
    /Cannot use --relay-in: the plugin relay-server does not exist/,
  );
});
