/** Hello and Welcome between versions of this program: what is appended to them must disturb neither end. */
import assert from "node:assert/strict";
import { PostcardReader } from "../../lib/postcard.ts";
import {
  type ControlMessage,
  encodeFrame,
  MESSAGE_END,
  readControlMessage,
} from "../../lib/wire/protocol.ts";
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
