import assert from "node:assert/strict";
import { MetricRegistry, RegistryError } from "../../lib/points/registry.ts";

const W = { base: "W", prefix: "" };
const mW = { base: "W", prefix: "milli" };

Deno.test("the same name, type and unit are one metric, whatever the description", () => {
  const registry = new MetricRegistry();
  const first = registry.register({ name: "power", type: "f64", unit: W, description: "a" });
  assert.equal(registry.register({ name: "power", type: "f64", unit: { ...W }, description: "b" }), first);
  assert.equal(registry.size, 1);
});

Deno.test("another definition of a name gets the suffix, and the same name when it comes again", () => {
  const registry = new MetricRegistry();
  registry.register({ name: "power", type: "f64", unit: W });
  const renamed = registry.register({ name: "power", type: "f64", unit: mW }, "relay-client-B");
  assert.equal(renamed.name, "power_relay-client-B");
  assert.equal(registry.register({ name: "power", type: "f64", unit: mW }, "relay-client-B"), renamed);
  const third = registry.register({ name: "power", type: "u64", unit: mW }, "relay-client-B");
  assert.equal(third.name, "power_relay-client-B_2");
  assert.equal(
    registry.register({ name: "power", type: "u64", unit: W }, "relay-client-B").name,
    "power_relay-client-B_3",
  );
});

Deno.test("without a suffix a definition that disagrees is an error", () => {
  const registry = new MetricRegistry();
  registry.register({ name: "power", type: "f64", unit: W });
  assert.throws(() => registry.register({ name: "power", type: "u64", unit: W }), RegistryError);
});

Deno.test("a registry that is full refuses new metrics and goes on with the known ones", () => {
  const registry = new MetricRegistry(2);
  const a = registry.register({ name: "a", type: "f64", unit: W });
  registry.register({ name: "b", type: "f64", unit: W });
  assert.throws(() => registry.register({ name: "c", type: "f64", unit: W }), RegistryError);
  assert.equal(registry.register({ name: "a", type: "f64", unit: W }), a);
});

Deno.test("without another limit there are as many metrics as the protocol has numbers", () => {
  const registry = new MetricRegistry();
  const register = (n: number) => registry.register({ name: `m-${n}`, type: "u64", unit: W });
  for (let n = 0; n < 65_536; n++) register(n);
  assert.throws(() => register(65_536), RegistryError);
});
