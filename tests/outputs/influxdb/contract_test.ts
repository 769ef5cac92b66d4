/** The contract of outputs, kept towards InfluxDB 1.6 (API v1) and towards VictoriaMetrics (API v2). */
import type { Attribute } from "../../../lib/points/measurement.ts";
import type { PluginContext } from "../../../lib/plugin.ts";
import { config, type InfluxConfig } from "../../../lib/outputs/influxdb/config.ts";
import { InfluxOutput } from "../../../lib/outputs/influxdb/output.ts";
import { contract, type Expectation, type Instance, type Target } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { influxd, InfluxDb, Proxy, VictoriaMetrics, victoriaMetrics } from "../../kit/influx.ts";

const MAX_I64 = 2n ** 63n - 1n;

/** What is there of a text: docs/influxdb.md. */
function kept(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replace(/\\(?=[ ,=\\\u0000-\u001f\u007f]|$)/g, "\\x5c")
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u001f\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

const measurementOf = (name: string) => name === "" ? "_" : kept(name).replace(/^#/, "\\x23");

const TAKEN = [
  ...["resource_kind", "resource_id", "resource_consumer_kind", "resource_consumer_id"],
  ...["time", "_field", "_measurement", "__name__", ""],
];

function attributeText(value: Attribute[1]): string {
  if (Object.is(value, -0)) return "-0";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  if (typeof value === "number" && (Math.abs(value) >= 1e21 || Math.abs(value) < 1e-6 && value !== 0)) {
    return value === 1e21 ? "1000000000000000000000" : value === 1e-9 ? "0.000000001" : String(value);
  }
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}

/** The tags of a point, as they are stored. */
function tagsOf(point: Point): Record<string, string> {
  const tags: [string, string][] = [
    ["resource_kind", point.resourceKind],
    ["resource_id", point.resourceId],
    ["resource_consumer_kind", point.consumerKind],
    ["resource_consumer_id", point.consumerId],
    ...point.attributes.map(([name, value]): [string, string] => [
      TAKEN.includes(name) ? `alumet_attribute__${name}` : name,
      attributeText(value),
    ]),
  ];
  return Object.fromEntries(
    tags.filter(([, value]) => value !== "").map(([name, value]) => [kept(name), kept(value)]),
  );
}

const keyOf = (measurement: string, tags: Record<string, string>) =>
  JSON.stringify([measurement, Object.entries(tags).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)]);

const nsOf = ({ seconds, nanos }: Point) => BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

/** The output, a proxy, and the database behind it. */
abstract class InfluxInstance implements Instance {
  readonly stack = new AsyncDisposableStack();
  proxy!: Proxy;

  constructor(readonly settings: Partial<InfluxConfig>) {}

  abstract database: InfluxDb | VictoriaMetrics;
  abstract expected(points: readonly Point[]): Expectation;
  abstract stored(): Promise<readonly string[]>;

  async begin(): Promise<void> {
    this.stack.use(this.database);
    await this.database.start();
    this.proxy = this.stack.use(new Proxy(this.database.url));
  }

  open(context: PluginContext) {
    return InfluxOutput.open({
      ...config.defaultValue(),
      host: this.proxy.url,
      flush_interval: 20,
      timeout: 1000,
      ...this.settings,
    }, context);
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.database.stop();
  }

  async start(): Promise<void> {
    await this.database.start();
    this.proxy.start();
  }

  slow(on: boolean): void {
    this.proxy.trick = on ? "slow" : "none";
  }

  refuse(on: boolean): void {
    this.proxy.trick = on ? "refuse" : "none";
  }

  hang(on: boolean): void {
    this.proxy.trick = on ? "hang" : "none";
    if (!on) this.proxy.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

class InfluxDbInstance extends InfluxInstance {
  override readonly database = new InfluxDb();

  static async fresh(): Promise<InfluxDbInstance> {
    const instance = new InfluxDbInstance({ api: "v1", database: "contract" });
    await instance.begin();
    await instance.database.ask('CREATE DATABASE "contract"');
    return instance;
  }

  override expected(points: readonly Point[]): Expectation {
    // The last point of a series and a time is the one that there is.
    const rows = new Map<string, string>();
    let refused = 0;
    for (const point of points) {
      const { value, metric } = point;
      const key = keyOf(measurementOf(metric.name), tagsOf(point));
      const ns = nsOf(point);
      const storable = typeof value === "bigint" ? value <= MAX_I64 : Number.isFinite(value);
      if (!storable || ns > MAX_I64 - 1n || key.length > 65_535) refused++;
      else rows.set(`${key} ${ns}`, typeof value === "bigint" ? `${value}` : f64Text(value));
    }
    return { stored: [...rows].map(([key, value]) => `${key} ${value}`), refused };
  }

  override async stored(): Promise<readonly string[]> {
    return (await this.database.rows("contract")).map(({ measurement, tags, row }) => {
      const { time, value } = row;
      const text = /^-?[0-9]+$/.test(value!) && measurement !== "contract_gauge"
        ? value!
        : f64Text(Number(value));
      return `${keyOf(measurement, tags)} ${time} ${text}`;
    });
  }
}

const f64Text = (value: number) => Object.is(value, -0) ? "-0" : String(value);

/** What VictoriaMetrics makes of a number: it keeps about 15 digits. */
const metricsText = (value: number | bigint) => String(Number(Number(value).toPrecision(12)));

/** VictoriaMetrics cuts off names of labels behind 256 bytes, and values behind 16 KiB. */
const cut = (text: string, bytes: number) =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text).subarray(0, bytes));

class VictoriaMetricsInstance extends InfluxInstance {
  readonly #began = Date.now();
  override readonly database = new VictoriaMetrics();

  static async fresh(settings: Partial<InfluxConfig>): Promise<VictoriaMetricsInstance> {
    const instance = new VictoriaMetricsInstance(settings);
    await instance.begin();
    return instance;
  }

  override expected(points: readonly Point[]): Expectation {
    const stored: string[] = [];
    let refused = 0;
    for (const point of points) {
      const { value, metric } = point;
      const ns = nsOf(point);
      if ((typeof value === "number" && !Number.isFinite(value)) || ns > MAX_I64 - 1n) {
        refused++;
        continue;
      }
      const ms = ns / 1_000_000n;
      // It takes what is at most two days ahead of its clock, and says nothing of the rest.
      if (ms > Date.now() + 2 * 86_400_000) continue;
      // It takes 0 for "now".
      if (ns === 0n) continue;
      const tags = Object.entries(tagsOf(point)).map(([name, value]) => [cut(name, 256), cut(value, 16_384)]);
      const name = cut(`${measurementOf(metric.name)}_value`, 16_384);
      stored.push(`${keyOf(name, Object.fromEntries(tags))} ${ms} ${metricsText(value)}`);
    }
    return { stored, refused };
  }

  override async stored(): Promise<readonly string[]> {
    return (await this.database.series()).flatMap(({ metric: { __name__, ...labels }, values, timestamps }) =>
      values.map((value, i) => [timestamps[i], value]).filter(([ms]) => ms < this.#began)
        .map(([ms, value]) => `${keyOf(__name__, labels)} ${ms} ${metricsText(value)}`)
    );
  }
}

const common = {
  refusedStats: ["refusedPoints"],
  // Two requests, and the batches that begin or end in them.
  mostUncommittedPoints: 20_000,
} satisfies Partial<Target>;

contract({
  ...common,
  name: "influxdb into InfluxDB 1.6",
  delivers: "exactly_once",
  needs: [influxd],
  fresh: () => InfluxDbInstance.fresh(),
});

contract({
  ...common,
  name: "influxdb into VictoriaMetrics",
  delivers: "at_least_once",
  needs: [victoriaMetrics],
  except: {
    "every type of value and attribute is stored":
      "VictoriaMetrics keeps about 15 digits relative to the largest value of a block, and these are of all magnitudes",
  },
  fresh: () => VictoriaMetricsInstance.fresh({ api: "v2", bucket: "contract" }),
});
