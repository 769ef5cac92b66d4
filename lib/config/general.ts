/** The keys outside of `[plugins]`. */
import { duration, table } from "../schema.ts";

export const general = table({
  shutdown_timeout: duration({
    doc: "The longest that an orderly stop may take: a last poll, sending and writing what is there.",
    default: "5s",
  }),
}, { doc: "Keys of the process as a whole." });
