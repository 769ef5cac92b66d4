/** A process with an aggregation is killed at every possible place: each window has each of its points once. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import type { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import { type Files, type JournalFile, SYSTEM_FILES } from "../../lib/journal/disk/format/files.ts";
import { Batch, type Series, seriesOf } from "../../lib/points/measurement.ts";
import type { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { Stage } from "../../lib/transforms/stage.ts";
import { Chance } from "../kit/bytes.ts";
import { open, synced } from "../kit/journal.ts";
import { instanceOf } from "../kit/points.ts";
import { stagedOf } from "../kit/stages.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";

const STAGE = "before-aggregation";
const CLIENTS = ["one", "two"];
const START = 1_700_000_000;
const INTERVAL_MS = 1000;

const toml = (more = "") =>
  `[plugins.aggregation]
interval = "1s"
grace = "300ms"
function = ["Sum", "Count"]
metrics = ["watts"]
${more}`;

/** A point that a client sends: of a series, at a time in ms from the start; whole numbers that tell points apart. */
interface Point {
  readonly series: number;
  readonly ms: number;
  readonly value: number;
  readonly passes: boolean;
}

/** What each client sends, batch by batch; batch n has the number n + 1. */
type Script = readonly (readonly Point[])[];

/** Time goes on in most steps, and sometimes back; windows end in the middle of batches. */
function scriptOf(chance: Chance, batches: number, seriesOfClient: number): Script {
  let value = 0;
  let ms = 0;
  return Array.from({ length: batches }, () =>
    Array.from({ length: 1 + chance.int(12) }, (): Point => {
      ms += chance.int(140);
      const late = chance.int(12) === 0 ? chance.int(1500) : 0;
      const passes = chance.int(5) === 0;
      return { series: chance.int(seriesOfClient), ms: Math.max(0, ms - late), value: ++value, passes };
    }));
}

/** The metrics and series of one life of the process. */
class World {
  readonly registry = new MetricRegistry();
  readonly #series = new Map<string, Series>();
  readonly #watts = this.registry.register({ name: "watts", type: "u64", unit: { base: "W", prefix: "" } });
  readonly #other = this.registry.register({ name: "other", type: "u64", unit: { base: "1", prefix: "" } });

  batchOf(clients: ClientTable, client: string, points: readonly Point[], number: number): Batch {
    const batch = new Batch(points.length);
    for (const { series, ms, value, passes } of points) {
      batch.push(this.#of(client, series, passes), START + Math.floor(ms / 1000), (ms % 1000) * 1e6, value);
    }
    batch.credit(clients.get(client, instanceOf(client)), number);
    return batch;
  }

  #of(client: string, n: number, passes: boolean): Series {
    const key = `${client} ${n} ${passes}`;
    let series = this.#series.get(key);
    if (!series) {
      const rest = {
        resourceKind: "r",
        resourceId: String(n),
        attributes: [["relay_client", client]] as const,
      };
      this.#series.set(key, series = seriesOf(passes ? this.#other : this.#watts, rest));
    }
    return series;
  }
}

/** The system's files; somebody looks at them after each change. */
function watched(look: () => void): Files {
  const then = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work;
    look();
    return result;
  };
  return {
    ...SYSTEM_FILES,
    async open(path, options): Promise<JournalFile> {
      const file = await SYSTEM_FILES.open(path, options);
      return {
        read: (bytes) => file.read(bytes),
        write: (bytes) => then(file.write(bytes)),
        seek: (offset, whence) => file.seek(offset, whence),
        sync: () => then(file.sync()),
        syncData: () => then(file.syncData()),
        truncate: (length) => then(file.truncate(length)),
        close: () => file.close(),
        [Symbol.dispose]: () => file.close(),
      };
    },
    rename: (from, to) => then(SYSTEM_FILES.rename(from, to)),
    remove(path) {
      SYSTEM_FILES.remove(path);
      look();
    },
  };
}

