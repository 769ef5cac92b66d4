import assert from "node:assert/strict";
import { parseArgs } from "@std/cli/parse-args";
import { main } from "../../lib/cli.ts";
import { freePort } from "../kit/ports.ts";
import { TestServer } from "../kit/test_server.ts";

const ROOT = new URL("../../", import.meta.url);
const README = Deno.readTextFileSync(new URL("README.md", ROOT));
const tasks: Record<string, string> = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT))).tasks;

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp("^```" + language + "\\n(.*?)^```", "gms"))].map(([, block]) => block);
}

/** Where the programs of these tests keep what outlives them. */
const state = Deno.makeTempDirSync({ prefix: "alumet-relay-" });
const env = { STATE_DIRECTORY: "", XDG_STATE_HOME: state };
addEventListener("unload", () => Deno.removeSync(state, { recursive: true }));

const commands = blocks(README, "sh").flatMap((block) => block.trim().split("\n"));

/** A command's words, as a shell divides them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

/** Runs the command line within this process. */
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

Deno.test("config.example.toml is right", async () => {
  const { code, stderr } = await run([
    "config",
    "check",
    "--config",
    new URL("config.example.toml", ROOT).pathname,
  ]);
  assert.equal(code, 0, stderr);
});

Deno.test("every configuration in the README is right", async () => {
  const configurations = blocks(README, "toml");
  assert.ok(configurations.length > 0);
  for (const text of configurations) {
    const path = await Deno.makeTempFile({ suffix: ".toml" });
    await Deno.writeTextFile(path, text);
    const { code, stderr } = await run(["config", "check", "--config", path]);
    await Deno.remove(path);
    assert.equal(code, 0, stderr);
  }
});

Deno.test("every command in the README does what it is there for", async () => {
  assert.ok(commands.length >= 10);
  const dir = await Deno.makeTempDir();
  await using server = new TestServer();
  try {
    for (const command of commands) {
      const [program, ...args] = wordsOf(command);
      if (program === "./denow") {
        // The demo has a test of its own; the others are what runs this test, or what CI runs beside it.
        assert.equal(args[0], "task", command);
        assert.ok(tasks[args[1]], `${command}: there is no such task`);
        continue;
      }
      assert.equal(program, "alumet-relay", `${command}: say in this test how it is run`);
      const real = args.map((arg) => {
        if (arg === "[::]:50051") return `[::]:${freePort()}`;
        if (arg === "server:50051") return `127.0.0.1:${server.port}`;
        return arg === "new.toml" ? `${dir}/new.toml` : arg;
      });
      if (parseArgs(args)._.length === 0 && !args.includes("--help")) {
        const { code, stderr } = await runUntilRunning(real, dir);
        assert.equal(code, 0, `${command}: ${stderr}`);
      } else {
        const { code, stdout, stderr } = await run(real);
        assert.equal(code, 0, `${command}: ${stderr}`);
        assert.ok(stdout.length + stderr.length > 0);
      }
    }
    assert.ok((await Deno.stat(`${state}/alumet-relay/server/measurements.sqlite`)).isFile);
    assert.ok(server.points.length > 0, "the README's client sends to the server");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

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

Deno.test("every link in the documentation leads to a file that is there", () => {
  const files = ["README.md", "CHANGELOG.md", "bench/README.md", "offline/README.md"];
  for (const { name } of Deno.readDirSync(new URL("docs/", ROOT))) files.push(`docs/${name}`);
  for (const file of files) {
    const text = Deno.readTextFileSync(new URL(file, ROOT));
    for (const [, target] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue;
      assert.ok(Deno.statSync(new URL(target, new URL(file, ROOT))), `${file}: ${target}`);
    }
  }
});

Deno.test("every file of lib/ and tests/ that a page of docs/ names is there", () => {
  let count = 0;
  for (const { name: page } of Deno.readDirSync(new URL("docs/", ROOT))) {
    const text = Deno.readTextFileSync(new URL(`docs/${page}`, ROOT));
    for (const [, name] of text.matchAll(/`((?:lib\/|tests\/|main)[\w/]*(?:\.ts|\/))`/g)) {
      assert.ok(Deno.statSync(new URL(name, ROOT)), `${page}: ${name}`);
      count++;
    }
  }
  assert.ok(count > 10);
});

Deno.test("the program within this process and as a process is the same", async () => {
  const { stdout } = await run(["version"]);
  let written = "";
  const code = await main(["version"], { stdout: (text: string) => void (written += text) });
  assert.equal(code, 0);
  assert.equal(written, stdout);
});
