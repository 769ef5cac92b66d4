/** Every file of every testcase is damaged in every way: what remains is measured, and what is not valid is left out. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { contextWith } from "../kit/context.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { type Case, cases, install, needsOf, polled } from "./testcase.ts";
import { Tree } from "../kit/tree.ts";

/** Takes the place of a number. */
const NUMBERS = [
  "18446744073709551616",
  "-1",
  "",
  "9".repeat(400),
  "18446744073709551615",
  "-9223372036854775808",
  "1e308",
  "nan",
  "0x10",
  "9007199254740993",
  "\u00a05",
];

const bytes = (text: string) => new TextEncoder().encode(text);

/** Takes the place of a file; `null`: there is no file. */
const FILES: ((content: Uint8Array) => Uint8Array | null)[] = [
  () => new Uint8Array(0),
  () => null,
  (content) => content.slice(0, content.length / 2),
  (content) => content.slice(0, -1),
  (content) => new Uint8Array([0xff, 0xfe, ...content]),
  (content) => content.map((byte, i) => i % 7 === 3 ? 0xc3 : byte),
  (content) => content.map((byte) => byte === 32 ? 0 : byte),
  () => bytes("\n\n\n"),
  () => bytes("x".repeat(300_000)),
];

function checkPoints(batch: Batch, what: string): void {
  for (let row = 0; row < batch.length; row++) {
    const { metric, attributes, resourceId, consumerId } = batch.seriesAt(row);
    const value = batch.values[row];
    assert.ok(Number.isFinite(value), `${metric.name} is ${value} after ${what}`);
    if (metric.type === "u64") {
      const exact = batch.exactValue(row);
      assert.ok(exact >= 0n && exact < 2n ** 64n, `${metric.name} is ${exact} after ${what}`);
    }
    for (const text of [resourceId, consumerId, ...attributes.map(([, value]) => String(value))]) {
      assert.ok(text.isWellFormed() && !text.includes("NaN"), `${metric.name} has ${text} after ${what}`);
    }
  }
}

/** A tree that goes from one state to the next by its differences alone: thousands of runs share it. */
class SharedTree implements Disposable {
  readonly tree = new Tree(null);
  /** The files of each state, complete. */
  readonly states: ReadonlyMap<string, Uint8Array>[] = [];
  #now = new Map<string, Uint8Array>();

  constructor(states: readonly string[]) {
    for (const state of states) {
      this.tree.copy(state);
      for (const list of ["removed", "denied"]) if (this.tree.has(list)) this.tree.remove(list);
      this.states.push(new Map(this.tree.files().map((file) => [file, Deno.readFileSync(this.#path(file))])));
    }
    this.#now = new Map(this.states.at(-1));
  }

  #path(file: string): string {
    return `${this.tree.root}/${file}`;
  }

  /** The names of all files. */
  get files(): string[] {
    return [...this.states.at(-1)!.keys()];
  }

  /** Goes to a state, with one file damaged. */
  load(state: ReadonlyMap<string, Uint8Array>, file: string, damage: typeof FILES[0]): void {
    const wanted = new Map(state);
    const content = state.get(file);
    const damaged = content && damage(content);
    if (damaged) wanted.set(file, damaged);
    else wanted.delete(file);
    for (const name of this.#now.keys()) if (!wanted.has(name)) this.tree.remove(name);
    for (const [name, bytes] of wanted) if (this.#now.get(name) !== bytes) this.tree.write(name, bytes);
    this.#now = wanted;
  }

  [Symbol.dispose](): void {
    this.tree[Symbol.dispose]();
  }
}

/** Runs a case with one file damaged, and checks that no poll fails. */
async function runDamaged(
  testCase: Case,
  shared: SharedTree,
  file: string,
  damage: typeof FILES[0],
  what: string,
): Promise<void> {
  const { plugin, config } = testCase;
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger("test", { write: (line) => lines.push(line) });
  shared.load(shared.states[0], file, damage);
  await using input = await plugin.open(config, contextWith({ clock, log }), shared.tree);
  const stop = new AbortController();
  const running = input.run({
    push(batch) {
      checkPoints(batch, what);
      batch.release();
    },
  }, stop.signal);
  await polled(testCase, clock);
  for (const state of [...shared.states.slice(1), shared.states.at(-1)!]) {
    shared.load(state, file, damage);
    await clock.advance(1000);
    await polled(testCase, clock);
  }
  stop.abort();
  await running;
  assert.equal(input.stats!.failedPolls, 0, `${what}: ${lines.join("")}`);
  assert.ok(!lines.some((line) => line.includes(" ERROR ")), `${what}: ${lines.join("")}`);
  assert.ok(lines.length < 40, `${what}: ${lines.length} lines`);
}

/** In how many runs the numbers of one file are damaged. */
const MOST_RUNS = 5;

/** The numbers of a file, each replaced by another value in one of the runs: neighbours are damaged in different ones. */
function numberDamages(text: string, turn: number): { damage: typeof FILES[0]; what: string }[] {
  const count = [...text.matchAll(/-?\d+/g)].length;
  const runs = Math.min(count, MOST_RUNS);
  return Array.from({ length: runs }, (_, run) => {
    const valueOf = (n: number) => NUMBERS[(n + Math.floor(n / runs) + turn) % NUMBERS.length];
    const damage = (content: Uint8Array) => {
      let at = 0;
      const text = new TextDecoder("latin1").decode(content);
      return bytes(text.replace(/-?\d+/g, (number) => {
        const n = at++;
        return n % runs === run ? valueOf(n) : number;
      }));
    };
    return { damage, what: `number ${run + 1}, and each ${runs}th after it, is damaged` };
  });
}

/** Files that were damaged: another one of the same name and content is read in the same way. */
const damagedFiles = new Set<string>();

/** Whether it is the first of its kind that the input reads. */
function isNew(input: string, file: string, { states }: SharedTree): boolean {
  const contents = states.map((state) => state.get(file)?.join() ?? "");
  const key = [input, file.replace(/.*\//, ""), ...contents].join("\0");
  return !damagedFiles.has(key) && damagedFiles.add(key).size > 0;
}

// What servers answer is not in files.
for (const testCase of cases().filter(({ plugin }) => plugin.isLocal)) {
  const { input, name, states } = testCase;
  // Its files are damaged already.
  if (name === "damaged") continue;
  const fuzz = async () => {
    using shared = new SharedTree(states);
    install(testCase, shared.tree);
    for (const [turn, file] of shared.files.entries()) {
      if (!isNew(input, file, shared)) continue;
      const damages = [
        ...numberDamages(shared.tree.read(file), turn),
        ...FILES.map((damage, n) => ({ damage, what: `damage ${n + 1}` })),
      ];
      for (const { damage, what } of damages) {
        await runDamaged(testCase, shared, file, damage, `${file}: ${what}`);
      }
    }
  };
  Deno.test({
    name: `${input}/${name}: a damaged file costs no poll, and no point that is not valid comes of it`,
    ...needsOf(testCase),
    fn: fuzz,
  });
}
