/** What the documents say of files, commands and configurations is what there is. */
import assert from "node:assert/strict";
import { parseArgs } from "@std/cli/parse-args";
import { parse } from "@std/toml";
import denoConfig from "../../deno.json" with { type: "json" };
import { main } from "../../lib/cli.ts";
import { plugins as allPlugins } from "../../lib/plugins.ts";
import { EXAMPLES, PROGRAM } from "../../lib/cli/declarations.ts";
import {
  commandProblem,
  commandsOf,
  programLines,
  unknownFlags,
  unknownInComments,
  unknownKeys,
  wordsOf,
} from "../kit/doc_commands.ts";
import {
  blocks,
  brokenSpans,
  codeSpans,
  documents,
  linkProblems,
  missingFiles,
  projectFiles,
  prose,
  ROOT,
} from "../kit/documents.ts";
import { freePort } from "../kit/ports.ts";
import { TestServer } from "../kit/test_server.ts";

const pages = documents();
const README = pages.get("README.md")!;
const tasks: Record<string, string> = denoConfig.tasks;

/** Where the programs of these tests keep what outlives them. */
const state = Deno.makeTempDirSync({ prefix: "alumet-relay-" });
const env = { STATE_DIRECTORY: "", XDG_STATE_HOME: state };
addEventListener("unload", () => Deno.removeSync(state, { recursive: true }));

const commands = blocks(README, "sh").flatMap(commandsOf);

/** Commands that ask a running process, which tests of their own have. */
const ASKS_PROCESS = ["status", "top", "tap"];

/** Runs the command line in a process of its own. */
async function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("main.ts", ROOT).pathname, ...args],
    env,
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: decode(output.stdout), stderr: decode(output.stderr) };
}

/** Runs it until it says that it is running, then stops it with SIGTERM. */
async function runUntilRunning(args: string[], cwd: string): Promise<{ code: number; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("main.ts", ROOT).pathname, ...args],
    cwd,
    env,
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let stderr = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    const before = stderr.includes("Running");
    stderr += text;
    if (!before && stderr.includes("Running")) child.kill("SIGTERM");
  }
  return { code: (await child.status).code, stderr };
}

Deno.test("config.example.toml is what config regen writes", async () => {
  const { stdout, code } = await run(["config", "regen", "--config", "-"]);
  assert.equal(code, 0);
  assert.equal(Deno.readTextFileSync(new URL("config.example.toml", ROOT)), stdout);
});

Deno.test("config.example.toml is valid", async () => {
  const { code, stderr } = await run([
    "config",
    "check",
    "--config",
    new URL("config.example.toml", ROOT).pathname,
  ]);
  assert.equal(code, 0, stderr);
});

