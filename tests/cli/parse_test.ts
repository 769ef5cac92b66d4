/** What words of the command line mean, and what is said of them. */
import assert from "node:assert/strict";
import { ExitError } from "../../lib/base/errors.ts";
import { bashCompletion } from "../../lib/cli/completions/bash.ts";
import { fishCompletion } from "../../lib/cli/completions/fish.ts";
import { grammarOf, ownFlags } from "../../lib/cli/completions/grammar.ts";
import { zshCompletion } from "../../lib/cli/completions/zsh.ts";
import { type CommandDeclaration, COMMANDS, FLAGS } from "../../lib/cli/declarations.ts";
import { openPrinter } from "../../lib/cli/exec/options.ts";
import { commandHelp, programHelp } from "../../lib/cli/help.ts";
import { manPage } from "../../lib/cli/man.ts";
import { type CommandLine, parseCommandLine } from "../../lib/cli/parse.ts";
import { timeOf } from "../../lib/cli/time_flag.ts";
import { selectionOf } from "../../lib/cli/query_selection.ts";
import type { Surroundings } from "../../lib/cli/world.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** The problems of a command line, without the hint at the end. */
function problems(...args: string[]): string[] {
  try {
    parseCommandLine(args);
  } catch (error) {
    assert.ok(error instanceof ExitError && error.exitCode === 64);
    const lines = error.message.split("\n");
    assert.equal(lines.pop(), "Type alumet-relay --help for all commands and flags.");
    return lines;
  }
  return [];
}

const commandOf = (...args: string[]) => parseCommandLine(args).command.name;

Deno.test("--version and --help are commands, and help is more", () => {
  assert.deepEqual([commandOf(), commandOf("run"), commandOf("config", "check")], [
    "run",
    "run",
    "config check",
  ]);
  assert.deepEqual(
    [commandOf("--version"), commandOf("run", "--version"), commandOf("version")],
    Array(3).fill("version"),
  );
  assert.deepEqual(
    [commandOf("--help"), commandOf("--version", "--help"), commandOf("-h", "-V")],
    Array(3).fill("help"),
  );
  const topics = (...args: string[]) => parseCommandLine(args).topics.map(({ name }) => name);
  assert.deepEqual([topics("help"), topics("--help")], [[], []]);
  assert.deepEqual([topics("help", "run"), topics("run", "--help")], [["run"], ["run"]]);
  assert.deepEqual(topics("help", "config"), ["config check", "config show", "config regen"]);
  assert.deepEqual(problems("help", "x"), problems("x"));
});

Deno.test("a command has its words, one or several, and no more", () => {
  const line = parseCommandLine(["import", "a", "b", "--config", "d", "c"]);
  assert.deepEqual([line.argument, line.words, line.program], ["a", ["a", "b", "c"], []]);
  const one = parseCommandLine(["query", "SELECT 1"]);
  assert.deepEqual([one.argument, one.words], ["SELECT 1", []]);
  assert.equal(parseCommandLine(["query"]).argument, undefined);
  assert.deepEqual(problems("query", "a", "b"), ["Cannot use b: query takes one argument"]);
  assert.deepEqual(problems("config", "check", "a"), ["Cannot use a: config check takes no argument"]);
  assert.deepEqual(parseCommandLine(["query", "-"]).argument, "-");
  assert.deepEqual(parseCommandLine(["query", "--", "--x"]).argument, "--x");
  assert.equal(parseCommandLine(["config", "show", "--config=a=b"]).value("config"), "a=b");
  assert.equal(parseCommandLine(["config", "show", "--config", "-"]).value("config"), "-");
});

