/**
 * Delivers the points of a request. Where the target refuses it, finds the points because of which it does by parting it
 * again and again, sets those aside, and has the others taken.
 */
import type { ControlledSender, PointsRequest } from "./control.ts";
import type { HttpReply } from "./sender.ts";

/** What a refusal says of the points of a request. */
export interface Refusal {
  /** Why. */
  readonly reason: string;
  /** All points of the request are refused for it. */
  readonly all: boolean;
  /** It is the size of the request. @default {false} */
  readonly isTooLarge?: boolean;
  /** Points that the target names, with the reason for each. @default none */
  readonly named?: ReadonlyMap<number, string>;
  /** Where to part them otherwise. @default the middle */
  readonly cut?: number;
}

/** The points of a request, numbered from 0 on. */
export interface Pile {
  readonly length: number;
  /**
   * How often points may be parted before those that are left are set aside together; parting by size does not count.
   * @default no limit
   */
  readonly maxParted?: number;
  /** The request with all of them. */
  whole(): PointsRequest;
  /** A request with some of them. */
  part(some: readonly number[]): PointsRequest;
  /** In which order they are parted: points that are likely to share a fault stand together. @default as numbered */
  order?(): number[];
  /** Told of the points that were taken. */
  taken(count: number, reply: HttpReply): void;
  /** Puts a point where it does not stand in the way of the others. */
  setAside(point: number, reason: string): void;
  readRefusal(reply: HttpReply, some: readonly number[]): Refusal;
}

/** @throws the signal's reason once it is aborted. */
export async function deliver(pile: Pile, sender: ControlledSender, signal: AbortSignal): Promise<void> {
  const outcome = await sender.post(pile.whole(), signal);
  if (outcome.verdict === "taken") return pile.taken(pile.length, outcome.reply);
  const all = pile.order?.() ?? Array.from({ length: pile.length }, (_, i) => i);
  let rest: readonly number[] = all;
  if (outcome.alone) {
    const { point, reply } = outcome.alone;
    pile.taken(1, reply);
    rest = all.filter((i) => i !== point);
  }
  const sifting = new Sifting(pile, sender, signal);
  if (rest.length < all.length) await sifting.write(rest);
  else await sifting.settle(rest, outcome.reply);
  await sifting.finish();
}

class Sifting {
  readonly #pile: Pile;
  readonly #sender: ControlledSender;
  readonly #signal: AbortSignal;
  /** Points that are refused, with the reason. */
  #suspects = new Map<number, string>();
  /** Whether the target has taken something, and whether it has taken what came last. */
  #tookSome = false;
  #tookLast = false;
  /** Some points are suspects together, because of an error of the target. */
  #isVague = false;
  /** How often points may still be parted. */
  #left: number;

  constructor(pile: Pile, sender: ControlledSender, signal: AbortSignal) {
    this.#pile = pile;
    this.#sender = sender;
    this.#signal = signal;
    this.#left = pile.maxParted ?? Infinity;
  }

  /** Sends points that were part of a request that was refused. */
  async write(some: readonly number[]): Promise<void> {
    if (some.length === 0) return;
    const outcome = await this.#sender.post(this.#pile.part(some), this.#signal, "part");
    this.#tookLast = outcome.verdict === "taken";
    if (this.#tookLast) {
      this.#tookSome = true;
      this.#pile.taken(some.length, outcome.reply);
    } else await this.settle(some, outcome.reply);
  }

  /** Parts points that are refused, until those are found because of which they are. */
  async settle(some: readonly number[], reply: HttpReply): Promise<void> {
    const refusal = this.#pile.readRefusal(reply, some);
    const { reason, named, isTooLarge = false, cut = some.length >>> 1 } = refusal;
    const all = refusal.all || some.length === 1 || !isTooLarge && this.#left === 0;
    if (named !== undefined && named.size > 0) {
      for (const [point, why] of named) this.#suspects.set(point, why);
      await this.write(some.filter((i) => !named.has(i)));
    } else if (all) {
      for (const point of some) this.#suspects.set(point, reason);
      if (some.length > 1 && reply.status >= 500) this.#isVague = true;
    } else {
      if (!isTooLarge) this.#left--;
      await this.write(some.slice(0, cut));
      await this.write(some.slice(cut));
    }
  }

  /**
   * Sets the points aside that are refused. Before, where the target has taken nothing since, it may refuse everything by
   * now: they are sent once more, and if that takes a while, sifted once more.
   */
  async finish(): Promise<void> {
    while (this.#suspects.size > 0) {
      if (this.#tookLast && !this.#isVague) return this.#setAside();
      const some = [...this.#suspects.keys()];
      const stage = this.#tookSome ? "whole" : "confirm";
      const { verdict, reply, tries } = await this.#sender.post(this.#pile.part(some), this.#signal, stage);
      if (verdict === "taken") return this.#pile.taken(some.length, reply);
      if (tries === 1) return this.#setAside();
      this.#suspects = new Map();
      this.#tookSome = this.#tookLast = this.#isVague = false;
      this.#left = this.#pile.maxParted ?? Infinity;
      await this.settle(some, reply);
    }
  }

  #setAside(): void {
    for (const [point, reason] of this.#suspects) this.#pile.setAside(point, reason);
  }
}
