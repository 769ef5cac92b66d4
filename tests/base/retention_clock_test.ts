import assert from "node:assert/strict";
import { ClockJumpWarning } from "../../lib/base/clock_jump.ts";
import { RetentionClock } from "../../lib/base/retention_clock.ts";

import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.parse("2026-11-25T12:00:00Z");
const KEEP = 30 * DAY;

Deno.test("a clock that goes on, or is set by minutes, is believed", () => {
  const clock = new RetentionClock(START, 0);
  for (let ms = 0; ms < 10 * DAY; ms += HOUR) {
    const wall = START + ms + (ms % (5 * HOUR) === 0 ? 10 * 60_000 : 0);
    assert.equal(clock.now(wall, ms, KEEP), wall);
    assert.equal(clock.aheadMs, 0);
  }
});

Deno.test("a jump ahead is doubted for a day, then it is believed", () => {
  const clock = new RetentionClock(START, 0);
  const jump = 40 * DAY;
  for (let ms = HOUR; ms < 25 * HOUR; ms += HOUR) {
    assert.equal(clock.now(START + ms + jump, ms, KEEP), START + ms);
    assert.equal(clock.aheadMs, jump);
  }
  assert.equal(clock.now(START + 25 * HOUR + jump, 25 * HOUR, KEEP), START + 25 * HOUR + jump);
  assert.equal(clock.aheadMs, 0);
});

Deno.test("a jump that is taken back had no effect, and the next one is doubted as long", () => {
  const clock = new RetentionClock(START, 0);
  assert.equal(clock.now(START + 50 * DAY, 0, KEEP), START);
  assert.equal(clock.now(START + 20 * HOUR, 20 * HOUR, KEEP), START + 20 * HOUR);
  assert.equal(clock.now(START + 50 * DAY, 21 * HOUR, KEEP), START + 21 * HOUR);
  assert.equal(clock.now(START + 51 * DAY, 40 * HOUR, KEEP), START + 40 * HOUR);
});

Deno.test("a clock that is set back is followed at once", () => {
  const clock = new RetentionClock(START, 0);
  assert.equal(clock.now(START - 100 * DAY, HOUR, KEEP), START - 100 * DAY);
  assert.equal(clock.now(START - 100 * DAY + HOUR, 2 * HOUR, KEEP), START - 100 * DAY + HOUR);
  // Back to the true time: it is a jump like any other.
  assert.equal(clock.now(START, 3 * HOUR, KEEP), START - 100 * DAY + 2 * HOUR);
});

Deno.test("at the start, a time long after the last thing that happened is doubted", () => {
  const clock = new RetentionClock(START, 0, START - 40 * DAY);
  assert.equal(clock.now(START, 0, KEEP), START - 40 * DAY);
  assert.equal(clock.now(START + DAY, DAY, KEEP), START + DAY);
});

Deno.test("what is kept for a short time is not kept for a day more", () => {
  const clock = new RetentionClock(START, 0);
  assert.equal(clock.now(START + HOUR, 1000, 10_000), START + 1000);
  assert.equal(clock.now(START + HOUR + 10_000, 11_000, 10_000), START + HOUR + 10_000);
});

Deno.test("up to an hour ahead is believed at once, and up to a tenth of how long things are kept", () => {
  for (const [keep, tolerance] of [[KEEP, HOUR], [10 * HOUR, HOUR], [5 * HOUR, HOUR / 2], [10_000, 1000]]) {
    const clock = () => new RetentionClock(START, 0);
    assert.equal(clock().now(START + tolerance, 0, keep), START + tolerance);
    assert.equal(clock().now(START + tolerance + 1, 0, keep), START);
  }
});

Deno.test("a jump is said at once, then once a minute, and the next one at once again", () => {
  const clock = new FakeClock();
  const logs = new LogLines();
  const warning = new ClockJumpWarning(logs.log, clock);
  const says = (aheadMs: number) => {
    const before = logs.lines.length;
    warning.notice(aheadMs);
    return logs.lines.length > before;
  };
  assert.ok(!says(0));
  assert.ok(says(3_600_400));
  assert.match(
    logs.lines[0],
    /WARN .*The clock has jumped ahead, nothing is deleted by it for a day ahead_s=3600/,
  );
  assert.ok(!says(3_600_400));
  clock.spend(60_000);
  assert.ok(says(3_600_400));
  assert.ok(!says(0));
  assert.ok(says(DAY));
});
