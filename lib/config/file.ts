/** Reads a configuration file into a tree of values with their lines. */
import { parse } from "@std/toml";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { decodeUtf8, Utf8Error } from "../base/utf8.ts";
import type { Path } from "../schema/path.ts";
import { scanToml, type TomlMistake, type TomlScan } from "./toml_lines.ts";
import { type Environment, substituteTree } from "./env.ts";
import { ConfigError, type ConfigProblem, type Source } from "./source.ts";

/** The content of a file. */
export interface ConfigFile {
  readonly path: string;
  /** The values, with environment variables replaced. */
  readonly tree: Record<string, unknown>;
  /** Mistakes in the text. */
  readonly mistakes: readonly ConfigProblem[];
  /** Values with an environment variable that is not set. */
  readonly unset: readonly ConfigProblem[];
  /** The source of the value at a path. */
  source(path: Path): Source;
}

/** The text of a file, or `undefined` if there is none. @throws {ExitError} if it cannot be read, or is not UTF-8. */
export function readText(path: string): string | undefined {
  try {
    return decodeUtf8(Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof Utf8Error) {
      const source: Source = { kind: "file", file: path, line: error.line, variables: [] };
      throw new ConfigError([{ source, path: [], problem: error.message }]);
    }
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new ExitError(EXIT.config, `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads the text of a configuration file. */
export function parseConfigFile(path: string, text: string, env: Environment): ConfigFile {
  // Editors on Windows begin a file with a byte order mark. Alumet's own escape is \${, ours (of the same length) is $${.
  let toml = text.replace(/^\ufeff/, "").replace(/(?<!\\)\\\$\{/g, () => "$${");
  const scan = scanToml(toml);
  // Statements with mistakes are left out, so that the rest can be checked.
  const edits = [
    ...scan.mistakes.flatMap(({ statement }) => statement ? [{ ...statement, quoted: false }] : []),
    ...scan.bareVariables.map((variable) => ({ ...variable, quoted: true })),
  ].sort((a, b) => b.start - a.start);
  for (const { start, end, quoted } of edits) {
    const old = toml.slice(start, end);
    toml = toml.slice(0, start) + (quoted ? JSON.stringify(old) : " ".repeat(old.length)) + toml.slice(end);
  }
  let tree: Record<string, unknown> = {};
  let mistakes: readonly TomlMistake[] = scan.mistakes;
  if (mistakes.every(({ statement }) => statement)) {
    try {
      tree = parse(toml);
    } catch (error) {
      mistakes = [...mistakes, parserMistake(error)];
    }
  }
  const substituted = substituteTree(tree, env);
  const variables = new Map(substituted.variables.map(({ path, names }) => [JSON.stringify(path), names]));
  const source = (key: Path): Source => ({
    kind: "file",
    file: path,
    line: lineOf(scan, key),
    variables: variables.get(JSON.stringify(key)) ?? [],
  });
  return {
    path,
    tree: substituted.tree,
    mistakes: mistakes.map(({ line, path: key, message }) => ({
      source: { kind: "file", file: path, line, variables: [] },
      path: key,
      problem: message,
    })),
    unset: substituted.problems.map(({ path: key, problem }) => ({
      source: source(key),
      path: key,
      problem,
    })),
    source,
  };
}

function lineOf(scan: TomlScan, path: Path): number | undefined {
  return path.length === 0 ? undefined : scan.line(path);
}

/** A mistake that the parser finds and the scan does not. */
function parserMistake(error: unknown): TomlMistake {
  const message = messageOf(error).replaceAll(/\s+/g, " ").trim();
  const [, line, reason] = /^Parse error on line (\d+), column \d+: (.*)$/.exec(message) ?? [];
  // The parser may quote the line, which may contain a secret.
  const shown = (reason ?? message).replace(/ on line '.*/, "");
  return { line: Number(line ?? 1), path: [], message: `this is not TOML: ${shown}` };
}
