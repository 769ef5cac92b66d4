/** Completion for fish, with a description of each word. */
import { PROGRAM } from "../declarations.ts";
import type { Grammar } from "./grammar.ts";

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

export function fishCompletion({ positions, flags, valueOf }: Grammar): string {
  const withValue = flags.filter(({ value }) => value !== undefined).map(({ name }) => `--${name}`);
  const lines = positions.flatMap(({ before, candidates }) =>
    candidates.map(({ word, doc }) =>
      `complete -c ${PROGRAM} -n ${quoted(`__alumet_relay_after ${quoted(before)}`)} -a ${quoted(word)}${
        doc ? ` -d ${quoted(doc)}` : ""
      }`
    )
  );
  for (const flag of flags) {
    const { name, short, value, commands, doc } = flag;
    const where = commands
      ? ` -n ${quoted(commands.map((command) => `__alumet_relay_in ${quoted(command)}`).join("; or "))}`
      : "";
    const kind = valueOf(flag);
    let how = "";
    if (value !== undefined) {
      if (kind.kind === "choices") how = ` -x -a ${quoted(kind.words.join(" "))}`;
      else if (kind.kind === "list") {
        how = ` -x -a ${quoted(`(__fish_complete_list , 'printf "%s\\n" ${kind.words.join(" ")}')`)}`;
      } else if (kind.kind === "file") how = " -r -F";
      else how = kind.kind === "directory" ? ` -x -a '(__fish_complete_directories)'` : " -x";
    }
    lines.push(
      `complete -c ${PROGRAM}${where} -l ${name}${short ? ` -s ${short}` : ""}${how} -d ${quoted(doc)}`,
    );
  }
  return `# Completion of ${PROGRAM} for fish. Made by: ${PROGRAM} completions fish
function __alumet_relay_words
  set -l skip 0
  for token in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
    else if contains -- $token ${withValue.join(" ")}
      set skip 1
    else if not string match -q -- '-*' $token
      echo $token
    end
  end
end
function __alumet_relay_after
  set -l words (__alumet_relay_words)
  test "$words" = "$argv[1]"
end
function __alumet_relay_in
  set -l words (__alumet_relay_words)
  string match -q -- "$argv[1]*" "$words"
end
complete -c ${PROGRAM} -f
${lines.join("\n")}
`;
}
