import assert from "node:assert/strict";
import { parseArgs } from "@std/cli/parse-args";
import denoConfig from "../../deno.json" with { type: "json" };
import { main } from "../../lib/cli.ts";
import { blocks, commandsOf, wordsOf } from "../kit/doc_commands.ts";
import { freePort } from "../kit/ports.ts";
import { TestServer } from "../kit/test_server.ts";

const ROOT = new URL("../../", import.meta.url);
const README = Deno.readTextFileSync(new URL("README.md", ROOT));
const tasks: Record<string, string> = denoConfig.tasks;

/** Where the programs of these tests keep what outlives them. */
const state = Deno.makeTempDirSync({ prefix: "alumet-relay-" });
const env = { STATE_DIRECTORY: "", XDG_STATE_HOME: state };
addEventListener("unload", () => Deno.removeSync(state, { recursive: true }));

const commands = blocks(README, "sh").flatMap(commandsOf);

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

/** What other tests run, or what brings the program to a host: only what it names is checked here. */
function checkOtherProgram(command: string, program: string, args: string[]): void {
  if (program === "./denow" && args[0] === "run") {
    // What the demo says to type next: its test runs it.
    assert.deepEqual(args, ["run", "-A", "main.ts", "query", "--database", "demo.sqlite"]);
  } else if (program === "./denow") {
    assert.equal(args[0], "task", command);
    assert.ok(tasks[args[1]], `${command}: there is no such task`);
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
