/** The bytes of OTLP, as a reader of protobuf finds them that knows nothing of how they were written. */
import assert from "node:assert/strict";
import { opentelemetry } from "../../../lib/outputs/opentelemetry.ts";
import { readExportResponse, readStatusMessage } from "../../../lib/outputs/opentelemetry/messages.ts";
import { adviceFor, exportUrl, judge, openReceiver } from "../../../lib/outputs/opentelemetry/receiver.ts";
import {
  hasTime,
  PointList,
  putNanos,
  RequestEncoder,
  type RequestFormat,
} from "../../../lib/outputs/opentelemetry/request.ts";
import { Batch, type Metric, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { bitsOf, cases, Chance, fromHex } from "../../kit/bytes.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { HttpPeer } from "../../kit/http.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const DEFAULTS = opentelemetry.config.defaultValue();
const FORMAT: RequestFormat = {
  ...{ prefix: "", suffix: "", unitDisplayName: true, attributes: true, serviceName: "s", version: "1.2" },
  localClient: "here",
};
const VARINT = 0, BITS_64 = 1, BYTES = 2;
const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

interface Field {
  readonly number: number;
  readonly type: number;
  readonly value: bigint | Uint8Array<ArrayBuffer>;
}

/** The fields of a message, in their order. */
function fieldsOf(bytes: Uint8Array<ArrayBuffer>): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, type] = [tag >>> 3, tag & 7];
    if (type === VARINT) fields.push({ number, type, value: varint() });
    else if (type === BITS_64) {
      fields.push({ number, type, value: view.getBigUint64(at, true) });
      at += 8;
    } else {
      assert.equal(type, BYTES);
      const length = Number(varint());
      assert.ok(at + length <= bytes.length, "a field ends behind its message");
      fields.push({ number, type, value: bytes.subarray(at, at + length) });
      at += length;
    }
  }
  return fields;
}

/** The values of a field of bytes; each field of the message must be one of `known`, as `number: type`. */
function reading(bytes: Uint8Array<ArrayBuffer>, known: Readonly<Record<number, number>>) {
  const fields = fieldsOf(bytes);
  for (const { number, type } of fields) assert.equal(type, known[number], `field ${number}`);
  const all = (number: number) =>
    fields.filter((field) => field.number === number).map(({ value }) => value as Uint8Array<ArrayBuffer>);
  const one = (number: number) => {
    assert.ok(all(number).length <= 1, `field ${number} is there once`);
    return all(number).at(0);
  };
  return { all, one, numbers: fields.map(({ number }) => number) };
}

function anyValue(bytes: Uint8Array<ArrayBuffer>): unknown {
  const [{ number, value }, ...more] = fieldsOf(bytes);
  assert.equal(more.length, 0);
  const { one } = reading(bytes, { 1: BYTES, 2: VARINT, 3: VARINT, 4: BITS_64, 5: BYTES });
  switch (number) {
    case 1:
      return text(one(1)!);
    case 2:
      return value === 1n;
    case 3:
      return BigInt.asIntN(64, value as bigint);
    case 4:
      return new Float64Array(BigUint64Array.of(value as bigint).buffer)[0];
    default:
      return reading(one(5)!, { 1: BYTES }).all(1).map(anyValue);
  }
}

const attribute = (bytes: Uint8Array<ArrayBuffer>): [string, unknown] => {
  const { one } = reading(bytes, { 1: BYTES, 2: BYTES });
  return [text(one(1)!), anyValue(one(2)!)];
};

