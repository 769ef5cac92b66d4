/**
 * A client whose points have numbers: the program with one more input. Not in the product's list of plugins.
 *
 *     deno run -A tools/chaos/numbers.ts --plugins numbers,relay-client --relay-out … \
 *       --config-override plugins.numbers.ledger=DIRECTORY
 *
 * Each process is a life with a number of its own, and its points are numbered from 0 on; both are in the point, and
 * its time says the number once more. Beside the pipe it writes into its ledger what it was about to hand over, what
 * had been taken, and what was durable, so that it is known after a kill what was promised.
 */
import { runProcess } from "../../lib/cli.ts";
import type { ClientRecord } from "../../lib/points/origins.ts";
import { Batch, type Metric, type Series, seriesOf, type ValueType } from "../../lib/points/measurement.ts";
import { type BatchSink, definePlugin, type Input, type PluginContext } from "../../lib/plugin.ts";
import { flag, integer, table, text } from "../../lib/schema.ts";
import { nanosOf, secondOf, seriesOfLife } from "./life.ts";
import { LedgerWriter } from "./ledger.ts";
import { pause } from "../../tests/kit/waiting.ts";

/** How often something is produced, in ms. */
const TICK_MS = 20;
/** Every how many batches one names its client, so that the journal tells when it is durable. */
const MARKED_EVERY = 5;

const config = table({
  ledger: text({ doc: "Directory of the ledgers.", default: "" }),
  rate: integer({ doc: "Points per second.", default: 500, min: 0 }),
  batch: integer({ doc: "Points in a batch.", default: 10, min: 1 }),
  burst: integer({ doc: "Points that come at once now and then.", default: 20_000, min: 0 }),
  per_second: integer({
    doc: "Points that share a second of their own time, whatever the clock says; 0: the clock's time.",
    default: 0,
    min: 0,
  }),
  padding: integer({ doc: "Characters of a text that is new in each batch.", default: 0, min: 0 }),
  energies: flag({
    doc: "Every other four points are two energies, and what two users used.",
    default: false,
  }),
}, { doc: "Numbers." });

class Numbers implements Input {
  readonly stats = { points: 0 };
  readonly #config: ReturnType<typeof config.defaultValue>;
  readonly #ledger: LedgerWriter;
  readonly #registry: PluginContext["registry"];
  readonly #client: ClientRecord;
  readonly #progress: Disposable;
  #series: Series[] = [];
  #next = 0;
  #batches = 0;

  constructor(options: ReturnType<typeof config.defaultValue>, { registry, clients }: PluginContext) {
    this.#config = options;
    this.#ledger = LedgerWriter.begin(options.ledger);
    this.#registry = registry;
    this.#client = clients.get("numbers", String(this.#ledger.life).padStart(32, "0"));
    this.#progress = clients.onProgress(() => this.#ledger.durable(this.#client.durable));
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    const { rate, burst } = this.#config;
    let before = performance.now();
    let owed = 0;
    while (!stop.aborted) {
      const now = performance.now();
      owed += (now - before) * rate / 1000;
      before = now;
      // Whoever waits for room does not catch up afterwards.
      let count = Math.min(Math.floor(owed), rate);
      owed -= count;
      if (burst > 0 && Math.random() < TICK_MS / 5000) count += burst;
      while (count > 0 && !stop.aborted) {
        const size = Math.min(count, this.#config.batch);
        count -= size;
        await this.#push(sink, size);
      }
      await pause(TICK_MS);
    }
  }

  async #push(sink: BatchSink, size: number): Promise<void> {
    const batch = new Batch(size);
    if (this.#batches === 0 || this.#config.padding > 0) this.#series = this.#makeSeries();
    const seconds = Math.floor(Date.now() / 1000);
    const { per_second } = this.#config;
    for (let i = 0; i < size; i++) {
      const number = this.#next++;
      const own = per_second > 0 ? secondOf(number, per_second) : seconds;
      batch.push(this.#series[number % this.#series.length], own, nanosOf(number), number);
    }
    if (++this.#batches % MARKED_EVERY === 0) {
      this.#client.receivedPoints += size;
      batch.credit(this.#client, this.#next);
    }
    this.#ledger.begun(this.#next);
    const taken = this.#next;
    await sink.push(batch);
    this.#ledger.taken(taken);
    this.stats.points = taken;
  }

  #makeSeries(): Series[] {
    const { padding } = this.#config;
    const text = padding > 0 ? `${this.#batches}-`.padEnd(padding, "x") : "";
    const { energies } = this.#config;
    return seriesOfLife(energies).map(({ name, type, letter, isUse }) =>
      seriesOf(this.#metric(name, type), {
        // The consumer of a result may be nobody.
        resourceKind: "life",
        resourceId: String(this.#ledger.life),
        ...isUse ? { consumerKind: "user", consumerId: letter } : {},
        attributes: [...isUse ? [] : [["letter", letter] as const], ["padding", text]],
      })
    );
  }

  #metric(name: string, type: ValueType): Metric {
    return this.#registry.register({ name, type, unit: { base: "1", prefix: "" } }, "numbers");
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#progress[Symbol.dispose]();
    this.#ledger.close();
  }
}

const numbers = definePlugin({
  name: "numbers",
  kind: "input",
  description: "Points with numbers",
  config,
  // deno-lint-ignore require-await
  open: async (options: ReturnType<typeof config.defaultValue>, context: PluginContext): Promise<Input> =>
    new Numbers(options, context),
});

if (import.meta.main) {
  const plugins = async () => [numbers, ...(await import("../../lib/plugins.ts")).plugins];
  await runProcess(Deno.args, { plugins });
}
