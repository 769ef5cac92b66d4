/** Completions of the command line: the shells themselves complete what is typed. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { COMMANDS, ENVIRONMENT, EXIT_CODES, FLAGS, SIGNALS } from "../../lib/cli/declarations.ts";
import { has, needs, python3 } from "../kit/needs.ts";
import { runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";

async function printed(...args: string[]): Promise<string> {
  let text = "";
  const stderr = (error: string) => assert.fail(error);
  assert.equal(await main(args, { stdout: (part) => void (text += part), stderr }), 0);
  return text;
}

/** What is typed before the tab, and what the line is after it. */
const LINES: readonly (readonly [string, string])[] = [
  ["conf", "config "],
  ["config ch", "config check "],
  ["config check --str", "config check --strict "],
  ["--log-level wa", "--log-level warn "],
  ["--log-level=de", "--log-level=debug "],
  ["--config /etc/hostna", "--config /etc/hostname "],
  ["--state-dir /etc/apt/sources.list.", "--state-dir /etc/apt/sources.list.d/"],
  // Addresses have colons and brackets, which shells take apart.
  [
    "--relay-in [::]:50051 --relay-out server:50051 systemd-u",
    "--relay-in [::]:50051 --relay-out server:50051 systemd-unit ",
  ],
  ["systemd-unit cl", "systemd-unit client "],
  ["plugins list --statu", "plugins list --status "],
  // A flag of another command is none here.
  ["config show --statu", "config show --statu"],
  ["help dead-letters sh", "help dead-letters show "],
  ["dead-letters purge sql", "dead-letters purge sqlite "],
  // What a free value might be, nobody knows.
  ["--relay-out conf", "--relay-out conf"],
];

/** The lines that a shell on a terminal makes of those that are typed. */
async function complete(shell: "bash" | "zsh", lines: readonly string[]): Promise<string[]> {
  await using dir = new TempDir();
  const script = dir.file("script");
  await Deno.writeTextFile(script, await printed("completions", shell));
  const driver = new URL("../kit/shell_driver.py", import.meta.url).pathname;
  const { code, stdout, stderr } = await runProgram(
    [driver, shell, script, ...lines.map((line) => `alumet-relay ${line}`)],
    { program: ["python3"] },
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).map((line: string) => line.replace(/^alumet-relay /, ""));
}

for (const shell of ["bash", "zsh"] as const) {
  Deno.test({
    name: `${shell} completes commands, flags, values, files, and lists`,
    ...needs(has(shell), python3),
    async fn() {
      const list = "--plugins procfs,relay-cl";
      const lines = await complete(shell, [...LINES.map(([typed]) => typed), list, "--log-le"]);
      assert.deepEqual(lines.slice(0, LINES.length), LINES.map(([, line]) => line));
      assert.match(lines[LINES.length], /^--plugins procfs,relay-client[ ,]$/);
      assert.match(lines[LINES.length + 1], /^--log-level[ =]$/);
    },
  });
}

Deno.test({
  name: "fish completes commands, flags, values, files and lists, each with a description",
  ...needs(has("fish")),
  async fn() {
    await using dir = new TempDir();
    await Deno.writeTextFile(dir.file("script"), await printed("completions", "fish"));
    const all = [...LINES.map(([typed]) => typed), "--plugins procfs,relay-cl", "--log-le", "config "];
    const loop = `source ${
      dir.file("script")
    }; for line in $argv; complete -C "alumet-relay $line"; echo ==; end`;
    const { code, stdout, stderr } = await runProgram(["--no-config", "-c", loop, ...all], {
      program: ["fish"],
      env: { HOME: dir.path },
    });
    assert.deepEqual([code, stderr], [0, ""]);
    const answers = stdout.split("==\n").map((answer) => answer.trimEnd());
    LINES.forEach(([typed, line], i) => {
      const word = line.trimEnd().split(" ").at(-1)!;
      const words = answers[i].split("\n").map((answer) => answer.split("\t")[0]);
      if (typed === line) assert.deepEqual(words, [""], typed);
      else assert.ok(words.includes(word), `${typed}: ${words}`);
    });
    const [plugins, flag, config] = answers.slice(LINES.length);
    assert.match(plugins, /^procfs,relay-client\t/);
    assert.equal(flag, "--log-level\tThe least important messages to log. Default: info.");
    assert.match(config, /^check\tCheck the configuration.*\nregen\tWrite .*\nshow\tPrint /);
  },
});

Deno.test("the script of each shell has every command and flag, and another shell is an error", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await printed("completions", shell);
    for (const { name } of FLAGS) {
      assert.match(script, new RegExp(`(--|-l )${name}\\b`), `${shell}: --${name}`);
    }
    for (const { name } of COMMANDS) {
      for (const word of name.split(" ")) assert.ok(script.includes(word), `${shell}: ${name}`);
    }
  }
  for (const args of [["completions"], ["completions", "fis"]]) {
    let error = "";
    assert.equal(await main(args, { stderr: (text) => void (error += text) }), 64);
    assert.match(error, args[1] ? /Cannot complete for fis: .*did you mean fish/ : /Name the shell/);
  }
});

Deno.test("the manual page names every command, flag, exit code, signal and variable", async () => {
  const page = await printed("man");
  const text = page.replaceAll("\\-", "-").replaceAll(/\\f[BIR]/g, "");
  for (const { name } of COMMANDS) {
    assert.match(text, new RegExp(`^\\.TP\n${name}( \\[.*\\]| -- .*)?$`, "m"), name);
  }
  for (const { name, value = "" } of FLAGS) {
    assert.match(text, new RegExp(`^(-., )?--${name} ?${value}$`, "m"));
  }
  for (const { code } of EXIT_CODES) assert.match(text, new RegExp(`^${code}$`, "m"));
  for (const { name } of [...SIGNALS, ...ENVIRONMENT]) assert.ok(text.includes(`\n${name}\n`), name);
});

Deno.test({
  name: "mandoc and groff only report that the manual page has no date",
  ...needs(has("mandoc"), has("groff")),
  async fn() {
    await using dir = new TempDir();
    const page = dir.file("alumet-relay.1");
    await Deno.writeTextFile(page, await printed("man"));
    const lint = await runProgram(["-Tlint", "-Wall", page], { program: ["mandoc"] });
    // The day on which a program was made says nothing: made again it is the same program.
    const complaints = lint.stdout.split("\n").filter((line) =>
      line && !line.endsWith('missing date, using "": TH')
    );
    assert.deepEqual(complaints, []);
    const groff = await runProgram(["-ww", "-b", "-z", "-man", "-Tutf8", "-K", "utf8", page], {
      program: ["groff"],
    });
    assert.deepEqual([groff.code, groff.stderr], [0, ""]);
    const { stdout } = await runProgram(["-man", "-Tutf8", "-P-cbou", page], { program: ["groff"] });
    assert.match(stdout, /^ {7}--relay-out HOST:PORT$/m);
  },
});
