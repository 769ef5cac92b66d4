/** Keys of all inputs that measure control groups. */
import { flag, live } from "../../schema.ts";
import { pollInterval } from "../polling/keys.ts";

export const groupKeys = {
  poll_interval: pollInterval("5s"),
  disable_sources: live(
    flag({ doc: "Find groups for perf and for annotations, and measure none.", default: false }),
  ),
};

/** For inputs that know more of groups than their paths. */
export const annotateKey = {
  annotate_foreign_measurements: flag({
    doc:
      "Add the attributes also to the points of other inputs of this process, where their consumer is a control " +
      "group, or a process in one.",
    default: false,
  }),
};

/** Of their tables: Alumet's plugins of control groups take sections with any other keys, and say nothing. */
export const asAlumet = { ignoresUnknown: true } as const;
