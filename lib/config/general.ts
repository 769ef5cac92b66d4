/** The keys outside of `[plugins]`. */
import { LOG_LEVELS } from "../base/log.ts";
import { journal } from "../journal/config.ts";
import { choice, duration, live, optional, size, table } from "../schema.ts";

const deadLetters = table({
  max_size: size({
    doc: "Most bytes on disk for each output; the oldest give way, and are counted.",
    default: "64MiB",
    min: "64KiB",
  }),
}, {
  doc:
    "What a database refuses for good is set aside in the state directory, for alumet-relay dead-letters to show, " +
    "replay or purge.",
});

export const general = table({
  shutdown_timeout: live(duration({
    doc: "The longest that an orderly stop may take: a last poll, sending and writing what is there.",
    default: "5s",
  })),
  log_level: optional(live(choice(LOG_LEVELS, {
    doc: "The least important messages to log, where --log-level does not say it.",
    unset: "info",
    default: "info",
  }))),
  journal,
  dead_letters: deadLetters,
}, { doc: "Keys of the process as a whole." });
