/** The keys of `[plugins.jetson]`: names and defaults are those of Alumet. */
import { table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
}, { doc: "The rails of a Jetson board. VDD_IN (POM_5V_IN) is the whole board: do not add the others." });
