import assert from "node:assert/strict";
import { describeSource } from "../../lib/config.ts";
import { parseOverride, valueAt } from "../../lib/config/overrides.ts";
import { LooseText } from "../../lib/schema.ts";
import type { Path } from "../../lib/schema/path.ts";
import { CLIENT, configOf, load, names, refuses } from "../kit/made_up_config.ts";

Deno.test("--config-override accepts TOML, and texts, numbers and lists as people type them", () => {
  const override = (...overrides: string[]) =>
    load(CLIENT + "[plugins.csv]\n[plugins.relay-server]\n[plugins.filter]\n", { overrides });
  const client = (...overrides: string[]) => configOf(override(...overrides), "relay-client");
  assert.equal(client("plugins.relay-client.buffer_timeout='1ms'").buffer_timeout, 1);
  assert.equal(client("plugins.relay-client.buffer_timeout = 1ms").buffer_timeout, 1);
  assert.equal(client("plugins.relay-client.buffer_max_length=7").buffer_max_length, 7);
  assert.equal(client("plugins.relay-client.client_name=7").client_name, "7");
  assert.equal(client("plugins.relay-client.client_name=2024-01-01").client_name, "2024-01-01");
  assert.equal(client('plugins."relay-client".client_name=a=b').client_name, "a=b");
  assert.equal(client("plugins.relay-client.client_name='${X}'").client_name, "${X}");
  assert.equal(client("plugins.relay-client.relay_server=[::1]:1").relay_server, "[::1]:1");
  assert.deepEqual(client("plugins.relay-client={ retry = { max_times = 1 } }").retry, {
    max_times: 1,
    max_delay: 4_000,
  });
  assert.equal(
    client("plugins.relay-client.retry.max_times=1", "plugins.relay-client.retry.max_delay=1s").retry
      .max_times,
    1,
  );
  assert.deepEqual(configOf(override("plugins.filter.include=['a', 'b']"), "filter").include, ["a", "b"]);
  assert.equal(override("shutdown_timeout=1s").general.shutdown_timeout, 1_000);
  assert.equal(configOf(override("plugins.csv.force_flush=false"), "csv").force_flush, false);
  assert.deepEqual(names(override("plugins.csv.enable=false")), [
    "procfs",
    "relay-client",
    "relay-server",
    "filter",
  ]);
});

Deno.test("--config-override reaches into lists of tables by the index of an element", () => {
  const FILE =
    "[plugins.csv]\n[plugins.procfs]\n[[plugins.procfs.groups]]\npid = 1\n[[plugins.procfs.groups]]\npid = 2\n";
  const groups = (...overrides: string[]) => configOf(load(FILE, { overrides }), "procfs").groups;
  assert.deepEqual(groups("plugins.procfs.groups[1].mode=slow"), [
    { pid: 1, mode: "quick" },
    { pid: 2, mode: "slow" },
  ]);
  assert.deepEqual(groups("plugins.procfs.groups[0].pid=7", "plugins.procfs.groups[2].pid=3"), [
    { pid: 7, mode: "quick" },
    { pid: 2, mode: "quick" },
    { pid: 3, mode: "quick" },
  ]);
  assert.deepEqual(groups("plugins.procfs.groups[1]={ mode = 'slow' }"), [
    { pid: 1, mode: "quick" },
    { pid: 2, mode: "slow" },
  ]);
  const config = load(FILE, { overrides: ["plugins.procfs.groups[1].mode=slow"] });
  const source = (...path: Path) => describeSource(config.source(["plugins", "procfs", "groups", ...path]));
  assert.equal(source(1, "mode"), "--config-override plugins.procfs.groups[1].mode");
  assert.equal(source(1, "pid"), "alumet-config.toml:6");
  assert.equal(source(0, "pid"), "alumet-config.toml:4");
  // Where the file has no list, the first element is the next one.
  const fresh = load("[plugins.csv]\n[plugins.procfs]\n", { overrides: ["plugins.procfs.groups[0].pid=9"] });
  assert.deepEqual(configOf(fresh, "procfs").groups, [{ pid: 9, mode: "quick" }]);

  refuses(
    FILE,
    { overrides: ["plugins.procfs.groups[3].pid=1"] },
    64,
    /there is no element 3; the list has 2, counted from 0/,
  );
  refuses(
    FILE,
    { overrides: ["plugins.procfs.groups[1].mode=fast"] },
    64,
    /groups\[1\]\.mode: plugins\.procfs\.groups\[1\]\.mode: /,
  );
  for (
    const text of ["plugins.procfs.groups[x].pid=1", "plugins.procfs.groups[0]pid=1", "[0].x=1", "a[-1]=1"]
  ) {
    refuses(FILE, { overrides: [text] }, 64, /expected KEY=VALUE, for example .*groups\[0\]\.pid=1/);
  }
});

