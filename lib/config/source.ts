/** The sources of values, and errors that name them. */
import { EXIT, ExitError } from "../base/errors.ts";
import { formatPath, type Path } from "../schema/path.ts";

/** The source of a value. */
export type Source =
  | { readonly kind: "default" }
  | {
    readonly kind: "file";
    readonly file: string;
    /** From 1; absent if it is unknown. */
    readonly line?: number;
    /** The environment variables in the value. */
    readonly variables: readonly string[];
  }
  | { readonly kind: "flag"; readonly flag: string };

/** The source as text: `default`, `alumet-config.toml:12`, `--relay-in`. */
export function describeSource(source: Source): string {
  if (source.kind === "default") return "default";
  if (source.kind === "flag") return source.flag;
  const { file, line, variables } = source;
  const names = variables.length > 0
    ? `, environment variable${variables.length > 1 ? "s" : ""} ${variables.join(", ")}`
    : "";
  return (line === undefined ? file : `${file}:${line}`) + names;
}

/** A problem of the configuration. */
export interface ConfigProblem {
  readonly source: Source;
  /** The key; empty if the problem has none. */
  readonly path: Path;
  /** What is expected, and what was found. */
  readonly problem: string;
}

/** A problem as a line for people. */
export function describeProblem({ source, path, problem }: ConfigProblem): string {
  const key = path.length > 0 ? `${formatPath(path)}: ` : "";
  if (source.kind === "flag") return `Cannot use ${source.flag}: ${key}${problem}`;
  if (source.kind === "default") return `Cannot use the configuration: ${key}${problem}`;
  const { file, line } = source;
  return `Cannot read ${line === undefined ? file : `${file}:${line}`}: ${key}${problem}`;
}

/** The configuration, or only the command line, has problems; each is a line of the message. */
export class ConfigError extends ExitError {
  constructor(readonly problems: readonly ConfigProblem[]) {
    const isUsage = problems.every(({ source }) => source.kind === "flag");
    super(isUsage ? EXIT.usage : EXIT.config, problems.map(describeProblem).join("\n"));
  }
}