Deno.test("what follows a command that runs a program is the program's, from the first word or -- on", () => {
  const programOf = (...args: string[]) => parseCommandLine(args).program;
  for (const program of [["make", "-j4", "--config", "a"], ["-"], ["make", "--", "x"]]) {
    assert.deepEqual(programOf("exec", ...program), program);
    assert.deepEqual(programOf("exec", "--", ...program), program);
    assert.deepEqual(programOf("exec", "--json", "--repeat", "3", ...program), program);
  }
  assert.deepEqual(programOf("exec", "--", "-x"), ["-x"]);
  assert.deepEqual(programOf("exec"), []);
  const { words, program } = parseCommandLine(["import", "--", "exec", "x"]);
  assert.deepEqual([words, program], [["exec", "x"], []]);
});

Deno.test("words that are no command are answered with those that may be meant", () => {
  const names = COMMANDS.map(({ name }) => name).join(", ");
  assert.deepEqual(problems("zzz"), [`Unknown command zzz; there are ${names}`]);
  assert.deepEqual(problems("zzz", "a", "b"), [`Unknown command zzz; there are ${names}`]);
  assert.deepEqual(problems("token"), ["Cannot run token: write token new"]);
  assert.deepEqual(problems("token", "anything"), ["Unknown command token anything; there is token new"]);
  assert.deepEqual(problems("token", "anything", "x"), [
    "Unknown command token anything; there is token new",
  ]);
  assert.deepEqual(problems("config", "chekc", "x"), [
    "Unknown command config chekc; did you mean config check?",
  ]);
  assert.deepEqual(problems("rum", "x"), ["Unknown command rum; did you mean run?"]);
  assert.deepEqual(problems("--zzz", "run", "--yyy=1"), ["Unknown flag --zzz", "Unknown flag --yyy"]);
});

Deno.test("a flag is given once, with a value that is allowed, to a command that takes it", () => {
  assert.deepEqual(problems("config", "regen", "--force", "--log-format", "json"), []);
  assert.deepEqual(problems("config", "check", "--force"), [
    "Cannot use --force with config check: only config regen takes it",
  ]);
  assert.deepEqual(problems("run", "--country", "FR"), [
    "Cannot use --country with run: only exec, watch take it",
  ]);
  assert.deepEqual(problems("--state-dir", "a", "--state-dir", "b"), [
    "Cannot use --state-dir 2 times: give it once",
  ]);
  assert.deepEqual(problems("--config-override", "a=1", "--config-override", "b=1"), []);
  assert.deepEqual(problems("--log-format", "jsn"), [
    "Cannot use --log-format jsn: expected one of text, json; did you mean json?",
  ]);
});

const command = (more: Partial<CommandDeclaration>): CommandDeclaration => ({
  name: "x",
  summary: "Does x.",
  ...more,
});

Deno.test("lines of help have at most 100 characters, and each as many words as fit", () => {
  const [long, short] = ["a".repeat(48), "b".repeat(47)];
  const described = (description: string) => {
    const lines = commandHelp([command({ description })]).split("\n");
    return lines.slice(2, lines.indexOf("", 2));
  };
  assert.deepEqual(described(`${long} ${short}`), [`${long} ${short}`]);
  assert.deepEqual(described(`${long} ${short}b c`), [long, `${short}b c`]);
  assert.deepEqual(described(`${"z".repeat(120)} c`), ["z".repeat(120), "c"]);
  const help = programHelp("1.2.3").split("\n");
  const flags = help.slice(help.indexOf("Flags:") + 1, help.indexOf("Examples:") - 1);
  const width = Math.max(
    ...FLAGS.filter(({ commands }) => !commands).map(({ name, value }) =>
      4 + 2 + name.length + (value ? value.length + 1 : 0)
    ),
  );
  for (const [i, line] of flags.entries()) {
    assert.match(line.slice(0, 2 + width + 2), / {2}$/, line);
    assert.match(line.slice(2 + width + 2), /^\S/, line);
    assert.ok(line.length <= 100, line);
    const next = flags[i + 1] ?? "";
    if (/^ {8}/.test(next)) assert.ok(line.length + 1 + next.trim().split(" ")[0].length > 100, line);
  }
  // Examples are for copying: they are never wrapped.
  assert.match(
    help.slice(help.indexOf("Examples:") + 1).find((line) => line.length > 100) ?? "",
    /^ {2}alumet-relay /,
  );
});

