/** Whole messages as plain objects, through the code that the server uses. */
import { type Batch, BatchPool, type Metric, type ValueType } from "../../lib/points/measurement.ts";
import { BatchBuilder } from "../../lib/points/batch_builder.ts";
import { CLIENT_ATTRIBUTE } from "../../lib/points/measurement.ts";
import { PointDecoder } from "../../lib/wire/point_decoder.ts";
import { PostcardReader } from "../../lib/postcard.ts";
import { type ControlMessage, MESSAGE, readControlMessage } from "../../lib/wire/protocol.ts";
import { withSlack } from "./bytes.ts";

export function metricOf(name: string, type: ValueType = "u64", unit = { base: "1", prefix: "" }): Metric {
  return { name, type, unit, description: "" };
}

/** A decoder that knows metric `id` as `metric-ID`, of the given types. */
export function decoderWith(types: Record<number, ValueType>): PointDecoder {
  const decoder = new PointDecoder();
  for (const [id, type] of Object.entries(types)) {
    decoder.setMetric(Number(id), metricOf(`metric-${id}`, type));
  }
  return decoder;
}

/** Decodes a body. Points are appended to `batches`. */
export function decodeBody(
  body: Uint8Array,
  decoder: PointDecoder,
  capacity = 4096,
): {
  sender: string;
  message: ControlMessage | { type: "sendMeasurements"; count: number; batches: Batch[] };
} {
  const bytes = withSlack(body);
  const reader = new PostcardReader(bytes, 0, body.length);
  const sender = reader.string();
  const discriminant = reader.discriminant(4);
  if (discriminant !== MESSAGE.sendMeasurements) {
    return { sender, message: readControlMessage(reader, discriminant) };
  }
  const builder = new BatchBuilder(new BatchPool(capacity, 4, decoder.store));
  const view = new DataView(bytes.buffer);
  const count = decoder.decode(bytes, view, reader.offset, body.length, sender, builder);
  return { sender, message: { type: "sendMeasurements", count, batches: builder.take() } };
}

/** The points of a batch, one object each, without the attribute that the server adds. */
export function pointsOf(batch: Batch, keepClient = false) {
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, attributes, ...rest } = batch.seriesAt(row);
    return {
      metric: metric.name,
      seconds: batch.seconds[row],
      nanos: batch.nanos[row],
      value: metric.type === "u64" ? batch.exactValue(row) : batch.values[row],
      resourceKind: rest.resourceKind,
      resourceId: rest.resourceId,
      consumerKind: rest.consumerKind,
      consumerId: rest.consumerId,
      attributes: keepClient ? attributes : attributes.filter(([name]) => name !== CLIENT_ATTRIBUTE),
    };
  });
}
