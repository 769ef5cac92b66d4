/** Lines of JSON. */
import assert from "node:assert/strict";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { Decoding, encode, pointsOf, problemsOf } from "./decoding.ts";

Deno.test("JSON lines have a metric or fields, tags, a unit, and a time in one of three forms", () => {
  assert.deepEqual(
    pointsOf(
      '{"metric": "t", "value": 21.5, "unit": "°C", "time": "1970-01-01T01:00:00.5+01:00", "tags": {"room": "lab"}}\n' +
        '{"name": "cpu", "fields": {"user": 1, "state": "ok"}, "tags": {"host": "a"}, "timestamp": 12}\n' +
        '{"metric": "p", "value": true, "time": 1.25, "resource": "gpu/0", "consumer": "process/1"}',
    ),
    ["t[Cel] {room=lab} 21.5 @0.5", "cpu_user {host=a} 1 @12", "p gpu/0 process/1 1 @1.25"],
  );
});

Deno.test("a time in JSON may be whole or not, in any unit, up to the last of the calendar", () => {
  const LAST = 253_402_300_799;
  const timeOf = (time: string, scale: Parameters<typeof pointsOf>[1] = {}) =>
    pointsOf(`{"metric": "t", "value": 1, "time": ${time}}`, scale).map((text) => text.split("@")[1]).join(
      "",
    );
  for (const [scale, whole, fraction] of [["h", 7200, 5400], ["m", 120, 90], [1, 2, 1.5]] as const) {
    assert.equal(timeOf("2", { scale }), `${whole}`);
    assert.equal(timeOf("1.5", { scale }), `${fraction}`);
    assert.equal(timeOf('"2"', { scale }), `${whole}`);
  }
  assert.equal(timeOf("0"), "0");
  assert.equal(timeOf(`${LAST}`, { scale: 1 }), `${LAST}`);
  assert.deepEqual(problemsOf(`{"metric": "t", "value": 1, "time": ${LAST + 1}000000000}`), [
    "1: its time is not a whole number after 1970 and before 10000",
  ]);
});

Deno.test("what JSON lines may not have is named, and the others of them are taken", () => {
  for (
    const [line, problem] of [
      ['"unit": 7', '"unit" is not a text'],
      ['"unit": null', '"unit" is not a text'],
      ['"tags": null', "tags is not an object"],
      ['"tags": [1]', "tags is not an object"],
      ['"tags": "a"', "tags is not an object"],
      ['"attributes": {"a": {}}', 'the tag "a" is not a text'],
      ['"attributes": {"a": null}', 'the tag "a" is not a text'],
      ['"resource": 7', "resource is not a text KIND or KIND/ID"],
      ['"time": "yesterday"', 'its time "yesterday" is not one of RFC 3339'],
      ['"time": -1.5', "its time is not after 1970 and before 10000"],
      ['"time": true', "its time is not a whole number after 1970 and before 10000"],
    ]
  ) {
    assert.deepEqual(problemsOf(`{"metric": "t", "value": 1, ${line}}`).map((text) => text.slice(3)), [
      problem,
    ]);
  }
  assert.deepEqual(
    pointsOf(
      '{"metric": "t", "value": 1, "time": 0, "resource": "/x", "consumer": "a/b/c", "tags": {"e": "", "n": 1.5}}',
    ),
    ["t /x a/b/c {n=1.5} 1 @0"],
  );
});

Deno.test("JSON lines that are not UTF-8, or have a value that is not finite, are bad", () => {
  const decoding = new Decoding();
  decoding.give(Uint8Array.from([...encode('{"metric": "a'), 0xff, ...encode('", "value": 1}\n')]));
  decoding.give(encode('{"metric": "a", "value": 1e999}\n{"metric": "a", "fields": {"b": -1e999}}\n'));
  assert.deepEqual(decoding.problems, [
    "1: it is not UTF-8",
    '2: the value of "value" is not a number',
    '3: the value of "b" is not a number',
  ]);
});