function copyOf(from: string, to: string): void {
  Deno.mkdirSync(`${to}/${STAGE}`, { recursive: true });
  for (const folder of ["", `/${STAGE}`]) {
    for (const { name, isFile } of Deno.readDirSync(from + folder)) {
      if (isFile) Deno.copyFileSync(`${from}${folder}/${name}`, `${to}${folder}/${name}`);
    }
  }
}

interface Life {
  readonly directory: string;
  readonly script: Script;
  readonly config?: string;
  readonly files?: Files;
  /** Told what is in the second journal at the end. */
  readonly read?: (rows: readonly Row[]) => void;
  /** How far the stage's clock goes whenever somebody looks at it, in ms. */
  readonly stepMs?: number;
  readonly batchBytes?: number;
}

interface Row {
  readonly client: string;
  readonly metric: string;
  readonly resource: string;
  readonly seconds: number;
  readonly value: number;
}

/** One life: the clients send again what the journal does not have, and the process is stopped in good order. */
async function live({ directory, script, config = toml(), files, read, stepMs = 20 }: Life): Promise<void> {
  const world = new World();
  const makeMetric: NonNullable<Parameters<typeof open>[1]>["makeMetric"] = (metric) =>
    world.registry.register(metric, "journal");
  const shared = { makeMetric, ...files && { files } };
  await using after = await open(directory, shared);
  await using before = await open(`${directory}/${STAGE}`, { ...shared, host: "", segmentBytes: 2048 });
  let nowMs = 0;
  using stage = await Stage.open({
    ...stagedOf(config, world.registry, before.clients),
    before,
    directory: `${directory}/${STAGE}`,
    after,
    log: createLogger("test", { write: () => {} }),
    clock: { monotonicMs: () => nowMs += stepMs, sleep: () => Promise.reject(new Error("Nothing fails")) },
  });
  const running = stage.run(new AbortController().signal);
  for (let n = 0; n < script.length; n++) {
    for (const client of CLIENTS) {
      if (n + 1 <= before.clients.get(client, instanceOf(client)).durable) continue;
      void before.append(world.batchOf(before.clients, client, script[n], n + 1));
      // So that some are written by themselves, and some together.
      if (n % 3 === 0) await synced(before);
    }
  }
  before.end();
  await running;
  if (read) read(await rowsOf(after));
}

function rowsOfBatch(batch: Batch): Row[] {
  return batch.origins.flatMap(({ client, start, end }) =>
    Array.from({ length: end - start }, (_, i): Row => {
      const row = start + i;
      const { metric, resourceId, attributes } = batch.seriesAt(row);
      assert.deepEqual(attributes, [["relay_client", client.name]], "credited to its client");
      return {
        client: client.name,
        metric: metric.name,
        resource: resourceId,
        seconds: batch.seconds[row],
        value: batch.values[row],
      };
    })
  );
}

/** Everything that is in a journal. */
async function rowsOf(journal: DiskJournal): Promise<Row[]> {
  const reader = journal.reader("out", { onlyDurable: true });
  const rows: Row[] = [];
  journal.end();
  await until(() => journal.writtenPosition > journal.lastPosition);
  while (await reader.wait(PATIENCE_MS) === "ready") {
    for (let batch: Batch | undefined; (batch = reader.next());) rows.push(...rowsOfBatch(batch));
    // Not committed: the journal would forget it.
  }
  return rows;
}

/** What there must be: each point that passes once; for each window the number of its points, and their sum. */
function expectedOf(script: Script, intervalMs = INTERVAL_MS): Map<string, number> {
  const expected = new Map<string, number>();
  const add = (key: string, value: number) => expected.set(key, (expected.get(key) ?? 0) + value);
  for (const client of CLIENTS) {
    for (const { series, ms, value, passes } of script.flat()) {
      if (passes) add(`${client} other ${series} ${value}`, 1);
      else {
        const start = START + Math.floor(ms / intervalMs) * intervalMs / 1000;
        add(`${client} watts_sum ${series} ${start}`, value);
        add(`${client} watts_count ${series} ${start}`, 1);
      }
    }
  }
  return expected;
}

function totalsOf(rows: readonly Row[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { client, metric, resource, seconds, value } of rows) {
    const key = `${client} ${metric} ${resource} ${metric === "other" ? value : seconds}`;
    totals.set(key, (totals.get(key) ?? 0) + (metric === "other" ? 1 : value));
  }
  return totals;
}

