/** The keys of `[journal]`. */
import { durationProblem } from "../base/duration.ts";
import { choice, duration, flag, type Infer, optional, size, table, text } from "../schema.ts";

export const journal = table({
  enable: optional(flag({
    doc:
      "Keep what outputs have not taken yet on disk, so that a restart and a server that is away cost nothing. Where " +
      "it is not set, a process that sends to a server or receives from clients does so if it has a directory for it, " +
      "and others do not.",
    default: true,
  })),
  path: text({
    doc:
      "The directory, of one process alone. Empty: ROLE/journal, where ROLE is client, server, hop or local, below " +
      "--state-dir, or else $STATE_DIRECTORY, or else alumet-relay/ in $XDG_STATE_HOME or ~/.local/state.",
    default: "",
  }),
  max_size: size({ doc: "Most bytes on disk.", default: "1GiB", min: "4MiB" }),
  segment_size: size({
    doc: "Bytes of one file; at most a quarter of max_size.",
    default: "16MiB",
    min: "64KiB",
  }),
  min_free: size({
    doc: "The journal is full where the file system has less room than this.",
    default: "64MiB",
  }),
  max_age: optional(
    duration({
      doc: "What is older is dropped, and counted.",
      unset: "points of any age are kept",
      default: "30days",
      min: "1s",
    }),
  ),
  catch_up_rate: optional(size({
    doc:
      "Most bytes a second that an output which is behind gets from disk, so that an hour that is sent afterwards does " +
      "not crowd out everything else. It must be more than what comes in.",
    unset: "no limit",
    default: "4MiB",
    min: "16KiB",
  })),
  sync: text({
    doc:
      "When what was written is made to survive a power failure: always at once, or after so long at most.",
    default: "50ms",
    check: (value) => value === "always" ? undefined : durationProblem(value),
  }),
  on_full: optional(choice(["block", "drop_oldest"], {
    doc:
      "When it is full: let senders wait, or drop the oldest points and count them. Where it is not set, a process " +
      "that receives from a network lets its senders wait, and one that only measures drops the oldest.",
    default: "block",
  })),
  new_outputs: choice(["now", "oldest"], {
    doc:
      "Where an output begins that this journal has never had: with the points that come from now on, or with the " +
      "oldest that are kept. An output in place of one that is no longer enabled takes over what that had not taken.",
    default: "now",
  }),
}, { doc: "The journal between inputs and outputs." });

export type JournalConfig = Infer<typeof journal>;
