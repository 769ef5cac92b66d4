/**
 * The contract suite on an output that keeps it, and on outputs of which each breaks it in one way: a suite that finds
 * nothing wrong with those would prove nothing about the others.
 */
import assert from "node:assert/strict";
import type { BatchReader } from "../../lib/journal.ts";
import type { Batch, SeriesDefinition } from "../../lib/points/measurement.ts";
import type { Output, PluginContext } from "../../lib/plugin.ts";
import { type CaseName, casesOf, contract, type Instance, type Target } from "../kit/contract.ts";
import { type Point, seriesKey } from "../kit/contract/points.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";

/** How an output can be wrong. */
type Defect =
  | "loses a point now and then"
  | "sends again without looking"
  | "reorders"
  | "never commits"
  | "commits before it is stored"
  | "commits what it could not store when aborted"
  | "reads on while its target is down"
  | "uses batches after their commit"
  | "gives up when its target is down"
  | "ends the process when its target is down"
  | "says nothing"
  | "says it at each try"
  | "does not hear the abort"
  | "waits for its target in open"
  | "forgets its position"
  | "stores its position apart"
  | "takes any journal for its own"
  | "resumes when it has begun"
  | "does not commit batches without points"
  | "rounds large integers"
  | "drops minus zero"
  | "mixes up types of attributes"
  | "throws on NaN"
  | "refuses without counting"
  | "counts what it does not refuse"
  | "has one name for two"
  | "leaves something open at its end"
  | "believes every client";

/** A database in memory: rows, and what was stored with them, in transactions. */
class Store {
  rows: string[] = [];
  positions = new Map<string, number>();
  sequences = new Map<string, number>();
  up = true;
  refusing = false;
  hanging = false;
  slow = false;
  /** The test is over. */
  gone = false;
  /** What outputs are doing. */
  #busy = 0;

  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** Settles as the work does, which the end of the test waits for. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#busy++;
    return await work.finally(() => this.#busy--);
  }

  /** Takes its time, and fails as a network does. */
  async transaction(work: () => void, signal: AbortSignal): Promise<void> {
    await pause(this.slow ? 100 : 0);
    const deadline = performance.now() + 50;
    while (this.hanging && !signal.aborted) {
      if (performance.now() > deadline) throw new Error("timed out");
      await pause(5);
    }
    if (!this.up) throw new Error("connection refused");
    if (this.refusing) throw new Error("too many requests");
    if (signal.aborted) throw new Error("aborted");
    work();
  }
}

function rowOf(point: Point, defect?: Defect): string {
  const { seconds, nanos } = point;
  let value = Object.is(point.value, -0) ? "-0" : String(point.value);
  if (defect === "rounds large integers" && typeof point.value === "bigint") {
    value = String(Number(point.value));
  }
  if (defect === "drops minus zero" && value === "-0") value = "0";
  let key = seriesKey(point);
  if (defect === "mixes up types of attributes") key = key.replaceAll('"bigint"', '"number"');
  if (defect === "has one name for two") key = key.replaceAll("\\n", " ");
  return `${key} ${seconds} ${nanos} ${value}`;
}

/** This output's target cannot hold series whose resource is called "NULL", so that something is refused. */
const holds = (point: Point) => point.resourceId !== "NULL";

class StoreOutput implements Output {
  readonly stats = { refused: 0 };
  readonly #running = new AbortController();