Deno.test("help says the usage of a command, its own flags, and those of all", () => {
  assert.match(
    commandHelp([command({})]),
    /^alumet-relay x: Does x\.\n\nUsage: alumet-relay x \[FLAGS\]\n\nFlags of all commands:\n/,
  );
  assert.match(
    commandHelp([command({ argument: "A", program: "B C" })]),
    /\nUsage: alumet-relay x \[A\] \[FLAGS\] -- B C\n/,
  );
  const regen = COMMANDS.find(({ name }) => name === "config regen")!;
  assert.match(commandHelp([regen]), /\nFlags of this command:\n {6}--force .*\n/);
  assert.equal(commandHelp([regen, regen]).split("Usage: ").length, 3);
});

Deno.test("the source of the manual page has short lines, and each as many words of a sentence as fit", () => {
  const lines = manPage("1.2.3").split("\n");
  const isText = (line: string | undefined) => line !== undefined && !/^[.\\']|^$/.test(line);
  let wrapped = 0;
  for (const [i, line] of lines.entries()) {
    assert.doesNotMatch(line, /NaN|undefined/);
    if (!isText(line) || !isText(lines[i + 1]) || !isText(lines[i - 1])) continue;
    assert.ok(line.length <= 79, line);
    if (/[.:?)]$/.test(line)) continue;
    assert.ok(line.length + 1 + lines[i + 1].split(" ")[0].length > 79, line);
    wrapped++;
  }
  assert.ok(wrapped > 20, `${wrapped}`);
});

Deno.test("a shell is told which words may follow which, and how values of flags are completed", () => {
  const { positions, flags, valueOf } = grammarOf([
    { name: "csv", kind: "output" },
    { name: "rapl", kind: "input" },
    { name: "filter", kind: "transform" },
  ]);
  const after = (words: string) =>
    positions.find(({ before }) => before === words)?.candidates.map(({ word }) => word);
  const docOf = (words: string, candidate: string) =>
    positions.find(({ before }) => before === words)!.candidates.find(({ word }) => word === candidate)!.doc;
  const firsts = [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0]))];
  assert.deepEqual([after(""), after("help")], [firsts, firsts]);
  assert.deepEqual(after("config"), ["check", "show", "regen"]);
  assert.deepEqual([after("help config"), after("help run")], [["check", "show", "regen"], undefined]);
  assert.deepEqual([after("dead-letters list"), after("query"), after("run")], [
    ["csv"],
    undefined,
    undefined,
  ]);
  assert.deepEqual(after("completions"), ["bash", "zsh", "fish"]);
  assert.deepEqual([docOf("", "config"), docOf("help", "config")], ["check, show, regen", ""]);
  const version = COMMANDS.find(({ name }) => name === "version")!.summary;
  assert.deepEqual([docOf("", "version"), docOf("help", "version")], [version, version]);
  assert.equal(docOf("config", "show"), docOf("help config", "show"));
  const kindOf = (name: string) => valueOf(flags.find((flag) => flag.name === name)!);
  assert.deepEqual(kindOf("log-format"), { kind: "choices", words: ["text", "json"] });
  assert.deepEqual(kindOf("plugins"), { kind: "list", words: ["csv", "rapl", "filter"] });
  assert.deepEqual([kindOf("config"), kindOf("state-dir"), kindOf("relay-in")].map(({ kind }) => kind), [
    "file",
    "directory",
    "none",
  ]);
  const own = ownFlags(flags);
  assert.ok(own.get("config regen")!.some(({ name }) => name === "force"));
  assert.ok([...own.values()].flat().every(({ commands }) => commands));
});

