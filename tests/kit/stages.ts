/** Transforms with a memory between two journals, for tests. */
import { parse } from "@std/toml";
import { createLogger } from "../../lib/base/log.ts";
import type { Journal } from "../../lib/journal.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import type { MetricRegistry } from "../../lib/points/registry.ts";
import type { StagedTransformPlugin } from "../../lib/plugin.ts";
import { plugins } from "../../lib/plugins.ts";
import { Stage, type StageOptions } from "../../lib/transforms/stage.ts";
import { transformsOf } from "./alumet_transforms.ts";
import { contextWith } from "./context.ts";
import { FakeClock } from "./fake_clock.ts";
import { journalOf } from "./journal.ts";

/** The only transform with a memory that a configuration has: its name, its checked keys, and how to open it. */
export function stagedOf(
  toml: string,
  registry: MetricRegistry,
  clients: Journal["clients"],
): Pick<StageOptions, "name" | "config" | "open"> {
  const sections = parse(toml).plugins as Record<string, Record<string, unknown>>;
  const found = plugins.filter(({ name, kind, ...plugin }) =>
    name in sections && kind === "transform" && "staged" in plugin
  );
  if (found.length !== 1) throw new Error(`${found.length} transforms have a memory`);
  const [plugin] = found as StagedTransformPlugin<unknown>[];
  const { name } = plugin;
  const config = plugin.config.check(sections[name], ["plugins", name], ({ message }) => {
    throw new Error(`${name}: ${message}`);
  });
  return { name, config, open: (config) => plugin.open(config, contextWith({ registry, clients })) };
}

/** What comes out of a stage between journals in memory, and of the other transforms, until the first one ends. */
export async function throughStage(
  toml: string,
  registry: MetricRegistry,
  makeBatches: (clients: Journal["clients"]) => readonly Batch[],
): Promise<{ batches: Batch[]; stats: Readonly<Record<string, number>> }> {
  const before = journalOf();
  const after = journalOf();
  const others = await transformsOf(toml, registry);
  using stage = await Stage.open({
    ...stagedOf(toml, registry, before.clients),
    followers: others.map((transform, i) => ({ name: `transform ${i}`, transform })),
    before,
    directory: null,
    after,
    log: createLogger("test", { write: () => {} }),
    clock: new FakeClock(),
  });
  const reader = after.reader("out");
  for (const batch of makeBatches(before.clients)) void before.append(batch);
  before.end();
  await stage.run(new AbortController().signal);
  const batches: Batch[] = [];
  for (let batch; (batch = reader.next());) batches.push(batch);
  return { batches, stats: stage.stats ?? {} };
}
