/** `alumet-relay man`: the manual page, in the macros of man(7). */
import {
  type CommandDeclaration,
  COMMANDS,
  ENVIRONMENT,
  EXAMPLES,
  EXIT_CODES,
  FILES,
  type FlagDeclaration,
  FLAGS,
  PROGRAM,
  SIGNALS,
} from "./declarations.ts";

/** Escapes backslashes and hyphens for roff. */
function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
}

const WIDTH = 79;

/** Short lines of source. Each sentence begins on a line of its own, because roff spaces sentences itself. */
function prose(text: string): string {
  const lines: string[] = [];
  for (const sentence of roff(text).split(/(?<=[\w)\]][.:?]) (?=[A-Z])/)) {
    let line = "";
    for (const word of sentence.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > WIDTH) {
        lines.push(line);
        line = "";
      }
      line += line === "" ? word : ` ${word}`;
    }
    lines.push(line);
  }
  // A line must not begin like a request.
  return lines.join("\n").replace(/^(?=[.'])/gm, "\\&");
}

/** A term and its meaning. */
function entry(term: string, doc: string): string[] {
  return [".TP", term, prose(doc)];
}

const bold = (text: string) => `\\fB${roff(text)}\\fR`;
const italic = (text: string) => `\\fI${roff(text)}\\fR`;

function flag({ name, short, value, choices, commands, doc }: FlagDeclaration): string[] {
  const term = `${short ? `${bold(`-${short}`)}, ` : ""}${bold(`--${name}`)}${
    value ? ` ${italic(value)}` : ""
  }`;
  const only = commands ? ` (${commands.join(", ")})` : "";
  return entry(term, `${doc}${choices ? ` One of ${choices.join(", ")}.` : ""}${only}`);
}

function command({ name, argument, program, summary, description }: CommandDeclaration): string[] {
  const term = `${bold(name)}${argument ? ` [${italic(argument)}]` : ""}${
    program ? ` ${bold("--")} ${italic(program)}` : ""
  }`;
  return entry(term, description ? `${summary} ${description}` : summary);
}

export function manPage(version: string): string {
  return [
    `.TH ${PROGRAM.toUpperCase()} 1 "" "${PROGRAM} ${version}" "User Commands"`,
    ".SH NAME",
    `${roff(PROGRAM)} \\- carry measurements from hosts to a database`,
    ".SH SYNOPSIS",
    `.B ${roff(PROGRAM)}`,
    "[\\fIcommand\\fR] [\\fIflags\\fR]",
    ".SH DESCRIPTION",
    prose(
      "Measures a machine; sends, receives, keeps and stores measurements. One program is client, " +
        "server and hop of the relay protocol of Alumet, and reads its configuration file.",
    ),
    ".SH COMMANDS",
    ...COMMANDS.flatMap(command),
    ".SH OPTIONS",
    ...FLAGS.flatMap(flag),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(({ code, doc }) => entry(bold(String(code)), doc)),
    ".SH SIGNALS",
    ...SIGNALS.flatMap(({ name, doc }) => entry(bold(name), doc)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(({ name, doc }) => entry(bold(name), doc)),
    ".SH FILES",
    ...FILES.flatMap(({ name, doc }) => entry(italic(name), doc)),
    ".SH EXAMPLES",
    ...EXAMPLES.flatMap(({ line, doc }) => entry(bold(`${PROGRAM} ${line}`), doc)),
    ".SH SEE ALSO",
    ".BR systemd.service (5),",
    ".BR journalctl (1)",
    "",
  ].join("\n");
}
