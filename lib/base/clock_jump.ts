/** One voice for all outputs that delete by age: the wall clock is ahead, so nothing is deleted by it. */
import type { MonotonicClock } from "./clock.ts";
import { Complaint } from "./complaint.ts";
import type { Logger } from "./log.ts";

export class ClockJumpWarning {
  readonly #log: Logger;
  readonly #complaint: Complaint;

  constructor(log: Logger, clock: MonotonicClock) {
    this.#log = log;
    this.#complaint = new Complaint(clock);
  }

  /** @param aheadMs How far the wall clock is ahead of the time that is believed, in ms; 0 where it is believed itself. */
  notice(aheadMs: number): void {
    if (aheadMs === 0) return this.#complaint.end(() => {});
    this.#complaint.add(() => {
      this.#log.warn("The clock has jumped ahead, nothing is deleted by it for a day", {
        ahead_s: Math.round(aheadMs / 1000),
      });
    });
  }
}
