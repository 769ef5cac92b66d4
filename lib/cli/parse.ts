/** Parses the arguments: which command, with which flags. */
import { parseArgs } from "@std/cli/parse-args";
import { EXIT, ExitError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import { type CommandDeclaration, COMMANDS, type FlagDeclaration, FLAGS, PROGRAM } from "./declarations.ts";

/** What the user typed. */
export interface CommandLine {
  readonly command: CommandDeclaration;
  /** For `help`: the commands to describe. None: the whole program. */
  readonly topics: readonly CommandDeclaration[];
  /** The word behind the command, if it takes one. */
  readonly argument?: string;
  /** All words behind the command, if it takes several. */
  readonly words: readonly string[];
  /** The program behind the command and its arguments, if the command runs one; else empty. */
  readonly program: readonly string[];
  /** Whether a flag without value is given. */
  has(name: string): boolean;
  /** The value of a flag, if it is given. */
  value(name: string): string | undefined;
  /** The values of a flag that may be given several times. */
  values(name: string): readonly string[];
}

const byName = new Map(FLAGS.map((flag) => [flag.name, flag]));
const command = (name: string) => COMMANDS.find((candidate) => candidate.name === name)!;

/**
 * Reads the arguments.
 *
 * @throws {ExitError} (64) with a line for each problem.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const problems: string[] = [];
  const valueFlags = FLAGS.filter(({ value }) => value !== undefined).map(({ name }) => name);
  const { joined, program } = joinValues(args, problems);
  const parsed: Record<string, unknown> & { _: (string | number)[] } = parseArgs(
    joined,
    {
      string: [...valueFlags, "_"],
      boolean: FLAGS.filter(({ value }) => value === undefined).map(({ name }) => name),
      collect: valueFlags,
      alias: Object.fromEntries(FLAGS.flatMap(({ name, short }) => short ? [[short, name]] : [])),
      unknown(argument: string) {
        if (!argument.startsWith("-") || argument === "-") return true;
        problems.push(unknownFlag(argument));
        return false;
      },
    },
  );
  const values = (name: string) => (parsed[name] ?? []) as string[];
  const words = parsed._.map(String);
  const found = findCommand(words, parsed.help === true, problems);
  for (const flag of FLAGS) {
    const given = flag.value === undefined ? parsed[flag.name] === true : values(flag.name).length > 0;
    if (given) problems.push(...flagProblems(flag, values(flag.name), found.command));
  }
  if (problems.length > 0) {
    throw new ExitError(
      EXIT.usage,
      [...problems, `Type ${PROGRAM} --help for all commands and flags.`].join("\n"),
    );
  }
  return {
    ...found,
    program,
    command: parsed.version === true && parsed.help !== true ? command("version") : found.command,
    has: (name) => parsed[name] === true,
    value: (name) => values(name)[0],
    values,
  };
}

/**
 * Writes every `--flag value` as `--flag=value`, so that no value is parsed as a flag or a command. What follows a
 * command that runs a program belongs to that program, from the first word or from `--` on.
 */
function joinValues(
  args: readonly string[],
  problems: string[],
): { joined: string[]; program: readonly string[] } {
  const joined: string[] = [];
  let first: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    const isWord = argument === "-" || !argument.startsWith("-");
    const runsProgram = COMMANDS.some(({ name, program }) => name === first && program !== undefined);
    if (runsProgram && isWord) return { joined, program: args.slice(i) };
    if (argument === "--") {
      return runsProgram
        ? { joined, program: args.slice(i + 1) }
        : { joined: [...joined, ...args.slice(i)], program: [] };
    }
    if (isWord) first ??= argument;
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    const flag = byName.get(name);
    if (!flag) joined.push(argument);
    else if (flag.value === undefined) {
      if (value !== undefined) problems.push(`Cannot use ${argument}: --${name} takes no value`);
      joined.push(`--${name}`);
    } else {
      const next = args[i + 1];
      const follows = next !== undefined && (next === "-" || !next.startsWith("-"));
      const given = value ?? (follows ? args[++i] : "");
      if (given === "") problems.push(`Cannot use --${name}: it needs a value, --${name} ${flag.value}`);
      else joined.push(`--${name}=${given}`);
    }
  }
  return { joined, program: [] };
}

function unknownFlag(argument: string): string {
  const [name] = argument.split("=");
  const near = didYouMean(name, FLAGS.map((flag) => `--${flag.name}`));
  return `Unknown flag ${name}${name.startsWith("--") ? near : ""}`;
}

function flagProblems(
  flag: FlagDeclaration,
  values: readonly string[],
  command: CommandDeclaration,
): string[] {
  const { name, choices, commands, repeat } = flag;
  const problems: string[] = [];
  if (commands && !commands.includes(command.name)) {
    problems.push(
      `Cannot use --${name} with ${command.name}: only ${commands.join(", ")} ${
        commands.length === 1 ? "takes" : "take"
      } it`,
    );
  }
  if (values.length > 1 && !repeat) {
    problems.push(`Cannot use --${name} ${values.length} times: give it once`);
  }
  for (const value of choices ? values : []) {
    if (choices!.includes(value)) continue;
    const near = didYouMean(value, choices!);
    problems.push(`Cannot use --${name} ${value}: expected one of ${choices!.join(", ")}${near}`);
  }
  return problems;
}

type Found = Pick<CommandLine, "command" | "topics" | "argument" | "words">;

function findCommand(words: readonly string[], wantsHelp: boolean, problems: string[]): Found {
  if (words[0] === "help") {
    return { command: command("help"), topics: findTopics(words.slice(1), problems), words: [] };
  }
  if (wantsHelp) return { command: command("help"), topics: findTopics(words, problems), words: [] };
  if (words.length === 0) return { command: command("run"), topics: [], words: [] };
  const two = COMMANDS.find(({ name }) => name === words.slice(0, 2).join(" "));
  const one = COMMANDS.find(({ name }) => name === words[0]);
  const found = two ?? one;
  if (!found) {
    problems.push(unknownCommand(words));
    return { command: command("run"), topics: [], words: [] };
  }
  const rest = words.slice(found.name.split(" ").length);
  if (found.many) return { command: found, topics: [], argument: rest[0], words: rest };
  const argument = found.argument === undefined ? undefined : rest.shift();
  if (rest.length > 0) {
    const takes = found.argument === undefined ? "takes no argument" : "takes one argument";
    problems.push(`Cannot use ${rest.join(" ")}: ${found.name} ${takes}`);
  }
  return { command: found, topics: [], argument, words: [] };
}

function findTopics(words: readonly string[], problems: string[]): CommandDeclaration[] {
  const wanted = words.join(" ");
  const topics = COMMANDS.filter(({ name }) => name === wanted || name.startsWith(`${wanted} `));
  if (wanted !== "" && topics.length === 0) problems.push(unknownCommand(words));
  return wanted === "" ? [] : topics;
}

function unknownCommand(words: readonly string[]): string {
  const family = COMMANDS.filter(({ name }) => name.startsWith(`${words[0]} `)).map(({ name }) => name);
  if (family.length > 0 && words.length === 1) {
    return `Cannot run ${words[0]}: write ${family.join(" or ")}`;
  }
  const typed = words.slice(0, 2).join(" ");
  const names = COMMANDS.map(({ name }) => name);
  const near = didYouMean(typed, names) || didYouMean(words[0], names);
  const hint = near ||
    (family.length > 0 ? `; there is ${family.join(", ")}` : `; there are ${names.join(", ")}`);
  return `Unknown command ${family.length > 0 ? typed : words[0]}${hint}`;
}
