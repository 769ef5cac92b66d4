/** The keys of `[journal]`. */
import { durationProblem } from "../base/duration.ts";
import { choice, duration, flag, type Infer, optional, size, table, text } from "../schema.ts";

export const journal = table({
  enable: optional(flag({
    doc:
      "Keep points that outputs have not taken yet on disk, so that neither a restart nor an absent server loses any. " +
      "Default: true for a process that sends to a server or receives from clients, if it has a state directory; false " +
      "for others.",
    default: true,
  })),
  path: text({
    doc:
      "The directory, for one process only. Empty: ROLE/journal, where ROLE is client, server, hop or local, below " +
      "--state-dir, or else $STATE_DIRECTORY, or else alumet-relay/ in $XDG_STATE_HOME or ~/.local/state.",
    default: "",
  }),
  max_size: size({
    doc: "Most bytes on disk. The journal before a transform with a memory may take half as much besides.",
    default: "1GiB",
    min: "4MiB",
  }),
  segment_size: size({
    doc: "Bytes of one file, at most a quarter of max_size; of very many series, a file may have up to that.",
    default: "16MiB",
    min: "64KiB",
  }),
  min_free: size({
    doc: "The journal is full if the file system has less room than this.",
    default: "64MiB",
  }),
  max_age: optional(
    duration({
      doc: "Older points are dropped and counted.",
      unset: "points of any age are kept",
      default: "30days",
      min: "1s",
    }),
  ),
  catch_up_rate: optional(size({
    doc:
      "Most bytes a second that an output reads from disk to catch up, so that a backlog does not slow down everything " +
      "else. It must be more than what arrives.",
    unset: "no limit",
    default: "4MiB",
    min: "16KiB",
  })),
  sync: text({
    doc:
      "When written points are synced to survive a power failure: always (at once), or after at most this time.",
    default: "50ms",
    check: (value) => value === "always" ? undefined : durationProblem(value),
  }),
  on_full: optional(choice(["block", "drop_oldest"], {
    doc:
      "What to do when it is full: let senders wait, or drop and count the oldest points. Default: a process that " +
      "receives from clients or takes lines lets them wait, and one that only measures drops the oldest.",
    default: "block",
  })),
  new_outputs: choice(["now", "oldest"], {
    doc:
      "Where an output begins that is new to this journal: with the next point, or with the oldest one in the journal. An " +
      "output that replaces outputs that are no longer enabled takes over their points.",
    default: "now",
  }),
}, { doc: "The journal between inputs and outputs." });

export type JournalConfig = Infer<typeof journal>;
