/** The grammar of the command line for completions, from the declarations. */
import { COMMANDS, type FlagDeclaration, FLAGS } from "../declarations.ts";

/** A word and its description. */
export interface Candidate {
  readonly word: string;
  readonly doc: string;
}

/** The words that may follow some others; flags do not count. */
export interface Position {
  /** The words before, separated by single spaces; `""` at the beginning. */
  readonly before: string;
  readonly candidates: readonly Candidate[];
}

/** How the value of a flag is completed. */
export type ValueKind =
  | { readonly kind: "choices"; readonly words: readonly string[] }
  /** Several of the words, separated by commas. */
  | { readonly kind: "list"; readonly words: readonly string[] }
  | { readonly kind: "file" }
  | { readonly kind: "directory" }
  | { readonly kind: "none" };

export interface Grammar {
  readonly positions: readonly Position[];
  readonly flags: readonly FlagDeclaration[];
  valueOf(flag: FlagDeclaration): ValueKind;
}

/** @param plugins Names and kinds of all plugins. */
export function grammarOf(plugins: readonly { readonly name: string; readonly kind: string }[]): Grammar {
  const outputs = plugins.filter(({ kind }) => kind === "output").map(({ name }) => name);
  const positions = new Map<string, Candidate[]>([["", []]]);
  const add = (before: string, word: string, doc: string) => {
    const candidates = positions.get(before) ?? [];
    positions.set(before, candidates);
    if (!candidates.some((candidate) => candidate.word === word)) candidates.push({ word, doc });
  };
  for (const { name, summary, argument, choices } of COMMANDS) {
    const [first, second] = name.split(" ");
    const family = COMMANDS.filter((command) => command.name.startsWith(`${first} `));
    add("", first, second ? `${family.map((command) => command.name.split(" ")[1]).join(", ")}` : summary);
    if (second) add(first, second, summary);
    for (const choice of choices ?? []) add(name, choice, "");
    if (argument === "OUTPUT") { for (const output of outputs) add(name, output, ""); }
    if (name === "help") {
      for (const command of COMMANDS) {
        const [one, two] = command.name.split(" ");
        add("help", one, two ? "" : command.summary);
        if (two) add(`help ${one}`, two, command.summary);
      }
    }
  }
  return {
    positions: [...positions].map(([before, candidates]) => ({ before, candidates })),
    flags: FLAGS,
    valueOf({ name, value, choices }): ValueKind {
      if (choices) return { kind: "choices", words: choices };
      if (name === "plugins") return { kind: "list", words: plugins.map(({ name }) => name) };
      if (value === "PATH") return { kind: "file" };
      return value === "DIR" ? { kind: "directory" } : { kind: "none" };
    },
  };
}

/** The flags of single commands, by the words of the command. */
export function ownFlags(flags: readonly FlagDeclaration[]): Map<string, FlagDeclaration[]> {
  const own = new Map<string, FlagDeclaration[]>();
  for (const flag of flags) {
    for (const command of flag.commands ?? []) own.set(command, [...own.get(command) ?? [], flag]);
  }
  return own;
}
