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

/** Of the names of directories in that of a journal. */
const STAGE_PREFIX = "before-";

export interface OpenOptions {
  log: Logger;
  registry: MetricRegistry;
  /** Names of the outputs of this process. */
  outputs: readonly string[];
  /** Names of the transforms with a memory, in order: each has a journal of its own before it. */
  stages: readonly string[];
  /** Used if the configuration does not set it. */
  onFull: OnFull;
  onDrop: (points: number) => void;
}

/** What outlives the process. */
export interface Kept extends AsyncDisposable {
  /** The journals before each of the stages, and the one before the outputs; none: they are in memory. */
  readonly journals: readonly DiskJournal[];
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
  const journals: DiskJournal[] = [];
  if (wanted) {
    const path = config.path || (directory && `${directory}/${JOURNAL_FOLDER}`);
    try {
      if (!path) throw problem;
      await warnAboutOrphans(path, options);
      // Two journals of one process must not tell different stories, so either all of them are on disk, or none.
      await using opening = new AsyncDisposableStack();
      const last = opening.use(await openDiskJournal(config, path, options));
      const before: DiskJournal[] = [];
      for (const stage of options.stages) {
        before.push(opening.use(await openStageJournal(config, stageDirectory(path, stage), stage, options)));
      }
      journals.push(...before, last);
      stack.use(opening.move());
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
  return { journals, directory, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Where the journal before a transform with a memory is. */
function stageDirectory(journal: string, stage: string): string {
  return `${journal}/${STAGE_PREFIX}${stage}`;
}

/** What a transform that is no longer enabled had not completed stays where it is, until somebody decides. */
async function warnAboutOrphans(path: string, { log, stages }: OpenOptions): Promise<void> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      const stage = name.startsWith(STAGE_PREFIX) ? name.slice(STAGE_PREFIX.length) : null;
      if (!isDirectory || stage === null || stages.includes(stage)) continue;
      log.warn(
        "The journal of a transform that is not enabled is left as it is; enable it again, or delete the directory",
        {
          transform: stage,
          directory: `${path}/${name}`,
        },
      );
    }
  } catch { /* there is no journal yet */ }
}

/** Has half of the size of the journal before the outputs, and begins with its oldest point. */
function openStageJournal(
  config: JournalConfig,
  directory: string,
  stage: string,
  options: OpenOptions,
): Promise<DiskJournal> {
  const half = { ...config, max_size: config.max_size / 2, new_outputs: "oldest" as const };
  // Nobody else knows its id, so it stays the same on another host: the marks of the next journal name it.
  return openDiskJournal(half, directory, { ...options, outputs: [stage] }, { host: "" });
}

async function openDiskJournal(
  config: JournalConfig,
  directory: string,
  { log, registry, outputs, onFull, onDrop }: OpenOptions,
  more: { host?: string } = {},
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
    ...more,
  });
  log.info("Journal opened", { directory, bytes: journal.stats.diskBytes });
  return journal;
}
