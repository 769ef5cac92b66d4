/** How the points are found because of which a target refuses a request, with a target that a test plays. */
import assert from "node:assert/strict";
import type { ControlledOutcome, ControlledSender, Stage } from "../../../lib/outputs/http/control.ts";
import type { HttpReply } from "../../../lib/outputs/http/sender.ts";
import { deliver, type Pile, type Refusal } from "../../../lib/outputs/http/sifting.ts";

const replyOf = (status: number): HttpReply => ({
  status,
  headers: new Headers(),
  text: "",
  bytes: new Uint8Array(),
});
const TAKEN: ControlledOutcome = { verdict: "taken", reply: replyOf(204), tries: 1 };
const refused = (status = 400, tries = 1): ControlledOutcome => ({
  verdict: "refused",
  reply: replyOf(status),
  tries,
});

interface Answers {
  /** What the target says of a request with these points. @param n The number of the request, from 0 on. */
  answer: (points: readonly number[], n: number) => ControlledOutcome;
  /** What a refusal says. @default only that there is one */
  read?: (points: readonly number[], reply: HttpReply) => Partial<Refusal>;
  pile?: Partial<Pile>;
}

/** Delivers points. @returns the requests as `stage points`, what was taken, and what was set aside. */
async function delivered(length: number, { answer, read = () => ({}), pile = {} }: Answers) {
  const requests: string[] = [];
  const asked: (readonly number[])[] = [];
  let taken = 0;
  const aside: string[] = [];
  const whole = Array.from({ length }, (_, i) => i);
  const request = (points: readonly number[]) => ({
    length: points.length,
    bytes: Uint8Array.from(points),
    alone: (i: number) => Uint8Array.of(points[i]),
  });
  const sender = {
    post({ bytes }: { bytes: Uint8Array }, _: AbortSignal, stage: Stage = "whole") {
      requests.push(`${stage} ${bytes.join()}`);
      asked.push([...bytes]);
      assert.ok(requests.length < 100, "it ends");
      return Promise.resolve(answer([...bytes], requests.length - 1));
    },
  } as unknown as ControlledSender;
  const all: Pile = {
    length,
    whole: () => request(whole),
    part: request,
    taken: (count) => void (taken += count),
    setAside: (point, reason) => void aside.push(`${point} ${reason}`),
    readRefusal: (reply, points) => ({
      reason: `status ${reply.status}`,
      all: false,
      ...read(points, reply),
    }),
    ...pile,
  };
  await deliver(all, sender, new AbortController().signal);
  return { requests, taken, aside };
}

/** A target that does not take some points. */
const without = (...bad: number[]) => (points: readonly number[]) =>
  points.some((point) => bad.includes(point)) ? refused() : TAKEN;

Deno.test("a request that is taken is one request", async () => {
  assert.deepEqual(await delivered(3, { answer: () => TAKEN }), {
    ...{ requests: ["whole 0,1,2"], taken: 3, aside: [] },
  });
});

Deno.test("a refused request is parted until the point is found that is the reason", async () => {
  assert.deepEqual(await delivered(7, { answer: without(4) }), {
    requests: [
      "whole 0,1,2,3,4,5,6",
      "part 0,1,2",
      "part 3,4,5,6",
      "part 3,4",
      "part 3",
      "part 4",
      "part 5,6",
    ],
    taken: 6,
    aside: ["4 status 400"],
  });
  const order = () => [3, 0, 2, 1];
  assert.deepEqual((await delivered(4, { answer: without(0), pile: { order } })).requests, [
    ...["whole 0,1,2,3", "part 3,0", "part 3", "part 0", "part 2,1"],
  ]);
  const cut = await delivered(5, { answer: without(0), read: () => ({ cut: 1 }) });
  assert.deepEqual(cut.requests, ["whole 0,1,2,3,4", "part 0", "part 1,2,3,4"]);
});

Deno.test("points are sent once more where the target has not taken anything since", async () => {
  // It has taken something of the same request: they are a request like any other.
  const some = await delivered(2, { answer: without(1) });
  assert.deepEqual(some.requests, ["whole 0,1", "part 0", "part 1", "whole 1"]);
  assert.deepEqual([some.taken, some.aside], [1, ["1 status 400"]]);
  // It has taken nothing: everything else is tried before points are set aside.
  const none = await delivered(2, { answer: () => refused() });
  assert.deepEqual(none.requests, ["whole 0,1", "part 0", "part 1", "confirm 0,1"]);
  assert.deepEqual([none.taken, none.aside], [0, ["0 status 400", "1 status 400"]]);
  // It takes them by now.
  const later = await delivered(2, { answer: (_, n) => n < 3 ? refused() : TAKEN });
  assert.deepEqual([later.requests.at(-1), later.taken, later.aside], ["confirm 0,1", 2, []]);
});

