/** Help texts, from the declarations. */
import {
  type CommandDeclaration,
  COMMANDS,
  EXAMPLES,
  EXIT_CODES,
  type FlagDeclaration,
  FLAGS,
  PROGRAM,
} from "./declarations.ts";

const WIDTH = 100;

/** Two columns; the second one wraps. */
function columns(rows: readonly (readonly [string, string])[], width = WIDTH): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.flatMap(([name, doc]) => {
    const lines: string[] = [];
    let line = "";
    for (const word of doc.split(" ")) {
      if (line !== "" && 2 + left + line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line += line === "" ? word : ` ${word}`;
    }
    lines.push(line);
    return lines.map((text, i) => `  ${(i === 0 ? name : "").padEnd(left)}${text}`);
  });
}

function flagRows(flags: readonly FlagDeclaration[]): [string, string][] {
  return flags.map(({ name, short, value, choices, doc }) => [
    `${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`,
    choices ? `${doc} One of ${choices.join(", ")}.` : doc,
  ]);
}

const COMMON = FLAGS.filter(({ commands }) => !commands);
const ownFlags = (command: string) => FLAGS.filter(({ commands }) => commands?.includes(command));

function flagSection(title: string, flags: readonly FlagDeclaration[]): string[] {
  return flags.length > 0 ? [title, ...columns(flagRows(flags)), ""] : [];
}

/** The help of the whole program. */
export function programHelp(version: string): string {
  return [
    `${PROGRAM} ${version}: carries measurements from hosts to a database, compatible with Alumet's relay`,
    "",
    `Usage: ${PROGRAM} [COMMAND] [FLAGS]`,
    "",
    "Commands:",
    ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
    "",
    "Flags:",
    ...columns(flagRows(COMMON)),
    "",
    "Examples:",
    ...columns(EXAMPLES.map(({ line, doc }) => [`${PROGRAM} ${line}`, doc]), Infinity),
    "",
    "Exit codes:",
    ...columns(EXIT_CODES.map(({ code, doc }) => [String(code), doc])),
    "",
    `More on a command: ${PROGRAM} help COMMAND`,
    "",
  ].join("\n");
}

/** The help of a command, or of the commands that start with the same word. */
export function commandHelp(commands: readonly CommandDeclaration[]): string {
  return commands.map(({ name, summary, description, argument, program }) =>
    [
      `${PROGRAM} ${name}: ${summary}`,
      ...(description ? ["", ...columns([["", description]]).map((line) => line.trimStart())] : []),
      "",
      `Usage: ${PROGRAM} ${name}${argument ? ` [${argument}]` : ""} [FLAGS]${
        program ? ` -- ${program}` : ""
      }`,
      "",
      ...flagSection("Flags of this command:", ownFlags(name)),
      ...flagSection("Flags of all commands:", COMMON),
    ].join("\n")
  ).join("\n");
}
