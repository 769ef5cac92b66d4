/** The keys of `[plugins.procfs]`: names and defaults are those of Alumet. */
import {
  choice,
  duration,
  flag,
  type Infer,
  integer,
  list,
  live,
  optional,
  table,
  tables,
  text,
} from "../../schema.ts";
import type { Capability } from "../../plugin.ts";
import { entryNote, MEMORY_METRICS } from "./meminfo_entries.ts";
import { rustRegexProblem } from "./regex.ts";

const enabled = (what: string) => flag({ doc: `Whether to measure ${what}.`, default: true });

const pollInterval = (value: string) =>
  duration({ doc: "Time between two measurements.", default: value, min: "1ms" });

const flushInterval = duration({
  doc:
    "Time after which the points of several measurements are handed over together; 4096 points are handed over earlier.",
  default: "4s",
});

const memoryMode = choice(["quick", "slow_but_accurate"], {
  doc: "Where the memory of a process is read: in /proc/PID/statm (quick), or in /proc/PID/smaps_rollup " +
    "(slow_but_accurate), which takes ten times as long and CAP_SYS_PTRACE for the processes of other users.",
  default: "quick",
});

const MAX_PID = 2 ** 32 - 1;

const group = table({
  pid: optional(
    integer({ doc: "Only the process with this pid.", unset: "any", default: 1, min: 0, max: MAX_PID }),
  ),
  ppid: optional(
    integer({
      doc: "Only the processes whose parent has this pid.",
      unset: "any",
      default: 1,
      min: 0,
      max: MAX_PID,
    }),
  ),
  exe_regex: text({
    doc:
      "Only the processes whose executable's path contains a match of this regular expression. Empty: all.",
    default: "",
    check: rustRegexProblem,
  }),
  poll_interval: live(pollInterval("2s")),
  flush_interval: live(flushInterval),
  memory_mode: memoryMode,
}, { doc: "A group of processes. A process belongs to the first group whose conditions it meets." });

export const config = table({
  kernel: live(table({
    enabled: enabled("CPU times, context switches and forks of the whole system (/proc/stat)"),
    poll_interval: pollInterval("5s"),
  }, { doc: "CPU times, context switches and forks of the whole system." })),
  memory: live(table({
    enabled: enabled("the memory of the whole system (/proc/meminfo)"),
    poll_interval: pollInterval("5s"),
    metrics: list(
      text({
        doc: "An entry.",
        default: "",
        check: (entry) => /^[!-9;-~]+$/.test(entry) ? undefined : "not the name of an entry",
        note: entryNote,
      }),
      {
        doc: "Entries of /proc/meminfo. The metric of MemTotal is called mem_total.",
        default: [
          "MemTotal",
          "MemFree",
          "MemAvailable",
          "Cached",
          "SwapCached",
          "Active",
          "Inactive",
          "Mapped",
        ],
      },
    ),
  }, { doc: "Memory of the whole system." })),
  network: live(table({
    enabled: enabled("the traffic of the network interfaces (/proc/net/dev)"),
    poll_interval: pollInterval("5s"),
  }, { doc: "Traffic of the network interfaces." })),
  processes: table({
    enabled: enabled("CPU and memory of each process (/proc/PID)"),
    refresh_interval: live(duration({
      doc: "Time between two scans for new processes.",
      default: "2s",
      min: "1ms",
    })),
    strategy: choice(["watcher", "event"], {
      doc:
        "Which processes to measure: all that are found (watcher), or those of the commands exec and watch (event).",
      default: "watcher",
    }),
    groups: tables(group, {
      doc: "Groups of processes, for the strategy watcher.",
      default: [group.defaultValue()],
    }),
    events: table({
      poll_interval: live(pollInterval("1s")),
      flush_interval: live(flushInterval),
      memory_mode: memoryMode,
    }, { doc: "How the processes of exec and watch are measured, with the strategy event." }),
  }, { doc: "CPU time and memory of processes." }),
}, { doc: "What the kernel says in /proc." });

export type ProcfsConfig = Infer<typeof config>;

/** What processes of other users ask for. */
export function capabilities({ processes }: ProcfsConfig): Capability[] {
  if (!processes.enabled || processes.strategy !== "watcher") return [];
  const reasons = [
    processes.groups.some(({ memory_mode }) => memory_mode === "slow_but_accurate") &&
    'memory_mode = "slow_but_accurate" reads the memory maps of other users\' processes',
    processes.groups.some(({ exe_regex }) => exe_regex !== "") &&
    "exe_regex reads the executables of other users' processes",
  ];
  return reasons.flatMap((reason) => reason ? [{ name: "CAP_SYS_PTRACE", reason }] : []);
}

/** The metrics that it makes, with the bases of their units. */
export const metrics: readonly string[] = [
  "kernel_cpu_time s",
  "kernel_* 1",
  ...MEMORY_METRICS.map((name) => `${name} By`),
  "network_bytes By",
  "network_* 1",
  "cpu_time_delta s",
  "cpu_percent %",
  "memory_usage By",
];
