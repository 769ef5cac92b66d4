import assert from "node:assert/strict";
import { BoundedLog, Complaint } from "../../lib/base/complaint.ts";
import { EXIT, ExitError, messageOf, requestProblem } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/log.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

function handClock() {
  return { ms: 1e6, monotonicMs: () => clock.ms };
}
let clock = handClock();

function lines(): { log: ReturnType<typeof createLogger>; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line.slice(25).trimEnd());
  return { log: createLogger("part", { write, level: "debug" }), lines };
}

Deno.test("a lasting problem is logged at once, then once a minute with the number of times, and when it is over", () => {
  clock = handClock();
  const said: string[] = [];
  const complaint = new Complaint(clock);
  for (let second = 0; second < 150; second++, clock.ms += SECOND) {
    complaint.add((times) => said.push(`${times}`));
  }
  assert.equal(said.join(), "1,60,60");
  complaint.end(() => said.push("over"));
  complaint.end(() => said.push("over again"));
  assert.equal(said.join(), "1,60,60,over");
});

Deno.test("the first time and a whole burst are logged at any fraction of a millisecond", () => {
  for (let n = 0; n < 10_000; n++) {
    const clock = { monotonicMs: () => 5000 + n * 0.137 };
    const said: number[] = [];
    const complaint = new Complaint(clock);
    const burst = new Complaint(clock, { burst: 20, perMinute: 20 });
    complaint.add(() => said.push(1));
    complaint.add(() => said.push(2));
    assert.deepEqual(said, [1], `at ${clock.monotonicMs()} ms`);
    for (let i = 0; i < 25; i++) burst.add(() => said.push(0));
    assert.equal(said.length, 21, `at ${clock.monotonicMs()} ms`);
  }
});

Deno.test("one call can count many times", () => {
  clock = handClock();
  const said: number[] = [];
  const complaint = new Complaint(clock);
  for (const count of [5, 7, 8]) complaint.add((points) => said.push(points), count);
  clock.ms += MINUTE;
  complaint.add((points) => said.push(points), 1);
  assert.deepEqual(said, [5, 16]);
});

Deno.test("the end of a problem that was never logged is not logged", () => {
  clock = handClock();
  new Complaint(clock).end(() => assert.fail("said"));
});

Deno.test("a problem that returns is logged at once; one that comes and goes all the time, ten times and then once a minute", () => {
  clock = handClock();
  let began = 0;
  let ended = 0;
  const complaint = new Complaint(clock);
  const comeAndGo = () => {
    complaint.add(() => began++);
    complaint.end(() => ended++);
    clock.ms += SECOND;
  };
  comeAndGo();
  comeAndGo();
  assert.deepEqual([began, ended], [2, 2]);
  for (let n = 0; n < 600; n++) comeAndGo();
  assert.ok(began >= 10 && began <= 10 + 1 + 2 * 11, `${began} lines in ten minutes`);
  assert.equal(ended, began);
});

Deno.test("what was left out is logged later, even if nothing more happens", () => {
  clock = handClock();
  const said: number[] = [];
  const complaint = new Complaint(clock);
  for (let n = 0; n < 4; n++) complaint.add((times) => said.push(times));
  assert.deepEqual(said, [1]);
  complaint.catchUp((times) => said.push(times));
  complaint.catchUp((times) => said.push(times));
  assert.deepEqual(said, [1, 3]);
});

Deno.test("a bounded log has a limit for each message, whoever causes it, and counts what it leaves out", () => {
  clock = handClock();
  const { log, lines: written } = lines();
  const bounded = new BoundedLog(log, clock, { warn: { burst: 3, perMinute: 2 } });
  for (let peer = 0; peer < 1000; peer++) {
    bounded.warn("Closing a connection", { peer });
    if (peer < 2) bounded.warn("Refusing a client", { peer });
  }
  assert.deepEqual(written, [
    "WARN  part: Closing a connection peer=0",
    "WARN  part: Refusing a client peer=0",
    "WARN  part: Closing a connection peer=1",
    "WARN  part: Refusing a client peer=1",
    "WARN  part: Closing a connection peer=2",
  ]);
  written.length = 0;
  clock.ms += 30 * SECOND;
  for (const peer of [1000, 1001]) bounded.warn("Closing a connection", { peer });
  assert.deepEqual(written, ["WARN  part: Closing a connection peer=1000 left_out=997"]);
  written.length = 0;
  clock.ms += 30 * SECOND;
  bounded.catchUp();
  bounded.catchUp();
  assert.deepEqual(written, ["WARN  part: Closing a connection (more of these) left_out=1"]);
});

