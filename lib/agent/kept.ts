/** Opens the state directory and the journal of a process. */
import type { JournalConfig } from "../journal/config.ts";
import type { DiskJournal } from "../journal/disk/disk_journal.ts";
import { parseDuration } from "../base/duration.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { OnFull } from "../journal.ts";
import type { Logger } from "../base/log.ts";
import type { MetricRegistry } from "../points/registry.ts";
import { JOURNAL_FOLDER, type Role, STATE_FLAG, type StateBase, StateDirectory } from "./state_directory.ts";

export type { JournalConfig };

export interface OpenOptions {
  log: Logger;
  registry: MetricRegistry;
  /** Names of the outputs of this process. */
  outputs: readonly string[];
  /** Used if the configuration does not set it. */
  onFull: OnFull;
  onDrop: (points: number) => void;
}

/** What outlives the process. */
export interface Kept extends AsyncDisposable {
  /** `null`: the journal is in memory. */
  readonly journal: DiskJournal | null;
  /** `null`: there is none. */
  readonly directory: string | null;
}

/**
 * Opens the directory of this process and, if it is enabled, the journal on disk. Relays have one unless `journal.enable`
 * is false. If the default is not available, the log warns, and the journal is in memory.
 *
 * @throws {ExitError} if a journal or directory is not available that was asked for (by `journal.enable`, `journal.path`
 * or `--state-dir`), or if another version of this program wrote the journal.
 */
export async function openKept(
  config: JournalConfig,
  base: StateBase | null,
  role: Role,
  options: OpenOptions,
): Promise<Kept> {
  const { log } = options;
  const wanted = config.enable ?? role !== "local";
  await using stack = new AsyncDisposableStack();
  let directory: string | null = null;
  let problem: unknown;
  try {
    directory = stack.use(await StateDirectory.open(base, role)).path;
  } catch (error) {
    if (base?.from === STATE_FLAG) throw error;
    problem = error;
    log.debug(messageOf(error));
  }
  let journal: DiskJournal | null = null;
  if (wanted) {
    const path = config.path || (directory && `${directory}/${JOURNAL_FOLDER}`);
    try {
      if (!path) throw problem;
      journal = stack.use(await openDiskJournal(config, path, options));
    } catch (error) {
      const isOtherVersion = error instanceof ExitError && error.exitCode === EXIT.data;
      if (isOtherVersion || config.enable || config.path || base?.from === STATE_FLAG) throw error;
      log.warn(
        `The journal is in memory only, so points that are not sent or stored are lost when this process ends: ${
          messageOf(error)
        }`,
      );
    }
  }
  const opened = stack.move();
  return { journal, directory, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function openDiskJournal(
  config: JournalConfig,
  directory: string,
  { log, registry, outputs, onFull, onDrop }: OpenOptions,
): Promise<DiskJournal> {
  // Loaded only if it is needed, because it takes memory.
  const { DiskJournal } = await import("../journal/disk/disk_journal.ts");
  const journal = await DiskJournal.open({
    directory,
    log,
    sync: config.sync === "always" ? "always" : Number(parseDuration(config.sync)) / 1e6,
    onFull: config.on_full ?? onFull,
    maxBytes: config.max_size,
    segmentBytes: config.segment_size,
    maxAgeMs: config.max_age,
    minFreeBytes: config.min_free,
    catchUpRate: config.catch_up_rate,
    outputs,
    newOutputs: config.new_outputs,
    makeMetric: (metric) => registry.register(metric, "journal"),
    onDrop,
  });
  log.info("Journal opened", { directory, bytes: journal.stats.diskBytes });
  return journal;
}
