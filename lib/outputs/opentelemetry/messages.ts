/**
 * The messages of OTLP 1 around the points, as protobuf
 * (https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0/opentelemetry/proto). Field numbers stand beside
 * their names.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { AttributeValue, SeriesDefinition } from "../../points/measurement.ts";

/** ExportMetricsServiceRequest.resource_metrics */
export const RESOURCE_METRICS = 1;
/** ResourceMetrics.scope_metrics */
export const SCOPE_METRICS = 2;
/** ScopeMetrics.metrics */
export const METRICS = 2;
/** Metric.gauge */
export const GAUGE = 5;
/** Gauge.data_points */
export const DATA_POINTS = 1;
/** NumberDataPoint.attributes */
const POINT_ATTRIBUTES = 7;
/** NumberDataPoint.time_unix_nano, fixed64 */
export const TIME_UNIX_NANO = 3;
/** NumberDataPoint.as_double */
export const AS_DOUBLE = 4;
/** NumberDataPoint.as_int, sfixed64 */
export const AS_INT = 6;

const MAX_INT64 = 9_223_372_036_854_775_807n;

/** The tag of a field, which is one byte for fields below 16. */
export function tagOf(field: number, type: WireType): number {
  return (field << 3) | type;
}

/** AnyValue */
function putAnyValue(writer: BinaryWriter, value: AttributeValue): void {
  switch (typeof value) {
    case "string":
      writer.tag(1, WireType.LengthDelimited).string(value);
      break;
    case "boolean":
      writer.tag(2, WireType.Varint).bool(value);
      break;
    case "bigint":
      // An int64 has no values above 2^63-1: those are text.
      if (value <= MAX_INT64) writer.tag(3, WireType.Varint).int64(value);
      else writer.tag(1, WireType.LengthDelimited).string(String(value));
      break;
    case "number":
      writer.tag(4, WireType.Bit64).double(value);
      break;
    default:
      // array_value, an ArrayValue with values = 1
      writer.tag(5, WireType.LengthDelimited).fork();
      for (const item of value) {
        writer.tag(1, WireType.LengthDelimited).fork();
        putAnyValue(writer, item);
        writer.join();
      }
      writer.join();
  }
}

/** A KeyValue as field `field`: key = 1, value = 2. */
function putAttribute(writer: BinaryWriter, field: number, key: string, value: AttributeValue): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(key);
  writer.tag(2, WireType.LengthDelimited).fork();
  putAnyValue(writer, value);
  writer.join().join();
}

/** ResourceMetrics.resource = 1, a Resource with attributes = 1. */
export function resourceField(serviceName: string, client: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  putAttribute(writer, 1, "service.name", serviceName);
  putAttribute(writer, 1, "service.instance.id", client);
  putAttribute(writer, 1, "host.name", client);
  return writer.join().finish();
}

/** ScopeMetrics.scope = 1, an InstrumentationScope with name = 1, version = 2, attributes = 3. */
export function scopeField(name: string, version: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(2, WireType.LengthDelimited).string(version);
  putAttribute(writer, 3, "tool", "alumet");
  return writer.join().finish();
}

/** Metric.name = 1, .description = 2, .unit = 3. */
export function metricFields(name: string, description: string, unit: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  if (description !== "") writer.tag(2, WireType.LengthDelimited).string(description);
  if (unit !== "") writer.tag(3, WireType.LengthDelimited).string(unit);
  return writer.finish();
}

/** What Alumet sends for an empty id. */
const NO_ID = "empty";

/**
 * NumberDataPoint.attributes of a series: what it is about, and its own attributes with their types. Of attributes with
 * one name the last counts; one whose name is taken, or empty, is called `NAME_2` …: a name may not be there twice.
 */
export function pointAttributes(series: SeriesDefinition, withAttributes: boolean): Uint8Array {
  const writer = new BinaryWriter();
  const taken = new Set<string>();
  const put = (key: string, value: AttributeValue) => {
    taken.add(key);
    putAttribute(writer, POINT_ATTRIBUTES, key, value);
  };
  put("resource_kind", series.resourceKind);
  put("resource_id", series.resourceId || NO_ID);
  put("resource_consumer_kind", series.consumerKind);
  put("resource_consumer_id", series.consumerId || NO_ID);
  if (withAttributes) {
    const attributes = new Map(series.attributes);
    for (const [name, value] of attributes) {
      let key = name || "_";
      for (let n = 2; taken.has(key) || key !== name && attributes.has(key); n++) key = `${name || "_"}_${n}`;
      put(key, value);
    }
  }
  return writer.finish();
}

/** What a receiver says of a request that it has taken, or taken in part. */
export interface ExportResponse {
  readonly rejectedPoints: number;
  /** Empty where there is nothing to be said. */
  readonly message: string;
}

/**
 * Reads an ExportMetricsServiceResponse: partial_success = 1, with rejected_data_points = 1 and error_message = 2.
 *
 * @throws {Error} if it is none.
 */
export function readExportResponse(bytes: Uint8Array): ExportResponse {
  let rejectedPoints = 0;
  let message = "";
  eachField(bytes, (field, type, reader) => {
    if (field !== 1 || type !== WireType.LengthDelimited) return false;
    eachField(reader.bytes(), (field, type, reader) => {
      if (field === 1 && type === WireType.Varint) rejectedPoints = Number(reader.int64());
      else if (field === 2 && type === WireType.LengthDelimited) message = reader.string();
      else return false;
      return true;
    });
    return true;
  });
  return { rejectedPoints, message };
}

/** The message = 2 of a google.rpc.Status, which is the body of a refusal; `undefined` where it is none. */
export function readStatusMessage(bytes: Uint8Array): string | undefined {
  let message: string | undefined;
  try {
    eachField(bytes, (field, type, reader) => {
      if (field !== 2 || type !== WireType.LengthDelimited) return false;
      message = reader.string();
      return true;
    });
  } catch {
    return undefined;
  }
  return message;
}

/** Visits the fields of a message; those that are not read are passed over. */
function eachField(
  bytes: Uint8Array,
  read: (field: number, type: WireType, reader: BinaryReader) => boolean,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!read(field, type, reader)) reader.skip(type, field);
  }
}
