/** Environment variables in the texts of a configuration: `${NAME}`, `${NAME:-default}`, and `$${` for a plain `${`. */
import { LooseText } from "../schema.ts";
import type { Path } from "../schema/path.ts";

/** Looks up an environment variable. */
export type Environment = (name: string) => string | undefined;

/** A text after substitution. */
export interface Substituted {
  readonly text: string;
  /** The variables in it. */
  readonly variables: readonly string[];
  readonly problems: readonly string[];
}

/** Replaces the variables of one text. An empty variable takes its default, as in a shell. */
function substituteText(text: string, env: Environment): Substituted {
  const variables: string[] = [];
  const problems: string[] = [];
  const result = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (all, inner: string | undefined, close: string) => {
    if (inner === undefined) return "${";
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? [];
    if (close === "") {
      problems.push("${ is not closed by }; write $${ for a plain ${");
    } else if (name === undefined) {
      problems.push(`${all} is not \${NAME} or \${NAME:-default}; write $\${ for a plain \${`);
    } else {
      variables.push(name);
      const value = env(name);
      if (value !== undefined && (value !== "" || fallback === undefined)) return value;
      if (fallback !== undefined) return fallback;
      problems.push(`environment variable ${name} is not set; set it, or write \${${name}:-default}`);
    }
    return all;
  });
  return { text: result, variables, problems };
}

/** A whole tree after substitution. */
export interface SubstitutedTree {
  /** The tree, with a {@linkcode LooseText} for each text in which something was replaced. */
  readonly tree: Record<string, unknown>;
  readonly variables: readonly { path: Path; names: readonly string[] }[];
  readonly problems: readonly { path: Path; problem: string }[];
}

/** Replaces the variables in all texts of a tree. */
export function substituteTree(tree: Record<string, unknown>, env: Environment): SubstitutedTree {
  const variables: { path: Path; names: readonly string[] }[] = [];
  const problems: { path: Path; problem: string }[] = [];
  const walk = (value: unknown, path: Path): unknown => {
    if (typeof value === "string") {
      if (!value.includes("${")) return value;
      const substituted = substituteText(value, env);
      for (const problem of substituted.problems) problems.push({ path, problem });
      if (substituted.variables.length === 0) return substituted.text;
      variables.push({ path, names: substituted.variables });
      return new LooseText(substituted.text);
    }
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (typeof value !== "object" || value === null || value instanceof Date) return value;
    const result: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) result[key] = walk(item, [...path, key]);
    return result;
  };
  return { tree: walk(tree, []) as Record<string, unknown>, variables, problems };
}
