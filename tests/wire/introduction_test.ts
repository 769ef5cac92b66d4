/** Hello and Welcome between versions of this program: what is appended to them must disturb neither end. */
import assert from "node:assert/strict";
import { PostcardError, PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import {
  type ControlMessage,
  encodeFrame,
  MAX_BODY_BYTES,
  MAX_METRIC_ID,
  MESSAGE,
  MESSAGE_END,
  PLAIN_MESSAGE_END,
  PROTOCOL_VERSION,
  readControlMessage,
  readSequence,
} from "../../lib/wire/protocol.ts";
import { DEFAULT_NAME_BYTES, isLonger, longMetricProblem } from "../../lib/wire/names.ts";
import { Upstream } from "../../lib/points/upstream.ts";
import { fromHex, toHex } from "../kit/bytes.ts";
import { instanceOf } from "../kit/points.ts";

/** The bytes of the first version, behind the frame's length: an empty sender, the discriminant, the fields. */
const FIRST_HELLO = `0010${instanceOf("n")}03746f6b`;
const FIRST_WELCOME = "0011ac0280800" + "4";

function read(bytes: Uint8Array): ControlMessage {
  const reader = new PostcardReader(bytes);
  reader.string();
  return readControlMessage(reader, reader.discriminant(MESSAGE_END));
}

const bodyOf = (message: ControlMessage) => encodeFrame("", message).subarray(4);

Deno.test("messages of the first version have no more fields than that", () => {
  assert.deepEqual(read(fromHex(FIRST_HELLO)), {
    type: "hello",
    instance: instanceOf("n"),
    token: "tok",
    previous: undefined,
    upstream: undefined,
  });
  assert.deepEqual(read(fromHex(FIRST_WELCOME)), {
    type: "welcome",
    sequence: 300,
    maxSeries: 65_536,
    last: undefined,
  });
});

Deno.test("messages begin with the bytes of the first version, which ignores the rest", () => {
  const hello = bodyOf({ type: "hello", instance: instanceOf("n"), token: "tok", previous: instanceOf("m") });
  assert.ok(toHex(hello).startsWith(FIRST_HELLO));
  const welcome = bodyOf({
    type: "welcome",
    sequence: 300,
    maxSeries: 65_536,
    last: { sequence: 299, check: 0xffff_ffff },
  });
  assert.ok(toHex(welcome).startsWith(FIRST_WELCOME));
});

Deno.test("every field comes back, and what a later version appends is ignored", () => {
  const messages: ControlMessage[] = [
    { type: "hello", instance: instanceOf("n"), token: "", previous: instanceOf("m"), upstream: undefined },
    {
      type: "hello",
      instance: instanceOf("n"),
      token: "tok",
      previous: undefined,
      upstream: [instanceOf("a"), instanceOf("b")],
    },
    { type: "hello", instance: instanceOf("n"), token: "", previous: undefined, upstream: [] },
    { type: "welcome", sequence: 7, maxSeries: 256, last: { sequence: 5, check: 0xdead_beef } },
    { type: "welcome", sequence: 0, maxSeries: 256, last: undefined },
  ];
  for (const message of messages) {
    assert.deepEqual(read(bodyOf(message)), message);
    assert.deepEqual(read(Uint8Array.of(...bodyOf(message), 1, 2, 3)), message);
  }
});

Deno.test("a field that later versions append is refused where it is cut", () => {
  for (const hex of [`${FIRST_HELLO}01`, `${FIRST_HELLO}02`, `${FIRST_HELLO}0001`, `${FIRST_WELCOME}05`]) {
    assert.throws(() => read(fromHex(hex)), PostcardError, hex);
  }
});

Deno.test("the numbers of the protocol and of its messages are those that other versions know", () => {
  assert.deepEqual([PROTOCOL_VERSION, MAX_BODY_BYTES, MAX_METRIC_ID], [2, 32_000_000, 65_535]);
  assert.deepEqual([PLAIN_MESSAGE_END, MESSAGE_END], [4, 21]);
  assert.deepEqual(MESSAGE, {
    ...{ greet: 0, greetResponse: 1, registerMetrics: 2, sendMeasurements: 3 },
    ...{ hello: 16, welcome: 17, batch: 18, acknowledge: 19, refuse: 20 },
  });
});

Deno.test("a field of a single byte at the end is a field, and batch 1 is a batch", () => {
  const hello = bodyOf({
    ...{ type: "hello", instance: instanceOf("n"), token: "" } as const,
    ...{ previous: instanceOf("m"), upstream: [] },
  });
  assert.deepEqual((read(hello) as { upstream?: string[] }).upstream, []);
  const welcome = (last: { sequence: number; check: number } | undefined) =>
    (read(bodyOf({ type: "welcome", sequence: 1, maxSeries: 1, last })) as { last?: unknown }).last;
  assert.deepEqual(welcome({ sequence: 1, check: 0 }), { sequence: 1, check: 0 });
  assert.equal(welcome(undefined), undefined);
  assert.ok(toHex(bodyOf({ type: "welcome", sequence: 1, maxSeries: 1, last: undefined })).endsWith("0000"));
});

Deno.test("numbers of batches are exact, or refused", () => {
  const at = (sequence: bigint) =>
    readSequence(new PostcardReader(new PostcardWriter().u64(sequence).written));
  assert.equal(at(2n ** 53n - 1n), 2 ** 53 - 1);
  assert.throws(() => at(2n ** 53n + 1n), PostcardError);
});

Deno.test("a name may have as many bytes as its limit, whatever its characters take", () => {
  const lengths: [text: string, bytes: number][] = [["", 0], ["abc", 3], ["é", 2], ["日本", 6], ["🔋", 4], [
    "aé日",
    6,
  ]];
  for (const [text, bytes] of lengths) {
    assert.deepEqual([isLonger(text, bytes - 1), isLonger(text, bytes), isLonger(text, bytes + 1)], [
      true,
      false,
      false,
    ], text);
  }
  const problem = (name: string, base: string, prefix: string) =>
    longMetricProblem({ name, unit: { base, prefix } }, DEFAULT_NAME_BYTES);
  const [most, more] = ["a".repeat(255), "a".repeat(256)];
  assert.equal(problem(most, most, most), undefined);
  assert.equal(
    problem(more, "W", ""),
    `Cannot register metric ${"a".repeat(60)}: a name of it has 256 bytes, at most 255 are taken`,
  );
  assert.match(problem("m", more, "")!, /^Cannot register metric m: a name of it has 256 bytes/);
  assert.match(problem("m", "W", more)!, /256 bytes/);
});

Deno.test("a process knows the hops before it, up to 256, and says when there is another one", () => {
  const upstream = new Upstream();
  let told = 0;
  const listening = upstream.onChange(() => told++);
  upstream.add(["a", "b"]);
  upstream.add(["b", "a"]);
  assert.deepEqual([upstream.ids, told, upstream.receives], [["a", "b"], 1, false]);
  upstream.add(Array.from({ length: 300 }, (_, i) => `${i}`));
  assert.deepEqual([upstream.ids.length, told], [256, 2]);
  listening[Symbol.dispose]();
  upstream.add(["c"]);
  assert.equal(told, 2);
});
