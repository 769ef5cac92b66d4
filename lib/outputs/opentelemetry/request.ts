/**
 * Requests of OTLP: points by client and metric, as an ExportMetricsServiceRequest.
 *
 * What repeats, the attributes of a series and the heads of metrics and resources, is encoded once. A request is laid
 * out first (every point's length is known), then each point is written to its place: nothing is allocated per point.
 */
import { WireType } from "@bufbuild/protobuf/wire";
import {
  type Batch,
  CLIENT_ATTRIBUTE,
  type Metric,
  type SeriesDefinition,
} from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { SERIES_FLAGS, type SeriesStore, seriesStore } from "../../points/series_store.ts";
import { unitDisplayName, unitUniqueName } from "../../points/units.ts";
import { SeriesTexts } from "../rendering/series_texts.ts";
import {
  AS_DOUBLE,
  AS_INT,
  DATA_POINTS,
  GAUGE,
  metricFields,
  METRICS,
  pointAttributes,
  RESOURCE_METRICS,
  resourceField,
  SCOPE_METRICS,
  scopeField,
  tagOf,
  TIME_UNIX_NANO,
} from "./messages.ts";

export interface RequestFormat {
  readonly prefix: string;
  readonly suffix: string;
  /** `mW` rather than `milliW`. */
  readonly unitDisplayName: boolean;
  readonly attributes: boolean;
  readonly serviceName: string;
  /** Whose points those are that have no client: the name of this host. */
  readonly localClient: string;
  /** Of this program. */
  readonly version: string;
}

/** Points that go into requests, by their rows. */
export class PointList {
  /** Number of points. */
  length = 0;
  readonly batches: Batch[] = [];
  readonly #batchOf: Uint32Array<ArrayBuffer>;
  readonly #rows: Uint32Array<ArrayBuffer>;

  constructor(readonly capacity: number) {
    this.#batchOf = new Uint32Array(capacity);
    this.#rows = new Uint32Array(capacity);
  }

  push(batch: Batch, row: number): void {
    if (this.batches.at(-1) !== batch) this.batches.push(batch);
    this.#batchOf[this.length] = this.batches.length - 1;
    this.#rows[this.length++] = row;
  }

  batch(i: number): Batch {
    return this.batches[this.#batchOf[i]];
  }

  row(i: number): number {
    return this.#rows[i];
  }

  /** Some of the points, as a list of their own. */
  pick(some: readonly number[]): PointList {
    const list = new PointList(some.length);
    for (const i of some) list.push(this.batch(i), this.row(i));
    return list;
  }

  clear(): void {
    this.length = this.batches.length = 0;
  }
}

/** The points of one metric of one client in the request that is laid out. */
interface MetricGroup {
  /** In the list of groups, + 1. */
  readonly place: number;
  readonly resource: ResourceGroup;
  /** Name, description and unit, as fields of a Metric. */
  readonly head: Uint8Array;
  /** The request in which it is used; the others are of that request. */
  request: number;
  /** Of its points, with their tags and lengths. */
  bytes: number;
  /** Where its next point goes. */
  offset: number;
}

interface ResourceGroup {
  /** The Resource, as a field of ResourceMetrics. */
  readonly head: Uint8Array;
  readonly metrics: Map<Metric, MetricGroup>;
  request: number;
  readonly used: MetricGroup[];
}

const LENGTH_DELIMITED = WireType.LengthDelimited;
const RESOURCE_METRICS_TAG = tagOf(RESOURCE_METRICS, LENGTH_DELIMITED);
const SCOPE_METRICS_TAG = tagOf(SCOPE_METRICS, LENGTH_DELIMITED);
const METRICS_TAG = tagOf(METRICS, LENGTH_DELIMITED);
const GAUGE_TAG = tagOf(GAUGE, LENGTH_DELIMITED);
const DATA_POINTS_TAG = tagOf(DATA_POINTS, LENGTH_DELIMITED);
const TIME_TAG = tagOf(TIME_UNIX_NANO, WireType.Bit64);
const AS_DOUBLE_TAG = tagOf(AS_DOUBLE, WireType.Bit64);
const AS_INT_TAG = tagOf(AS_INT, WireType.Bit64);
/** The time and the value of a point, with their tags. */
const TIME_AND_VALUE_BYTES = 18;

/** A time is a u64 of nanoseconds, which ends on 2554-07-21. */
const MAX_SECONDS = 18_446_744_073;
const MAX_NANOS = 709_551_615;
const TWO_32 = 4_294_967_296;
const TWO_63 = 9_223_372_036_854_775_808;

/** Clients whose heads are kept: names come from a network. */
const MAX_RESOURCES = 10_000;

/** Whether OTLP has the time of a point. */
export function hasTime(seconds: number, nanos: number): boolean {
  return seconds < MAX_SECONDS || seconds === MAX_SECONDS && nanos <= MAX_NANOS;
}

export class RequestEncoder {
  readonly #format: RequestFormat;
  readonly #scope: Uint8Array;
  #resources = new Map<string, ResourceGroup>();
  /** The attributes of each series, and the place of its group in the list, + 1. */
  readonly #texts: SeriesTexts;
  readonly #groups: SeriesColumn;
  #groupList: MetricGroup[] = [];
  readonly #mark = SeriesTexts.newMark();
  #request = 0;

