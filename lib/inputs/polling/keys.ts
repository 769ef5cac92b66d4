/** Keys that polled inputs have in common. */
import { duration, type Key, live } from "../../schema.ts";

export function pollInterval(value: string): Key<number> {
  return live(duration({ doc: "Time between two measurements.", default: value, min: "1ms" }));
}

export function flushInterval(value: string): Key<number> {
  return live(duration({
    doc:
      "Time after which the points of several measurements are handed over together; 4096 points are handed over " +
      "earlier.",
    default: value,
  }));
}
