import assert from "node:assert/strict";
import { unitDisplayName, unitUniqueName } from "../../lib/points/units.ts";

Deno.test("units are shown as Alumet shows them, unknown ones by the names that they came with", () => {
  const cases: [base: string, prefix: string, display: string, unique: string][] = [
    ["1", "", "", "1"],
    ["W.h", "kilo", "kWh", "kiloW.h"],
    ["Cel", "", "°C", "Cel"],
    ["[degF]", "", "°F", "[degF]"],
    ["By", "mega", "MB", "megaBy"],
    ["s", "nano", "ns", "nanos"],
    ["s", "micro", "μs", "micros"],
    ["%", "", "%", "%"],
    ["g_CO2", "milli", "mgCO₂", "millig_CO2"],
    ["W", "peta", "petaW", "petaW"],
  ];
  for (const [base, prefix, display, unique] of cases) {
    assert.equal(unitDisplayName({ base, prefix }), display);
    assert.equal(unitUniqueName({ base, prefix }), unique);
  }
});