/** A script, and points of each series that complete what came before. */
function completed(script: Script, seriesOfClient: number): Script {
  const last = Math.max(...script.flat().map(({ ms }) => ms));
  const ends = [10_000, 20_000].map((later) =>
    Array.from({ length: seriesOfClient }, (_, series): Point => ({
      series,
      ms: last + later,
      value: 0,
      passes: false,
    }))
  );
  return [...script, ...ends];
}

function assertOnce(rows: readonly Row[], script: Script, what: string): void {
  const lastSeconds = START + Math.max(...script.flat().map(({ ms }) => ms)) / 1000 - 15;
  const isOfEnd = (key: string) => key.includes("watts") && Number(key.split(" ")[3]) > lastSeconds;
  const pick = (totals: Map<string, number>) => [...totals].filter(([key]) => !isOfEnd(key)).sort();
  assert.deepEqual(pick(totalsOf(rows)), pick(expectedOf(script)), what);
}

const SERIES = 3;
/** Places where the process is killed, of all that there are. */
const KILLS = Number(Deno.env.get("ALUMET_RELAY_KILLS") ?? 15);

async function killEverywhere(
  seed: number,
  { check = assertOnce, ...options }: Partial<Life> & { after?: string; check?: typeof assertOnce } = {},
): Promise<void> {
  await using dir = new TempDir();
  const chance = new Chance(seed);
  const script = completed(scriptOf(chance, 30, SERIES), SERIES);
  const directory = dir.file("whole");
  let copies = 0;
  Deno.mkdirSync(`${directory}/${STAGE}`, { recursive: true });
  const files = watched(() => copyOf(directory, dir.file(`killed-${copies++}`)));
  await live({
    ...options,
    directory,
    script,
    files,
    read: (rows) => check(rows, script, "not killed"),
  });
  assert.ok(copies > 30, String(copies));
  for (let n = 0; n < Math.min(KILLS, copies); n++) {
    const at = Math.floor(n * copies / Math.min(KILLS, copies));
    await live({
      ...options,
      config: options.after ?? options.config,
      directory: dir.file(`killed-${at}`),
      script,
      read: (rows) => check(rows, script, `killed at ${at} of ${copies}`),
    });
  }
}

Deno.test("wherever the process is killed, each window has each of its points once", async () => {
  await killEverywhere(1);
});

/** `watts` is an energy here, divided by `other`. */
const SHARES = `[plugins.energy-attribution.formulas.shares]
as = "share"
grace = "300ms"
retention_time = "2s"
per_resource.energy = { metric = "watts" }
per_consumer.use = { metric = "other" }
`;

Deno.test("wherever the process is killed, the shares of each energy add up to it, and nothing else is there", async () => {
  await killEverywhere(2, {
    config: SHARES,
    check(rows, script, what) {
      assert.ok(rows.some(({ metric }) => metric === "shares"), what);
      // In all of a second, less the shares: what is left of each energy; and each point that passes, once.
      const left = new Map<string, number>();
      const add = (key: string, value: number) => left.set(key, (left.get(key) ?? 0) + value);
      for (const { client, metric, resource, seconds, value } of rows) {
        if (metric === "watts") add(`${client} energy ${resource} ${seconds}`, value);
        if (metric === "shares") add(`${client} energy ${resource} ${seconds}`, -value);
        if (metric !== "shares") add(`${client} ${metric} ${value}`, 1);
      }
      for (const client of CLIENTS) {
        for (const { value, passes } of script.flat()) {
          add(`${client} ${passes ? "other" : "watts"} ${value}`, -1);
        }
      }
      const lastSeconds = START + Math.max(...script.flat().map(({ ms }) => ms)) / 1000 - 15;
      for (const [key, value] of left) {
        const [, kind, , seconds] = key.split(" ");
        if (kind === "energy" && Number(seconds) > lastSeconds) continue;
        assert.ok(Math.abs(value) < 1e-6, `${what}: ${key}: ${value}`);
      }
    },
  });
});
