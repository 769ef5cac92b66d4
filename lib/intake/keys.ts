/** Keys that inputs which listen have in common. */
import { text } from "../schema.ts";
import { networkProblem } from "../net/networks.ts";
export { tlsKeys, tlsProblem } from "../schema/listening.ts";

/** A network, as an item of a list. */
export const network = text({ doc: "A network.", default: "", check: networkProblem });
