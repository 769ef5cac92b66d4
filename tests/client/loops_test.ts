/** Hops that would send points back to where they came from. */
import assert from "node:assert/strict";
import type { Batch } from "../../lib/points/measurement.ts";
import type { MemoryJournal } from "../../lib/journal.ts";
import { Upstream } from "../../lib/points/upstream.ts";
import { Collector } from "../kit/collector.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { journalOf } from "../kit/journal.ts";
import { numbered } from "../kit/points.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";

const quick = { retry: { max_times: 1000, initial_delay: 2, max_delay: 5 } };

/** Passes on what comes. */
class IntoJournal extends Collector {
  readonly #journal: MemoryJournal;

  constructor(journal: MemoryJournal) {
    super();
    this.#journal = journal;
  }

  override push(batch: Batch): Promise<void> | void {
    this.batches.push(batch.length);
    // Somebody may still send at the end of a test.
    return this.#journal.ended ? undefined : this.#journal.append(batch);
  }
}

/** A hop that sends nowhere yet. */
class Hop implements AsyncDisposable {
  readonly journal = journalOf();
  readonly server = new TestServer({
    sink: new IntoJournal(this.journal),
    clients: this.journal.clients,
    identity: this.journal,
    // What would go round in a loop stays where it is.
    drainMs: 100,
  });
  client: TestClient | undefined;

  /** Points that came over its connections. */
  get received(): number {
    return this.server.collector.batches.reduce((sum, points) => sum + points, 0);
  }

  sendTo(server: TestServer): TestClient {
    return this.client = new TestClient(configOf(server.port, quick), this.journal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client?.[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

const isRefused = (client: TestClient) =>
  client.logs.matching(/refuses this client: it gets points from this/).length > 0;

Deno.test("a hop that sends to itself is refused, and both ends say why", async () => {
  await using hop = new Hop();
  const client = hop.sendTo(hop.server);
  client.push(numbered(5));
  await until(() => client.logs.matching(/WARN.*refuses this client: it is this server itself/).length > 0);
  assert.ok(
    hop.server.logs.matching(/WARN.*Refusing a client.*it is this server itself.*relay_server/).length > 0,
  );
  assert.equal(hop.received, 0);
  assert.equal(hop.journal.pendingPoints, 5, "nothing is lost by it");
});

Deno.test("of two hops that send to each other the second one is refused", async () => {
  await using a = new Hop();
  await using b = new Hop();
  const first = a.sendTo(b.server);
  await until(() => first.client.stats.connections === 1);
  const second = b.sendTo(a.server);
  await until(() => isRefused(second));
  first.push(numbered(5));
  await until(() => b.received === 5);
  assert.equal(a.received, 0);
});

Deno.test("a loop of three hops is noticed whichever connection is made last", async () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]]) {
    await using a = new Hop();
    await using b = new Hop();
    await using c = new Hop();
    const hops = [a, b, c];
    const connect = (n: number) => hops[n].sendTo(hops[(n + 1) % 3].server);
    for (const n of order.slice(0, 2)) {
      const client = connect(n);
      await until(() => client.client.stats.connections > 0);
    }
    // What a hop has been told it passes on, by a new introduction.
    const last = connect(order[2]);
    await until(() => isRefused(last));
    const points = hops.map(({ received }) => received);
    assert.deepEqual(points, [0, 0, 0]);
  }
});

Deno.test("hops in a chain, and clients of a hop, are accepted", async () => {
  await using a = new Hop();
  await using b = new Hop();
  await using end = new TestServer();
  await using measuring = new TestClient(configOf(a.server.port, quick));
  a.sendTo(b.server);
  const last = b.sendTo(end);
  measuring.push(numbered(5));
  await until(() => end.points.length === 5);
  await until(() => end.clients.upstream.ids.includes(a.journal.id));
  assert.deepEqual(end.clients.upstream.ids.toSorted(), [a.journal.id, b.journal.id].toSorted());
  assert.equal(last.logs.matching(/refuses/).length, 0);
});

Deno.test("the list of hops is bounded, and tells of each hop once", () => {
  const upstream = new Upstream();
  let changes = 0;
  {
    using _ = upstream.onChange(() => changes++);
    upstream.add(["a"]);
    upstream.add(["a"]);
    upstream.add(["b", "a"]);
    upstream.add(Array.from({ length: 1000 }, (_, n) => `${n}`));
    upstream.add(["one more"]);
  }
  upstream.add(["b"]);
  assert.equal(changes, 3);
  assert.equal(upstream.ids.length, 256);
});

Deno.test("a hop that is refused says so once, and tries again after the longest wait only", async () => {
  await using hop = new Hop();
  const began = performance.now();
  // The first waits would be of 1 ms.
  const retry = { max_times: 1000, initial_delay: 1, max_delay: 150, jitter: 0 };
  const client = hop.client = new TestClient(configOf(hop.server.port, { retry }), hop.journal);
  const tries = () => client.logs.matching(/Cannot connect/).length;
  await until(() => tries() >= 4);
  assert.ok(performance.now() - began > 400, `4 tries within ${performance.now() - began} ms`);
  assert.equal(client.logs.matching(/WARN.*refuses this client/).length, 1);
});
