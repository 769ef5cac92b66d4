/** What the documents say of files, commands and configurations is what there is. */
import assert from "node:assert/strict";
import { parse } from "@std/toml";
import denoConfig from "../../deno.json" with { type: "json" };
import { main } from "../../lib/cli.ts";
import {
  blocks,
  brokenSpans,
  codeSpans,
  commandProblem,
  commandsOf,
  documents,
  linkProblems,
  missingFiles,
  programLines,
  projectFiles,
  ROOT,
  unknownFlags,
  wordsOf,
} from "../kit/doc_commands.ts";

const pages = documents();

Deno.test("every link in the documents leads to a file and a heading that are there", () => {
  assert.deepEqual([...pages].flatMap(([path, text]) => linkProblems(path, text, pages)), []);
});

Deno.test("every file that a document names is there", () => {
  const files = projectFiles();
  const missing = [...pages].flatMap(([path, text]) =>
    missingFiles(text, files).map((file) => `${path}: ${file}`)
  );
  assert.deepEqual(missing, []);
});

Deno.test("no code span is broken over two lines", () => {
  const broken = [...pages].flatMap(([path, text]) => brokenSpans(text).map((line) => `${path}: ${line}`));
  assert.deepEqual(broken, []);
});

Deno.test("every command line of the program in the documents has commands and flags that exist", () => {
  const lines = [...pages].flatMap(([path, text]) => programLines(text).map((line) => [path, line]));
  assert.ok(lines.length > 40, `${lines.length}`);
  assert.deepEqual(
    lines.flatMap(([path, line]) => commandProblem(line)?.replace(/^/, `${path}: `) ?? []),
    [],
  );
  const flags = [...pages].flatMap(([path, text]) => unknownFlags(text).map((flag) => `${path}: --${flag}`));
  assert.deepEqual(flags, []);
});

Deno.test("every configuration in the documents is valid, with the inputs or outputs that it leaves out", async () => {
  let count = 0;
  for (const [path, text] of pages) {
    for (const block of blocks(text, "toml")) {
      assert.equal(await configurationProblem(block), undefined, `${path}:\n${block}`);
      count++;
    }
  }
  assert.ok(count > 10, `${count}`);
});

/** What `config check` finds in a configuration, or in a part of one. */
async function configurationProblem(text: string): Promise<string | undefined> {
  const { plugins = {} } = parse(text) as { plugins?: Record<string, unknown> };
  const names = Object.keys(plugins);
  const inputs = ["procfs", "relay-server"];
  const flags: string[] = [];
  if (!names.some((name) => inputs.includes(name))) flags.push("--relay-in", "127.0.0.1:50051");
  if (!names.some((name) => !inputs.includes(name))) flags.push("--output-file", "out.csv");
  const file = await Deno.makeTempFile({ suffix: ".toml" });
  let stderr = "";
  try {
    await Deno.writeTextFile(file, text);
    const code = await main(["config", "check", "--config", file, ...flags], {
      stdout: () => true,
      stderr: (line) => void (stderr += line),
      // A variable that the configuration names without a default.
      env: (name) => name === "STATE_DIRECTORY" || name.startsWith("XDG_") ? undefined : "value",
    });
    return code === 0 ? undefined : stderr;
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("the changelog, the README and the example for Kubernetes name the version of deno.json", () => {
  const { version } = denoConfig;
  const [, newest] = /^## (\S+)/m.exec(pages.get("CHANGELOG.md")!)!;
  assert.equal(newest, version);
  assert.ok(pages.get("README.md")!.includes(`alumet-relay_${version}_amd64.deb`));
  const kustomization = Deno.readTextFileSync(new URL("packaging/kubernetes/kustomization.yaml", ROOT));
  assert.match(kustomization, new RegExp(`newTag: ${version.replaceAll(".", "\\.")}$`, "m"));
});

Deno.test("a mistake in a document is found", async () => {
  assert.deepEqual(brokenSpans('with `sync =\n"always"` it\n'), ["with `sync =", '"always"` it']);
  assert.deepEqual(brokenSpans("```sh\necho `\n```\n\n    a ` alone\n"), []);
  assert.deepEqual(codeSpans("a `b c` and ``d ` e``"), ["b c", "d ` e"]);
  const page = "# A page\n\n[x](y.md) [a](#a-page) [b](#b) [docs](docs/delivery.md#nothing)\n";
  assert.deepEqual(
    linkProblems("README.md", page, new Map([...pages, ["README.md", page]])).map((text) => text.slice(11)),
    [
      "y.md: there is no such file",
      "#b: there is no such heading",
      "docs/delivery.md#nothing: there is no such heading",
    ],
  );
  assert.deepEqual(
    missingFiles(
      "`lib/gone.ts` `lib/cli.ts` `cli.ts` `gone_test.ts` `X/config.ts` `lib/journal/`",
      projectFiles(),
    ),
    ["lib/gone.ts", "gone_test.ts"],
  );
  assert.match(commandProblem("alumet-relay --relay-inn :1")!, /Unknown flag --relay-inn/);
  assert.deepEqual(unknownFlags("`--relay-in X --relay-inn` `a--b`"), ["relay-inn"]);
  assert.match(commandProblem("alumet-relay jurnal status")!, /Unknown command/);
  assert.match(commandProblem("alumet-relay --relay-in [::]:50051")!, /quotes/);
  assert.equal(commandProblem('alumet-relay --relay-in "[::]:50051"   # a server'), undefined);
  assert.match((await configurationProblem('[plugins.csv]\noutput_pat = "x"\n'))!, /output_pat/);
});

Deno.test("the commands of a block are taken apart as a shell does it", () => {
  assert.deepEqual(commandsOf("a b \\\n  c\n# only a comment\n\nd |\n  sudo e\n"), ["a b c", "d | sudo e"]);
  assert.deepEqual(wordsOf(`a "b c" 'd e' f#g   # h`), ["a", "b c", "d e", "f#g"]);
  const text = "```sh\nalumet-relay man | less\n```\n\nType `journal status`, `alumet-relay`, `config.ts`.\n";
  assert.deepEqual(programLines(text), ["alumet-relay man", "alumet-relay journal status"]);
});
