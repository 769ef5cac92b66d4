/**
 * What every output promises, as cases that run against each of them: `contract(target)` registers a test for each.
 * docs/architecture.md says how an output is plugged in.
 */
import type { Output, PluginContext } from "../../lib/plugin.ts";
import { CASES } from "./contract/cases.ts";
import type { Point } from "./contract/points.ts";
import { type Need, needs } from "./needs.ts";

/** What should be where the output puts its points. */
export interface Expectation {
  /** One text for each stored point; the same texts as of {@linkcode Instance.stored}. */
  readonly stored: readonly string[];
  /** Points that the target cannot hold. They are counted in {@linkcode Target.refusedStats}. */
  readonly refused?: number;
}

/** One empty place to store points: a file, a table, a database. */
export interface Instance extends AsyncDisposable {
  /** What the plugin's `open` does. Called once for each process that a case plays. */
  open(context: PluginContext): Promise<Output>;
  /** What should be there after these points, in that order, were given once each. */
  expected(points: readonly Point[]): Expectation | Promise<Expectation>;
  /** What is there, read by other means than the output's own code. */
  stored(): Promise<readonly string[]>;
  /** The target dies, with its connections. What it had said to be safe is there again after `start`. */
  stop?(): Promise<void>;
  start?(): Promise<void>;
  /** Each write takes its time (in the order of 100 ms), and succeeds. */
  slow?(on: boolean): Promise<void> | void;
  /** The target is there, and takes nothing: it is overloaded, the password has expired, the disk is read-only. */
  refuse?(on: boolean): Promise<void> | void;
  /** The target takes connections and requests, and says nothing. What had begun so is lost. */
  hang?(on: boolean): Promise<void> | void;
}

/** A kind of place to store points. */
export interface Target {
  /** The plugin's name, with what else distinguishes it. */
  readonly name: string;
  /**
   * `exactly_once`: by a position that is stored with the points, or because the same point twice is one point.
   * `at_least_once`: what was under way when a process died may be there twice.
   * `latest`: only the last value of each series, while the process lives.
   */
  readonly delivers: "exactly_once" | "at_least_once" | "latest";
  /** The points of a series are stored in their order, and {@linkcode Instance.stored} has it. @default {false} */
  readonly ordered?: boolean;
  /** Knows by the numbers of a client's batches what it has, whichever server they come by. @default {false} */
  readonly remembersClients?: boolean;
  /** Names of the counters in `Output.stats` that together count what was permanently refused. */
  readonly refusedStats?: readonly string[];
  /** Most points that may be read and not committed. @default {131_072}, as many as a server's memory holds */
  readonly mostUncommittedPoints?: number;
  /** How long a case waits for what should take a moment, in ms. @default {90_000} */
  readonly patienceMs?: number;
  /** Cases that do not apply, and why. */
  readonly except?: Readonly<Partial<Record<CaseName, string>>>;
  /** What must be installed. */
  readonly needs?: readonly Need[];
  /** @param breaks The case stops, slows down or otherwise troubles it: it must share nothing with another one. */
  fresh(breaks: boolean): Promise<Instance>;
}

export type CaseName = typeof CASES[number]["name"];

/** Which cases apply to a target. One that it cannot play (an instance without `stop`) is in `except`, with the reason. */
export function casesOf(target: Target) {
  return CASES.filter(({ name, applies }) => !target.except?.[name] && (applies?.(target) ?? true));
}

/** Registers the tests of a target. */
export function contract(target: Target): void {
  const here = needs(...target.needs ?? []);
  for (const { name, run } of casesOf(target)) {
    Deno.test({ name: `${target.name}: ${name}`, ...here, fn: () => run(target) });
  }
}
