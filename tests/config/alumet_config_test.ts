import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";
import { general } from "../../lib/config/general.ts";
import { plugins } from "../../lib/plugins.ts";

/** What `alumet-agent config regen` of a real agent has written. */
const FILE = new URL("../testdata/alumet-config-regen.toml", import.meta.url).pathname;

Deno.test("the file that a real agent writes is valid with all plugins that are available here, and with each of them", () => {
  const text = Deno.readTextFileSync(FILE);
  const names = plugins.map(({ name }) => name).filter((name) =>
    new RegExp(`^\\[plugins\\.${name}[.\\]]`, "m").test(text)
  );
  assert.ok(names.length >= 9, names.join());
  for (const only of [names, ...names.map((name) => [name])]) {
    const config = loadConfig({
      plugins,
      general,
      file: FILE,
      only,
      requirePipeline: false,
      env: () => undefined,
    });
    assert.deepEqual(config.plugins.map(({ plugin }) => plugin.name).sort(), only.toSorted());
  }
});
