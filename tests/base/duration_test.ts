import assert from "node:assert/strict";
import {
  DurationError,
  durationNote,
  durationProblem,
  formatDuration,
  parseDuration,
} from "../../lib/base/duration.ts";

interface Case {
  text: string;
  nanos?: string;
  error?: string;
}

const cases: Case[] = JSON.parse(
  await Deno.readTextFile(new URL("../testdata/durations.json", import.meta.url)),
);

Deno.test("parseDuration accepts and rejects the same texts as humantime, to the nanosecond", () => {
  assert.ok(cases.length > 100);
  for (const { text, nanos } of cases) {
    if (nanos === undefined) assert.throws(() => parseDuration(text), DurationError, text);
    else assert.equal(parseDuration(text), BigInt(nanos), text);
  }
});

Deno.test("parseDuration says what is wrong", () => {
  const problem = (text: string) => {
    try {
      return `${parseDuration(text)}`;
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(problem(""), "it is empty");
  assert.equal(problem("30"), "a unit is needed, for example 30s or 30ms");
  assert.equal(problem("1h 30"), "a unit is needed, for example 30s or 30ms");
  assert.equal(problem("-1s"), 'a number is expected at "-1s"');
  assert.equal(problem("1s,2s"), '"," has no place after "s"');
  assert.equal(problem("1_000s"), '"_" has no place in "1"');
  assert.equal(problem("0.5ns"), "it is finer than a nanosecond");
  assert.equal(problem("18446744073709551616s"), "the number is too large");
  assert.equal(problem("18446744073709551615s 1s"), "it is too long");
  assert.equal(parseDuration("18446744073709551615s 999999999ns"), 18_446_744_073_709_551_615_999_999_999n);
  assert.match(problem("5S"), /^unknown unit "S" .*; did you mean s\?$/);
  assert.match(problem("5 fortnights"), /^unknown unit "fortnights" \(there are ns, us, ms, s, min/);
});

Deno.test("parseDuration accepts fractions of any unit", () => {
  assert.equal(parseDuration("0.25h"), 900_000_000_000n);
  assert.equal(parseDuration("1.5us 1.5ms"), 1_501_500n);
});

Deno.test("formatDuration writes what parseDuration reads back", () => {
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(500), "500ms");
  assert.equal(formatDuration(30_000), "30s");
  assert.equal(formatDuration(90_000), "1m 30s");
  assert.equal(formatDuration(300_000), "5m");
  assert.equal(formatDuration(30 * 86_400_000), "30d");
  assert.equal(formatDuration(1.5), "1ms 500us");
  assert.equal(formatDuration(0.000001), "1ns");
  for (let i = 0; i < 500; i++) {
    const ms = Math.round(Math.random() ** 4 * 1e12) / 1e3;
    assert.ok(Math.abs(Number(parseDuration(formatDuration(ms))) / 1e6 - ms) < 1e-5, String(ms));
  }
  assert.throws(() => formatDuration(-1), RangeError);
  assert.throws(() => formatDuration(NaN), /^RangeError: Cannot write NaN ms as a duration$/);
});

Deno.test("durationNote warns of months that may be minutes, durationProblem of what is wrong", () => {
  assert.equal(durationNote("1M"), "1M is 1 month; write 1min for minutes");
  assert.equal(durationNote("2 M"), "2M is 2 months; write 2min for minutes");
  for (const text of ["1m", "5min", "3Months", "", "1h 30m"]) {
    assert.equal(durationNote(text), undefined, text);
  }
  assert.equal(durationProblem("1h"), undefined);
  assert.equal(durationProblem("30"), "a unit is needed, for example 30s or 30ms");
  assert.doesNotMatch(durationProblem("5 fortnights")!, /did you mean/);
  assert.doesNotMatch(durationProblem("5 Fortnights")!, /did you mean/);
  assert.match(durationProblem("5 MIN")!, /did you mean min\?/);
  assert.throws(() => formatDuration(Infinity), RangeError);
  assert.throws(() => formatDuration(-0.5), RangeError);
});
