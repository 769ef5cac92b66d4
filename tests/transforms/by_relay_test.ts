/** A server transforms what comes by relay: the points are those of a real agent that has the transform itself. */
import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import { general } from "../../lib/config/general.ts";
import { relayServer } from "../../lib/inputs/relay_server.ts";
import { relayClient } from "../../lib/outputs/relay_client.ts";
import type { Input, Output, Plugin } from "../../lib/plugin.ts";
import { plugins } from "../../lib/plugins.ts";
import { table } from "../../lib/schema.ts";
import { parse } from "@std/toml";
import { MetricRegistry } from "../../lib/points/registry.ts";
import {
  batchesOf,
  compare,
  COMPATIBLE,
  expectedOf,
  type Point,
  pointsOf,
} from "../kit/alumet_transforms.ts";
import { testdataText } from "../kit/bytes.ts";
import { LogLines } from "../kit/log_lines.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };

/** Hands over the polls of a case, and waits. */
function replay(name: string): Plugin {
  return {
    ...declaration,
    name: "replay",
    kind: "input",
    open: (_config, { registry }): Promise<Input> =>
      Promise.resolve({
        async run(sink, stop) {
          for (const batch of batchesOf(name, registry)) await sink.push(batch);
          await new Promise<void>((resolve) =>
            stop.addEventListener("abort", () => resolve(), { once: true })
          );
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

/** Keeps what it gets, without the name of the client. */
function keep(points: Point[]): Plugin {
  return {
    ...declaration,
    name: "keep",
    kind: "output",
    open: (): Promise<Output> =>
      Promise.resolve({
        onlyDurable: true,
        async run(reader, signal) {
          while (true) {
            const state = await reader.wait(Infinity, signal);
            if (state !== "ready") return;
            for (let batch; (batch = reader.next());) {
              points.push(
                ...pointsOf(batch).map(([about, value]): Point => {
                  assert.match(about, /relay_client=sender$/);
                  return [about.replace(/,?relay_client=sender$/, ""), value];
                }),
              );
              reader.commit(1);
            }
          }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

/** A configured plugin. */
function configured(plugin: Plugin, keys: Record<string, unknown> = {}) {
  const config = plugin.config.check(
    keys,
    [plugin.name],
    ({ path, message }) => assert.fail(`${path}: ${message}`),
  );
  return { plugin, config };
}

/** The transforms of a case, as a server has them. */
function transformsOf(name: string): ReturnType<typeof configured>[] {
  const { plugins: sections } = parse(testdataText(`transforms/${name}/config.toml`)) as {
    plugins: Record<string, Record<string, unknown>>;
  };
  return Object.entries(sections).flatMap(([section, keys]) => {
    const plugin = plugins.find((plugin) => plugin.name === section);
    if (plugin?.kind !== "transform") return [];
    const atStop = section === "aggregation" ? { complete_at_stop: true } : {};
    return [configured(plugin, { ...keys, ...COMPATIBLE[name]?.[section], ...atStop })];
  });
}

const CASES = [
  "aggregation-sum",
  "aggregation-mean",
  "attribution",
  "attribution-carbon",
  "carbon-override",
  "carbon-world",
  "filter-exclude",
  "filter-include",
  "tdp",
];

for (const name of CASES) {
  Deno.test(`${name}: a server makes of points that come by relay what a real agent makes of its own`, async () => {
    await using dir = new TempDir();
    const transforms = transformsOf(name);
    assert.ok(transforms.length > 0);
    const points: Point[] = [];
    const [serverLog, clientLog] = [new LogLines(), new LogLines()];
    const [stopServer, stopClient] = [new AbortController(), new AbortController()];
    const run = (own: Parameters<typeof runAgent>[0]["plugins"], log: LogLines, stop: AbortController) =>
      runAgent(
        { general: general.defaultValue(), stateBase: { path: dir.path, from: "HOME" }, plugins: own },
        log.log,
        { signals: false, stop: stop.signal },
      );
    const server = run(
      [
        configured(relayServer, { address: "127.0.0.1:0" }),
        ...transforms,
        configured(keep(points)),
      ],
      serverLog,
      stopServer,
    );
    const address = () => /Listening for relay clients.*address=(\S+)/.exec(serverLog.lines.join("\n"))?.[1];
    await until(() => address() !== undefined);
    const client = run(
      [
        configured(replay(name)),
        configured(relayClient, { relay_server: address()!, client_name: "sender" }),
      ],
      clientLog,
      stopClient,
    );
    await until(() => /Running/.test(clientLog.lines.join("\n")));
    stopClient.abort();
    assert.equal(await client, 0, clientLog.lines.join("\n"));
    stopServer.abort();
    assert.equal(await server, 0, serverLog.lines.join("\n"));
    const { missing, surplus } = compare(points, expectedOf(name));
    assert.deepEqual(missing, []);
    // Alumet loses the last window of each series.
    const registry = new MetricRegistry();
    const windows = new Set(
      batchesOf(name, registry).flatMap(pointsOf).map(([about]) => about)
        .filter((about) => /^(count_u|x_f_W);/.test(about)).map((about) =>
          about.split(";").toSpliced(1, 2).join(";")
        ),
    );
    assert.equal(surplus.length, name.startsWith("aggregation") ? windows.size : 0);
  });
}