Deno.test("scripts of shells complete values of each kind, and no values where there are none", () => {
  const grammar = grammarOf([{ name: "csv", kind: "output" }, { name: "rapl", kind: "input" }]);
  const bash = bashCompletion(grammar);
  assert.match(bash, /^ {4}--log-format\) words="text json" ;;$/m);
  assert.match(bash, /^ {4}--plugins\)\n(.*\n){2} {6}words="csv rapl" ;;$/m);
  assert.match(bash, /^ {4}--config\) files=-f ;;$/m);
  assert.match(bash, /^ {4}--state-dir\) files=-d ;;$/m);
  assert.doesNotMatch(bash, /^ {4}--(relay-in|force|json)\)/m);
  // Also of a flag that has choices, and takes no value.
  const odd = { name: "odd", doc: "Odd.", choices: ["a"] };
  assert.doesNotMatch(bashCompletion({ ...grammar, flags: [...grammar.flags, odd] }), /--odd\)/);
  const zsh = zshCompletion(grammar);
  assert.match(zsh, /'--plugins=\[.*\]:A,B: _sequence compadd - csv rapl'/);
  assert.match(zsh, /'--config=\[.*\]:PATH:_files'/);
  assert.match(zsh, /'--state-dir=\[.*\]:DIR:_files -\/'/);
  assert.match(zsh, /if \[\[ \$funcstack\[1\] == _alumet-relay \]\]; then/);
  assert.match(zsh, /for \(\(i = 2; i < CURRENT; i\+\+\)\); do/);
  assert.match(zsh, /\(--config\|--config-override\|[^)]*\) \(\(i\+\+\)\) ;;/);
  assert.match(zsh, / && return\n {2}\[\[ \$state == word \]\] && _describe -t commands word candidates\n/);
  const fish = fishCompletion(grammar);
  assert.match(fish, /-l config -r -F /);
  assert.match(fish, /-l state-dir -x -a '\(__fish_complete_directories\)'/);
  assert.match(fish, /-l log-format -x -a 'text json'/);
  assert.match(fish, /-l force -d /);
  assert.match(fish, /-l plugins -x -a '\(__fish_complete_list , .*printf .* csv rapl/);
  assert.match(fish, /if contains -- \$token --config --config-override --plugins /);
});

/** A command line with these flags. */
const lineOf = (...args: string[]): CommandLine => parseCommandLine(args);

Deno.test("a time of a flag is one of UTC unless it has a zone, or an age, and never before 1970", () => {
  const time = (text: string) => timeOf(text, "--since", 3_600_000);
  const second = 1_000_000_000n;
  assert.equal(time("1970-01-02"), 86_400n * second);
  assert.equal(time("1970-01-01T00:01"), 60n * second);
  assert.equal(time("1970-01-01 00:01:02.5"), 62_500_000_000n);
  assert.equal(time("1970-01-01T00:00:00.000000001Z"), 1n);
  assert.equal(time("1970-01-01T02:00:00+01:00"), 3600n * second);
  assert.deepEqual([time("1m"), time("1h"), time("2h"), time("1969-12-31")], [3540n * second, 0n, 0n, 0n]);
  for (const text of ["", "x", "5", "1970-02-30", "1970-01-01T25:00", "1970-01-01T", "1970-1-1"]) {
    assert.throws(() => time(text), (error) => {
      assert.ok(error instanceof ExitError && error.exitCode === 64);
      return error.message.startsWith(`--since ${text}: expected a time such as 2026-11-01 or `);
    });
  }
});

