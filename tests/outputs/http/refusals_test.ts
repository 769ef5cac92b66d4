/** Whether a target refuses points or everything, found out with a sender and a target that a test plays. */
import assert from "node:assert/strict";
import { ControlledSender, type Stage } from "../../../lib/outputs/http/control.ts";
import type { HttpOutcome, HttpProbe, HttpReply, HttpSender } from "../../../lib/outputs/http/sender.ts";
import { judgeStatus, type Verdict } from "../../../lib/outputs/http/verdict.ts";
import { FakeClock } from "../../kit/fake_clock.ts";

/** What a target answers: a status, and words. */
type Answer = readonly [status: number, text?: string];
/** Asked with the points of a request, and how many requests there were before. */
type Target = (points: readonly number[], n: number) => Answer;

const replyOf = ([status, text = ""]: Answer): HttpReply => ({
  status,
  text,
  headers: new Headers(),
  bytes: new Uint8Array(),
});

/** Requests are numbered points; one without any is empty. A post ends when it is taken or refused, or after `tries`. */
class Rig {
  readonly clock = new FakeClock();
  readonly asked: string[] = [];
  target: Target = () => [204];
  tries = 1;
  readonly #sender = {
    post: async (
      bytes: Uint8Array,
      _: AbortSignal,
      judge: (reply: HttpReply, verdict: Verdict) => Promise<Verdict>,
    ): Promise<HttpOutcome & { verdict: Verdict }> => {
      for (let tries = 1;; tries++) {
        const reply = this.#answer("post", bytes);
        const verdict = await judge(reply, judgeStatus(reply.status));
        if (verdict === "taken" || verdict === "refused" || tries === this.tries) {
          return { verdict: verdict as "taken", reply, tries };
        }
      }
    },
    probe: (bytes: Uint8Array): Promise<HttpProbe> => {
      const reply = this.#answer("probe", bytes);
      return Promise.resolve({ verdict: judgeStatus(reply.status), reply });
    },
  };
  readonly sender = new ControlledSender(
    this.#sender as unknown as HttpSender,
    this.clock,
    () => new Uint8Array(),
  );

  #answer(how: string, bytes: Uint8Array): HttpReply {
    this.asked.push(`${how} ${[...bytes].join() || "none"}`);
    return replyOf(this.target([...bytes], this.asked.length - 1));
  }

  /** Posts points. @returns what became of them, and what was asked for it. */
  async post(points: readonly number[], stage?: Stage, target?: Target) {
    if (target) this.target = target;
    this.asked.length = 0;
    const request = {
      length: points.length,
      bytes: Uint8Array.from(points),
      alone: (i: number) => Uint8Array.of(points[i]),
    };
    const { verdict, alone } = await this.sender.post(request, new AbortController().signal, stage);
    return { verdict: verdict as Verdict, alone: alone?.point, asked: [...this.asked] };
  }

  /** One that has taken point 9, which is the witness from now on. */
  static async withWitness(): Promise<Rig> {
    const rig = new Rig();
    rig.clock.spend(1_000_000);
    assert.equal((await rig.post([8, 9])).verdict, "taken");
    return rig;
  }
}

const refusing = (status: number, ...bad: number[]): Target => (points) =>
  points.some((point) => bad.includes(point)) ? [status, "no"] : [204];

Deno.test("what is taken, and what has nothing to do with the points, needs no other request", async () => {
  const rig = new Rig();
  assert.deepEqual(await rig.post([1]), { verdict: "taken", alone: undefined, asked: ["post 1"] });
  for (const status of [503, 401]) {
    const { verdict, asked } = await rig.post([1], "whole", () => [status]);
    assert.deepEqual([verdict, asked], [judgeStatus(status), ["post 1"]]);
  }
});

Deno.test("a refusal is one of points where the target takes a request without any, or refuses it in other words", async () => {
  const verdictOf = async (empty: Answer) => {
    const rig = new Rig();
    const { verdict, asked } = await rig.post(
      [1, 2],
      "whole",
      (points) => points.length > 0 ? [400, "no 17"] : empty,
    );
    assert.deepEqual(asked, ["post 1,2", "probe none"]);
    return verdict;
  };
  assert.equal(await verdictOf([204]), "refused");
  assert.equal(await verdictOf([400, "nothing in it"]), "refused");
  assert.equal(await verdictOf([422, "no 17"]), "refused");
  // Numbers and ids do not count.
  assert.equal(await verdictOf([400, "no 18"]), "misconfigured");
  assert.equal(await verdictOf([500]), "later");
  assert.equal(await verdictOf([503]), "later");
  assert.equal(await verdictOf([401]), "misconfigured");
});

Deno.test("before points are set aside, the last one that was taken has to be taken still, if it is not too old", async () => {
  for (const [ms, isAsked] of [[0, true], [299_999, true], [300_000, false]] as const) {
    const rig = await Rig.withWitness();
    rig.clock.spend(ms);
    const { verdict, asked } = await rig.post([1], "confirm", refusing(400, 1));
    assert.deepEqual([verdict, asked.includes("probe 9")], ["refused", isAsked]);
  }
  const rig = await Rig.withWitness();
  assert.equal((await rig.post([1], "confirm", refusing(400, 1, 9))).verdict, "misconfigured");
  // It was the same with everything just now: also later, and at any age.
  rig.clock.spend(1e9);
  const { verdict, asked } = await rig.post([1, 2], "whole", refusing(400, 1, 9));
  assert.deepEqual([verdict, asked], ["misconfigured", ["post 1,2", "probe none", "probe 9"]]);
  const other = await rig.post([1, 2], "whole", (points) => points.includes(1) ? [400, "other"] : [204]);
  assert.deepEqual([other.verdict, other.asked], ["refused", ["post 1,2", "probe none"]]);
  const none = new Rig();
  assert.deepEqual((await none.post([1], "confirm", refusing(400, 1))).asked, ["post 1", "probe none"]);
  const fresh = await Rig.withWitness();
  assert.deepEqual((await fresh.post([1], "whole", refusing(400, 1))).asked, ["post 1", "probe none"]);
});

