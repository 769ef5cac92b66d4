import assert from "node:assert/strict";
import { type AttributeValue, MAX_SECONDS, type ValueType } from "../../lib/points/measurement.ts";
import { PostcardError, PostcardReader } from "../../lib/postcard.ts";
import { type ControlMessage, encodeFrame, MAX_METRIC_ID, MESSAGE } from "../../lib/wire/protocol.ts";
import { readValue } from "../../lib/points/tail.ts";
import { fromHex, testdata, testdataText, toHex } from "../kit/bytes.ts";
import { decodeBody, decoderWith, pointsOf } from "../kit/decode.ts";

// The shapes of tests/testdata/postcard.json: u64 are strings, f64 are bit patterns.
type VectorValue = { type: "F64"; bits: string } | { type: "U64" | "Str"; value: string } | {
  type: "Bool";
  value: boolean;
} | { type: "ListU64"; value: string[] };
interface VectorPoint {
  metric_id: string;
  secs: string;
  nanos: number;
  value: VectorValue;
  resource_kind: string;
  resource_id: string;
  consumer_kind: string;
  consumer_id: string;
  attributes: [string, VectorValue][];
}
interface VectorMetric {
  id: string;
  name: string;
  value_type: string;
  unit: { base: string; prefix: string };
}
interface VectorMessage {
  sender: string;
  content: {
    type: string;
    accept?: boolean;
    alumet_core_version?: string;
    relay_plugin_version?: string;
    server_alumet_core_version?: string;
    server_relay_plugin_version?: string;
    protocol_version?: number;
    metrics?: VectorMetric[];
    points?: VectorPoint[];
  };
}
interface Mutated {
  accepted: boolean;
  hex: string;
  unused_bytes: number;
  value: VectorMessage | null;
}

const { messages, mutated } = JSON.parse(testdataText("postcard.json")) as {
  messages: { hex: string; value: VectorMessage }[];
  mutated: Mutated[];
};

function valueOf(value: VectorValue): AttributeValue {
  if (value.type === "F64") return new DataView(fromHex(value.bits).buffer).getFloat64(0);
  if (value.type === "U64") return BigInt(value.value);
  if (value.type === "ListU64") return value.value.map(BigInt);
  return value.value;
}

/** What a control message should be decoded to. */
function controlOf({ content }: VectorMessage): ControlMessage {
  if (content.type === "Greet") {
    return {
      type: "greet",
      alumetVersion: content.alumet_core_version!,
      relayVersion: content.relay_plugin_version!,
      protocolVersion: content.protocol_version!,
    };
  }
  if (content.type === "GreetResponse") {
    return {
      type: "greetResponse",
      accept: content.accept!,
      alumetVersion: content.server_alumet_core_version!,
      relayVersion: content.server_relay_plugin_version!,
      protocolVersion: content.protocol_version!,
    };
  }
  return {
    type: "registerMetrics",
    metrics: content.metrics!.map(({ id, name, value_type, unit }) => ({
      id: Number(id),
      name,
      type: value_type.toLowerCase() as ValueType,
      unit,
    })),
  };
}

/** Decodes points field by field, independently of the decoder on columns. */
function readPoints(body: Uint8Array): unknown[] {
  const reader = new PostcardReader(body);
  reader.string();
  assert.equal(reader.discriminant(4), MESSAGE.sendMeasurements);
  return reader.sequence((r) => ({
    metric_id: r.u64(),
    secs: r.u64(),
    nanos: r.u32(),
    value: readValue(r),
    resource_kind: r.string(),
    resource_id: r.string(),
    consumer_kind: r.string(),
    consumer_id: r.string(),
    attributes: r.sequence((r) => [r.string(), readValue(r)]),
  }));
}

/** Checks a body against the reference's value, through both decoders; metrics are registered as the points need. */
function checkBody(hex: string, value: VectorMessage): void {
  const body = fromHex(hex);
  if (value.content.type !== "SendMeasurements") {
    const { sender, message } = decodeBody(body, decoderWith({}));
    assert.equal(sender, value.sender);
    assert.deepStrictEqual(message, controlOf(value), hex);
    return;
  }
  const points = value.content.points!;
  assert.deepStrictEqual(
    readPoints(body),
    points.map((p) => ({
      ...p,
      metric_id: BigInt(p.metric_id),
      secs: BigInt(p.secs),
      value: valueOf(p.value),
      attributes: p.attributes.map(([name, v]) => [name, valueOf(v)]),
    })),
  );

  const types: Record<number, ValueType> = {};
  for (const { metric_id, value } of points) {
    if (Number(metric_id) <= MAX_METRIC_ID) {
      types[Number(metric_id)] ??= value.type.toLowerCase() as ValueType;
    }
  }
  const decoder = decoderWith(types);
  const { sender, message } = decodeBody(body, decoder);
  assert.equal(sender, value.sender);
  assert.ok(message.type === "sendMeasurements");
  assert.equal(message.count, points.length);
  const expected = points.filter(({ metric_id, secs, value }) =>
    types[Number(metric_id)]?.toUpperCase() === value.type && Number(secs) <= MAX_SECONDS
  );
  assert.deepStrictEqual(
    message.batches.flatMap((batch) => pointsOf(batch)),
    expected.map((p) => ({
      metric: `metric-${p.metric_id}`,
      seconds: Number(p.secs),
      nanos: p.nanos,
      value: valueOf(p.value),
      resourceKind: p.resource_kind,
      resourceId: p.resource_id,
      consumerKind: p.consumer_kind,
      consumerId: p.consumer_id,
      // The name of the client is ours to add; one that came with the point would be kept.
      attributes: p.attributes.map(([name, v]) => [name, valueOf(v)]),
    })),
  );
  const { unknownMetric, wrongKind, badTime, longName } = decoder.rejected;
  assert.equal(unknownMetric + wrongKind + badTime + longName, points.length - expected.length);
}

Deno.test("every message of the reference implementation is decoded to what it says", () => {
  assert.equal(messages.length, 200);
  for (const { hex, value } of messages) checkBody(hex, value);
});

Deno.test("control messages are encoded as the reference implementation does", () => {
  let checked = 0;
  for (const { hex, value } of messages) {
    if (value.content.type === "SendMeasurements") continue;
    const control = controlOf(value);
    // Ids are numbers here: those beyond 2^53 cannot come back as they were.
    if (value.content.metrics?.some(({ id }) => BigInt(id) > 2n ** 53n)) continue;
    assert.equal(toHex(encodeFrame(value.sender, control).subarray(4)), hex);
    checked++;
  }
  assert.ok(checked > 100);
});

Deno.test("mutated bodies get the reference implementation's verdict", () => {
  assert.equal(mutated.length, 200);
  for (const { accepted, hex, value } of mutated) {
    if (accepted) checkBody(hex, value!);
    else {
      assert.throws(
        () => {
          // Every metric is known, so that no point is refused before all of its bytes are looked at.
          decodeBody(fromHex(hex), decoderWith({}));
        },
        PostcardError,
        hex,
      );
    }
  }
});

Deno.test("the answer to a greeting is a real server's, byte for byte", () => {
  const answer = encodeFrame("", {
    type: "greetResponse",
    accept: true,
    alumetVersion: "0.9.5",
    relayVersion: "0.6.0",
    protocolVersion: 2,
  });
  assert.equal(toHex(answer), toHex(testdata("sessions/greet-response.bin")));
});