Deno.test("selections without SQL have the values as parameters, and each point of the blocks where there are some", () => {
  const select = (...args: string[]) => selectionOf(lineOf("query", ...args), 1000);
  assert.equal(select(), undefined);
  assert.equal(select("SELECT 1"), undefined);
  const all = select("--metric", "a*", "--host", "h", "--since", "1ms")!;
  assert.deepEqual(all.values, ["a*", "h", 0n, 999_000_000n]);
  // The database has integers of 64 bits.
  const since = (time: string) => select("--since", time)!.values.at(-1);
  assert.equal(since("2262-04-11T23:47:16.854775807Z"), 2n ** 63n - 1n);
  assert.equal(since("2262-04-11T23:47:16.854775808Z"), 2 ** 63);
  assert.match(
    all.sql(false),
    /WHERE m\.name GLOB \?1 AND s\.relay_client GLOB \?2 AND d\.last >= \?3\)\s+WHERE time >= \?4/,
  );
  assert.deepEqual([/UNION ALL/.test(all.sql(false)), /UNION ALL/.test(all.sql(true))], [false, true]);
  assert.match(all.sql(true), /nullif\(s\.attributes, '\{\}'\) AS attributes FROM /);
  assert.doesNotMatch(all.sql(true), /NaN/);
  assert.doesNotMatch(select("--attributes", "a")!.sql(false), /nullif/);
  const named = select("--attributes", "a'b, c\"d,")!.sql(false);
  assert.match(named, /WHERE key = 'a''b'\) AS "a'b", \(SELECT .* WHERE key = 'c"d'\) AS "c""d"/);
  assert.match(
    select("--every", "1m")!.sql(false),
    /bucket \* 60, .*\n(.*\n)*.*CAST\(time \/ 60000000000 AS INTEGER\) AS bucket/,
  );
  const refused = (...args: string[]) => {
    try {
      select(...args);
    } catch (error) {
      assert.ok(error instanceof ExitError && error.exitCode === 64);
      return error.message;
    }
  };
  assert.equal(
    refused("SELECT 1", "--host", "h", "--since", "1s"),
    "--host and --since cannot be used with a statement: put it into WHERE",
  );
  for (const every of ["1500ms", "0s"]) {
    assert.equal(refused("--every", every), "--every: expected whole seconds, such as 30s or 5m");
  }
  assert.match(refused("--since", "1")!, /^--since 1: expected a time such as /);
});

Deno.test("a report goes to standard error or into a file, which has nothing else afterwards", async () => {
  await using dir = new TempDir();
  let said = "";
  const world = { stderr: (text: string) => void (said += text) } as unknown as Surroundings;
  const run = {
    ...{ exitCode: 0, seconds: 1, cpuSeconds: 1, machineCpuSeconds: 1, peakBytes: 1, energy: [], counts: [] },
  };
  const intensityOf = (...args: string[]) => {
    said = "";
    using printer = openPrinter(lineOf("exec", "--json", ...args, "x"), world);
    printer.print(["x"], [run]);
    return JSON.parse(said).intensity?.g_per_kwh ?? null;
  };
  assert.deepEqual([intensityOf(), intensityOf("--intensity", "0"), intensityOf("--intensity", "0.5")], [
    null,
    0,
    0.5,
  ]);
  for (const wrong of ["-1", "Infinity", "x"]) {
    assert.throws(() => intensityOf(`--intensity=${wrong}`), {
      message: `Cannot use --intensity ${wrong}: expected g of CO₂ per kWh, such as 50`,
    });
  }
  assert.ok(intensityOf("--country", "FR") > 0);
  assert.throws(() => intensityOf("--country", "FR", "--intensity", "5"), {
    message: "Cannot use both --country and --intensity: give one of them",
  });
  assert.throws(() => intensityOf("--country", "XX"), /Cannot use --country XX: expected a code of ISO 3166/);
  openPrinter(lineOf("exec", "--report", dir.file("new"), "x"), world)[Symbol.dispose]();
  assert.equal(Deno.readTextFileSync(dir.file("new")), "");
  const report = dir.file("report");
  Deno.writeTextFileSync(report, "x".repeat(10_000));
  said = "";
  {
    using printer = openPrinter(lineOf("exec", "--report", report, "x"), world);
    printer.print(["x"], [run]);
  }
  assert.match(Deno.readTextFileSync(report), /^\nx: exit code 0\n[^x]*\n(.*\n)*$/);
  assert.ok(Deno.statSync(report).size < 1000);
  assert.equal(said, "");
  assert.throws(
    () => openPrinter(lineOf("exec", "--report", dir.path, "x"), world),
    /Cannot write the report to /,
  );
});
