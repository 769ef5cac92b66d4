/** The batches of a recorded session. */
import type { Batch } from "../../lib/points/measurement.ts";
import { PointDecoder } from "../../lib/wire/point_decoder.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { framesOf, testdata } from "./bytes.ts";
import { decodeBody } from "./decode.ts";

/** One batch for each message with measurements, in order. */
export function sessionBatches(
  name = "real-agent",
  client = "client-0",
  registry: MetricRegistry = new MetricRegistry(),
): Batch[] {
  const decoder = new PointDecoder();
  const batches: Batch[] = [];
  for (const frame of framesOf(testdata(`sessions/${name}/${client}.bin`))) {
    const { sender, message } = decodeBody(frame.subarray(4), decoder);
    if (message.type === "sendMeasurements") batches.push(...message.batches);
    else if (message.type === "registerMetrics") {
      for (const metric of message.metrics) {
        decoder.setMetric(metric.id, registry.register(metric, `relay-client-${sender}`));
      }
    }
  }
  return batches;
}
