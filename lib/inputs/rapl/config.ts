/** The keys of `[plugins.rapl]`: names and defaults are those of Alumet. */
import { flag, type Infer, table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
  no_perf_events: flag({
    doc:
      "Read the counters from powercap files alone. Otherwise, those that powercap does not have, or this process may " +
      "not read, are read as perf events, and last from /dev/cpu/N/msr.",
    default: false,
  }),
}, { doc: "Energy of processors and their memory. The package contains the cores (pp0): do not add them." });

export type RaplConfig = Infer<typeof config>;
