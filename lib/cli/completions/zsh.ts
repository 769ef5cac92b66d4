/** Completion for zsh, with a description of each word. */
import { type FlagDeclaration, PROGRAM } from "../declarations.ts";
import { type Grammar, ownFlags } from "./grammar.ts";

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

export function zshCompletion({ positions, flags, valueOf }: Grammar): string {
  const withValue = flags.filter(({ value }) => value !== undefined).map(({ name }) => `--${name}`);
  const spec = (flag: FlagDeclaration) => {
    const { name, short, value, repeat, doc } = flag;
    const text = doc.replaceAll(/[[\]\\]/g, "\\$&");
    const once = repeat ? "*" : "";
    if (value === undefined) {
      const long = quoted(`(-${short} --${name})--${name}[${text}]`);
      return short
        ? [long, quoted(`(-${short} --${name})-${short}[${text}]`)]
        : [quoted(`${once}--${name}[${text}]`)];
    }
    const kind = valueOf(flag);
    const action = kind.kind === "choices"
      ? `(${kind.words.join(" ")})`
      : kind.kind === "list"
      ? ` _sequence compadd - ${kind.words.join(" ")}`
      : kind.kind === "file"
      ? "_files"
      : kind.kind === "directory"
      ? "_files -/"
      : " ";
    return [quoted(`${once}--${name}=[${text}]:${value.replaceAll(":", "\\:")}:${action}`)];
  };
  const list = (flags: readonly FlagDeclaration[], indent: string) =>
    flags.flatMap(spec).map((text) => `${indent}${text}`).join("\n");
  const own = [...ownFlags(flags)].map(([command, flags]) =>
    `    (${quoted(command)}*)\n      flags+=(\n${list(flags, "        ")}\n      ) ;;`
  );
  const places = positions.map(({ before, candidates }) => {
    const words = candidates.map(({ word, doc }) =>
      quoted(doc ? `${word.replaceAll(":", "\\:")}:${doc}` : word)
    );
    return `    (${quoted(before)})\n      candidates=(\n${
      words.map((word) => `        ${word}`).join("\n")
    }\n      ) ;;`;
  });
  return `#compdef ${PROGRAM}
# Completion of ${PROGRAM} for zsh. Made by: ${PROGRAM} completions zsh
_alumet-relay() {
  local -a flags candidates before
  local state line
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
    (${withValue.join("|")}) ((i++)) ;;
    (-*) ;;
    (*) before+=($words[i]) ;;
    esac
  done
  flags=(
${list(flags.filter(({ commands }) => !commands), "    ")}
  )
  case "$before" in
${own.join("\n")}
  esac
  case "$before" in
${places.join("\n")}
  esac
  _arguments -S $flags '*: :->word' && return
  [[ $state == word ]] && _describe -t commands word candidates
}
if [[ $funcstack[1] == _alumet-relay ]]; then
  _alumet-relay "$@"
else
  compdef _alumet-relay ${PROGRAM}
fi
`;
}
