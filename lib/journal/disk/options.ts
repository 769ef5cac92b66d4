/** Options and counters of a journal on disk. */
import type { JournalStats, OnFull } from "../contract.ts";
import { BoundedLog } from "../../base/complaint.ts";
import type { Logger } from "../../base/log.ts";
import type { Metric } from "../../points/measurement.ts";
import { type Files, SYSTEM_FILES } from "./format/files.ts";

/** The clocks. Ages use the monotonic clock, so a wall clock that is set back has no effect on them. */
export interface Times {
  /** In ms since the epoch. */
  wallMs(): number;
  monotonicMs(): number;
}

export interface DiskJournalOptions {
  directory: string;
  log: Logger;
  /** @default the name of this host */
  host?: string;
  /** `always` syncs each batch at once; a number is the time to wait for more first, in ms. @default {50} */
  sync?: "always" | number;
  /** @default {"block"} */
  onFull?: OnFull;
  /** Most bytes on disk. @default {1 GiB} */
  maxBytes?: number;
  /** Size at which a new segment begins, in bytes; at most a quarter of `maxBytes`. @default {16 MiB} */
  segmentBytes?: number;
  /** Age since the last write at which a segment is dropped, in ms. @default {Infinity} */
  maxAgeMs?: number;
  /** The journal is full when the file system has less free space than this, in bytes. @default {0} */
  minFreeBytes?: number;
  /** Batches kept in memory for readers, and batches that cannot be written, each. @default {8 MiB} */
  memoryBytes?: number;
  /** Most bytes per second that an output reads from disk to catch up. @default {Infinity} */
  catchUpRate?: number;
  /** Wait before the next try after a failed write, in ms. @default {1000} */
  retryMs?: number;
  /** Most clients that are remembered. @default {20_000} */
  maxClients?: number;
  /** Most bytes of damaged segments in quarantine. @default {256 MiB} */
  quarantineBytes?: number;
  /** Returns the object of this process for a metric from disk. @default one object per segment */
  makeMetric?: (metric: Metric) => Metric;
  /** The outputs that will read; those that the journal has never had are new. @default no output is new */
  outputs?: readonly string[];
  /** Where a new output begins: with the next batch, or with the oldest in the journal. @default {"now"} */
  newOutputs?: "now" | "oldest";
  /** Called with the number of dropped points. */
  onDrop?: (points: number) => void;
  /** At least 0, less than 1: how many more numbers than necessary a start leaves out. @default {Math.random} */
  random?: () => number;
  /** @default the system's */
  files?: Files;
  /** @default the system's */
  times?: Times;
}

/** The complete options: what the parts of a journal receive. */
export type Settings =
  & Required<Omit<DiskJournalOptions, "makeMetric" | "outputs">>
  & Pick<DiskJournalOptions, "makeMetric" | "outputs">;

const DEFAULT_MAX_BYTES = 1024 ** 3;

export function complete(options: DiskJournalOptions): Settings {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const times = options.times ?? { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
  return {
    host: options.host ?? Deno.hostname(),
    sync: 50,
    onFull: "block",
    maxAgeMs: Infinity,
    minFreeBytes: 0,
    memoryBytes: 8 * 1024 ** 2,
    catchUpRate: Infinity,
    retryMs: 1000,
    maxClients: 20_000,
    quarantineBytes: 256 * 1024 ** 2,
    newOutputs: "now",
    onDrop: () => {},
    random: Math.random,
    files: SYSTEM_FILES,
    ...Object.fromEntries(
      Object.entries(options).filter(([, value]) => value !== undefined),
    ) as typeof options,
    times,
    // A damaged disk may cause a line for each segment.
    log: new BoundedLog(options.log, times),
    maxBytes,
    // Then a full journal always has segments that can be deleted.
    segmentBytes: Math.min(options.segmentBytes ?? 16 * 1024 ** 2, maxBytes / 4),
  };
}

/** Counters since the journal was opened. */
export interface DiskJournalStats extends JournalStats {
  /** Points in unreadable records, lost to each output that had not read them before. */
  damagedPoints: number;
  /** Bytes cut off from torn and damaged segments. */
  damagedBytes: number;
  tornTails: number;
  quarantinedSegments: number;
  /** Points in batches with an impossible time or value; outputs that had not taken them never get them. */
  rejectedPoints: number;
  /** Bytes of the segments. */
  diskBytes: number;
}

/** The counters of a journal that was just opened. */
export function newStats(): DiskJournalStats {
  return {
    appendedPoints: 0,
    droppedPoints: 0,
    damagedPoints: 0,
    damagedBytes: 0,
    tornTails: 0,
    quarantinedSegments: 0,
    rejectedPoints: 0,
    diskBytes: 0,
  };
}