  constructor(format: RequestFormat, store: SeriesStore = seriesStore) {
    this.#format = format;
    this.#texts = new SeriesTexts(store);
    this.#groups = new SeriesColumn(store);
    this.#scope = scopeField("alumet", format.version);
  }

  /** A request without points, which every receiver of OTLP takes. */
  empty(): Uint8Array<ArrayBuffer> {
    const { serviceName, localClient } = this.#format;
    const head = resourceField(serviceName, localClient);
    const bytes = new Uint8Array(1 + varintSize(head.length) + head.length);
    bytes[0] = RESOURCE_METRICS_TAG;
    bytes.set(head, putVarint(bytes, 1, head.length));
    return bytes;
  }

  /** The points `from … to-1` of a list, whose times OTLP has. */
  encode(points: PointList, from = 0, to = points.length): Uint8Array<ArrayBuffer> {
    // Not in the middle of a request: all of its series are needed.
    if (this.#texts.isFull || this.#resources.size > MAX_RESOURCES) this.#forget();
    const resources = this.#measure(points, from, to);
    const bytes = this.#layOut(resources);
    this.#fill(bytes, points, from, to);
    return bytes;
  }

  #forget(): void {
    this.#texts.clear();
    this.#groups.clear();
    this.#groupList = [];
    this.#resources = new Map();
  }

  /** Sums up the bytes of each metric's points. @returns The clients that there are. */
  #measure(points: PointList, from: number, to: number): ResourceGroup[] {
    const texts = this.#texts;
    const { places } = texts;
    const groups = this.#groups.values;
    const request = ++this.#request;
    const resources: ResourceGroup[] = [];
    for (let i = from; i < to; i++) {
      const number = points.batch(i).series[points.row(i)];
      if (places[number] === 0) this.#renderSeries(number);
      const group = this.#groupList[groups[number] - 1];
      if (group.request !== request) {
        group.request = request;
        group.bytes = 0;
        const { resource } = group;
        if (resource.request !== request) {
          resource.request = request;
          resource.used.length = 0;
          resources.push(resource);
        }
        resource.used.push(group);
      }
      const length = texts.lengthAt(places[number]) + TIME_AND_VALUE_BYTES;
      group.bytes += 1 + varintSize(length) + length;
    }
    return resources;
  }

  /** Makes the request with all that surrounds the points, and says where each metric's points go. */
  #layOut(resources: readonly ResourceGroup[]): Uint8Array<ArrayBuffer> {
    const field = (length: number) => 1 + varintSize(length) + length;
    const metricLength = ({ head, bytes }: MetricGroup) => head.length + field(bytes);
    const scopeLength = ({ used }: ResourceGroup) => {
      let length = this.#scope.length;
      for (const group of used) length += field(metricLength(group));
      return length;
    };
    const resourceLength = (resource: ResourceGroup) => resource.head.length + field(scopeLength(resource));
    let total = 0;
    for (const resource of resources) total += field(resourceLength(resource));

    const bytes = new Uint8Array(total);
    let at = 0;
    const open = (tag: number, length: number) => {
      bytes[at] = tag;
      at = putVarint(bytes, at + 1, length);
    };
    const put = (part: Uint8Array) => {
      bytes.set(part, at);
      at += part.length;
    };
    for (const resource of resources) {
      open(RESOURCE_METRICS_TAG, resourceLength(resource));
      put(resource.head);
      open(SCOPE_METRICS_TAG, scopeLength(resource));
      put(this.#scope);
      for (const group of resource.used) {
        open(METRICS_TAG, metricLength(group));
        put(group.head);
        open(GAUGE_TAG, group.bytes);
        group.offset = at;
        at += group.bytes;
      }
    }
    return bytes;
  }

