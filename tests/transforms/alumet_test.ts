/** Transforms give the points that a real Alumet agent gives. */
import assert from "node:assert/strict";
import type { Batch } from "../../lib/points/measurement.ts";
import { ClientTable, LOCAL_ORIGIN } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import {
  batchesOf,
  compare,
  COMPATIBLE,
  differences,
  expectedOf,
  pointsOf,
  transformsOf,
} from "../kit/alumet_transforms.ts";
import { testdataText } from "../kit/bytes.ts";
import { throughStage } from "../kit/stages.ts";

async function outcome(name: string, prepare: (batch: Batch) => void = () => {}): Promise<Batch[]> {
  const registry = new MetricRegistry();
  const transforms = await transformsOf(
    testdataText(`transforms/${name}/config.toml`),
    registry,
    COMPATIBLE[name],
  );
  assert.equal(transforms.length, 1);
  return batchesOf(name, registry).map((batch) => {
    prepare(batch);
    return transforms.reduce((batch, transform) => transform.apply(batch), batch);
  });
}

for (const name of ["filter-include", "filter-exclude", "carbon-override", "carbon-world", "tdp"]) {
  Deno.test(`${name}: the points are those of a real agent`, async () => {
    const batches = await outcome(name);
    assert.deepEqual(differences(batches.flatMap(pointsOf), expectedOf(name)), []);
  });

  Deno.test(`${name}: the same for points of clients, each of whom is credited with what was made of its points`, async () => {
    const clients = new ClientTable();
    let sequence = 0;
    const batches = await outcome(name, (batch) => {
      // The first half is of a client of ours, the rest of a real agent.
      const { length } = batch;
      const half = Math.floor(length / 2);
      batch.origins.push({
        client: clients.get("ours", "0".repeat(32)),
        start: 0,
        end: half,
        sequence: ++sequence,
      });
      batch.origins.push({ client: clients.get("real"), start: half, end: length, sequence: 0 });
    });
    assert.deepEqual(differences(batches.flatMap(pointsOf), expectedOf(name)), []);
    const numbers = batches.flatMap(({ origins }) =>
      origins.map(({ sequence }) => sequence).filter((n) => n > 0)
    );
    assert.deepEqual(numbers, Array.from({ length: sequence }, (_, i) => i + 1));
    for (const { origins, length } of batches) {
      let row = 0;
      for (const { start, end } of origins) {
        assert.equal(start, row);
        row = end;
      }
      assert.equal(row, length);
    }
  });
}

/** Alumet never emits the last window of a series: what ours has in addition. */
const LAST_WINDOWS: Record<string, RegExp> = {
  "aggregation-mean": /^(count_u_mean|x_f_mean_W);/,
  "aggregation-sum": /^(count_u_sum|x_f_sum_W);/,
};

for (const [name, isLast] of Object.entries(LAST_WINDOWS)) {
  for (const sender of ["this process", "a client of ours", "a real agent"]) {
    Deno.test(`${name}: the points of ${sender} become those of a real agent, and the last windows`, async () => {
      const registry = new MetricRegistry();
      const config = testdataText(`transforms/${name}/config.toml`);
      const { batches } = await throughStage(
        config,
        registry,
        (clients) =>
          batchesOf(name, registry).map((batch, i) => {
            if (sender === "a client of ours") batch.credit(clients.get("ours", "0".repeat(32)), i + 1);
            if (sender === "a real agent") batch.credit(clients.get("real"));
            return batch;
          }),
      );
      const points = batches.flatMap(pointsOf);
      const { missing, surplus } = compare(points, expectedOf(name));
      assert.deepEqual(missing, []);
      // One for each series, and later than every other result of it.
      const newest = new Map<string, number>();
      for (const [about] of expectedOf(name)) {
        const { series, time } = partsOf(about);
        if (isLast.test(about)) newest.set(series, Math.max(newest.get(series) ?? 0, time));
      }
      const last = new Set<string>();
      for (const [about] of surplus) {
        assert.match(about, isLast);
        const { series, time } = partsOf(about);
        assert.ok(!last.has(series), about);
        last.add(series);
        assert.ok(time > (newest.get(series) ?? 0), about);
      }
      assert.deepEqual([...newest.keys()].filter((series) => !last.has(series)), []);
      const names = new Set(batches.flatMap(({ origins }) => origins.map(({ client }) => client.name)));
      assert.deepEqual([...names], [
        { "this process": LOCAL_ORIGIN, "a client of ours": "ours", "a real agent": "real" }[sender],
      ]);
    });
  }
}

for (const name of ["attribution", "attribution-carbon"]) {
  for (const sender of ["this process", "a client of ours", "a real agent"]) {
    Deno.test(`${name}: the points of ${sender} become those of a real agent`, async () => {
      const registry = new MetricRegistry();
      const config = testdataText(`transforms/${name}/config.toml`);
      const { batches } = await throughStage(
        config,
        registry,
        (clients) =>
          batchesOf(name, registry).map((batch, i) => {
            if (sender === "a client of ours") batch.credit(clients.get("ours", "0".repeat(32)), i + 1);
            if (sender === "a real agent") batch.credit(clients.get("real"));
            return batch;
          }),
      );
      assert.deepEqual(differences(batches.flatMap(pointsOf), expectedOf(name)), []);
    });
  }
}

/** A series, and the time of a point of it in s. */
function partsOf(about: string): { series: string; time: number } {
  const [metric, seconds, nanos, ...rest] = about.split(";");
  return { series: [metric, ...rest].join(";"), time: Number(seconds) + Number(nanos) / 1e9 };
}

Deno.test("a difference is found, of a value and of a point that is missing", () => {
  const points = [["a", 1], ["b", 2]] as const;
  assert.deepEqual(differences(points, points), []);
  assert.equal(differences(points, [["a", 1], ["b", 2.00000001]]).length, 1);
  assert.equal(differences(points, [["a", 1]]).length, 1);
  assert.equal(differences([["a", 1]], points).length, 1);
});
