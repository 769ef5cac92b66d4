/**
 * Tells a target that refuses these points from one that refuses everything, because of its address or our rights: until
 * it has taken or refused something for what is in it, a refusal is checked with a control, a request without points.
 */
import type { Verdict } from "./verdict.ts";
import type { HttpOutcome, HttpReply, HttpSender } from "./sender.ts";

const isSame = (a: HttpReply, b: HttpReply): boolean => a.status === b.status && a.text === b.text;

export class ControlledSender {
  readonly #sender: HttpSender;
  readonly #control: () => Uint8Array<ArrayBuffer>;
  /** What the target refuses from now on is not because of its address or our rights. */
  #proven = false;

  /** @param control Makes a request without points, which the target takes if it takes any. */
  constructor(sender: HttpSender, control: () => Uint8Array<ArrayBuffer>) {
    this.#sender = sender;
    this.#control = control;
  }

  /**
   * Posts like {@linkcode HttpSender.post}. Where the target says the same of a request without points, its refusal
   * counts as `misconfigured`, and the body is tried on until it says something else.
   *
   * @throws the signal's reason once it is aborted, and nothing else.
   */
  async post(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<HttpOutcome> {
    let outcome = await this.#sender.post(bytes, signal);
    if (outcome.verdict === "refused" && !this.#proven && await this.#refusesNothing(outcome.reply, signal)) {
      const { reply } = outcome;
      const judge = (other: HttpReply): Verdict | undefined =>
        isSame(other, reply) ? "misconfigured" : undefined;
      outcome = await this.#sender.post(bytes, signal, judge);
    }
    this.#proven = true;
    return outcome;
  }

  /** Whether the target refuses a request without points with the same words. */
  async #refusesNothing(reply: HttpReply, signal: AbortSignal): Promise<boolean> {
    const control = await this.#sender.post(this.#control(), signal);
    return control.verdict === "refused" && isSame(control.reply, reply);
  }
}
