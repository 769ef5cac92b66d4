/** What a case works with: an instance of the target, a journal, and processes that come one after another. */
import assert from "node:assert/strict";
import { createLogger } from "../../../lib/base/log.ts";
import type { Output } from "../../../lib/plugin.ts";
import { contextWith } from "../context.ts";
import type { Instance, Target } from "../contract.ts";
import { Killed, ReplayJournal, type ReplayReader, type Sender } from "./journal.ts";
import type { Point } from "./points.ts";
import { HastyClock } from "../hasty_clock.ts";
import { TempDir } from "../temp_dir.ts";
import { atMost, PATIENCE_MS, pause } from "../waiting.ts";

/** How long `open` and an abort may take, which wait for nobody. */
const PROMPT_MS = 60_000;

/** Resolves when the promise does, or after `ms`. */
async function orAfter(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The output in one process. */
export class Run implements AsyncDisposable {
  readonly complaints: string[] = [];
  readonly lines: string[] = [];
  readonly failures: Error[] = [];
  output!: Output;
  #abort = new AbortController();
  #ending: Promise<unknown> = Promise.resolve();
  #over = false;
  /** What `run` rejected with. */
  error: unknown = null;

  readonly #patienceMs: number;
  readonly #promptMs: number;

  constructor(readonly rig: Rig, readonly reader: ReplayReader) {
    this.#patienceMs = rig.target.patienceMs ?? PATIENCE_MS;
    this.#promptMs = Math.min(PROMPT_MS, this.#patienceMs);
  }

  async open(): Promise<this> {
    const log = createLogger("output", {
      level: "trace",
      format: "json",
      write: (line) => {
        const { level } = JSON.parse(line);
        this.lines.push(line);
        if (level === "warn" || level === "error") this.complaints.push(line);
      },
    });
    const context = contextWith({
      log,
      clock: new HastyClock(),
      clients: this.reader.clients,
      keepsOnDisk: this.reader.journalId !== null,
      stateDirectory: this.rig.stateDirectory,
      fail: (error: Error) => void this.failures.push(error),
    });
    this.output = await atMost(
      this.#promptMs,
      this.rig.instance.open(context),
      () => "open, which must not wait",
    );
    this.#ending = this.output.run(this.reader, this.#abort.signal)
      .catch((error) => this.error = error)
      .finally(() => this.#over = true);
    return this;
  }

  get over(): boolean {
    return this.#over;
  }

  /** The log, for a message. */
  get log(): string {
    return this.lines.slice(-20).join("");
  }

  /** Waits until the condition holds. Fails after a while, or when the output has given up. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + this.#patienceMs;
    while (!await condition()) {
      assert.equal(this.error, null, `the output gave up: ${this.error}\n${this.log}`);
      assert.ok(performance.now() < deadline, `not within ${this.#patienceMs} ms: ${what}\n${this.log}`);
      await pause(2);
    }
  }

  /** All that the journal has is committed. */
  async caughtUp(): Promise<void> {
    await this.until("all is committed", () => this.reader.committed === this.rig.journal.entries.length);
  }

  /** The journal ends; the output writes what is left, commits all and returns. */
  async finish(): Promise<void> {
    this.rig.journal.end();
    await atMost(
      this.#patienceMs,
      this.#ending,
      () => `the end of the output after that of the journal\n${this.log}`,
    );
    assert.equal(this.error, null, `the output failed: ${this.error}\n${this.log}`);
    assert.equal(this.reader.committed, this.rig.journal.entries.length, `all is committed\n${this.log}`);
    assert.equal(this.reader.uncommitted, 0);
    assert.deepEqual(this.failures, []);
    await this.#close();
  }

  /** The time for an orderly stop is over. */
  async abort(): Promise<void> {
    this.#abort.abort();
    await atMost(this.#promptMs, this.#ending, () => `the end of the output after the abort\n${this.log}`);
    if (this.error instanceof assert.AssertionError) throw this.error;
    await this.#close();
  }

  /** The process is killed in its next commit, if there is one within `ms`. @returns whether there was. */
  async kill(ms: number): Promise<boolean> {
    this.reader.killInCommit = true;
    await orAfter(this.#ending, ms);
    const killed = this.error instanceof Killed;
    await this.abort();
    return killed;
  }

  /** What was permanently refused, as the output counts. */
  get refused(): number {
    const stats = this.output.stats ?? {};
    return (this.rig.target.refusedStats ?? []).reduce((sum, name) => {
      assert.ok(name in stats, `stats has ${name}`);
      return sum + stats[name];
    }, 0);
  }

  async #close(): Promise<void> {
    await atMost(
      this.#promptMs,
      Promise.resolve(this.output[Symbol.asyncDispose]()),
      () => "closing the output",
    );
    // What opens something is closed with it, and a second time does no harm.
    await this.output[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await orAfter(this.#ending, this.#promptMs);
    await this.output?.[Symbol.asyncDispose]();
  }
}

export class Rig implements AsyncDisposable {
  readonly given: Point[] = [];
  journal: ReplayJournal;
  readonly #stack = new AsyncDisposableStack();

  private constructor(
    readonly target: Target,
    readonly instance: Instance,
    readonly stateDirectory: string,
    durable: boolean,
  ) {
    this.journal = new ReplayJournal({ durable });
  }

  /**
   * @param durable Positions in the journal outlive a process.
   * @param breaks The instance will be troubled.
   */
  static async of(target: Target, durable = true, breaks = false): Promise<Rig> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TempDir());
    const instance = stack.use(await target.fresh(breaks));
    const rig = new Rig(target, instance, directory.path, durable);
    rig.#stack.use(stack.move());
    return rig;
  }

  /** Begins a process whose cursor stands at entry `from`. */
  async run(from = 0): Promise<Run> {
    return await this.#stack.use(new Run(this, this.journal.reader(from))).open();
  }

  /** Gives a batch, which counts as one that must be stored once. */
  give(points: readonly Point[], sender?: Sender): void {
    for (const point of points) this.given.push(point);
    this.journal.push(points, sender);
  }

  /** What should be stored is. `refused` is what the runs have counted. */
  async check(refused?: number): Promise<void> {
    const { delivers, ordered = false } = this.target;
    const expected = await this.instance.expected(this.given);
    const stored = await this.instance.stored();
    if (ordered && delivers === "exactly_once") {
      // The message of a difference in a thousand rows would be the thousand rows.
      const at = expected.stored.findIndex((text, i) => text !== stored[i]);
      assert.ok(at < 0, `point ${at} is ${short(stored[at])}, not ${short(expected.stored[at])}`);
    }
    const counts = new Map<string, number>();
    for (const text of stored) counts.set(text, (counts.get(text) ?? 0) + 1);
    const missing: string[] = [];
    for (const text of expected.stored) {
      const count = counts.get(text) ?? 0;
      if (count === 0) missing.push(text);
      else counts.set(text, count - 1);
    }
    const known = new Set(expected.stored);
    const more = [...counts].filter(([text, count]) =>
      count > 0 && !(delivers === "at_least_once" && known.has(text))
    );
    assert.ok(
      missing.length === 0,
      `${missing.length} points are not stored: ${missing.slice(0, 5).map(short)}`,
    );
    assert.ok(
      more.length === 0,
      `stored too often, or wrongly: ${more.slice(0, 5).map(([text]) => short(text))}`,
    );
    if (refused !== undefined) {
      assert.equal(refused, expected.refused ?? 0, "points that are counted as refused");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function short(text: string | undefined): string {
  if (text === undefined) return "nothing";
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