Deno.test("where that takes several tries, the points are sifted again from the start", async () => {
  const pile = { maxParted: 1 };
  // What was taken before, and how often points were parted, does not count any more.
  const answers = (...outcomes: ControlledOutcome[]) => (_: readonly number[], n: number) => outcomes[n];
  const none = await delivered(3, {
    answer: answers(refused(), TAKEN, refused(), refused(400, 2), refused(), refused(), refused()),
    pile,
  });
  assert.deepEqual(none.requests, [
    ...["whole 0,1,2", "part 0", "part 1,2", "whole 1,2", "part 1", "part 2", "confirm 1,2"],
  ]);
  assert.deepEqual([none.taken, none.aside], [1, ["1 status 400", "2 status 400"]]);
  // Nor an error of the target.
  const one = await delivered(3, {
    answer: answers(refused(), TAKEN, refused(500), refused(400, 2), refused(), TAKEN),
    pile,
  });
  assert.deepEqual(one.requests.slice(3), ["whole 1,2", "part 1", "part 2"]);
  assert.deepEqual([one.taken, one.aside], [2, ["1 status 400"]]);
  const unlimited = await delivered(4, {
    answer: answers(refused(), TAKEN, refused(), refused(), refused(), refused(400, 2), refused(), TAKEN),
  });
  assert.deepEqual(unlimited.requests.slice(5), ["whole 2,3", "part 2", "part 3"]);
  // A refusal of all of them is checked again.
  const all = await delivered(2, {
    answer: answers(refused(), refused(), refused(), refused(401, 2), refused(401)),
    read: (_, { status }) => ({ all: status === 401 }),
  });
  assert.deepEqual(all.requests.slice(3), ["confirm 0,1", "confirm 0,1"]);
  // So is one of points that were taken last.
  const last = await delivered(3, {
    answer: answers(refused(), refused(500), TAKEN, refused(401, 2), refused(401)),
    read: (points, { status }) => ({ all: status > 400 && points.length > 0, cut: 2 }),
  });
  assert.deepEqual(last.requests.slice(1), ["part 0,1", "part 2", "whole 0,1", "confirm 0,1"]);
});

Deno.test("a refusal of all points sets all of them aside, and needs no parting", async () => {
  const read = () => ({ all: true, reason: "why" });
  const { requests, aside } = await delivered(3, { answer: () => refused(), read });
  assert.deepEqual(requests, ["whole 0,1,2", "confirm 0,1,2"]);
  assert.deepEqual(aside, ["0 why", "1 why", "2 why"]);
});

Deno.test("points that the target names are set aside with their own reasons, and the others sent", async () => {
  const named = new Map([[1, "one"], [3, "three"]]);
  const some = await delivered(4, { answer: without(1, 3), read: () => ({ named }) });
  assert.deepEqual(some, { requests: ["whole 0,1,2,3", "part 0,2"], taken: 2, aside: ["1 one", "3 three"] });
  const one = await delivered(4, { answer: without(1), read: () => ({ named: new Map([[1, "one"]]) }) });
  assert.deepEqual([one.requests, one.aside], [["whole 0,1,2,3", "part 0,2,3"], ["1 one"]]);
  const all = await delivered(2, {
    answer: () => refused(),
    read: () => ({ named: new Map([[0, "a"], [1, "b"]]) }),
  });
  assert.deepEqual(all, { requests: ["whole 0,1", "confirm 0,1"], taken: 0, aside: ["0 a", "1 b"] });
  const none = await delivered(2, { answer: without(0), read: () => ({ named: new Map() }) });
  assert.deepEqual(none.aside, ["0 status 400"]);
});

Deno.test("a point that was taken alone is not sent again", async () => {
  const answer = (points: readonly number[], n: number): ControlledOutcome =>
    n === 0 ? { ...refused(), alone: { point: 1, reply: replyOf(204) } } : without(3)(points);
  const { requests, taken, aside } = await delivered(4, { answer });
  assert.deepEqual(requests, [
    "whole 0,1,2,3",
    "part 0,2,3",
    "part 0",
    "part 2,3",
    "part 2",
    "part 3",
    "whole 3",
  ]);
  assert.deepEqual([taken, aside], [3, ["3 status 400"]]);
  const only = await delivered(1, {
    answer: () => ({ ...refused(), alone: { point: 0, reply: replyOf(204) } }),
  });
  assert.deepEqual(only, { requests: ["whole 0"], taken: 1, aside: [] });
});

Deno.test("points are parted only as often as they may be; parting by size does not count", async () => {
  const pile = { maxParted: 2 };
  const bad = [0, 1, 2, 3];
  const few = await delivered(8, { answer: without(...bad), pile });
  assert.deepEqual(few.requests, [
    ...["whole 0,1,2,3,4,5,6,7", "part 0,1,2,3", "part 0,1", "part 2,3", "part 4,5,6,7"],
  ]);
  assert.deepEqual([few.taken, few.aside.length], [4, 4]);
  const isTooLarge = (points: readonly number[]) => ({ isTooLarge: points.length > 4 });
  const large = await delivered(16, { answer: without(...bad), read: isTooLarge, pile });
  // Twice by size, then twice.
  assert.deepEqual(large.requests.slice(1, 6), [
    ...["part 0,1,2,3,4,5,6,7", "part 0,1,2,3", "part 0,1", "part 0", "part 1"],
  ]);
  assert.deepEqual([large.taken, large.aside.length], [12, 4]);
  const one = await delivered(1, { answer: () => refused(), read: () => ({ isTooLarge: true }), pile });
  assert.deepEqual(one.aside, ["0 status 400"]);
});

Deno.test("points that are set aside together because of an error of the target are sent once more in any case", async () => {
  const pile = { maxParted: 1 };
  for (const [status, isSentAgain] of [[499, false], [500, true]] as const) {
    const answer = (points: readonly number[]) => points.includes(0) ? refused(status) : TAKEN;
    const { requests, aside } = await delivered(4, { answer, pile });
    assert.deepEqual(requests.slice(0, 3), ["whole 0,1,2,3", "part 0,1", "part 2,3"]);
    assert.deepEqual(requests.slice(3), isSentAgain ? ["whole 0,1"] : []);
    assert.deepEqual(aside.map((line) => line.slice(0, 1)), ["0", "1"]);
  }
  const single = await delivered(2, { answer: (points) => points.includes(0) ? refused(500) : TAKEN });
  assert.deepEqual(single.requests, ["whole 0,1", "part 0", "part 1"]);
});
