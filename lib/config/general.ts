/** The keys outside of `[plugins]`. */
import { LOG_LEVELS } from "../base/log.ts";
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
      "Most memory for what is known of all series. Where it is not set, a quarter of the memory that this process may " +
      "use (that of its cgroup, or of the machine), but at most 1 GiB. With more series, those that were silent for " +
      "longest are forgotten and learned again, which costs time and no point.",
    default: "256MiB",
    min: "4MiB",
  })),
  memory_per_client: optional(size({
    doc:
      "Most of it for a client that is not an alumet-relay: with more series, its own are forgotten, and nobody else's. " +
      "Where it is not set, a sixteenth of memory. The stream of an alumet-relay may have half of memory.",
    default: "16MiB",
    min: "1MiB",
  })),
}, {
  doc:
    "What is known of a series, that is of the points that differ in time and value alone: about 130 bytes each.",
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
}, { doc: "Keys of the process as a whole." });
