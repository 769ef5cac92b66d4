/** What a journal on disk is told, and what it counts. */
import type { JournalStats, OnFull } from "../contract.ts";
import { BoundedLog } from "../../base/complaint.ts";
import type { Logger } from "../../base/log.ts";
import type { Metric } from "../../points/measurement.ts";
import { type Files, SYSTEM_FILES } from "./format/files.ts";

/** The clocks: ages of what is written are by the monotonic one, so that a wall clock that is set back is no matter. */
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
  /** `always` syncs as soon as something has come; a number waits so many ms for more first. @default {50} */
  sync?: "always" | number;
  /** @default {"block"} */
  onFull?: OnFull;
  /** Most bytes on disk. @default {1 GiB} */
  maxBytes?: number;
  /** A new segment is begun above this; at most a quarter of `maxBytes`. @default {16 MiB} */
  segmentBytes?: number;
  /** Segments that were last written so long ago are dropped, in ms. @default {Infinity} */
  maxAgeMs?: number;
  /** The journal is full where the file system has less room, in bytes. @default {0} */
  minFreeBytes?: number;
  /** Batches kept in memory for readers, and batches that cannot be written, each. @default {8 MiB} */
  memoryBytes?: number;
  /** Most bytes a second that an output which is behind gets from disk. @default {Infinity} */
  catchUpRate?: number;
  /** Wait before writing is tried again, in ms. @default {1000} */
  retryMs?: number;
  /** Most clients that are remembered. @default {20_000} */
  maxClients?: number;
  /** Most bytes of damaged segments that are set aside. @default {256 MiB} */
  quarantineBytes?: number;
  /** Gives the process' object for a metric that was read from disk. @default one object per segment */
  makeMetric?: (metric: Metric) => Metric;
  /** The outputs that will read; those that the journal has never had are new. @default no output is new */
  outputs?: readonly string[];
  /** Where a new output begins: with what comes from now on, or with the oldest batch that is kept. @default {"now"} */
  newOutputs?: "now" | "oldest";
  /** Told of points that were dropped. */
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
    // A damaged disk may have something to say of each segment.
    log: new BoundedLog(options.log, times),
    maxBytes,
    // Then a full journal always has segments that can be deleted.
    segmentBytes: Math.min(options.segmentBytes ?? 16 * 1024 ** 2, maxBytes / 4),
  };
}

/** What has happened since the journal was opened. */
export interface DiskJournalStats extends JournalStats {
  /** Points in records that could not be read; they were lost to each output that had not read them before. */
  damagedPoints: number;
  /** Bytes cut off where a segment was torn or damaged. */
  damagedBytes: number;
  tornTails: number;
  quarantinedSegments: number;
  /** Points in batches with a time or value that no point can have; outputs that had not taken them never get them. */
  rejectedPoints: number;
  /** Bytes of the segments. */
  diskBytes: number;
}

/** Of a journal that has done nothing yet. */
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