Deno.test("problems of flags alone are a usage error, together with problems of the file they are not", () => {
  refuses(CLIENT, { relayIn: "nowhere" }, 64, /^Cannot use --relay-in: /);
  refuses(`x = 1\n${CLIENT}`, { relayIn: "nowhere" }, 78, /:1: x: unknown key/, /^Cannot use --relay-in: /);
});

Deno.test("an invalid --config-override is a usage error, and an invalid value names the flag and the key", () => {
  for (const text of ["x", "=1", "a b=1", "", "a.=1"]) {
    refuses(
      CLIENT,
      { overrides: [text] },
      64,
      /^Cannot use --config-override .*: expected KEY=VALUE, for example/,
    );
  }
  refuses(CLIENT, { overrides: ["a="] }, 64, /there is no value after the =/);
  refuses(CLIENT, { overrides: ["a=[1, 2"] }, 64, /^Cannot use --config-override a: the value is not TOML/);
  refuses(
    CLIENT,
    { overrides: ["plugins.relay-client.buffer_timeout=1", "plugins.rapl.x=1"], relayIn: "nowhere" },
    64,
    /^Cannot use --config-override plugins.rapl.x: plugins.rapl: unknown plugin; /,
    "Cannot use --config-override plugins.relay-client.buffer_timeout: plugins.relay-client.buffer_timeout: " +
      'expected a duration such as "30s", found "1": a unit is needed, for example 1s or 1ms',
    'Cannot use --relay-in: plugins.relay-server.address: cannot use "nowhere": it has no port',
  );
});

Deno.test("--config-override refuses keys of which only a part is one", () => {
  for (const key of ["#", "a b", "", "a.", ".a", "a[0]b", "a[0][1]b", "a[0].b[1]c", "a[0]. ", "'a"]) {
    refuses("[plugins.csv]\n", { overrides: [`${key}=1`] }, 64, /./);
  }
  const nested = load("[plugins.csv]\n[plugins.procfs]\n[[plugins.procfs.groups]]\npid = 1\n", {
    overrides: ["plugins.procfs.groups[0].pid=5", "plugins.procfs.groups[1].pid=6"],
  });
  assert.deepEqual(configOf(nested, "procfs").groups, [{ pid: 5, mode: "quick" }, { pid: 6, mode: "quick" }]);
});

Deno.test("an override reaches into lists of lists, and a whole piece of TOML is one too", () => {
  const value = valueAt(parseOverride("a.b[0][12].c=5").tree, ["a", "b", 0, 12, "c"]);
  assert.ok(value instanceof LooseText && value.text === "5");
  assert.throws(() => parseOverride("a[0][x=1"), /expected KEY=VALUE/);
  const { tree } = parseOverride("[plugins.csv]\noutput_path = 'x'\n");
  assert.equal(valueAt(tree, ["plugins", "csv", "output_path"]), "x");
  assert.throws(() => parseOverride("# nothing\n"), /expected KEY=VALUE/);
});
