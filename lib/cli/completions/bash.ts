/** Completion for bash 4.3 or later, with or without the package bash-completion. */
import { PROGRAM } from "../declarations.ts";
import { type Grammar, ownFlags } from "./grammar.ts";

const quoted = (words: readonly string[]) => `"${words.join(" ")}"`;

export function bashCompletion({ positions, flags, valueOf }: Grammar): string {
  const long = (name: string) => `--${name}`;
  const withValue = flags.filter(({ value }) => value !== undefined).map(({ name }) => long(name));
  const common = flags.filter(({ commands }) => !commands).flatMap(({ name, short }) => [
    ...(short ? [`-${short}`] : []),
    long(name),
  ]);
  const values = flags.flatMap((flag) => {
    if (flag.value === undefined) return [];
    const kind = valueOf(flag);
    const name = long(flag.name);
    if (kind.kind === "choices") return [`    ${name}) words=${quoted(kind.words)} ;;`];
    if (kind.kind === "list") {
      return [
        `    ${name})`,
        `      # After a comma another one.`,
        `      if [[ $cur == *,* ]]; then prefix+=\${cur%,*},; cur=\${cur##*,}; fi`,
        `      words=${quoted(kind.words)} ;;`,
      ];
    }
    if (kind.kind === "file") return [`    ${name}) files=-f ;;`];
    return kind.kind === "directory" ? [`    ${name}) files=-d ;;`] : [];
  });
  const own = [...ownFlags(flags)].map(([command, flags]) =>
    `          ${quoted([command])}*) words+=${quoted(["", ...flags.map(({ name }) => long(name))])} ;;`
  );
  const places = positions.map(({ before, candidates }) =>
    `          ${quoted([before])}) words=${quoted(candidates.map(({ word }) => word))} ;;`
  );
  return `# Completion of ${PROGRAM} for bash. Made by: ${PROGRAM} completions bash
_alumet_relay() {
  # The shell's own words are cut at = and :, which stand in addresses.
  local line=\${COMP_LINE:0:COMP_POINT} cur flag= prefix= words= files= found i n
  local -a typed=() before=()
  read -ra typed <<<"$line"
  [[ $line == *[[:space:]] ]] && typed+=("")
  n=$((\${#typed[@]} - 1))
  cur=\${typed[n]}
  for ((i = 1; i < n; i++)); do
    case \${typed[i]} in
    ${withValue.join(" | ")})
      flag=\${typed[i]}
      ((++i < n)) && flag= ;;
    -*) ;;
    *) before+=("\${typed[i]}") ;;
    esac
  done
  if [[ -z $flag && $cur == --*=* ]]; then
    flag=\${cur%%=*}
    cur=\${cur#*=}
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=$flag=
  fi
  COMPREPLY=()
  case $flag in
    "")
      if [[ $cur == -* ]]; then
        words=${quoted(common)}
        case "\${before[*]}" in
${own.join("\n")}
        esac
      else
        case "\${before[*]}" in
${places.join("\n")}
        esac
      fi ;;
${values.join("\n")}
  esac
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r found; do COMPREPLY+=("$prefix$found"); done < <(compgen $files -- "$cur")
  elif [[ -n $words ]]; then
    while IFS= read -r found; do COMPREPLY+=("$prefix$found"); done < <(compgen -W "$words" -- "$cur")
  fi
  return 0
}
complete -F _alumet_relay ${PROGRAM}
`;
}