Deno.test("every command in the README does what its comment says", async () => {
  assert.ok(commands.length >= 15);
  const dir = await Deno.makeTempDir();
  await using server = new TestServer();
  try {
    for (const command of commands) {
      assert.match(command, / {3}# \w/, `${command}: say behind it what it does`);
      const [program, ...args] = wordsOf(command);
      if (program !== "alumet-relay") {
        checkOtherProgram(command, program, args);
        continue;
      }
      const real = args.map((arg) => {
        if (arg === ":50051") return `:${freePort()}`;
        if (arg === "server:50051") return `127.0.0.1:${server.port}`;
        if (arg === "make") return "true";
        return arg === "new.toml" ? `${dir}/new.toml` : arg;
      });
      if (parseArgs(args)._.length === 0 && !args.includes("--help")) {
        const { code, stderr } = await runUntilRunning(real, dir);
        assert.equal(code, 0, `${command}: ${stderr}`);
      } else {
        const { code, stdout, stderr } = await run(real);
        if (ASKS_PROCESS.includes(args[0])) assert.match(stderr, /There are no running processes in/);
        else assert.equal(code, 0, `${command}: ${stderr}`);
        // Its exit code says everything.
        if (args[0] !== "send") assert.ok(stdout.length + stderr.length > 0);
      }
    }
    assert.ok((await Deno.stat(`${state}/alumet-relay/server/measurements.sqlite`)).isFile);
    assert.ok(server.points.length > 0, "the README's client sends to the server");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** What other tests run, or what brings the program to a host: only what it names is checked here. */
function checkOtherProgram(command: string, program: string, args: string[]): void {
  if (program === "./denow" && args[0] === "run") {
    // What the demo says to type next: its test runs it.
    assert.deepEqual(args, ["run", "-A", "main.ts", "query", "--database", "demo.sqlite"]);
  } else if (program === "./denow") {
    assert.equal(args[0], "task", command);
    assert.ok(tasks[args[1]], `${command}: there is no such task`);
  } else if (program === "sudoedit") {
    assert.ok(Deno.statSync(new URL(args[0].replace("/etc/alumet-relay/", "packaging/config/"), ROOT)));
  } else if (program === "sudo") {
    assert.deepEqual(args.slice(0, 3), ["systemctl", "enable", "--now"]);
    assert.ok(Deno.statSync(new URL(`packaging/systemd/${args[3]}.service`, ROOT)));
  } else {
    assert.ok(["scp", "ssh"].includes(program), `${command}: say in this test how it is run`);
    const made = ["alumet-relay", `alumet-relay_${denoConfig.version}_amd64.deb`];
    const [, file] = /(?:dist|\.)\/(\S+)/.exec(command) ?? [];
    assert.ok(made.includes(file), `${command}: compile and package make no such file`);
  }
}

Deno.test("the demo measures, relays, stores, and sums up", async () => {
  const dir = await Deno.makeTempDir();
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("tools/demo.ts", ROOT).pathname,
      "--for",
      "3s",
      "--file",
      `${dir}/d.sqlite`,
    ],
  }).output();
  const stdout = new TextDecoder().decode(output.stdout);
  assert.equal(output.code, 0, stdout + new TextDecoder().decode(output.stderr));
  assert.match(stdout, /points\/s .* points in all .* client/);
  const points = stdout.match(/([\d,]+) points stored/)![1].replaceAll(",", "");
  assert.ok(Number(points) > 0);
  // What it says to type next.
  const [, sql] = stdout.match(/^ {2}\.\/denow run -A main\.ts query --database \S+d\.sqlite "(.*)"$/m)!;
  const asked = await run(["query", sql, "--database", `${dir}/d.sqlite`]);
  assert.equal(asked.code, 0, asked.stderr);
  assert.ok(asked.stdout.split("\n").length > 3, asked.stdout);
  const counted = await run(["query", "SELECT count(*) FROM points", "--database", `${dir}/d.sqlite`]);
  assert.equal(counted.stdout, `count(*)\n${points}\n`);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the program within this process and as a process is the same", async () => {
  const { stdout } = await run(["version"]);
  let written = "";
  const code = await main(["version"], { stdout: (text: string) => void (written += text) });
  assert.equal(code, 0);
  assert.equal(written, stdout);
});

Deno.test("every link in the documents leads to a file and a heading that are there", () => {
  assert.deepEqual([...pages].flatMap(([path, text]) => linkProblems(path, text, pages)), []);
});

Deno.test("the README leads to every page", () => {
  const missing = [...pages.keys()].filter((path) =>
    /^(docs|bench)\//.test(path) && !README.includes(`(${path})`)
  );
  assert.deepEqual(missing, []);
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

/** Words that a reader would have to translate back, and those to write instead. */
const ODD_WORDS: Readonly<Record<string, string>> = {
  "anew": "again",
  "for good": "permanently",
  "be had": "available",
  "gets further": "makes progress",
  "is no valid": "is not valid",
};

Deno.test("the documents use plain words", () => {
  const odd = [...pages].flatMap(([path, text]) =>
    Object.entries(ODD_WORDS).filter(([words]) =>
      new RegExp(`\\b${words}\\b`).test(prose(text).replaceAll("\n", " "))
    )
      .map(([words, plain]) => `${path}: "${words}": write "${plain}"`)
  );
  assert.deepEqual(odd, []);
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

Deno.test("the comments of packages, and the examples of the help, have commands and flags that exist", () => {
  const paths = projectFiles().filter((path) => /^packaging\/(config|systemd|kubernetes)\//.test(path));
  assert.ok(paths.length > 8);
  for (const path of [...paths, "config.example.toml"]) {
    assert.deepEqual(unknownInComments(Deno.readTextFileSync(new URL(path, ROOT))), [], path);
  }
  assert.deepEqual(unknownInComments("# alumet-relay config chek --strict\n# alumet-relay --relay-inn :1"), [
    "alumet-relay config chek --strict",
    "alumet-relay --relay-inn :1",
  ]);
  for (const { line } of EXAMPLES) assert.equal(commandProblem(`${PROGRAM} ${line}`), undefined);
});

Deno.test("every key that the documents name is one of the configuration", () => {
  const unknown = [...pages].flatMap(([path, text]) => unknownKeys(text).map((key) => `${path}: ${key}`));
  assert.deepEqual(unknown, []);
  assert.deepEqual(unknownKeys('`journal.pat` `journal.path` `snyc = "always"` `limits.*` `plugins.csv.x`'), [
    "journal.pat",
    'snyc = "always"',
    "plugins.csv.x",
  ]);
});

Deno.test("every task and script that the documents run is there", () => {
  const commands = [...pages].flatMap(([path, text]) =>
    blocks(text, "sh").flatMap(commandsOf).concat(codeSpans(text)).map((line) => [path, line])
  );
  let count = 0;
  for (const [path, line] of commands) {
    const [, task] = /(?:^|[ /])(?:denow|deno) task ([a-z]+)/.exec(line) ?? [];
    const [, script] = /\b(?:denow|deno) run -A (\S+)/.exec(line) ?? [];
    if (task) assert.ok(tasks[task], `${path}: ${line}: there is no such task`);
    if (script) assert.ok(Deno.statSync(new URL(script, ROOT)), `${path}: ${line}: there is no such script`);
    if (task || script) count++;
  }
  assert.ok(count > 20, `${count}`);
});

Deno.test("every configuration in the documents is valid, with the inputs or outputs that it leaves out", async () => {
  let count = 0;
  for (const [path, text] of pages) {
    for (const block of blocks(text, "toml")) {
      // What is shown of outputs is also safe.
      const strict = /(sqlite|postgresql|outputs)\.md$/.test(path) ? ["--strict"] : [];
      assert.equal(await configurationProblem(block, strict), undefined, `${path}:\n${block}`);
      count++;
    }
  }
  assert.ok(count > 10, `${count}`);
});

/** What `config check` finds in a configuration, or in a part of one. */
async function configurationProblem(text: string, more: string[] = []): Promise<string | undefined> {
  const { plugins = {} } = parse(text) as { plugins?: Record<string, unknown> };
  const names = Object.keys(plugins);
  const inputs = ["procfs", "relay-server"];
  const flags = [...more];
  if (!names.some((name) => inputs.includes(name))) flags.push("--relay-in", "127.0.0.1:50051");
  const outputs = allPlugins.filter(({ kind }) => kind === "output").map(({ name }) => name);
  if (!names.some((name) => outputs.includes(name))) flags.push("--output-file", "out.csv");
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
