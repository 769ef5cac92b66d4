/**
 * Runs folders that describe what an input makes of a machine:
 *
 *     tests/testdata/inputs/INPUT/CASE/
 *       config.toml     the section [plugins.INPUT]; its first line is a comment, the claim of the test
 *       1/proc 1/sys    the files at the start
 *       2/proc 2/sys    those that are different at the next poll; 2/removed lists paths that are gone
 *       http/           the answers of a server, by their paths, or below them in the file `index`; ${SERVER} in
 *                       config.toml is its URL
 *       1/http          its answers from that state on
 *       1/denied        paths of files that may not be read, from that state on
 *       1/nvml.txt      what a made-up library of NVIDIA answers (tests/kit/fake_nvml.c)
 *       expected.txt    the metrics, and for each second the lines of the log and the points
 *
 * After a change that is meant, `UPDATE=1 ./denow test -A tests/inputs/testcases_test.ts` writes expected.txt again: read
 * the difference.
 */
import { parse } from "@std/toml";
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import type { OpenFile, ProcRoots } from "../../lib/inputs/polling/files.ts";
import type { PolledInputPlugin } from "../../lib/inputs/polling/declaration.ts";
import { systemPerfEvents } from "../../lib/inputs/polling/perf_events.ts";
import { type MetricDefinition, MetricRegistry } from "../../lib/points/registry.ts";
import { unitUniqueName } from "../../lib/points/units.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { plugins } from "../../lib/plugins.ts";
import type { Problem } from "../../lib/schema.ts";
import { contextWith } from "../kit/context.ts";
import { FakeClock, settle } from "../kit/fake_clock.ts";
import { HttpPeer, type HttpRequest } from "../kit/http.ts";
import { compiler } from "../kit/c_library.ts";
import { ANSWERS, installNvml } from "../kit/fake_nvml.ts";
import { rows } from "../kit/measuring.ts";
import { needs } from "../kit/needs.ts";
import { CASES, Tree } from "../kit/tree.ts";
import { until } from "../kit/waiting.ts";

/** The least time between two states. */
const STEP_MS = 1000;

// The first that asks for it loads the C library, which stays loaded: no test leaks it.
systemPerfEvents();

class ListingRegistry extends MetricRegistry {
  readonly lines: string[] = [];

  override register(definition: MetricDefinition, suffix?: string) {
    const { name, type, unit } = definition;
    const line = `${name} ${type} ${unitUniqueName(unit)}`;
    if (!this.lines.includes(line)) this.lines.push(line);
    return super.register(definition, suffix);
  }
}