Deno.test("a u64 of a JSON line is a whole number that JavaScript has exactly", () => {
  const decoding = new Decoding({ rules: [{ type: "u64" }] });
  const values = [0, 7, 9007199254740991, "9007199254740992", -1, 1.5];
  decoding.give(encode(values.map((value) => `{"metric": "a", "value": ${value}, "time": 0}\n`).join("")));
  assert.deepEqual(decoding.take(), ["a 0u @0", "a 7u @0", "a 9007199254740991u @0"]);
  assert.deepEqual(decoding.problems.map((text) => text.slice(0, 29)), [
    "4 (point): 9007199254740992 i",
    "5 (point): -1 is not a whole ",
    "6 (point): 1.5 is not a whole",
  ]);
});

Deno.test("a series of JSON lines is looked up once, and again when it was given back", () => {
  const decoding = new Decoding();
  decoding.store.poison();
  const lines = encode('{"metric": "a", "value": 1, "time": 0}\n{"metric": "b", "value": 2, "time": 0}\n');
  for (const lookups of [2, 2, 4]) {
    if (lookups === 4) { for (let i = 0; i < 80; i++) decoding.store.tick(); }
    assert.deepEqual(decoding.give(lines).take(), ["a 1 @0", "b 2 @0"]);
    assert.equal(decoding.lookups, lookups);
  }
});

Deno.test("a time of RFC 3339 has a zone, and a fraction of up to nine digits", () => {
  const timeOf = (time: string) =>
    pointsOf(`{"metric": "t", "value": 1, "time": "${time}"}`)[0].split("@")[1];
  assert.equal(timeOf("2026-11-25T12:00:00Z"), "1795608000");
  assert.equal(timeOf("2026-11-25 13:00:00.000000001+01:00"), "1795608000.000000001");
  assert.equal(timeOf("1970-01-01t00:00:00.5z"), "0.5");
  for (const time of ["2026-11-25T12:00:00", "2026-13-25T12:00:00Z", "1969-12-31T23:59:59Z", "2026-11-25"]) {
    assert.match(
      problemsOf(`{"metric": "t", "value": 1, "time": "${time}"}`).join(),
      /is not one of RFC 3339/,
      time,
    );
  }
});

Deno.test("a time with a fraction is in the given unit, up to the year 10000", () => {
  const timeOf = (time: number | string) =>
    pointsOf(`{"metric": "t", "value": 1, "time": ${time}}`)[0].split("@")[1];
  assert.equal(timeOf("0.5"), "0.5");
  assert.equal(timeOf("0.9999999999"), "0.999999999", "no second that has not begun");
  const problem = /its time is not after 1970 and before 10000/;
  assert.match(problemsOf('{"metric": "t", "value": 1, "time": -0.5}').join(), problem);
  assert.match(problemsOf('{"metric": "t", "value": 1, "time": 253402300800.5}').join(), problem);
});

Deno.test("a line of JSON has a metric that is a text, and no key that nobody knows", () => {
  for (
    const [line, problem] of [
      ['{"value": 1}', 'it has no "metric"'],
      ['{"metric": 5, "value": 1}', 'it has no "metric"'],
      ['{"metric": "", "value": 1}', 'it has no "metric"'],
      ['{"metric": "a", "value": 1, "valeu": 1}', 'it has an unknown key "valeu"'],
      ['{"metric": "a", "fields": [1]}', "fields is not an object"],
    ]
  ) {
    assert.deepEqual(problemsOf(line), [`1: ${problem}`], line);
  }
});

Deno.test("an internal error is not taken for a bad line of JSON", () => {
  const registry = new MetricRegistry();
  const internal = new TypeError("internal");
  registry.register = () => {
    throw internal;
  };
  assert.throws(() => new Decoding({ registry }).give(encode('{"metric": "a", "value": 1}\n')), internal);
});
