/** The keys of `[plugins.perf]`: names and defaults are those of Alumet. */
import type { Capability } from "../../plugin.ts";
import { either, flag, type Infer, list, optional, table, text } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";
import { eventNameOf, eventNote, eventProblem, metricNameOf } from "./event_names.ts";

const name = text({
  doc: "A name, with its modes: INSTRUCTIONS#u:k.",
  default: "INSTRUCTIONS",
  check: eventProblem,
  note: eventNote,
});

const renamed = table({
  event: name,
  rename: optional(text({ doc: "What follows perf_ in the name of the metric.", default: "" })),
}, { doc: "An event, and the name of its metric." });

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
  events: list(either(name, renamed), {
    doc:
      "What is counted: CPU_CYCLES, INSTRUCTIONS, CACHE_MISSES, PAGE_FAULTS, LL_READ_MISS, cpu/EVENT/ or rHEX, in user " +
      'mode unless #u, #k or #h says otherwise; or { event = "NAME", rename = "NAME" }. The metric of CACHE_MISSES is ' +
      "called perf_cache_misses.",
    default: ["REF_CPU_CYCLES", "CACHE_MISSES", "BRANCH_MISSES", "LL_READ_MISS"],
  }),
  per_cpu: flag({
    doc:
      "Count for each CPU by itself, as Alumet's agents do. Otherwise a control group has one point for each event.",
    default: true,
  }),
  add_source_in_pause_state: flag({
    doc:
      "Alumet's agents wait for a command before they measure. Here, everything is measured from its beginning.",
    default: false,
  }),
}, {
  doc: "What processors and the kernel count for control groups, and for the commands of exec and watch.",
});

export type PerfConfig = Infer<typeof config>;

export function capabilities(): Capability[] {
  return [{ name: "CAP_PERFMON", reason: "only root may count events of other users' processes" }];
}

/** The metrics that it makes: those of events that a machine may have. */
export function metrics({ events }: PerfConfig): string[] {
  return events.flatMap((configured) => {
    const { event, rename } = typeof configured === "string"
      ? { event: configured, rename: undefined }
      : configured;
    const name = eventNameOf(event);
    return typeof name === "string" || !name.code ? [] : [`${metricNameOf(name.name, rename)} 1`];
  });
}