/** Names of the folders in a folder. */
function folders(path: string): string[] {
  return [...Deno.readDirSync(path)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
}

/** A folder that describes a case. */
export interface Case {
  readonly input: string;
  readonly name: string;
  readonly path: string;
  /** What the test claims. */
  readonly claim: string;
  readonly plugin: PolledInputPlugin<unknown>;
  readonly config: unknown;
  /** The configuration where the made-up server has this address. @default `config`, whatever it has */
  readonly configFor?: (server: string) => unknown;
  /** The folders of the states. */
  readonly states: readonly string[];
}

/** All cases. */
export function cases(): Case[] {
  return folders(CASES).flatMap((input) =>
    folders(CASES + input).map((name) => {
      const path = `${CASES}${input}/${name}`;
      const toml = Deno.readTextFileSync(`${path}/config.toml`);
      const claim = /^# (.+)/.exec(toml)?.[1];
      assert.ok(claim, `${path}/config.toml begins with a comment`);
      const states = folders(path).filter((state) => /^\d+$/.test(state)).map((state) => `${path}/${state}`);
      const configFor = (server: string) => configured(input, toml, server).config;
      return { input, name, path, claim, ...configured(input, toml), configFor, states };
    })
  );
}

/** Registers a test for each case. */
export function testCases(): void {
  for (const testCase of cases()) {
    Deno.test({
      name: `${testCase.input}: ${testCase.claim}`,
      ...needsOf(testCase),
      fn: () => runCase(testCase),
    });
  }
}

/** What a case needs of the machine. */
export function needsOf({ states }: Case): { ignore: boolean } {
  return hasAnswers(states[0]) ? needs(compiler) : { ignore: false };
}

function hasAnswers(state: string): boolean {
  return [...Deno.readDirSync(state)].some(({ name }) => name === ANSWERS);
}

/** Puts the libraries into the tree that a case needs. */
export function install({ states }: Case, tree: Tree): void {
  if (hasAnswers(states[0])) installNvml(tree);
}

/** Waits until the input has polled: libraries of vendors are called in other threads. */
export async function polled({ path, states }: Case, clock: FakeClock): Promise<void> {
  await settle();
  const asksServer = [path, ...states].some((folder) => folders(folder).includes("http"));
  if (asksServer || hasAnswers(states[0])) await until(() => clock.sleepers > 0);
}

/** @param server The URL of the server; by default nobody listens there. */
function configured(
  input: string,
  toml: string,
  server = "http://127.0.0.1:1",
): { plugin: PolledInputPlugin<unknown>; config: unknown } {
  const plugin = plugins.find(({ name }: Plugin) => name === input) as PolledInputPlugin<unknown>;
  assert.ok(plugin, `there is a plugin ${input}`);
  const problems: Problem[] = [];
  const section =
    (parse(toml.replaceAll("${SERVER}", server)) as { plugins?: Record<string, unknown> }).plugins?.[input] ??
      {};
  const config = plugin.config.check(section, [], (problem) => problems.push(problem));
  assert.deepEqual(problems, []);
  return { plugin, config };
}

/** Puts lines in the order of their processes: the order in which a folder lists them is that of its file system. */
function byProcess(lines: readonly string[]): string[] {
  const pid = (line: string) => Number(/ process:(\d+) /.exec(line)?.[1] ?? 0);
  return lines.toSorted((a, b) => pid(a) - pid(b));
}

async function runCase(testCase: Case): Promise<void> {
  const text = await measure(testCase);
  const file = `${testCase.path}/expected.txt`;
  if (Deno.env.get("UPDATE")) Deno.writeTextFileSync(file, text);
  assert.equal(text, Deno.readTextFileSync(file));
}

/** What the server of a case answers. @param folders Those with its answers; the first goes before the second. */
function answerOf(folders: readonly string[], { path: asked }: HttpRequest): Response {
  const { pathname } = new URL(asked, "http://server");
  for (const file of folders.flatMap((folder) => [`${folder}${pathname}`, `${folder}${pathname}/index`])) {
    try {
      return new Response(Deno.readTextFileSync(file));
    } catch { /* another one may be there */ }
  }
  return new Response(null, { status: 404 });
}

/** The lines of a file that is about the tree and not part of it. */
function takeList(tree: Tree, name: string): string[] {
  if (!tree.has(name)) return [];
  const lines = tree.read(name).trim().split("\n");
  tree.remove(name);
  return lines;
}

function openExcept(denied: ReadonlySet<string>, root: string): (path: string) => OpenFile {
  return (path) => {
    if (denied.has(path.slice(root.length + 1))) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
}

/** What is measured in each state, as expected.txt has it. */
export async function measure(testCase: Case): Promise<string> {
  const { path, plugin, states: [first, ...later] } = testCase;
  using tree = new Tree(null);
  await using server = new HttpPeer((request) => answerOf([`${tree.root}/http`, `${path}/http`], request));
  const { host } = new URL(server.url);
  const config = testCase.configFor?.(server.url) ?? testCase.config;
  const { poll_interval = STEP_MS } = config as { poll_interval?: number };
  const clock = new FakeClock();
  const registry = new ListingRegistry();
  let lines: string[] = [];
  const log = createLogger(plugin.name, {
    write: (line) =>
      lines.push(line.slice(25).trimEnd().replaceAll(`${tree.root}/`, "/").replaceAll(server.url, "SERVER")),
  });
  const sections: string[] = [];
  const seen = () => {
    sections.push([`## ${sections.length + 1}`, ...byProcess(lines), ""].join("\n"));
    lines = [];
  };
  tree.copy(first);
  install(testCase, tree);
  const denied = new Set(takeList(tree, "denied"));
  const roots: ProcRoots = { ...tree, open: openExcept(denied, tree.root) };
  await using opened = await plugin.open(config, contextWith({ clock, registry, log }), roots);
  const answered = () => {
    const { requests = 0, answeredRequests = 0, failedRequests = 0 } = opened.stats ?? {};
    return requests === answeredRequests + failedRequests;
  };
  const stop = new AbortController();
  const running = opened.run({
    push(batch) {
      lines.push(...rows(batch).map((row) => row.replaceAll(host, "SERVER")));
      batch.release();
    },
  }, stop.signal);
  await polled(testCase, clock);
  await until(answered);
  seen();
  for (const state of later) {
    tree.copy(state);
    for (const path of takeList(tree, "denied")) denied.add(path);
    for (const gone of takeList(tree, "removed")) tree.remove(gone);
    await clock.advance(Math.max(STEP_MS, poll_interval));
    await until(answered);
    await polled(testCase, clock);
    seen();
  }
  stop.abort();
  await running;
  return [["## metrics", ...registry.lines, ""].join("\n"), ...sections].join("\n");
}