  constructor(readonly store: Store, readonly context: PluginContext, readonly defect?: Defect) {
    context.clients.sources.push((client) => Promise.resolve(store.sequences.get(client.instance) ?? 0));
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    await this.store.during(this.#run(reader, signal));
  }

  async #run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const { store, defect } = this;
    const id = defect === "takes any journal for its own" ? "any" : reader.journalId;
    const position = store.positions.get(id ?? "");
    const resume = () => {
      if (reader.journalId !== null && position !== undefined) reader.resumeAfter(position);
    };
    if (defect !== "forgets its position" && defect !== "resumes when it has begun") resume();
    while (true) {
      const state = await reader.wait(Infinity, signal);
      if (state === "aborted" || signal.aborted) return;
      const batches: Batch[] = [];
      const most = defect === "reads on while its target is down" ? Infinity : 20;
      for (let batch; batches.length < most && (batch = reader.next());) batches.push(batch);
      if (defect === "resumes when it has begun") resume();
      if (batches.length > 0 && !await this.#store(batches, reader, signal)) return;
      if (state === "ended") return;
    }
  }

  /** @returns `false` when it was aborted before. */
  async #store(batches: Batch[], reader: BatchReader, signal: AbortSignal): Promise<boolean> {
    const { store, defect, context: { log, clock, fail } } = this;
    if (defect === "uses batches after their commit") {
      reader.commit(batches.length);
      // At once, before the contract looks.
      store.rows.push(...this.#render(batches).rows);
      return true;
    }
    const { rows, refused } = this.#render(batches);
    let count = reader.uncommitted;
    if (defect === "does not commit batches without points") {
      count = batches.filter((batch) => batch.length > 0).length;
    }
    if (defect === "commits before it is stored") reader.commit(count);
    const { position } = reader;
    const put = () => {
      store.rows.push(...rows);
      if (defect !== "stores its position apart") this.#keep(reader, position, batches);
    };
    for (let tries = 0;; tries++) {
      try {
        if (defect === "sends again without looking" && tries === 1) store.rows.push(...rows);
        await store.transaction(put, signal);
        if (tries > 0) log.info("Writing again");
        break;
      } catch (error) {
        if (defect === "gives up when its target is down") throw error;
        if (defect === "ends the process when its target is down") fail(error as Error);
        const quiet = defect === "says nothing" || (defect !== "says it at each try" && tries > 0);
        if (!quiet) log.error("Cannot write", { error: String(error) });
        // On a busy machine there may be time for one try alone.
        if (defect === "says it at each try") log.error("Cannot write", { error: String(error) });
        if (store.gone) return false;
        if (signal.aborted && defect !== "does not hear the abort") {
          if (defect === "commits what it could not store when aborted") reader.commit(count);
          return false;
        }
        if (defect === "reads on while its target is down") { while (reader.next()); }
        await clock.sleep(1000, defect === "does not hear the abort" ? undefined : signal);
      }
    }
    if (defect !== "commits before it is stored" && defect !== "never commits") reader.commit(count);
    if (defect === "stores its position apart") this.#keep(reader, position, batches);
    this.stats.refused += refused;
    return true;
  }

  #keep(reader: BatchReader, position: number, batches: Batch[]): void {
    const { store, defect } = this;
    if (reader.journalId !== null) {
      store.positions.set(defect === "takes any journal for its own" ? "any" : reader.journalId, position);
    }
    for (const { origins } of batches) {
      for (const { client, sequence } of origins) store.sequences.set(client.instance, sequence);
    }
  }

  #render(batches: Batch[]): { rows: string[]; refused: number } {
    const { defect, store } = this;
    const rows: string[] = [];
    let refused = 0;
    for (const batch of batches) {
      const [origin] = batch.origins;
      const known = origin && origin.sequence <= (store.sequences.get(origin.client.instance) ?? 0);
      if (known && defect !== "believes every client") continue;
      for (let row = 0; row < batch.length; row++) {
        const series = batch.seriesAt(row);
        const value = series.metric.type === "u64" ? batch.exactValue(row) : batch.values[row];
        const point = {
          ...definitionOf(series),
          seconds: batch.seconds[row],
          nanos: batch.nanos[row],
          value,
        };
        if (defect === "throws on NaN" && Number.isNaN(value)) throw new TypeError("NaN");
        if (!holds(point)) {
          if (defect !== "refuses without counting") refused++;
          continue;
        }
        if (defect === "counts what it does not refuse" && Number.isNaN(value)) refused++;
        if (defect === "loses a point now and then" && row % 4000 === 1777) continue;
        rows.push(rowOf(point, defect));
      }
    }
    if (defect === "reorders") rows.reverse();
    return { rows, refused };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.defect === "leaves something open at its end" && !this.#running.signal.aborted) {
      this.#running.abort();
      await this.store.during(until(() => this.store.gone));
    }
  }
}

function definitionOf(
  { metric, resourceKind, resourceId, consumerKind, consumerId, attributes }: SeriesDefinition,
) {
  return { metric, resourceKind, resourceId, consumerKind, consumerId, attributes };
}

class StoreInstance implements Instance {
  readonly #store = new Store();

  constructor(readonly defect?: Defect) {}

