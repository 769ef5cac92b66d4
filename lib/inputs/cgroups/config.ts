/** The keys of `[plugins.cgroups]`: names and defaults are those of Alumet. */
import { flag, live, table } from "../../schema.ts";
import { pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("5s"),
  disable_sources: live(flag({ doc: "Measure nothing.", default: false })),
}, {
  doc: "Every control group, the root included. A group contains the groups below it: do not add levels.",
});
