/** The contract suite on the Prometheus exporter: the last value of each series, by what a scrape sees. */
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { formatNumber } from "../../../lib/outputs/prometheus/exposition.ts";
import { PrometheusExporter } from "../../../lib/outputs/prometheus/exporter.ts";
import { escapeLabelValue, exposedName, labelsOf } from "../../../lib/outputs/prometheus/naming.ts";
import { prometheusExporter } from "../../../lib/outputs/prometheus_exporter.ts";
import { contract, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { readPage } from "../../kit/prometheus.ts";

const CONFIG = { ...prometheusExporter.config.defaultValue(), host: "127.0.0.1", port: 0 };

class ExporterInstance implements Instance {
  /** Where the exporter is now; there is nothing to be seen of one that has ended but its last page. */
  #url: string | null = null;
  #last: string[] = [];

  // deno-lint-ignore require-await
  async open(context: PluginContext): Promise<Output> {
    const exporter = new PrometheusExporter(CONFIG, context);
    this.#url = `http://127.0.0.1:${exporter.port}/metrics`;
    return {
      run: (reader, signal) => exporter.run(reader, signal),
      get stats() {
        return exporter.stats;
      },
      [Symbol.asyncDispose]: async () => {
        await this.stored();
        this.#url = null;
        await exporter[Symbol.asyncDispose]();
      },
    };
  }

  expected(points: readonly Point[]) {
    const metrics = new Map<string, Set<string>>();
    const last = new Map<string, { point: Point; series: Series }>();
    for (const point of points) {
      const series = seriesOf(point.metric, point);
      const name = exposedName(point.metric, CONFIG);
      metrics.set(name, (metrics.get(name) ?? new Set()).add(point.metric.name));
      const key = JSON.stringify([name, point.metric.name, labelsOf(series, CONFIG)]);
      const before = last.get(key)?.point;
      const { seconds, nanos } = point;
      if (before && (before.seconds > seconds || before.seconds === seconds && before.nanos > nanos)) {
        continue;
      }
      last.set(key, { point, series });
    }
    return {
      stored: [...last.values()].map(({ point: { metric, value }, series }) => {
        const name = exposedName(metric, CONFIG);
        const own = metrics.get(name)!.size > 1 ? `alumet_metric="${escapeLabelValue(metric.name)}",` : "";
        return `${name}{${own}${labelsOf(series, CONFIG)}} ` +
          (typeof value === "bigint" ? String(value) : formatNumber(value));
      }),
    };
  }

  async stored(): Promise<string[]> {
    if (this.#url !== null) {
      const { values } = readPage(await (await fetch(this.#url)).text());
      this.#last = [...values].map(([head, value]) => `${head} ${value}`);
    }
    return this.#last;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

contract({
  name: "prometheus-exporter",
  delivers: "latest",
  fresh: () => Promise.resolve(new ExporterInstance()),
});
