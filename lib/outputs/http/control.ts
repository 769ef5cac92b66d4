/**
 * Finds out whether a target refuses points because of what is in them, or whether it refuses everything at present:
 * because of its address, our rights, or a fault of its own. Only in the first case a refusal is returned; in the other
 * one the request is kept and tried again.
 *
 * Each refusal is checked by other requests: one without points, which a target takes if it takes any, and, where
 * nothing else of a refused request is taken, one with the last point that was taken (the witness), because some targets
 * take an empty request without looking. An error of the target (500 …) counts as a refusal only where it takes another
 * point: the witness, or a point of the same request alone. A single point then has to fail several times between
 * witnesses that pass.
 */
import type { Clock } from "../../base/clock.ts";
import type { HttpOutcome, HttpProbe, HttpReply, HttpSender } from "./sender.ts";
import { CONTENT_TOO_LARGE, type Verdict } from "./verdict.ts";

/** For how long a point that was taken would be taken again, in ms: some targets refuse times that are too old. */
const FRESH_MS = 5 * 60_000;
/** Points of a request that are tried alone until one is taken. */
const MAX_TRIED_ALONE = 8;
/** How often an error of the target is seen with a point, and not with the witness, before it is due to the point. */
const ROUNDS = 3;

/** Points that make a request. */
export interface PointsRequest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of points. */
  readonly length: number;
  /** A request with point `i` alone. */
  alone(i: number): Uint8Array<ArrayBuffer>;
}

/**
 * What a request is: `whole`, of points that were not sent before; `part` of a refused one, which will be parted further
 * and checked in the end; or what is left to `confirm`, after which points are set aside.
 */
export type Stage = "whole" | "part" | "confirm";

export interface ControlledOutcome extends HttpOutcome {
  /** The point of a request that is refused that was taken meanwhile, with the answer to it. */
  readonly alone?: { readonly point: number; readonly reply: HttpReply };
}

/** What has been found out about a refusal. */
interface Finding {
  readonly verdict: Verdict;
  readonly alone?: ControlledOutcome["alone"];
}

const LATER: Finding = { verdict: "later" };
const REFUSED: Finding = { verdict: "refused" };

/** The words of an answer, without the numbers and ids that differ from one to the next. */
const wordsOf = ({ status, text }: HttpReply) =>
  `${status} ${text.replace(/[0-9a-f]{8}[0-9a-f-]*|[0-9][0-9.:]*/gi, "#")}`;
const isSame = (a: HttpReply | undefined, b: HttpReply) => a !== undefined && wordsOf(a) === wordsOf(b);

export class ControlledSender {
  readonly #sender: HttpSender;
  readonly #clock: Clock;
  readonly #empty: () => Uint8Array<ArrayBuffer>;
  /** A request with the last point that was taken, and when that was, in monotonic ms. */
  #witness: Uint8Array<ArrayBuffer> | null = null;
  #witnessMs = 0;
  /** What the target says of everything, since it last took something. */
  #outage: HttpReply | undefined;

  /** @param empty Makes a request without points. */
  constructor(sender: HttpSender, clock: Clock, empty: () => Uint8Array<ArrayBuffer>) {
    this.#sender = sender;
    this.#clock = clock;
    this.#empty = empty;
  }

  /**
   * Posts until the points are taken, or refused because of what is in them.
   *
   * @throws the signal's reason once it is aborted, and nothing else.
   */
  async post(
    request: PointsRequest,
    signal: AbortSignal,
    stage: Stage = "whole",
  ): Promise<ControlledOutcome> {
    const isMany = request.length > 1;
    let alone: ControlledOutcome["alone"];
    const judge = async (reply: HttpReply, verdict: Verdict): Promise<Verdict> => {
      if (verdict !== "refused" && verdict !== "unclear") return verdict;
      if (stage === "part" && (isMany || verdict === "refused")) return "refused";
      if (stage === "whole" && isMany && reply.status === CONTENT_TOO_LARGE) return "refused";
      const finding = verdict === "refused"
        ? await this.#examineRefusal(reply, stage, signal)
        : await this.#examineError(request, reply, signal);
      this.#outage = finding.verdict === "refused" ? undefined : reply;
      alone = finding.alone;
      return finding.verdict;
    };
    const outcome = await this.#sender.post(request.bytes, signal, judge);
    if (outcome.verdict === "taken") this.#remember(request.alone(request.length - 1));
    return alone ? { ...outcome, alone } : outcome;
  }

  #remember(witness: Uint8Array<ArrayBuffer>): void {
    this.#witness = witness;
    this.#witnessMs = this.#clock.monotonicMs();
    this.#outage = undefined;
  }

  /** The target refuses something: whether it refuses what is empty, or was taken before, as well. */
  async #examineRefusal(reply: HttpReply, stage: Stage, signal: AbortSignal): Promise<Finding> {
    const others = [this.#empty()];
    const isFresh = this.#clock.monotonicMs() - this.#witnessMs < FRESH_MS;
    if (this.#witness && (stage === "confirm" && isFresh || isSame(this.#outage, reply))) {
      others.push(this.#witness);
    }
    for (const bytes of others) {
      const other = await this.#sender.probe(bytes, signal);
      if (other.verdict === "unclear") return LATER;
      if (other.verdict === "later" || other.verdict === "misconfigured") return other;
      if (other.verdict === "refused" && isSame(other.reply, reply)) return { verdict: "misconfigured" };
    }
    return REFUSED;
  }

  /** The target fails at something: whether it takes other points. */
  async #examineError(request: PointsRequest, reply: HttpReply, signal: AbortSignal): Promise<Finding> {
    const empty = await this.#sender.probe(this.#empty(), signal);
    if (empty.verdict === "misconfigured") return empty;
    if (!works(empty, reply)) return LATER;
    if (this.#witness === null) return await this.#tryAlone(request, signal);
    for (let round = 1;; round++) {
      const witness = await this.#sender.probe(this.#witness, signal);
      if (!works(witness, reply)) return LATER;
      if (request.length > 1 || round === ROUNDS) return REFUSED;
      const again = await this.#sender.probe(request.bytes, signal);
      // If it is not the same error, the next try shows what it is.
      if (!isSame(again.reply, reply)) return LATER;
    }
  }

  /** Looks for a point that the target takes, among those of a request. */
  async #tryAlone(request: PointsRequest, signal: AbortSignal): Promise<Finding> {
    const { length } = request;
    if (length === 1) return LATER;
    const tries = Math.min(length, MAX_TRIED_ALONE);
    for (let n = 0; n < tries; n++) {
      const point = Math.floor(n * length / tries);
      const bytes = request.alone(point);
      const { verdict, reply } = await this.#sender.probe(bytes, signal);
      if (verdict === "later" || verdict === "misconfigured") return { verdict };
      if (verdict !== "taken") continue;
      this.#remember(bytes);
      return { verdict: "refused", alone: { point, reply: reply! } };
    }
    return LATER;
  }
}

/** Whether the target works: it takes another request, or refuses it for a reason that it has for this one alone. */
function works({ verdict, reply }: HttpProbe, other: HttpReply): boolean {
  return verdict === "taken" || verdict === "refused" && !isSame(reply, other);
}
