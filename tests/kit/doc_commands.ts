/** Commands, flags and keys that documents name, and whether the program has them. */
import { COMMANDS, FLAGS, PROGRAM } from "../../lib/cli/declarations.ts";
import { parseCommandLine } from "../../lib/cli/parse.ts";
import { general } from "../../lib/config/general.ts";
import { plugins } from "../../lib/plugins.ts";
import type { AnyKey } from "../../lib/schema.ts";
import { blocks, codeSpans } from "./documents.ts";

/** A command as a shell divides it, up to a comment. */
export function wordsOf(command: string): string[] {
  const words: string[] = [];
  for (const [, double, single, plain] of command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)) {
    if (plain?.startsWith("#")) break;
    words.push(double ?? single ?? plain);
  }
  return words;
}

/** The commands in a block of sh: one a line, without comments; a line that ends in `\` or `|` goes on. */
export function commandsOf(block: string): string[] {
  return block.replaceAll(/\\\n\s*/g, "").replaceAll(/\|\n\s*/g, "| ").split("\n")
    .map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
}

/** The command lines of the program in a document: in its blocks of sh, and between backticks. */
export function programLines(text: string): string[] {
  const lines = blocks(text, "sh").flatMap(commandsOf).concat(codeSpans(text));
  const families = new Set(COMMANDS.flatMap(({ name }) => name.includes(" ") ? [name.split(" ")[0]] : []));
  return lines.flatMap((line) => line.split(/ [|>] /)).flatMap((line) => {
    const [first, second] = line.trim().replace(/^sudo /, "").split(/[ =]/);
    const isFamily = families.has(second) && line.trim().split(" ").length === 2;
    if (first === PROGRAM) return second === undefined || isFamily ? [] : [line.trim().replace(/^sudo /, "")];
    const isCommand = families.has(first) && second !== undefined && /^[a-z-]+$/.test(second);
    return isCommand ? [`${PROGRAM} ${line.trim()}`] : [];
  });
}

/** Why the program would not take a command line; nothing where it would. */
export function commandProblem(line: string): string | undefined {
  if (/(?<!["'])\[[0-9a-f]*:/.test(line)) return `${line}: an address in brackets needs quotes, for zsh`;
  const args = wordsOf(line).slice(1).filter((word) => word !== "…");
  try {
    parseCommandLine(args.flatMap(expandChoices));
  } catch (error) {
    return `${line}: ${error instanceof Error ? error.message : error}`;
  }
}

/** Flags of tools that the documents name. */
const TOOL_FLAGS = ["for", "target", "minutes", "seed", "output", "kind", "faults", "cases", "build-arg"]
  .concat(["now", "optimize-for-size", "heap-growing-percent"]);

/** The flags between backticks that neither the program nor a tool has. */
export function unknownFlags(text: string): string[] {
  const known = new Set([...FLAGS.map(({ name }) => name), ...TOOL_FLAGS]);
  return codeSpans(text).flatMap((span) =>
    [...span.matchAll(/(?<![\w-])--([a-z-]+)/g)].map(([, name]) => name)
  )
    .filter((name) => !known.has(name));
}

/** What the comments of a configuration or a package name, and the program does not have: commands and flags. */
export function unknownInComments(text: string): string[] {
  const names = new Set(COMMANDS.map(({ name }) => name));
  const flags = new Set(FLAGS.map(({ name }) => name));
  return [...text.matchAll(/alumet-relay(?: ([a-z][a-z-]*)(?: ([a-z]+))?)?((?: --[a-z-]+(?: [^\s-]\S*)?)*)/g)]
    .flatMap(([line, first, second, rest]) => {
      const unknown = [...rest.matchAll(/--([a-z-]+)/g)].filter(([, name]) => !flags.has(name));
      // "alumet-relay may read" is no command line.
      const isCommand = [...names].some((name) => name.split(" ")[0] === first) || rest !== "";
      const isKnown = !isCommand || first === undefined || names.has(first) ||
        names.has(`${first} ${second}`);
      return isKnown && unknown.length === 0 ? [] : [line];
    });
}

/** The paths of all keys and tables of the configuration. */
function keyPaths(): string[] {
  const below = (key: AnyKey, path: string): string[] => [
    ...key.item ? below(key.item, `${path}.NAME`) : [],
    ...Object.entries(key.keys ?? {}).flatMap(([name, inner]) => {
      const own = path === "" ? name : `${path}.${name}`;
      return [own, ...below(inner, own)];
    }),
  ];
  return [...below(general, ""), ...plugins.flatMap(({ name, config }) => below(config, `plugins.${name}`))];
}

/** The keys that a document names (`journal.path`, `sync = "always"`) and the configuration does not have. */
export function unknownKeys(text: string): string[] {
  const paths = keyPaths();
  const tables = new Set(["plugins", ...paths.flatMap((path) => path.split(".").slice(0, -1))]);
  return codeSpans(text).filter((span) => {
    const [, name, value] = /^([a-z_-]+(?:\.[a-z_-]+)*)(?:\.\*)?( = [^'…].*)?$/.exec(span) ?? [];
    if (name === undefined) return false;
    const isKey = value !== undefined || (name.includes(".") && tables.has(name.split(".")[0]));
    return isKey && !paths.some((path) => path === name || path.endsWith(`.${name}`));
  });
}

/** `list|show` stands for either. */
function expandChoices(word: string): string[] {
  return /^[a-z]+(\|[a-z]+)+$/.test(word) ? [word.split("|")[0]] : [word];
}
