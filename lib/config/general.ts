/** The keys outside of `[plugins]`. */
import { LOG_LEVELS } from "../base/log.ts";
import { http } from "../http/config.ts";
import { journal } from "../journal/config.ts";
import { choice, duration, live, optional, size, table } from "../schema.ts";

const deadLetters = table({
  max_size: size({
    doc: "Most bytes on disk for each output; above it the oldest are dropped and counted.",
    default: "64MiB",
    min: "64KiB",
  }),
}, {
  doc:
    "Points that a database permanently refuses are kept in the state directory: alumet-relay dead-letters shows, " +
    "replays and purges them.",
});

const series = table({
  memory: optional(size({
    doc:
      "Most memory for all series. Default: a quarter of the memory that this process may use (that of its cgroup, or of " +
      "the machine) beyond 150 MiB, but at most 1 GiB. If there are more series, those that were silent longest are forgotten, and " +
      "learned again when they come: that costs time, but no point.",
    default: "256MiB",
    min: "4MiB",
  })),
  memory_per_client: optional(size({
    doc:
      "Most of it for one client that is not an alumet-relay: if it has more series, its own are forgotten. Default: a " +
      "sixteenth of memory. The stream of an alumet-relay may use half of memory.",
    unset: "a sixteenth of memory",
    default: "16MiB",
    min: "1MiB",
  })),
}, {
  doc:
    "The memory for series. A series is all points that differ only in time and value; each takes about 130 bytes.",
});

export const general = table({
  shutdown_timeout: live(duration({
    doc: "The longest time for an orderly stop: a last poll, then sending and writing what is left.",
    default: "5s",
  })),
  log_level: optional(live(choice(LOG_LEVELS, {
    doc: "The least important messages to log, unless --log-level is given.",
    unset: "info",
    default: "info",
  }))),
  journal,
  dead_letters: deadLetters,
  series,
  http,
}, { doc: "Keys of the process as a whole." });
