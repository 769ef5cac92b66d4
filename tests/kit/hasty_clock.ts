/** A clock whose waits are short: a minute of backoff is soon over. */
import { SystemClock } from "../../lib/base/clock.ts";

/** The longest wait, in ms. */
const LONGEST_SLEEP_MS = 25;

export class HastyClock extends SystemClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.min(ms, LONGEST_SLEEP_MS), signal);
  }
}
