/** The program with the Prometheus exporter, scraped by a real Prometheus. */
import assert from "node:assert/strict";
import { needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { Program } from "../kit/process.ts";
import { Prometheus, prometheus, type Sample } from "../kit/prometheus.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { pause, until } from "../kit/waiting.ts";
import { measurementFrame } from "../kit/wire.ts";
import { portOf } from "./relay.ts";

function exporterKeys(keys: Record<string, string | number>): string[] {
  return Object.entries(keys).flatMap(([key, value]) => [
    "--config-override",
    `plugins.prometheus-exporter.${key}=${value}`,
  ]);
}

function startServer(keys: Record<string, string | number>): Program {
  return new Program([
    ...["--relay-in", "127.0.0.1:0", "--plugins", "relay-server,prometheus-exporter"],
    ...exporterKeys({ host: "127.0.0.1", ...keys }),
  ]);
}

const UNIT = { base: "1", prefix: "" };

Deno.test({
  name:
    "a real Prometheus stores the exact values under names and labels that PromQL finds, and sees a series end",
  ...needs(prometheus),
  async fn() {
    await using dir = new TempDir();
    const port = freePort();
    await using server = startServer({ port, stale_after: "5s" });
    await server.line(/"Running"/);
    await using database = new Prometheus(dir, freePort(), `127.0.0.1:${port}`);

    const find = async (query: string, count = 1): Promise<readonly Sample[]> => {
      let found: readonly Sample[] = [];
      await database.service.ready(async () => (found = await database.query(query)).length === count);
      return found;
    };
    // Prometheus begins to scrape some seconds after its start.
    await find("up == 1");

    const odd = 'no"de\\1\n é🔋';
    await using peer = await Peer.client(portOf(server), odd, [
      { id: 0, name: "power", type: "f64", unit: { base: "W", prefix: "milli" } },
      { id: 1, name: "odd.name é", type: "u64", unit: UNIT },
      { id: 2, name: "odd_name_x", type: "u64", unit: { base: "g/CO2", prefix: "" } },
      { id: 3, name: "odd-name é", type: "u64", unit: UNIT },
    ]);
    const frame = measurementFrame(odd, [
      { metric: 0, value: 0.1 + 0.2, attributes: [["domain", 'a"b\\c\nd'], ["a.b", true], ["le", 1n]] },
      { metric: 0, value: -Infinity, resourceId: "min" },
      { metric: 0, value: Infinity, resourceId: "max" },
      { metric: 0, value: NaN, resourceId: "nan" },
      { metric: 0, value: 5e-324, resourceId: "least" },
      { metric: 1, value: 2n ** 53n },
      { metric: 2, value: 2n ** 64n - 1n },
      { metric: 3, value: 3n },
    ]);
    // Again and again: what comes no more is forgotten after five seconds, which a busy machine may need.
    let isSending = true;
    let sent = 0;
    const sending = (async () => {
      for (; isSending; sent++) {
        await peer.send(frame);
        await pause(100);
      }
    })();

    const client = { instance: `127.0.0.1:${port}`, job: "alumet", relay_client: odd };
    const machine = { resource_kind: "local_machine", resource_consumer_kind: "local_machine" };
    const [power] = await find('power_alumet_milliwatts{domain="a\\"b\\\\c\\nd"}');
    assert.equal(power.value[1], "0.30000000000000004");
    assert.deepEqual(power.metric, {
      __name__: "power_alumet_milliwatts",
      ...client,
      ...machine,
      a_b: "true",
      domain: 'a"b\\c\nd',
      le: "1",
    });
    const values = await find("power_alumet_milliwatts{resource_id!=''}", 4);
    assert.deepEqual(Object.fromEntries(values.map(({ metric, value }) => [metric.resource_id, value[1]])), {
      min: "-Inf",
      max: "+Inf",
      nan: "NaN",
      least: "5e-324",
    });
    const shared = await find("odd_name___alumet", 2);
    assert.deepEqual(
      Object.fromEntries(shared.map(({ metric, value }) => [metric.alumet_metric, value[1]])),
      {
        "odd.name é": "9007199254740992",
        "odd-name é": "3",
      },
    );
    // The nearest float of Prometheus.
    const [co2] = await find("odd_name_x_alumet_g_CO2");
    assert.equal(Number(co2.value[1]), 2 ** 64);

    let known: { unit: string; type: string; help: string }[] = [];
    await until(async () => {
      known = await database.api("targets/metadata", { metric: "power_alumet_milliwatts" });
      return known.length === 1;
    });
    const [{ unit, type, help }] = known;
    assert.deepEqual({ unit, type, help }, {
      unit: "milliwatts",
      type: "gauge",
      help: "Alumet metric power.",
    });

    isSending = false;
    await sending;
    // Nothing more comes: Prometheus notices, as there are no times of our own.
    await find("power_alumet_milliwatts", 0);
    await find("up == 1");
    assert.equal(await server.stop(), 0);
    assert.equal(server.summary("prometheus-exporter").points, 8 * sent);
  },
});

Deno.test("a port in use ends the program at once, with the address and the keys", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using server = startServer({ port: taken.addr.port });
  assert.equal(await server.exit(), 69);
  assert.equal(
    server.matching(/plugins\.prometheus-exporter\.host and port.*another program uses that port/).length,
    1,
    server.log,
  );
});

Deno.test("a client exposes its own measurements without a server", async () => {
  const port = freePort();
  await using program = new Program([
    ...["--plugins", "procfs,prometheus-exporter"],
    ...exporterKeys({ host: "::1", port }),
  ]);
  await program.line(/"Running"/);
  const page = async () => await (await fetch(`http://[::1]:${port}/metrics`)).text();
  await until(async () => /^mem_total_alumet_\w*bytes\{.*\} \d+$/m.test(await page()));
  assert.equal(await program.stop(), 0);
});
