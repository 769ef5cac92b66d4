/** The contract suite on the OpenTelemetry output, with a receiver that decodes by Google's protobuf. */
import { bitsOf } from "../../kit/bytes.ts";
import type { AttributeValue } from "../../../lib/points/measurement.ts";
import { opentelemetry } from "../../../lib/outputs/opentelemetry.ts";
import { OpenTelemetryOutput } from "../../../lib/outputs/opentelemetry/output.ts";
import type { PluginContext } from "../../../lib/plugin.ts";
import { contract, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { type Decoded, type DecodedPoint, otlpPython, OtlpReceiver } from "../../kit/otlp.ts";

const NS = 1_000_000_000n;
const timeOf = ({ seconds, nanos }: Point) => BigInt(seconds) * NS + BigInt(nanos);

function decoded(value: AttributeValue): Decoded {
  if (typeof value === "string") return ["string_value", value];
  if (typeof value === "boolean") return ["bool_value", value];
  if (typeof value === "number") return ["double_value", bitsOf(value)];
  if (typeof value === "object") return ["array_value", value.map(decoded)];
  return value < 2n ** 63n ? ["int_value", String(value)] : ["string_value", String(value)];
}

/** Canonical text of what was decoded: NaN is one value, whatever its bits. */
function text(metric: string, time: string, value: Decoded, attributes: Readonly<Record<string, Decoded>>) {
  const sorted = Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return `${JSON.stringify([metric, time, value, sorted])}`;
}

function expectedText(point: Point): string {
  const { metric, value, attributes, ...rest } = point;
  const own: Record<string, Decoded> = {
    resource_kind: ["string_value", rest.resourceKind],
    resource_id: ["string_value", rest.resourceId || "empty"],
    resource_consumer_kind: ["string_value", rest.consumerKind],
    resource_consumer_id: ["string_value", rest.consumerId || "empty"],
  };
  for (const [name, value] of attributes) {
    const key = Object.hasOwn(own, name) ? `${name}_2` : name || "_";
    Object.defineProperty(own, key, { value: decoded(value), enumerable: true });
  }
  const number: Decoded = typeof value === "bigint" && value < 2n ** 63n
    ? ["as_int", String(value)]
    : ["as_double", bitsOf(Number(value))];
  return text(metric.name + "_alumet", String(timeOf(point)), number, own);
}

class ReceiverInstance implements Instance {
  private constructor(readonly receiver: OtlpReceiver) {}

  static async fresh(): Promise<ReceiverInstance> {
    return new ReceiverInstance(await OtlpReceiver.start());
  }

  open(context: PluginContext) {
    return OpenTelemetryOutput.open({
      ...opentelemetry.config.defaultValue(),
      collector_host: this.receiver.url,
      flush_interval: 20,
      timeout: 3000,
    }, context);
  }

  expected(points: readonly Point[]) {
    const storable = points.filter((point) => timeOf(point) < 2n ** 64n);
    return { stored: storable.map(expectedText), refused: points.length - storable.length };
  }

  // deno-lint-ignore require-await
  async stored() {
    return this.receiver.points().map(({ metric, time, value, attributes }: DecodedPoint) =>
      text(metric, time, value, attributes)
    );
  }

  stop = () => this.receiver.stop();
  start = () => this.receiver.start();
  slow = (on: boolean) => this.receiver.mode(on ? { delay: 0.1 } : {});
  refuse = (on: boolean) => this.receiver.mode(on ? { status: 503 } : {});
  hang = (on: boolean) => this.receiver.mode(on ? { hang: true } : {});

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver[Symbol.asyncDispose]();
  }
}

contract({
  name: "opentelemetry",
  delivers: "at_least_once",
  refusedStats: ["refusedPoints"],
  // Two requests, and the batches that begin or end in them.
  mostUncommittedPoints: 20_000,
  needs: [otlpPython],
  fresh: () => ReceiverInstance.fresh(),
});
