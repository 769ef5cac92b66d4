import assert from "node:assert/strict";
import { createLogger, type LogOptions, printable } from "../../lib/base/log.ts";
import { LogRing } from "../../lib/base/log_ring.ts";

function capture(options: LogOptions, use: (log: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = [];
  const now = () => new Date("2026-01-02T03:04:05.678Z");
  use(createLogger("agent", { now, write: (line) => lines.push(line), ...options }));
  return lines;
}

Deno.test("a line has the time, the level, the part, the message and the fields", () => {
  const lines = capture({}, (log) => {
    log.for("csv").info("Writing", { file: "a b.csv", points: 3, exact: 2n ** 60n, none: undefined });
    log.error("No");
  });
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.678Z INFO  csv: Writing file="a b.csv" points=3 exact=1152921504606846976\n',
    "2026-01-02T03:04:05.678Z ERROR agent: No\n",
  ]);
});

Deno.test("lines below the chosen level are not written", () => {
  const all = (log: ReturnType<typeof createLogger>) => {
    for (const level of ["error", "warn", "info", "debug", "trace"] as const) log[level](level);
  };
  assert.equal(capture({ level: "error" }, all).length, 1);
  assert.equal(capture({}, all).length, 3);
  assert.equal(capture({ level: "trace" }, all).length, 5);
});

Deno.test("text from a network cannot forge a line or control a terminal", () => {
  const evil = 'x\n2026 ERROR fake: y\x1b[31m\u202e"\r\u0085';
  for (const format of ["text", "json"] as const) {
    const [line, ...more] = capture({ format }, (log) => log.warn(`client ${evil}`, { name: evil }));
    assert.equal(more.length, 0);
    assert.equal(line.indexOf("\n"), line.length - 1);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u202e]/);
    if (format === "text") continue;
    const { message, name } = JSON.parse(line);
    assert.deepEqual([message, name], [`client ${evil}`, evil]);
  }
  assert.equal(printable("a\nb\u001b\t\u2028"), "a\\nb\\u001b\\t\\u2028");
});

Deno.test("JSON lines contain the same facts", () => {
  const [line] = capture({ format: "json" }, (log) => log.warn("Full", { points: 7, exact: 2n ** 60n }));
  assert.deepEqual(JSON.parse(line), {
    time: "2026-01-02T03:04:05.678Z",
    level: "warn",
    part: "agent",
    message: "Full",
    points: 7,
    exact: "1152921504606846976",
  });
});

Deno.test("colours are written only on request", () => {
  assert.ok(capture({ color: true }, (log) => log.error("x"))[0].includes("\x1b[31mERROR\x1b[0m"));
  assert.ok(!capture({}, (log) => log.error("x"))[0].includes("\x1b"));
});

Deno.test("lines for the journal of systemd begin with their priority, and have no time and no colour", () => {
  const all = (log: ReturnType<typeof createLogger>) => {
    for (const level of ["error", "warn", "info", "debug", "trace"] as const) log[level](level, { n: 1 });
  };
  assert.deepEqual(capture({ journal: true, color: true, level: "trace" }, all), [
    "<3>agent: error n=1\n",
    "<4>agent: warn n=1\n",
    "<6>agent: info n=1\n",
    "<7>agent: debug n=1\n",
    "<7>agent: trace n=1\n",
  ]);
  const [json] = capture({ journal: true, format: "json" }, all);
  assert.equal(json, '<3>{"level":"error","part":"agent","message":"error","n":1}\n');
});

Deno.test("a level that is a function is called for each line", () => {
  let level: "info" | "error" = "info";
  const lines = capture({ level: () => level }, (log) => {
    const part = log.for("part");
    part.info("one");
    level = "error";
    part.info("two");
    part.error("three");
  });
  assert.deepEqual(lines.map((line) => line.slice(31)), ["part: one\n", "part: three\n"]);
});

Deno.test("lines that were lost are reported once, before the next line that is written", () => {
  let lost = 0;
  const takeLost = () => {
    const lines = lost;
    lost = 0;
    return lines;
  };
  const lines = capture({ takeLost, journal: true }, (log) => {
    log.info("one");
    lost = 1;
    log.debug("not written");
    log.for("csv").info("two");
    log.info("three");
  });
  assert.deepEqual(lines, [
    "<6>agent: one\n",
    "<4>csv: Lines of the log were lost: standard error did not take them lines=1\n",
    "<6>csv: two\n",
    "<6>agent: three\n",
  ]);
});

Deno.test("the last 300 lines are kept for a page, with the first thousand characters of each text", () => {
  const ring = new LogRing();
  assert.deepEqual([ring.counts, ring.lastError], [{ error: 0, warn: 0, info: 0, debug: 0, trace: 0 }, null]);
  ring.add("error", "csv", "x".repeat(1001), { long: "y".repeat(1001), n: 7n, none: undefined });
  const [{ timeMs, ...first }] = ring.entries;
  assert.ok(Math.abs(Date.now() - timeMs) < 60_000);
  assert.deepEqual(first, {
    level: "error",
    part: "csv",
    message: "x".repeat(1000),
    fields: { long: "y".repeat(1000), n: "7" },
  });
  for (let n = 0; n < 299; n++) ring.add("info", "agent", `${n}`, {});
  assert.deepEqual([ring.entries.length, ring.entries[0].level], [300, "error"]);
  ring.add("warn", "agent", "last", {});
  assert.deepEqual([ring.entries.length, ring.entries[0].message, ring.entries.at(-1)!.message], [
    300,
    "0",
    "last",
  ]);
  assert.deepEqual(ring.counts, { error: 1, warn: 1, info: 299, debug: 0, trace: 0 });
  assert.equal(ring.lastError?.part, "csv");
});
