/** What the lines mean: Alumet's commands, and `status`. */
import { parseDuration } from "../../base/duration.ts";
import { messageOf } from "../../base/errors.ts";
import { matchesGlob } from "../../base/glob.ts";

/** The shortest and the longest time between two polls that a command may ask for, in ms. */
const MIN_INTERVAL_MS = 1;
const MAX_INTERVAL_MS = 2 ** 31 - 1;
const NANOS_PER_MS = 1_000_000n;

/** Sources that a command is for. */
export interface SourcePattern {
  readonly plugin: string;
  readonly source: string;
}

export type Command =
  | { readonly do: "shutdown" }
  | { readonly do: "status" }
  | { readonly do: "pause" | "resume" | "poll"; readonly pattern: SourcePattern }
  | { readonly do: "interval"; readonly pattern: SourcePattern; readonly ms: number };

const KINDS: Readonly<Record<string, "sources" | "others">> = {
  source: "sources",
  sources: "sources",
  src: "sources",
  all: "sources",
  any: "sources",
  "*": "sources",
  transform: "others",
  transforms: "others",
  tra: "others",
  output: "others",
  outputs: "others",
  out: "others",
};

const USAGE = "status, shutdown, or control PATTERN pause | resume | set-period DURATION | trigger-now";

/** @throws {SyntaxError} what is wrong with the line */
export function parseCommand(line: string): Command {
  const [verb, patternText, action, ...rest] = line.trim().split(/\s+/);
  if (["shutdown", "stop", "status"].includes(verb) && patternText === undefined) {
    return { do: verb === "status" ? "status" : "shutdown" };
  }
  if (verb !== "control" || action === undefined) {
    throw new SyntaxError(`not a command; the commands are ${USAGE}`);
  }
  const pattern = parsePattern(patternText);
  switch (action) {
    case "pause":
    case "disable":
      return { do: "pause", pattern: alone(rest, pattern) };
    case "resume":
    case "enable":
      return { do: "resume", pattern: alone(rest, pattern) };
    case "trigger-now":
      return { do: "poll", pattern: alone(rest, pattern) };
    case "set-period":
    case "set-poll-interval":
      return { do: "interval", pattern, ms: parseInterval(rest.join(" ")) };
    case "stop":
      throw new SyntaxError("a single source cannot be stopped; pause it");
    default:
      throw new SyntaxError(`${JSON.stringify(action)} is not an action; the commands are ${USAGE}`);
  }
}

function alone(rest: readonly string[], pattern: SourcePattern): SourcePattern {
  if (rest.length > 0) {
    throw new SyntaxError(`there is too much at the end: ${JSON.stringify(rest.join(" "))}`);
  }
  return pattern;
}

function parsePattern(text: string): SourcePattern {
  const [kind, plugin = "*", source = "*", ...rest] = text.split("/");
  const meant = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (meant === undefined || rest.length > 0 || plugin === "" || source === "") {
    throw new SyntaxError(
      `${JSON.stringify(text)} is not a pattern; write sources, or sources/PLUGIN/SOURCE with * for any`,
    );
  }
  if (meant === "others") throw new SyntaxError("transforms and outputs cannot be controlled, only sources");
  return { plugin, source };
}

function parseInterval(text: string): number {
  let ms: number;
  try {
    ms = Number(parseDuration(text)) / Number(NANOS_PER_MS);
  } catch (error) {
    throw new SyntaxError(`not a duration: ${messageOf(error)}`);
  }
  if (ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms;
  throw new SyntaxError("a period is between 1ms and 24 days");
}

/** Whether the command is for this source. */
export function isMeant(pattern: SourcePattern, plugin: string, source: string): boolean {
  return matchesGlob(plugin, pattern.plugin) && matchesGlob(source, pattern.source);
}
