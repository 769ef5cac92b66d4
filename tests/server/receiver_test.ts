/** The server's end of acknowledged delivery without a connection: what it keeps, counts and acknowledges. */
import assert from "node:assert/strict";
import { BatchEncoder } from "../../lib/batches/codec.ts";
import type { Transport } from "../../lib/net/transport.ts";
import { BatchBuilder } from "../../lib/points/batch_builder.ts";
import { Batch, BatchPool, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { PostcardWriter } from "../../lib/postcard.ts";
import { AcknowledgedReceiver } from "../../lib/server/acknowledged.ts";
import { ClientMetrics } from "../../lib/server/client_metrics.ts";
import { FrameReader } from "../../lib/wire/frames.ts";
import { encodeFrame, MESSAGE } from "../../lib/wire/protocol.ts";
import { framed } from "../kit/acknowledged.ts";
import { toHex } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf, instanceOf, numbered, series } from "../kit/points.ts";

/** What a server has of one client, who may have several connections. */
class Receiving {
  readonly table = new ClientTable();
  readonly client = this.table.get("n", instanceOf("n"));
  readonly store = new SeriesStore();
  readonly builder = new BatchBuilder(new BatchPool(100, 1, this.store));
  readonly stats = { points: 0, duplicatePoints: 0, rejectedPoints: 0 };
  readonly unacknowledged = new Set<AcknowledgedReceiver>();
  readonly problems: string[] = [];
  metrics = new ClientMetrics(new MetricRegistry(), { maxMetrics: 3, maxNameBytes: 100 });

  connect({ maxNameBytes = 100, forward = false, welcomed = 0 } = {}): Connection {
    return new Connection((conn) =>
      new AcknowledgedReceiver({
        ...{
          conn,
          maxNameBytes,
          forward,
          client: this.client,
          metrics: this.metrics,
          builder: this.builder,
        },
        ...{ safety: "durable", maxSeries: 100, stats: this.stats, unacknowledged: this.unacknowledged },
        onRefusedMetric: (problem) => void this.problems.push(problem),
      }, welcomed)
    );
  }

  /** A crash cannot take away what was gathered so far. */
  makeDurable(): void {
    this.table.makeDurable({ origins: this.builder.current.origins });
    this.table.progress();
  }
}

class Connection {
  readonly receiver: AcknowledgedReceiver;
  /** Acknowledgements, in hexadecimal. */
  readonly said: string[] = [];
  /** What the next writes wait for. */
  gate: Promise<void> | undefined;
  readonly #encoder = new BatchEncoder();
  readonly #frames = new FrameReader();
  #last = 0;

  constructor(receiverOf: (conn: Transport) => AcknowledgedReceiver) {
    const write = async (bytes: Uint8Array) => {
      this.said.push(toHex(bytes));
      await this.gate;
      return bytes.length;
    };
    this.receiver = receiverOf({ write } as Partial<Transport> as Transport);
  }