/** The points of a request, each with all that the messages around it say. */
function pointsIn(request: Uint8Array<ArrayBuffer>) {
  return reading(request, { 1: BYTES }).all(1).flatMap((resourceMetrics) => {
    const outer = reading(resourceMetrics, { 1: BYTES, 2: BYTES });
    const resource = Object.fromEntries(reading(outer.one(1)!, { 1: BYTES }).all(1).map(attribute));
    const scopeMetrics = reading(outer.one(2)!, { 1: BYTES, 2: BYTES });
    const scope = reading(scopeMetrics.one(1)!, { 1: BYTES, 2: BYTES, 3: BYTES });
    const tool = [text(scope.one(1)!), text(scope.one(2)!), ...scope.all(3).map(attribute)];
    return scopeMetrics.all(2).flatMap((bytes) => {
      const metric = reading(bytes, { 1: BYTES, 2: BYTES, 3: BYTES, 5: BYTES });
      const [name, description, unit] = [1, 2, 3].map((field) =>
        metric.one(field) && text(metric.one(field)!)
      );
      return reading(metric.one(5)!, { 1: BYTES }).all(1).map((point) => {
        const { one, all, numbers } = reading(point, { 3: BITS_64, 4: BITS_64, 6: BITS_64, 7: BYTES });
        const [time, double, integer] = [3, 4, 6].map((field) => one(field) as bigint | undefined);
        assert.equal(numbers.filter((number) => number === 4 || number === 6).length, 1);
        const attributes = all(7).map(attribute);
        assert.equal(new Set(attributes.map(([name]) => name)).size, attributes.length);
        return {
          ...{ resource, tool, name, description, unit, time },
          value: integer === undefined
            ? `double ${double!.toString(16).padStart(16, "0")}`
            : `int ${integer}`,
          attributes: Object.fromEntries(attributes),
        };
      });
    });
  });
}

function encoded(batches: readonly Batch[], format: Partial<RequestFormat> = {}) {
  const points = listOf(...batches);
  return pointsIn(new RequestEncoder({ ...FORMAT, ...format }).encode(points));
}

function listOf(...batches: readonly Batch[]): PointList {
  const list = new PointList(batches.reduce((sum, { length }) => sum + length, 0));
  for (const batch of batches) for (let row = 0; row < batch.length; row++) list.push(batch, row);
  return list;
}