  async open(context: PluginContext): Promise<Output> {
    if (this.defect === "waits for its target in open") await this.#store.during(until(() => this.#store.up));
    return new StoreOutput(this.#store, context, this.defect);
  }

  expected(points: readonly Point[]) {
    const kept = points.filter(holds);
    return { stored: kept.map((point) => rowOf(point)), refused: points.length - kept.length };
  }

  stored(): Promise<string[]> {
    return Promise.resolve(this.#store.rows);
  }

  stop(): Promise<void> {
    this.#store.up = false;
    return Promise.resolve();
  }

  start(): Promise<void> {
    this.#store.up = true;
    return Promise.resolve();
  }

  slow(on: boolean): void {
    this.#store.slow = on;
  }

  refuse(on: boolean): void {
    this.#store.refusing = on;
  }

  hang(on: boolean): void {
    this.#store.hanging = on;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Defects that wait for ever end here.
    this.#store.up = this.#store.gone = true;
    await until(() => !this.#store.isBusy);
  }
}

function targetWith(defect?: Defect): Target {
  return {
    name: "an output in memory",
    delivers: "exactly_once",
    ordered: true,
    remembersClients: true,
    refusedStats: ["refused"],
    fresh: () => Promise.resolve(new StoreInstance(defect)),
  };
}

contract(targetWith());

const TYPES = "every type of value and attribute is stored";
const ODD = "odd names are stored unchanged, or refused and counted, and cost no other point";
const SERIES = "10,000 series are stored";
const EMPTY = "batches are committed as they come, those without points too";
const DOWN = "a target that is down at the start is waited for";
const DIES = "a target that dies in the middle of a batch and comes back gets everything";
const NAN = "NaN and infinities are stored, or refused and counted, and cost no other point";
const BOUND = "what an output reads ahead of its target is bounded, however much there is";
const ABORT = "an abort while the target is down ends the output, and the next process stores the rest";
const OTHER = "an output does not take the position of another journal for its own";
const KILLS = "aborts and kills during the commit lose nothing, and duplicate nothing where that is promised";
const AGAIN = "a client's batch that comes again through another server is stored once";

/** What is wrong, the case that finds it, and what that says. */
const CAUGHT: readonly [Defect, CaseName, RegExp][] = [
  ["loses a point now and then", SERIES, /point 1777 is/],
  ["sends again without looking", DIES, /point \d+ is/],
  ["reorders", TYPES, /point 0 is/],
  ["never commits", TYPES, /all is committed/],
  ["commits before it is stored", DOWN, /nothing is committed that is not stored/],
  ["commits what it could not store when aborted", BOUND, /what is not stored is not committed/],
  ["reads on while its target is down", BOUND, /400000 points are read/],
  ["uses batches after their commit", EMPTY, /USED AFTER COMMIT/],
  ["gives up when its target is down", DOWN, /the output gave up: Error: connection refused/],
  ["ends the process when its target is down", DIES, /does not end the process/],
  ["says nothing", DOWN, /a complaint in the log/],
  ["says it at each try", DIES, /at most once a minute/],
  ["does not hear the abort", ABORT, /the end of the output after the abort/],
  ["waits for its target in open", DOWN, /open, which must not wait/],
  ["forgets its position", KILLS, /point \d+ is/],
  ["stores its position apart", KILLS, /point \d+ is/],
  ["takes any journal for its own", OTHER, /point 1000 is/],
  ["resumes when it has begun", KILLS, /resumeAfter after the first next/],
  ["does not commit batches without points", EMPTY, /all is committed/],
  ["rounds large integers", TYPES, /, not .* 9007199254740993"$/],
  ["drops minus zero", TYPES, /-0"$/],
  ["mixes up types of attributes", TYPES, /bigint/],
  ["throws on NaN", NAN, /TypeError: NaN/],
  ["refuses without counting", ODD, /counted as refused/],
  ["counts what it does not refuse", NAN, /counted as refused/],
  ["has one name for two", ODD, /point 14 is/],
  ["leaves something open at its end", TYPES, /closing the output/],
  ["believes every client", AGAIN, /point 1000 is/],
];

for (const [defect, name, says] of CAUGHT) {
  Deno.test(`the contract finds an output that ${defect}`, async () => {
    let problem: unknown;
    // Some of them end because it takes too long, and on a busy machine something else may have taken that long before.
    for (const patienceMs of [1500, 10_000, PATIENCE_MS]) {
      const target: Target = { ...targetWith(defect), patienceMs };
      problem = await casesOf(target).find((each) => each.name === name)!.run(target).catch((error) => error);
      if (says.test(String(problem))) return;
    }
    assert.match(String(problem), says);
  });
}

for (const name of [KILLS, OTHER, DIES] as const) {
  Deno.test(`who promises less need not keep more: ${name}`, async () => {
    const target: Target = { ...targetWith("forgets its position"), delivers: "at_least_once" };
    await casesOf(target).find((each) => each.name === name)!.run(target);
  });
}