  take(sequence: number, batch: Batch, message: number = MESSAGE.batch): number {
    const writer = new PostcardWriter().raw(new Uint8Array(4)).string("").discriminant(message);
    const frame = framed(writer.u64(sequence - this.#last).raw(this.#encoder.encode(batch)));
    this.#last = sequence;
    this.#frames.space().set(frame);
    this.#frames.received(frame.length);
    assert.ok(this.#frames.next());
    return this.receiver.take(this.#frames);
  }
}

const acknowledgement = (sequence: number) => toHex(encodeFrame("", { type: "acknowledge", sequence }));

/** Everything that was promised until now has been done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

Deno.test("batches that are gathered in one are counted one by one, with their points and their new series", () => {
  const receiving = new Receiving();
  const { client, builder, stats, store } = receiving;
  const connection = receiving.connect();
  const other = seriesOf(metricOf("other"), { resourceId: "1" });
  assert.equal(connection.take(1, numbered(10)), 10);
  assert.equal(connection.take(2, batchOf([[other, 1], [other, 2]])), 2);
  assert.equal(connection.take(3, numbered(3, 10)), 3);
  assert.deepEqual([client.receivedPoints, client.rejectedPoints, stats.points], [15, 0, 15]);
  assert.equal(builder.current.newSeriesBytes, store.newBytes);
  assert.ok(store.newBytes > 0);
  assert.deepEqual(builder.current.origins.map(({ start, end, sequence }) => [start, end, sequence]), [
    ...[[0, 10, 1], [10, 12, 2], [12, 15, 3]],
  ]);
});

Deno.test("what another connection brings again is counted as duplicates, and kept once", async () => {
  const receiving = new Receiving();
  const { client, builder, stats } = receiving;
  const [first, second] = [receiving.connect(), receiving.connect()];
  first.take(1, numbered(4));
  assert.equal(second.take(1, numbered(4)), 0);
  assert.equal(second.take(2, numbered(2, 4)), 2);
  assert.deepEqual([client.receivedPoints, client.duplicatePoints, stats.duplicatePoints], [10, 4, 4]);
  assert.deepEqual([builder.current.length, receiving.unacknowledged.size], [6, 2]);
  assert.throws(() => first.take(2, numbered(2, 5)), {
    name: "ProtocolViolation",
    message:
      /^its batch 2 is not the batch 2 that the server has: .* instance id .* \(was a machine cloned, /,
  });
  receiving.makeDurable();
  for (const { receiver } of [first, second]) receiver.acknowledge();
  await settled();
  assert.deepEqual([first.said, second.said], [[acknowledgement(1)], [acknowledgement(2)]]);
});

Deno.test("points of a series with a long name are refused and counted, and those around them are kept", () => {
  const receiving = new Receiving();
  const { client, builder, stats } = receiving;
  const connection = receiving.connect({ maxNameBytes: 20 });
  const named = (bytes: number) => series(metricOf("m"), [["k".repeat(bytes), "v"]]);
  assert.equal(connection.take(1, batchOf([[named(20), 1], [named(21), 2], [named(21), 3]])), 1);
  assert.equal(connection.take(2, batchOf([[named(21), 4], [named(20), 5]])), 1);
  assert.deepEqual([...builder.current.values.subarray(0, builder.current.length)], [1, 5]);
  assert.equal(connection.receiver.longNames, 3);
  assert.deepEqual([client.receivedPoints, client.rejectedPoints], [5, 3]);
  assert.deepEqual([stats.points, stats.rejectedPoints], [2, 3]);
});

Deno.test("points of a metric that is refused are counted, and are not those of a long name", () => {
  const receiving = new Receiving();
  const { client, builder, problems } = receiving;
  const connection = receiving.connect();
  const rows = ["a", "b", "c", "d", "a"].map((name, n) => [seriesOf(metricOf(name)), n] as [Series, number]);
  assert.equal(connection.take(1, batchOf(rows)), 4);
  assert.deepEqual([...builder.current.values.subarray(0, builder.current.length)], [0, 1, 2, 4]);
  assert.deepEqual([client.rejectedPoints, connection.receiver.longNames, problems.length], [1, 0, 1]);
  const broken = new Receiving();
  broken.metrics = { register: () => assert.fail("broken") } as Partial<ClientMetrics> as ClientMetrics;
  assert.throws(() => broken.connect().take(1, numbered(1)), { name: "BatchCodecError" });
  assert.deepEqual(broken.problems, []);
});

Deno.test("numbers of batches rise, up to 2^53 - 1, and a batch without points has one as well", () => {
  const receiving = new Receiving();
  const { client, builder } = receiving;
  const connection = receiving.connect();
  assert.equal(connection.take(2, new Batch(0)), 0);
  assert.deepEqual([client.accepted, client.receivedPoints, builder.current.origins.length], [2, 0, 1]);
  assert.throws(() => connection.take(2, new Batch(0)), { message: /batch 2 comes after batch 2$/ });
  assert.equal(connection.take(Number.MAX_SAFE_INTEGER, numbered(1)), 1);
  assert.throws(() => connection.take(Number.MAX_SAFE_INTEGER + 1, new Batch(0)), {
    name: "BatchCodecError",
  });
  assert.equal(builder.current.length, 1);
});

Deno.test("what the client was told to be safe is not compared when it comes again, what is behind it is", () => {
  const receiving = new Receiving();
  const first = receiving.connect();
  first.take(1, numbered(1));
  first.take(2, numbered(1, 1));
  const again = receiving.connect({ welcomed: 1 });
  assert.equal(again.take(1, numbered(1, 7)), 0);
  assert.throws(() => again.take(2, numbered(1, 7)), { name: "ProtocolViolation" });
});

Deno.test("points have the name of their client, unless it may pass on those of others", () => {
  const [metric, relay] = [metricOf("m"), "relay_client"];
  const given: Series["attributes"][] = [
    ...[[], [["a", "1"], [relay, "x"]], [[relay, "x"], ["a", "1"]], [[relay, "x"], [relay, "y"]]] as const,
  ];
  const namesOf = (forward: boolean) => {
    const receiving = new Receiving();
    receiving.connect({ forward }).take(
      1,
      batchOf(given.map((attributes) => [series(metric, attributes), 1])),
    );
    const { current } = receiving.builder;
    return given.map((_, row) => current.seriesAt(row).attributes.map(([key, value]) => `${key}=${value}`));
  };
  const own = `${relay}=n`;
  assert.deepEqual(namesOf(false), [[own], ["a=1", own], ["a=1", own], [own]]);
  assert.deepEqual(namesOf(true), [
    ...[[own], ["a=1", `${relay}=x`], [`${relay}=x`, "a=1"], [`${relay}=x`, `${relay}=y`]],
  ]);
});

Deno.test("another message than a batch is refused, and nothing of it is kept", () => {
  const receiving = new Receiving();
  const { client, builder } = receiving;
  const connection = receiving.connect();
  assert.throws(() => connection.take(1, numbered(1), MESSAGE.acknowledge), {
    name: "ProtocolViolation",
    message: `unexpected message number ${MESSAGE.acknowledge}`,
  });
  assert.deepEqual([client.accepted, builder.current.length], [0, 0]);
});

Deno.test("while a client takes no acknowledgement, one waits, and then says the newest that is safe", async () => {
  const receiving = new Receiving();
  const connection = receiving.connect();
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.gate = promise;
  for (let sequence = 1; sequence <= 3; sequence++) {
    connection.take(sequence, numbered(1, sequence));
    receiving.makeDurable();
    connection.receiver.acknowledge();
  }
  await settled();
  assert.deepEqual(connection.said, [acknowledgement(1)]);
  resolve();
  await settled();
  assert.deepEqual(connection.said, [acknowledgement(1), acknowledgement(3)]);
});

Deno.test("an acknowledgement is said once, and again as a sign of life to a client that waits", async () => {
  const { now } = performance;
  performance.now = () => 1e9;
  try {
    const receiving = new Receiving();
    const connection = receiving.connect();
    const { said, receiver } = connection;
    const beats = async (afterMs: number) => {
      const before = said.length;
      receiver.beat(1e9 + afterMs, 500);
      await settled();
      return said.length - before;
    };
    assert.equal(await beats(1e6), 0, "nothing waits");
    connection.take(1, numbered(1));
    receiver.acknowledge();
    assert.deepEqual([await beats(500), await beats(501), receiver.waiting], [0, 1, true]);
    receiving.makeDurable();
    for (let tries = 0; tries < 3; tries++) {
      receiver.acknowledge();
      await settled();
    }
    assert.deepEqual(said, [acknowledgement(0), acknowledgement(1)]);
    assert.deepEqual([receiver.waiting, await beats(1e6), receiving.unacknowledged.size], [false, 0, 0]);
  } finally {
    performance.now = now;
  }
});
