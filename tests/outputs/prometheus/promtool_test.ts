/** The pages as Prometheus's own reader takes them. */
import assert from "node:assert/strict";
import { type Metric, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { labelsOf } from "../../../lib/outputs/prometheus/naming.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { oddPoints } from "../../kit/contract/points.ts";
import { needs } from "../../kit/needs.ts";
import { batchOf } from "../../kit/points.ts";
import { promtool, promtoolErrors, readPage } from "../../kit/prometheus.ts";
import { DEFAULTS, PROMETHEUS_ACCEPT, Running } from "./running.ts";

Deno.test("series of any text make pages that Prometheus's own reader takes", needs(promtool), async () => {
  const chance = new Chance(21);
  for (let n = 0; n < cases(5); n++) {
    await using running = new Running({ prefix: chance.text(), suffix: chance.text() });
    const rows: [Series, number | bigint][] = [];
    for (let i = 0; i < 200; i++) {
      const isFloat = chance.int(2) === 0;
      const unit = {
        base: chance.pick(["W", "1", "%", chance.text()]),
        prefix: chance.pick(["", "kilo", chance.text()]),
      };
      const metric: Metric = {
        name: chance.text(),
        type: isFloat ? "f64" : "u64",
        unit,
        description: chance.text(40),
      };
      const series = seriesOf(metric, {
        resourceKind: chance.text(),
        resourceId: chance.text(),
        consumerKind: chance.text(),
        consumerId: chance.text(),
        attributes: Array.from({ length: chance.int(6) }, () => [
          chance.pick([chance.text(5), "__name__", "a.b", "a_b", "le"]),
          chance.pick([chance.text(), chance.u64(), chance.next(), true, [chance.u64()]]),
        ]),
      });
      rows.push([
        series,
        isFloat ? chance.pick([chance.next(), NaN, Infinity, -Infinity, -0]) : chance.u64(),
      ]);
    }
    await running.take(batchOf(rows));
    const text = await (await running.get()).text();
    assert.ok(readPage(text).values.size > 50);
    assert.equal(await promtoolErrors(text), "");
    readPage(await (await running.get({ accept: PROMETHEUS_ACCEPT })).text(), "openmetrics");
  }
});

Deno.test(
  "the odd texts of the contract make pages that Prometheus's own reader takes",
  needs(promtool),
  async () => {
    await using running = new Running();
    const points = oddPoints();
    await running.take(
      batchOf(
        points.map((point) => [seriesOf(point.metric, point), point.value, point.seconds, point.nanos]),
      ),
    );
    const text = await (await running.get()).text();
    // Attributes whose names differ only in what a label cannot have are one.
    const distinct = points.map(({ metric, ...rest }) =>
      `${metric.name} ${labelsOf({ metric, ...rest }, DEFAULTS)}`
    );
    assert.equal(readPage(text).values.size, new Set(distinct).size);
    assert.equal(await promtoolErrors(text), "");
  },
);

Deno.test("promtool finds errors in a page", needs(promtool), async () => {
  assert.equal(await promtoolErrors(`# HELP a x.\n# TYPE a gauge\na{b="c"} 1\n`), "");
  assert.match(await promtoolErrors('a{b="c"d"} 1\n'), /exit code 1/);
});
