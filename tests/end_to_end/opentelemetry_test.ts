/** The program with the OpenTelemetry output, into a real database. */
import assert from "node:assert/strict";
import { needs } from "../kit/needs.ts";
import { OtlpDatabase, otlpDatabase, otlpPython, OtlpReceiver } from "../kit/otlp.ts";
import { Peer } from "../kit/peer.ts";
import { Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, measurementFrame } from "../kit/wire.ts";
import { portOf } from "./relay.ts";

function keys(values: Record<string, string>): string[] {
  return Object.entries(values).flatMap(([key, value]) => [
    "--config-override",
    `plugins.opentelemetry.${key}=${value}`,
  ]);
}

const SERVER = ["--relay-in", "127.0.0.1:0", "--plugins", "relay-server,opentelemetry"];

Deno.test({
  name:
    "VictoriaMetrics stores the values at their times, under the names of metrics, attributes and clients",
  ...needs(otlpDatabase),
  async fn() {
    await using database = await OtlpDatabase.start();
    await using server = new Program([
      ...SERVER,
      ...keys({ collector_host: database.url, flush_interval: "50ms" }),
    ]);
    await server.line(/"Running"/);
    const odd = 'no"de\\1\n é🔋';
    await using peer = await Peer.client(portOf(server), odd, [
      { id: 0, name: "power", type: "f64", unit: { base: "W", prefix: "milli" } },
      { id: 1, name: "odd.name é", type: "u64", unit: { base: "1", prefix: "" } },
    ]);
    await peer.send(measurementFrame(odd, [
      { metric: 0, value: 0.1 + 0.2, attributes: [["domain", 'a"b\\c\nd'], ["ok", true], ["n", 7n]] },
      { metric: 0, value: 1e300, resourceKind: "gpu", resourceId: "00:01.0" },
      { metric: 1, value: 3n, nanos: 123_456_789 },
      { metric: 1, value: 2n ** 53n, nanos: 124_999_999 },
      { metric: 1, value: 2n ** 64n - 1n, resourceId: "large" },
    ]));
    const common = {
      "service.name": "alumet-otlp-grpc",
      "service.instance.id": odd,
      "host.name": odd,
      relay_client: odd,
      resource_kind: "local_machine",
      resource_id: "empty",
      resource_consumer_kind: "local_machine",
      resource_consumer_id: "empty",
    };
    let stored = await database.export('{__name__!=""}');
    await until(async () => (stored = await database.export('{__name__!=""}')).length >= 4);
    const at = 1_700_000_000_000;
    const found = stored.map(({ metric: { __name__, ...labels }, values, timestamps }) => ({
      name: __name__,
      labels,
      // VictoriaMetrics keeps about 15 digits; what is sent is exact, as other tests show.
      samples: timestamps.map((time, i) => [time - at, Number(Number(values[i]).toPrecision(15))]).sort((
        [a],
        [b],
      ) => Number(a) - Number(b)),
    })).sort((a, b) => `${a.name} ${a.labels.resource_id}` < `${b.name} ${b.labels.resource_id}` ? -1 : 1);
    assert.deepEqual(found, [
      { name: "odd.name é_alumet", labels: common, samples: [[123, 3], [124, 9_007_199_254_740_990]] },
      {
        name: "odd.name é_alumet",
        labels: { ...common, resource_id: "large" },
        samples: [[0, 18_446_744_073_709_500_000]],
      },
      {
        name: "power_alumet",
        labels: { ...common, resource_kind: "gpu", resource_id: "00:01.0" },
        samples: [[0, 1e300]],
      },
      {
        name: "power_alumet",
        labels: { ...common, domain: 'a"b\\c\nd', ok: "true", n: "7" },
        samples: [[0, 0.3]],
      },
    ]);
    assert.equal(await server.stop(), 0);
    const { points, refused_points } = server.summary("opentelemetry");
    assert.deepEqual({ points, refused_points }, { points: 5, refused_points: 0 });
  },
});

Deno.test({
  name: "a receiver that is down costs no point: the next process sends what was kept",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await receiver.stop();
    await using state = new TempDir();
    const args = [
      ...SERVER,
      ...["--state-dir", state.path],
      ...keys({ collector_host: receiver.url, flush_interval: "20ms" }),
    ];
    {
      await using server = new Program(args);
      await server.line(/"Running"/);
      await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
      for (let n = 0; n < 10; n++) await peer.send(countingFrame("node", 100 * n, 100));
      await server.line(/Cannot write to the OpenTelemetry receiver/);
      assert.equal(await server.stop(), 0);
    }
    await receiver.start();
    await using server = new Program(args);
    await until(() => receiver.points().length === 1000);
    const values = receiver.points().map(({ value }) => Number(value[1]));
    assert.deepEqual(values, Array.from({ length: 1000 }, (_, n) => n));
    assert.equal(await server.stop(), 0);
  },
});

Deno.test({
  name: "points that the receiver refuses are dead letters, and dead-letters replay writes them",
  ...needs(otlpPython),
  async fn() {
    await using receiver = await OtlpReceiver.start();
    await receiver.mode({ bad: "counter_alumet" });
    await using state = new TempDir();
    const file = state.file("config.toml");
    await Deno.writeTextFile(
      file,
      `[plugins.relay-server]
address = "127.0.0.1:0"
[plugins.opentelemetry]
collector_host = "${receiver.url}"
flush_interval = "20ms"
`,
    );
    const args = ["--config", file, "--state-dir", state.path];
    {
      await using server = new Program(args);
      await server.line(/"Running"/);
      await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
      await peer.send(countingFrame("node", 0, 10));
      await server.line(/Points are permanently refused.*a bad point/);
      assert.equal(await server.stop(), 0);
      assert.equal(server.summary("opentelemetry").refused_points, 10);
    }
    await receiver.mode({});
    const replay = await runProgram(["dead-letters", "replay", ...args]);
    assert.equal(replay.code, 0, replay.stderr);
    assert.deepEqual(receiver.points().map(({ value }) => Number(value[1])).sort(), [
      0,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
    ]);
  },
});

Deno.test("config show hides tokens and headers", async () => {
  const { code, stdout } = await runProgram([
    ...["config", "show", ...SERVER, ...keys({ token: "secret-1" })],
    ...["--config-override", 'plugins.opentelemetry.headers=["a: secret-2"]'],
  ]);
  assert.equal(code, 0);
  assert.match(stdout, /collector_host/);
  assert.doesNotMatch(stdout, /secret-/);
});
