/** The journal on disk, as the configuration says. */
import type { general } from "./config/general.ts";
import { DiskJournal } from "./disk_journal/disk_journal.ts";
import { parseDuration } from "./duration.ts";
import { EXIT, ExitError } from "./errors.ts";
import type { OnFull } from "./journal.ts";
import type { Logger } from "./log.ts";
import type { MetricRegistry } from "./registry.ts";
import type { Infer } from "./schema.ts";

export type JournalConfig = Infer<typeof general>["journal"];

export interface OpenOptions {
  log: Logger;
  registry: MetricRegistry;
  /** Where the configuration does not say. */
  onFull: OnFull;
  onDrop: (points: number) => void;
}

/**
 * Where a process keeps what outlives it: `$STATE_DIRECTORY` (which systemd sets), `$XDG_STATE_HOME/alumet-relay`, or
 * `~/.local/state/alumet-relay`.
 *
 * @throws {ExitError} 78 if the environment has none of them.
 */
export function stateDirectory(env = (name: string) => Deno.env.get(name)): string {
  // systemd separates several directories by colons; ours is the first.
  const given = env("STATE_DIRECTORY")?.split(":")[0];
  if (given) return given;
  const base = env("XDG_STATE_HOME") || (env("HOME") && `${env("HOME")}/.local/state`);
  if (base) return `${base}/alumet-relay`;
  throw new ExitError(
    EXIT.config,
    "Cannot tell where the journal belongs: set journal.path, or STATE_DIRECTORY, XDG_STATE_HOME or HOME",
  );
}

/** @throws {ExitError} when the directory cannot be used. */
export async function openDiskJournal(config: JournalConfig, options: OpenOptions): Promise<DiskJournal> {
  const { log, registry, onFull, onDrop } = options;
  const directory = config.path || `${stateDirectory()}/journal`;
  const journal = await DiskJournal.open({
    directory,
    log,
    sync: config.sync === "always" ? "always" : Number(parseDuration(config.sync)) / 1e6,
    onFull: config.on_full ?? onFull,
    maxBytes: config.max_size,
    segmentBytes: config.segment_size,
    maxAgeMs: config.max_age,
    minFreeBytes: config.min_free,
    makeMetric: (metric) => registry.register(metric, "journal"),
    onDrop,
  });
  log.info("Journal opened", { directory, bytes: journal.stats.diskBytes });
  return journal;
}