Deno.test("times are nanoseconds to the last one", () => {
  const view = new DataView(new ArrayBuffer(8));
  const chance = new Chance(8);
  const times: [number, number][] = [[0, 0], [0, 1], [1_700_000_000, 123_456_789], [
    18_446_744_073,
    709_551_615,
  ]];
  for (let n = 0; n < cases(20_000); n++) {
    times.push([Math.floor(chance.next() * 18_446_744_073), chance.int(1_000_000_000)]);
  }
  for (const [seconds, nanos] of times) {
    putNanos(view, 0, seconds, nanos);
    assert.equal(view.getBigUint64(0, true), BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
  }
});

Deno.test("an answer counts as taken if it is an answer of OTLP", () => {
  const meaning = (status: number, type: string | null, text: string) => {
    const headers = new Headers(type === null ? {} : { "content-type": type });
    return judge({ status, headers, text, bytes: new TextEncoder().encode(text) });
  };
  assert.equal(meaning(200, null, ""), "taken");
  assert.equal(meaning(204, "text/plain", ""), "taken");
  assert.equal(meaning(200, "application/x-protobuf", "\n\x02\x08\x01"), "taken");
  assert.equal(meaning(200, "application/json; charset=utf-8", '{"partialSuccess":{}}'), "taken");
  assert.equal(meaning(200, "text/html", "<p>log in</p>"), "misconfigured");
  assert.equal(meaning(200, null, "OK"), "misconfigured");
  assert.equal(meaning(200, "application/json", '"OK"'), "misconfigured");
  assert.equal(meaning(503, "text/html", "<p>later</p>"), "later");
});

Deno.test("a request is one buffer that is exactly full; a part of the points is encoded as in the whole", () => {
  const encoder = new RequestEncoder(FORMAT);
  const points = new PointList(10_000);
  const batch = numbered(10_000);
  for (let row = 0; row < batch.length; row++) points.push(batch, row);
  const bytes = encoder.encode(points);
  assert.equal(bytes.byteLength, bytes.buffer.byteLength);
  // The same again, for parts of it.
  const half = encoder.encode(points, 5000);
  assert.deepEqual(half.subarray(-1000), bytes.subarray(-1000));
  assert.equal(encoder.encode(points, 0, 0).length, 0);
});

Deno.test("a point says its value, its time, its series, its metric and its client", () => {
  const energy: Metric = {
    ...metricOf("energy", "u64", { base: "J", prefix: "milli" }),
    description: "so much",
  };
  const one = seriesOf(energy, {
    ...{ resourceKind: "cpu", resourceId: "3", consumerKind: "process", consumerId: "17" },
    attributes: [["relay_client", "node-1"], ["core", 7n]],
  });
  assert.deepEqual(encoded([batchOf([[one, 5, 1_700_000_000, 1]])], { prefix: "a_", suffix: "_z" }), [{
    resource: { "service.name": "s", "service.instance.id": "node-1", "host.name": "node-1" },
    tool: ["alumet", "1.2", ["tool", "alumet"]],
    ...{ name: "a_energy_z", description: "so much", unit: "mJ" },
    ...{ time: 1_700_000_000_000_000_001n, value: "int 5" },
    attributes: {
      ...{ resource_kind: "cpu", resource_id: "3" },
      ...{ resource_consumer_kind: "process", resource_consumer_id: "17", relay_client: "node-1", core: 7n },
    },
  }]);
  const plain = seriesOf(metricOf("", "f64"), {
    resourceKind: "",
    consumerKind: "",
    attributes: [["a", 1n]],
  });
  const [point] = encoded([batchOf([[plain, 0.5]])], { attributes: false });
  assert.deepEqual([point.name, point.description, point.unit, point.resource["host.name"]], [
    ...["_", undefined, undefined, "here"],
  ]);
  assert.deepEqual(point.attributes, {
    ...{ resource_kind: "", resource_id: "empty" },
    ...{ resource_consumer_kind: "", resource_consumer_id: "empty" },
  });
  const [byName] = encoded([batchOf([[one, 1]])], { unitDisplayName: false });
  assert.equal(byName.unit, "milliJ");
});

Deno.test("attributes keep their types, and integers that an int64 does not hold are texts", () => {
  const values: [Series["attributes"][number][1], unknown][] = [
    ["é", "é"],
    ["", ""],
    [true, true],
    [false, false],
    [0n, 0n],
    [2n ** 63n - 1n, 2n ** 63n - 1n],
    [2n ** 63n, "9223372036854775808"],
    [0.25, 0.25],
    [-0, -0],
    [NaN, NaN],
    [[], []],
    [[1n, 2n ** 64n - 1n], [1n, "18446744073709551615"]],
  ];
  const given = values.map(([value], i): [string, typeof value] => [`a${i}`, value]);
  const [{ attributes }] = encoded([batchOf([[seriesOf(metricOf("m"), { attributes: given }), 1]])]);
  values.forEach(([, expected], i) => assert.deepEqual(attributes[`a${i}`], expected));
});

Deno.test("a name that is taken or empty is numbered from 2 on, and not by a number that another one has", () => {
  const namesOf = (...names: string[]) => {
    const attributes = names.map((name, i): [string, bigint] => [name, BigInt(i)]);
    const [point] = encoded([batchOf([[seriesOf(metricOf("m"), { attributes }), 1]])]);
    return Object.entries(point.attributes).slice(4).map(([name, value]) => `${name}=${value}`);
  };
  assert.deepEqual(namesOf("resource_id", "x"), ["resource_id_2=0", "x=1"]);
  assert.deepEqual(namesOf("resource_id", "resource_id_2", "resource_id_3"), [
    ...["resource_id_4=0", "resource_id_2=1", "resource_id_3=2"],
  ]);
  assert.deepEqual(namesOf("", "_", "__2"), ["__3=0", "_=1", "__2=2"]);
  assert.deepEqual(namesOf("a", "a", "b"), ["a=1", "b=2"]);
});

Deno.test("integers are exact as far as an int64 goes, and the nearest double above", () => {
  const count = seriesOf(metricOf("count"));
  const values = [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 5n, 2n ** 53n - 1n, 2n ** 53n + 1n];
  const exact = [...values, 2n ** 63n - 1n];
  const found = encoded([batchOf(exact.map((value) => [count, value]))]);
  assert.deepEqual(found.map(({ value }) => value), exact.map((value) => `int ${value}`));
  const large = encoded([batchOf([[count, 2n ** 63n], [count, 2n ** 64n - 1n]])]);
  const double = (value: number) => `double ${bitsOf(value)}`;
  assert.deepEqual(large.map(({ value }) => value), [double(2 ** 63), double(2 ** 64)]);
  const float = seriesOf(metricOf("float", "f64"));
  const floats = [0.1, 5, -0, NaN, Infinity];
  const written = encoded([batchOf(floats.map((value) => [float, value]))]);
  assert.deepEqual(written.map(({ value }) => value), floats.map(double));
});

Deno.test("points stand by client and metric, in the order in which they came, whatever lengths their texts have", () => {
  const metrics = ["m".repeat(130), "n"].map((name) => metricOf(name, "f64"));
  const batches: Batch[] = [];
  const expected = new Map<string, string[]>();
  let nanos = 0;
  for (let length = 0; length < 300; length += length < 150 ? 1 : 37) {
    const batch = new Batch(1);
    for (const [n, metric] of metrics.entries()) {
      for (const client of ["a", "b"]) {
        const consumerId = "x".repeat(length);
        const attributes: Series["attributes"] = [["relay_client", client]];
        batch.push(seriesOf(metric, { consumerId, attributes }), 1, nanos, 0);
        const key = `${client} ${n}`;
        expected.set(key, [...expected.get(key) ?? [], `${nanos++} ${consumerId || "empty"}`]);
      }
    }
    batches.push(batch);
  }
  const found = new Map<string, string[]>();
  for (const { resource, name, time, attributes } of encoded(batches)) {
    const key = `${resource["host.name"]} ${name === "n" ? 1 : 0}`;
    const line = `${(time as bigint) - 1_000_000_000n} ${attributes.resource_consumer_id}`;
    found.set(key, [...found.get(key) ?? [], line]);
  }
  assert.deepEqual([...found], [["a 0"], ["a 1"], ["b 0"], ["b 1"]].map(([key]) => [key, expected.get(key)]));
  // Fields of 127, 128, 16,383, 16,384 bytes and some around them.
  for (const count of [1, 2, 3, 70, 180, 186, 187, 188, 400]) {
    assert.equal(encoded([numbered(count)]).length, count);
  }
  for (let length = 16_270; length < 16_390; length++) {
    const long = seriesOf(metricOf("m"), { consumerId: "y".repeat(length) });
    const [{ attributes }] = encoded([batchOf([[long, 1]])]);
    assert.equal(String(attributes.resource_consumer_id).length, length);
  }
});

Deno.test("a client or a metric that comes again in a later request has a group there again", () => {
  const encoder = new RequestEncoder(FORMAT);
  const of = (client: string, metric: string) =>
    seriesOf(metricOf(metric, "f64"), { attributes: [["relay_client", client]] });
  const [a, b] = [of("a", "m"), of("b", "m")];
  const groups = (...series: Series[]) =>
    pointsIn(encoder.encode(listOf(batchOf(series.map((one) => [one, 1])))))
      .map(({ resource, name }) => `${resource["host.name"]} ${name}`);
  assert.deepEqual(groups(a, b, a), ["a m", "a m", "b m"]);
  assert.deepEqual(groups(b), ["b m"]);
  assert.deepEqual(groups(a, b, of("b", "n")), ["a m", "b m", "b n"]);
});

Deno.test("a series is rendered once, and again after more than 10,000 clients have come", () => {
  const store = new SeriesStore();
  let rendered = 0;
  const { definitionOf } = store;
  store.definitionOf = (number) => {
    rendered++;
    return definitionOf.call(store, number);
  };
  const encoder = new RequestEncoder(FORMAT, store);
  const batch = new Batch(1, null, store);
  const metric = metricOf("m", "f64");
  const clients = 10_001;
  for (let n = 0; n < clients; n++) {
    batch.push(seriesOf(metric, { attributes: [["relay_client", `${n}`]] }), 1, 0, 1);
  }
  const points = listOf(batch);
  rendered = 0;
  encoder.encode(points, 0, clients - 1);
  assert.equal(rendered, clients - 1);
  encoder.encode(points, 0, 1);
  assert.equal(rendered, clients - 1);
  encoder.encode(points);
  assert.equal(rendered, clients);
  encoder.encode(points, 0, 1);
  assert.equal(rendered, clients + 1);
  encoder.encode(points, 0, 1);
  assert.equal(rendered, clients + 1);
});

Deno.test("texts that fill their room are there until their request is made", () => {
  const store = new SeriesStore();
  store.limit({ limitBytes: 2 ** 27 });
  const batch = new Batch(1, null, store);
  const metric = metricOf("m", "f64");
  for (const [n, length] of [17_000_000, 1, 2].entries()) {
    batch.push(seriesOf(metric, { resourceId: "x".repeat(length) }), 1, n, n);
  }
  const found = pointsIn(new RequestEncoder(FORMAT, store).encode(listOf(batch)));
  const lengths = found.map(({ attributes }) => String(attributes.resource_id).length);
  assert.deepEqual(lengths, [17_000_000, 1, 2]);
});

Deno.test("a request without points says who asks", () => {
  for (const localClient of ["here", "x".repeat(200)]) {
    const request = new RequestEncoder({ ...FORMAT, localClient }).empty();
    const [resourceMetrics] = reading(request, { 1: BYTES }).all(1);
    const { one } = reading(resourceMetrics, { 1: BYTES });
    assert.deepEqual(reading(one(1)!, { 1: BYTES }).all(1).map(attribute), [
      ["service.name", "s"],
      ["service.instance.id", localClient],
      ["host.name", localClient],
    ]);
  }
});

Deno.test("a time is one of OTLP up to the last nanosecond of a u64", () => {
  assert.ok(hasTime(0, 0));
  assert.ok(hasTime(18_446_744_072, 999_999_999));
  assert.ok(hasTime(18_446_744_073, 709_551_615));
  assert.ok(!hasTime(18_446_744_073, 709_551_616));
  assert.ok(!hasTime(18_446_744_074, 0));
});

Deno.test("a list of points has each batch once, and lists of some of them have the same rows", () => {
  const [first, second] = [numbered(3), numbered(2)];
  const list = listOf(first, second);
  assert.deepEqual([list.length, list.batches.length], [5, 2]);
  const some = list.pick([4, 0, 2]);
  assert.deepEqual([0, 1, 2].map((i) => [some.batch(i) === first, some.row(i)]), [[false, 1], [true, 0], [
    true,
    2,
  ]]);
  list.clear();
  assert.deepEqual([list.length, list.batches.length], [0, 0]);
  list.push(second, 1);
  assert.deepEqual([list.batch(0) === second, list.row(0), list.length], [true, 1, 1]);
});

Deno.test("what an answer does not say is passed over, also where a field has another type", () => {
  const rejected = (hex: string) => readExportResponse(fromHex(hex));
  assert.deepEqual(rejected("0a070803" + "1203616263"), { rejectedPoints: 3, message: "abc" });
  assert.deepEqual(rejected(""), { rejectedPoints: 0, message: "" });
  // partial_success as a number, and one of field 2; rejected_data_points as a text, error_message as a number.
  assert.deepEqual(rejected("0805" + "12020803"), { rejectedPoints: 0, message: "" });
  assert.deepEqual(rejected("0a07" + "0a03616263" + "1005"), {
    rejectedPoints: 0,
    message: "",
  });
  assert.deepEqual(rejected("0a0a" + "1803" + "0802" + "2201" + "78" + "120179"), {
    rejectedPoints: 2,
    message: "y",
  });
  assert.throws(() => rejected("0a05"));
  assert.equal(readStatusMessage(fromHex("0803" + "1203616263" + "1a00")), "abc");
  assert.equal(readStatusMessage(fromHex("0803")), undefined);
  assert.equal(readStatusMessage(fromHex("1005")), undefined);
  assert.equal(readStatusMessage(fromHex("1203")), undefined);
});

Deno.test("the path of the API follows that of the receiver", () => {
  const url = (collector_host: string, path = "/v1/metrics") =>
    exportUrl({ ...DEFAULTS, collector_host, path });
  assert.equal(url("http://localhost:4318"), "http://localhost:4318/v1/metrics");
  assert.equal(url("http://vm:8428/opentelemetry/"), "http://vm:8428/opentelemetry/v1/metrics");
  assert.equal(url("https://[::1]/api/v1/otlp"), "https://[::1]/api/v1/otlp/v1/metrics");
  assert.equal(url("http://x", "/"), "http://x/");
});

Deno.test("the advice about an answer names the keys that may be wrong", () => {
  const advice = (status: number) => {
    const reply = { status, headers: new Headers(), text: "", bytes: new Uint8Array() };
    return adviceFor(reply);
  };
  for (const status of [401, 403]) assert.match(advice(status)!, /token, token_file or headers/);
  for (const status of [300, 302, 399, 404, 405]) {
    assert.match(advice(status)!, /^check .*collector_host and path/);
  }
  for (const status of [200, 299]) {
    assert.match(advice(status)!, /not an answer of an OpenTelemetry receiver/);
  }
  assert.match(advice(415)!, /does not take protobuf/);
  assert.match(advice(400)!, /is that OTLP over HTTP/);
  for (const status of [402, 406, 414, 416, 500]) assert.equal(advice(status), undefined, `${status}`);
});

Deno.test("the port of gRPC is a warning, and another one is none", async () => {
  for (const [port, warnings] of [[4317, 1], [4318, 0]]) {
    const logs = new LogLines();
    const config = { ...DEFAULTS, collector_host: `http://localhost:${port}` };
    await using _receiver = await openReceiver(config, contextWith({ log: logs.log }), "1");
    assert.equal(logs.matching(/WARN .*4317 is usually OTLP over gRPC/).length, warnings);
  }
});

Deno.test("a token goes along; while its file is away the old one does, and the log says so", async () => {
  await using peer = new HttpPeer((_, n) => new Response(null, { status: n % 2 === 0 ? 503 : 204 }));
  await using directory = new TempDir();
  const token_file = directory.file("token");
  const sent = async (given: Partial<typeof DEFAULTS>) => {
    const logs = new LogLines();
    const backoff = { initialMs: 1, maxMs: 1, multiplier: 1, jitter: 0 };
    const config = { ...DEFAULTS, collector_host: peer.url, ...given };
    await using receiver = await openReceiver(config, contextWith({ log: logs.log }), "1", { backoff });
    if (given.token_file) Deno.removeSync(token_file);
    await receiver.post(new Uint8Array(), new AbortController().signal);
    return [peer.requests.at(-1)!.headers.get("authorization"), logs.matching(/DEBUG .*token_file/).length];
  };
  assert.deepEqual(await sent({}), [null, 0]);
  assert.deepEqual(await sent({ token: "t" }), ["Bearer t", 0]);
  Deno.writeTextFileSync(token_file, "f");
  assert.deepEqual(await sent({ token_file }), ["Bearer f", 1]);
});
