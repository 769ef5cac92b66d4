/** The entries of /proc/meminfo, up to Linux 6.15 (fs/proc/meminfo.c, and the architectures). */
import { didYouMean } from "../../base/suggest.ts";

const ENTRIES = [
  ..."MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon)"
    .split(" "),
  ..."Active(file) Inactive(file) Unevictable Mlocked HighTotal HighFree LowTotal LowFree MmapCopy".split(
    " ",
  ),
  ..."SwapTotal SwapFree Zswap Zswapped Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab".split(" "),
  ..."SReclaimable SUnreclaim KernelStack ShadowCallStack PageTables SecPageTables NFS_Unstable Bounce".split(
    " ",
  ),
  ..."WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk Percpu".split(" "),
  ..."EarlyMemtestBad HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages".split(" "),
  ..."FilePmdMapped CmaTotal CmaFree Unaccepted Balloon GPUActive GPUReclaim HugePages_Total".split(" "),
  ..."HugePages_Free HugePages_Rsvd HugePages_Surp Hugepagesize Hugetlb DirectMap4k DirectMap2M".split(" "),
  ..."DirectMap4M DirectMap1G Quicklists".split(" "),
];

/** What to say of an entry that no known kernel has; `undefined` for the others. Another kernel may have it. */
export function entryNote(entry: string): string | undefined {
  if (ENTRIES.includes(entry)) return undefined;
  return `Linux has no entry ${entry} in /proc/meminfo that this program knows${didYouMean(entry, ENTRIES)}`;
}

/** The name of the metric of an entry: `MemTotal` is `mem_total`, `NFS_Unstable` is `nfs_unstable`. */
export function snakeCase(entry: string): string {
  if (entry.length === 1) return entry;
  if (entry.includes("_")) return entry.toLowerCase();
  return entry.replace(/(?<=[A-Za-z])[A-Z]/g, "_$&").toLowerCase();
}

/** The metrics of all entries. */
export const MEMORY_METRICS: readonly string[] = ENTRIES.map(snakeCase);
