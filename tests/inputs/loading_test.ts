import assert from "node:assert/strict";
import { plugins } from "../../lib/plugins.ts";

interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly isDynamic?: boolean;
    readonly code?: { readonly specifier?: string };
  }[];
}

/** The files of lib/ that are loaded at once with a file. */
async function loadedWith(file: string): Promise<Set<string>> {
  const root = new URL("../../", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL(file, root).pathname],
    cwd: root,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: ModuleInfo[] };
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set<string>();
  const load = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    for (const { isDynamic, code } of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (!isDynamic && code?.specifier) load(code.specifier);
    }
  };
  load(new URL(file, root).href);
  return new Set(
    [...loaded].filter((path) => path.startsWith(root.href)).map((path) => path.slice(root.href.length)),
  );
}

Deno.test("--help loads no plugin", async () => {
  const loaded = await loadedWith("main.ts");
  assert.ok(loaded.has("lib/cli.ts"));
  assert.deepEqual(
    [...loaded].filter((path) => /^lib\/(inputs|outputs|transforms|plugins)\b/.test(path)),
    [],
  );
});

Deno.test("an input that measures loads its keys alone, until it is opened", async () => {
  const loaded = [...await loadedWith("lib/plugins.ts")].filter((path) => path.startsWith("lib/inputs/"));
  const measuring = plugins.filter(({ kind, isLocal }) => kind === "input" && isLocal).map(({ name }) =>
    `lib/inputs/${name.replaceAll("-", "_")}`
  );
  for (const path of measuring) {
    const own = loaded.filter((file) => file.startsWith(`${path}/`));
    assert.ok(loaded.includes(`${path}.ts`), path);
    const keys = await loadedWith(`${path}/config.ts`);
    assert.deepEqual(own.filter((file) => !keys.has(file)), [], path);
  }
  assert.deepEqual(loaded.filter((file) => file.startsWith("lib/inputs/polling/")).sort(), [
    "lib/inputs/polling/declaration.ts",
    "lib/inputs/polling/keys.ts",
    "lib/inputs/polling/source.ts",
  ]);
});
