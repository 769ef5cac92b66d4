import assert from "node:assert/strict";
import {
  basesAlike,
  conversionOf,
  isAlumetUnit,
  parseUnit,
  rateUnit,
  unitDisplayName,
  unitFactor,
  unitOf,
  unitUniqueName,
} from "../../lib/points/units.ts";

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

Deno.test("values are converted between units of the same quantity, with two whole numbers", () => {
  const unit = (text: string) => {
    const [prefix, base] = text.split("|");
    return { prefix, base };
  };
  const cases: [from: string, to: string, factor: number, divisor: number, offset: number][] = [
    ["|J", "|J", 1, 1, 0],
    ["kilo|W.h", "|J", 3_600_000, 1, 0],
    ["|J", "kilo|W.h", 1, 3_600_000, 0],
    ["milli|W", "|W", 1, 1000, 0],
    ["|W", "milli|W", 1000, 1, 0],
    ["micro|J", "nano|J", 1000, 1, 0],
    ["nano|J", "micro|J", 1, 1000, 0],
    ["mega|By", "kilo|By", 1000, 1, 0],
    ["giga|By", "|By", 1e9, 1, 0],
    ["nano|s", "|s", 1, 1e9, 0],
    ["|1", "|%", 100, 1, 0],
    ["|%", "|1", 1, 100, 0],
    ["|Cel", "|[degF]", 9, 5, 32],
    ["|[degF]", "|Cel", 5, 9, -160 / 9],
    ["milli|Cel", "|[degF]", 9, 5000, 32],
    ["|Cel", "milli|[degF]", 1800, 1, 32_000],
    ["milli|W.h", "|J", 18, 5, 0],
  ];
  for (const [from, to, factor, divisor, offset] of cases) {
    const found = conversionOf(unit(from), unit(to))!;
    assert.equal(
      found.factor * divisor,
      factor * found.divisor,
      `${from} to ${to}: ${JSON.stringify(found)}`,
    );
    assert.ok(Number.isInteger(found.factor) && Number.isInteger(found.divisor), `${from} to ${to}`);
    assert.equal(found.offset, offset, `${from} to ${to}`);
  }
  assert.deepEqual(conversionOf(unit("milli|W"), unit("|W")), { factor: 1, divisor: 1000, offset: 0 });
  assert.deepEqual(conversionOf(unit("|W"), unit("milli|W")), { factor: 1000, divisor: 1, offset: 0 });
  assert.deepEqual(conversionOf(unit("micro|1"), unit("|%")), { factor: 1, divisor: 10_000, offset: 0 });
  for (const [from, to] of [["|W", "|J"], ["peta|W", "|W"], ["|W", "peta|W"], ["|%", "|J"], ["|x", "|1"]]) {
    assert.equal(conversionOf(unit(from), unit(to)), undefined, `${from} to ${to}`);
  }
});

Deno.test("a unit is found by both of its names, and Alumet's own are known", () => {
  for (const base of ["1", "s", "W", "J", "W.h", "Cel", "By", "%", "g_CO2"]) {
    for (const prefix of ["", "nano", "micro", "milli", "kilo", "mega", "giga"]) {
      const unit = { base, prefix };
      assert.deepEqual(parseUnit(unitUniqueName(unit)), unit);
      assert.equal(unitDisplayName(parseUnit(unitDisplayName(unit))!), unitDisplayName(unit));
      assert.equal(isAlumetUnit(unit), base !== "g_CO2");
    }
  }
  for (const text of ["petaW", "kilo", "Joule"]) {
    assert.equal(parseUnit(text), undefined);
    assert.deepEqual(unitOf(text), { base: text, prefix: "" });
  }
  assert.ok(!isAlumetUnit({ base: "W", prefix: "peta" }));
  assert.ok(!isAlumetUnit({ base: "x", prefix: "" }));
  assert.deepEqual(unitOf("kWh"), { base: "W.h", prefix: "kilo" });
  const factors = {
    nano: 1e-9,
    micro: 1e-6,
    milli: 1e-3,
    "": 1,
    kilo: 1e3,
    mega: 1e6,
    giga: 1e9,
    peta: undefined,
  };
  for (const [prefix, factor] of Object.entries(factors)) {
    assert.equal(unitFactor({ base: "W", prefix }), factor);
  }
});

Deno.test("energy by time is power, time by time is a number, and other bases by time are named so", () => {
  assert.deepEqual(rateUnit({ base: "J", prefix: "milli" }), { base: "W", prefix: "milli" });
  assert.deepEqual(rateUnit({ base: "s", prefix: "nano" }), { base: "1", prefix: "" });
  assert.deepEqual(rateUnit({ base: "By", prefix: "kilo" }), { base: "By/s", prefix: "kilo" });
  assert.deepEqual(basesAlike({ base: "J", prefix: "" }), ["J", "W.h"]);
  assert.deepEqual(basesAlike({ base: "By", prefix: "" }), ["By"]);
});