Deno.test("a flood of an hour stays within the limit, and every line is counted", () => {
  clock = handClock();
  const { log, lines: written } = lines();
  const bounded = new BoundedLog(log, clock, { warn: { burst: 20, perMinute: 20 } });
  const each = 100;
  for (let n = 0; n < 3600 * SECOND; n += each, clock.ms += each) bounded.warn("Flood");
  clock.ms += MINUTE;
  bounded.catchUp();
  assert.ok(written.length <= 20 + 60 * 20 + 1, `${written.length} lines`);
  const leftOut = written.reduce((sum, line) => sum + Number(/left_out=(\d+)/.exec(line)?.[1] ?? 0), 0);
  const catchUps = written.filter((line) => line.includes("more of these")).length;
  assert.equal(leftOut + written.length - catchUps, 36_000);
});

Deno.test("levels without a limit, and other parts, are logged independently", () => {
  clock = handClock();
  const { log, lines: written } = lines();
  const bounded = new BoundedLog(log, clock, { warn: { burst: 1, perMinute: 1 } });
  for (let n = 0; n < 3; n++) bounded.debug("Seen", { n });
  bounded.warn("Odd");
  bounded.for("other").warn("Odd");
  bounded.warn("Odd");
  assert.deepEqual(written, [
    "DEBUG part: Seen n=0",
    "DEBUG part: Seen n=1",
    "DEBUG part: Seen n=2",
    "WARN  part: Odd",
    "WARN  other: Odd",
  ]);
});

Deno.test("of lines of everybody so many come at once, and so many a minute, by their level", () => {
  for (
    const [level, burst, perMinute] of [["error", 20, 20], ["warn", 20, 20], ["info", 1000, 100]] as const
  ) {
    clock = handClock();
    const { log, lines: said } = lines();
    const bounded = new BoundedLog(log, clock);
    for (let n = 0; n < 1100; n++) bounded[level]("It happens");
    assert.equal(said.length, burst, level);
    // One at a time, as they fall due.
    for (let n = 0; n < 600; n++) {
      clock.ms += MINUTE / 600;
      bounded[level]("It happens");
    }
    assert.equal(said.length, burst + perMinute, level);
    assert.match(said[burst], /left_out=\d+/);
  }
});

Deno.test("a problem that comes and goes is logged ten times at once, then once a minute; what was not said is forgotten at its end", () => {
  clock = handClock();
  const said: number[] = [];
  const complaint = new Complaint(clock);
  for (let n = 0; n < 30; n++) {
    complaint.add((count) => said.push(count));
    complaint.add((count) => said.push(count));
    complaint.end(() => {});
  }
  assert.deepEqual(said, Array(11).fill(1));
  const { log, lines: texts } = lines();
  const bounded = new BoundedLog(log, clock, { warn: { burst: 1, perMinute: 1 } });
  bounded.warn("Odd");
  bounded.warn("Odd");
  clock.ms += MINUTE;
  bounded.warn("Odd");
  assert.equal(texts.length, 2);
  assert.match(texts[1], /left_out=1$/);
});

Deno.test("the exit codes are those of sysexits.h, and an error that ends the process has one", () => {
  assert.deepEqual(EXIT, {
    ok: 0,
    usage: 64,
    data: 65,
    unavailable: 69,
    software: 70,
    tempfail: 75,
    config: 78,
  });
  const cause = new Error("why");
  const error = new ExitError(EXIT.config, "what", { cause });
  assert.deepEqual([error.name, error.exitCode, error.message, error.cause], [
    "ExitError",
    78,
    "what",
    cause,
  ]);
});

Deno.test("whatever was thrown has a message; that of a request has no address", () => {
  assert.deepEqual([messageOf(new Error("one")), messageOf("two"), messageOf(null)], ["one", "two", "null"]);
  const said = "error sending request for url (http://127.0.0.1:1/): client error (Connect): refused";
  assert.equal(requestProblem(new TypeError(said)), "client error (Connect): refused");
  const cause = new Error("in between", { cause: new Error("refused") });
  assert.equal(requestProblem(new TypeError("error sending request", { cause })), "refused");
  // What caused it may be no error.
  assert.equal(requestProblem(new TypeError("failed", { cause: 5 })), "failed");
  assert.equal(requestProblem("stopped"), "stopped");
});
