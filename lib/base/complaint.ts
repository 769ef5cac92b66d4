/** What goes wrong and may go on: said once, then once a minute, and when it is over. */
import { messageOf } from "./errors.ts";
import type { LogFields, Logger } from "./log.ts";

const AGAIN_MS = 60_000;

export class Complaint {
  #said = -Infinity;

  constructor(readonly log: Logger, readonly message: string, readonly over: string) {}

  /** It has happened, again maybe. */
  add(error: unknown, fields: LogFields = {}): void {
    const now = performance.now();
    if (now - this.#said < AGAIN_MS) return;
    this.#said = now;
    this.log.error(this.message, { ...fields, reason: messageOf(error) });
  }

  /** It does not happen any more. */
  end(fields: LogFields = {}): void {
    if (this.#said === -Infinity) return;
    this.#said = -Infinity;
    this.log.info(this.over, fields);
  }
}
