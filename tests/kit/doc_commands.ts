/** What the documents of this project tell their readers to type, to write down and to look at. */
import { COMMANDS, FLAGS, PROGRAM } from "../../lib/cli/declarations.ts";
import { parseCommandLine } from "../../lib/cli/parse.ts";

export const ROOT = new URL("../../", import.meta.url);

/** Every document, by its path below the root of the project. */
export function documents(): Map<string, string> {
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "offline/README.md"];
  for (const { name } of Deno.readDirSync(new URL("docs/", ROOT))) paths.push(`docs/${name}`);
  return new Map(paths.sort().map((path) => [path, Deno.readTextFileSync(new URL(path, ROOT))]));
}

/** The code blocks of a language. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp("^```" + language + "\\n(.*?)^```", "gms"))].map(([, block]) => block);
}

/** The blocks of TOML that begin with the name of a file, by that name. */
export function namedFiles(text: string): Map<string, string> {
  return new Map(
    blocks(text, "toml").flatMap((block) => {
      const [, name] = /^# (\S+\.toml)$/m.exec(block) ?? [];
      return name ? [[name, block] as const] : [];
    }),
  );
}

/** The text between code blocks, with as many lines as the whole. */
export function prose(text: string): string {
  let isFenced = false;
  return text.split("\n").map((line) => {
    const isFence = /^ *```/.test(line);
    if (isFence) isFenced = !isFenced;
    return isFence || isFenced || /^ {4,}(?![-*] )/.test(line) ? "" : line;
  }).join("\n");
}

/** What stands between backticks in the text. */
export function codeSpans(text: string): string[] {
  return [...prose(text).matchAll(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/g)].map(([, , code]) => code.trim());
}

/** The lines in which a code span begins and does not end. */
export function brokenSpans(text: string): string[] {
  return prose(text).split("\n").filter((line) => line.split("`").length % 2 === 0);
}

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
const TOOL_FLAGS = ["for", "target", "minutes", "seed", "output", "kind", "cases", "build-arg"]
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

/** `list|show` stands for either. */
function expandChoices(word: string): string[] {
  return /^[a-z]+(\|[a-z]+)+$/.test(word) ? [word.split("|")[0]] : [word];
}

/** How GitHub names the headings of a document in links. */
export function anchors(text: string): Set<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Why a link of a document leads nowhere, for each such link. */
export function linkProblems(path: string, text: string, all: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const inline = [...prose(text).matchAll(/\]\(([^)]+)\)/g)];
  const named = [...prose(text).matchAll(/^\[[^\]]+\]: (\S+)$/gm)];
  for (const [, target] of [...inline, ...named]) {
    if (/^https?:/.test(target)) continue;
    const [file, anchor] = target.split("#");
    const url = new URL(file || path.split("/").at(-1)!, new URL(path, ROOT));
    if (!isThere(url)) problems.push(`${path}: ${target}: there is no such file`);
    else if (anchor !== undefined) {
      const page = all.get(url.href.slice(ROOT.href.length)) ??
        (url.href === new URL(path, ROOT).href ? text : "");
      if (!anchors(page).has(anchor)) problems.push(`${path}: ${target}: there is no such heading`);
    }
  }
  return problems;
}

/** The files that a document names between backticks and that the project does not have. */
export function missingFiles(text: string, tracked: readonly string[]): string[] {
  return codeSpans(text).filter((span) => {
    // X/ and NAME.ts stand for any name.
    if (!/^[\w./-]+$/.test(span) || /(^|\/)[A-Z]+(\/|\.ts|$)/.test(span)) return false;
    const isPath = /^(lib|tests|tools|bench|docs|packaging|offline)\//.test(span);
    if (isPath && span.endsWith("/")) return !tracked.some((file) => file.startsWith(span));
    if (!isPath && !/\w\.ts$/.test(span)) return false;
    return !tracked.some((file) => file === span || file.endsWith(`/${span}`) || file.startsWith(`${span}/`));
  });
}

function isThere(url: URL): boolean {
  try {
    return Boolean(Deno.statSync(url));
  } catch {
    return false;
  }
}

/** All files of the project below the folders that documents name. */
export function projectFiles(): string[] {
  const files: string[] = ["main.ts"];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (isDirectory) walk(`${folder}${name}/`);
      else files.push(`${folder}${name}`);
    }
  };
  for (const folder of ["lib", "tests", "tools", "bench", "docs", "packaging", "offline"]) walk(`${folder}/`);
  return files;
}