  #fill(bytes: Uint8Array<ArrayBuffer>, points: PointList, from: number, to: number): void {
    const { places, bytes: texts, view: textView, store: { flags } } = this.#texts;
    const groups = this.#groups.values;
    const view = new DataView(bytes.buffer);
    for (let i = from; i < to; i++) {
      const batch = points.batch(i);
      const row = points.row(i);
      const number = batch.series[row];
      const group = this.#groupList[groups[number] - 1];
      const start = places[number];
      const length = textView.getUint32(start - 8, true);
      let at = group.offset;
      bytes[at] = DATA_POINTS_TAG;
      at = putVarint(bytes, at + 1, length + TIME_AND_VALUE_BYTES);

      bytes[at] = TIME_TAG;
      putNanos(view, at + 1, batch.seconds[row], batch.nanos[row]);
      const exact = batch.exact?.get(row);
      const value = batch.values[row];
      // A rounded value may be 2^63 where the exact one is below.
      if ((flags[number] & SERIES_FLAGS.u64) !== 0 && (exact === undefined || exact < TWO_63)) {
        bytes[at + 9] = AS_INT_TAG;
        if (exact !== undefined) view.setBigInt64(at + 10, exact, true);
        else {
          view.setUint32(at + 10, value % TWO_32, true);
          view.setUint32(at + 14, Math.floor(value / TWO_32), true);
        }
      } else {
        bytes[at + 9] = AS_DOUBLE_TAG;
        view.setFloat64(at + 10, value, true);
      }
      at += TIME_AND_VALUE_BYTES;
      let n = 0;
      for (; n + 4 <= length; n += 4) view.setInt32(at + n, textView.getInt32(start + n, true), true);
      for (; n < length; n++) bytes[at + n] = texts[start + n];
      group.offset = at + length;
    }
  }

  #renderSeries(number: number): void {
    const texts = this.#texts;
    const series = texts.store.definitionOf(number);
    const attributes = pointAttributes(series, this.#format.attributes);
    const at = texts.begin(attributes.length);
    texts.bytes.set(attributes, at);
    // All of a request's series are needed until it is made.
    texts.end(number, at + attributes.length, this.#mark, true);
    this.#groups.values[number] = this.#groupOf(series);
  }

  /** @returns the place of the group in the list, + 1. */
  #groupOf({ metric, attributes }: SeriesDefinition): number {
    const { prefix, suffix, serviceName, localClient } = this.#format;
    const own = attributes.findLast(([name]) => name === CLIENT_ATTRIBUTE)?.[1];
    const client = typeof own === "string" ? own : localClient;
    let resource = this.#resources.get(client);
    if (!resource) {
      resource = { head: resourceField(serviceName, client), metrics: new Map(), request: 0, used: [] };
      this.#resources.set(client, resource);
    }
    let group = resource.metrics.get(metric);
    if (!group) {
      const unit = (this.#format.unitDisplayName ? unitDisplayName : unitUniqueName)(metric.unit);
      const head = metricFields(prefix + metric.name + suffix || "_", metric.description, unit);
      const place = this.#groupList.length + 1;
      group = { place, resource, head, request: 0, bytes: 0, offset: 0 };
      this.#groupList.push(group);
      resource.metrics.set(metric, group);
    }
    return group.place;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (; value >= 0x80; value = Math.floor(value / 0x80)) size++;
  return size;
}

/** @returns Where it ends. */
function putVarint(bytes: Uint8Array, at: number, value: number): number {
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value;
  return at;
}

/** seconds * 10^9 + nanos as a u64, without a BigInt: each product below is less than 2^53. */
export function putNanos(view: DataView, at: number, seconds: number, nanos: number): void {
  // seconds = high * 2^17 + low
  const low = seconds % 131_072;
  const high = ((seconds - low) / 131_072) * 1_000_000_000;
  // high = upper * 2^15 + lower, so high * 2^17 = upper * 2^32 + lower * 2^17
  const lower = high % 32_768;
  const upper = (high - lower) / 32_768;
  const rest = lower * 131_072 + low * 1_000_000_000 + nanos;
  view.setUint32(at, rest % TWO_32, true);
  view.setUint32(at + 4, upper + Math.floor(rest / TWO_32), true);
}