Deno.test("a part of a refused request is not checked, but a single point that the target fails at is", async () => {
  const rig = await Rig.withWitness();
  for (const [points, status] of [[[1, 2], 400], [[1, 2], 500], [[1], 400]] as const) {
    const { verdict, asked } = await rig.post(points, "part", refusing(status, 1));
    assert.deepEqual([verdict, asked.length], ["refused", 1]);
  }
  assert.ok((await rig.post([1], "part", refusing(500, 1))).asked.length > 1);
  // Too large is said of the request, and of a single point like any refusal.
  assert.deepEqual((await rig.post([1, 2], "whole", refusing(413, 1))).asked, ["post 1,2"]);
  assert.deepEqual((await rig.post([1], "whole", refusing(413, 1))).asked, ["post 1", "probe none"]);
  assert.deepEqual((await rig.post([1, 2], "confirm", refusing(413, 1))).asked.length, 3);
  assert.equal((await rig.post([1, 2], "whole", refusing(400, 1))).asked.length, 2);
});

Deno.test("an error of the target is due to the points where it takes the witness; a single one has to fail three times", async () => {
  const many = await Rig.withWitness();
  const { verdict, asked } = await many.post([1, 2], "whole", refusing(500, 1));
  assert.deepEqual([verdict, asked], ["refused", ["post 1,2", "probe none", "probe 9"]]);
  const single = await many.post([1], "whole", refusing(500, 1));
  assert.deepEqual([single.verdict, single.asked], [
    "refused",
    ["post 1", "probe none", "probe 9", "probe 1", "probe 9", "probe 1", "probe 9"],
  ]);
  // It takes the point after all, or fails otherwise.
  for (const again of [[204], [500, "other"]] as const) {
    const one = await many.post(
      [1],
      "whole",
      (points, n) => points[0] !== 1 ? [204] : n === 0 ? [500, "no"] : again,
    );
    assert.deepEqual([one.verdict, one.asked], ["later", ["post 1", "probe none", "probe 9", "probe 1"]]);
  }
  const verdictOf = async (target: Target) =>
    (await (await Rig.withWitness()).post([1, 2], "whole", target)).verdict;
  assert.equal(await verdictOf((points) => points.length === 0 ? [401] : [500, "no"]), "misconfigured");
  assert.equal(await verdictOf(() => [500, "no"]), "later");
  assert.equal(await verdictOf((points) => points[0] === 9 ? [204] : [500, "no"]), "later");
  assert.equal(await verdictOf((points) => points.length === 0 ? [503] : [500, "no"]), "later");
  assert.equal(
    await verdictOf((points) => points.length === 0 ? [400, "empty"] : points[0] === 1 ? [500] : [204]),
    "refused",
  );
  assert.equal(
    await verdictOf((points) => points[0] === 9 ? [500, "other"] : points.length > 0 ? [500] : [204]),
    "later",
  );
  assert.equal(
    await verdictOf((points) => points[0] === 9 ? [400, "old"] : points.length > 0 ? [500] : [204]),
    "refused",
  );
});

Deno.test("without a witness, eight points of a request are tried alone until one is taken, which is the witness then", async () => {
  const points = Array.from({ length: 20 }, (_, n) => n + 1);
  const rig = new Rig();
  const taken = await rig.post(
    points,
    "whole",
    (some) => some.length > 1 || some[0] === 1 || some[0] === 3 ? [500] : [204],
  );
  assert.deepEqual(taken, {
    ...{ verdict: "refused", alone: 5 },
    asked: [`post ${points.join()}`, "probe none", "probe 1", "probe 3", "probe 6"],
  });
  assert.ok((await rig.post([1, 2], "whole", refusing(500, 1))).asked.includes("probe 6"));
  const none = await new Rig().post(points, "whole", (some) => some.length > 0 ? [500] : [204]);
  assert.deepEqual([none.verdict, none.alone, none.asked.slice(2)], [
    ...["later", undefined],
    [1, 3, 6, 8, 11, 13, 16, 18].map((point) => `probe ${point}`),
  ]);
  const few = await new Rig().post([1, 2, 3], "whole", (some) => some.length > 0 ? [500] : [204]);
  assert.deepEqual(few.asked.slice(2), ["probe 1", "probe 2", "probe 3"]);
  const single = await new Rig().post([1], "whole", (some) => some.length > 0 ? [500] : [204]);
  assert.deepEqual([single.verdict, single.asked], ["later", ["post 1", "probe none"]]);
  for (const status of [503, 401]) {
    const ended = await new Rig().post(
      [1, 2],
      "whole",
      (some) => some.length > 1 ? [500] : some.length > 0 ? [status] : [204],
    );
    assert.deepEqual([ended.verdict, ended.asked.length], [judgeStatus(status), 3]);
  }
});

Deno.test("an outage is over when a request is taken or refused on its own account", async () => {
  const outage: Target = (points) => points.length > 0 ? [400, "no"] : [400, "no"];
  for (const ended of [() => [204] as const, refusing(422, 5)]) {
    const rig = await Rig.withWitness();
    assert.equal((await rig.post([5], "whole", outage)).verdict, "misconfigured");
    await rig.post([5], "whole", ended);
    // What it says now is not known from before: the witness is not asked.
    assert.deepEqual((await rig.post([7], "whole", refusing(400, 7))).asked, ["post 7", "probe none"]);
  }
});
