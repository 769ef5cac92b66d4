/** Transforms give the points that a real Alumet agent gives. */
import assert from "node:assert/strict";
import type { Batch } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { batchesOf, differences, expectedOf, pointsOf, transformsOf } from "../kit/alumet_transforms.ts";
import { testdataText } from "../kit/bytes.ts";

/** Keys that make a transform compute what Alumet's computes, where that is not the default. */
const COMPATIBLE: Record<string, Record<string, Record<string, unknown>>> = {
  tdp: { "energy-estimation-tdp": { compatible: true } },
};

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

Deno.test("a difference is found, of a value and of a point that is missing", () => {
  const points = [["a", 1], ["b", 2]] as const;
  assert.deepEqual(differences(points, points), []);
  assert.equal(differences(points, [["a", 1], ["b", 2.00000001]]).length, 1);
  assert.equal(differences(points, [["a", 1]]).length, 1);
  assert.equal(differences([["a", 1]], points).length, 1);
});
