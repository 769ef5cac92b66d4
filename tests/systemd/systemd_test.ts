import assert from "node:assert/strict";
import type { Figures } from "../../lib/agent/figures.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import { isJournalStream } from "../../lib/systemd/journal_stream.ts";
import { ServiceManager } from "../../lib/systemd/manager.ts";
import { MonotonicClock, Notifier } from "../../lib/systemd/notify.ts";
import { statusText } from "../../lib/systemd/status.ts";
import type { Stall } from "../../lib/agent/settings.ts";
import { Watchdog, watchdogPeriodMs } from "../../lib/systemd/watchdog.ts";
import { LogLines } from "../kit/log_lines.ts";
import { NotifySocket } from "../kit/notify.ts";

const environment = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("standard error is the journal if JOURNAL_STREAM has its device and inode", () => {
  const stream = (text: string, stderr = () => ({ dev: 9, ino: 1234 })) =>
    isJournalStream(environment({ JOURNAL_STREAM: text }), stderr);
  assert.equal(stream("9:1234"), true);
  for (const other of ["", "9:12345", "8:1234", "x:y", "9:1234x"]) assert.equal(stream(other), false, other);
  assert.equal(stream("9:1234", () => assert.fail("closed")), false);
  assert.equal(isJournalStream(environment({})), false);
  if (Deno.build.os === "linux") {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    assert.equal(isJournalStream(environment({ JOURNAL_STREAM: `${dev}:${ino}` })), true);
  }
});

Deno.test("the watchdog is for this process, or for any process if it has no number", () => {
  const period = (variables: Record<string, string>) => watchdogPeriodMs(environment(variables), 77);
  assert.equal(period({ WATCHDOG_USEC: "30000000" }), 30_000);
  assert.equal(period({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "77" }), 30_000);
  assert.equal(period({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "78" }), undefined);
  for (const none of ["", "0", "-1", "x"]) assert.equal(period({ WATCHDOG_USEC: none }), undefined);
  assert.equal(period({}), undefined);
});

Deno.test("a part that is stuck for a period stops the watchdog, is logged once, and starts it again when it makes progress", () => {
  let now = 0;
  let stalls: Stall[] = [];
  let pings = 0;
  const logs = new LogLines();
  using watchdog = new Watchdog({
    periodMs: 30_000,
    stalls: () => stalls,
    ping: () => void pings++,
    log: logs.log,
    now: () => now,
  });
  const pinged = () => {
    const before = pings;
    watchdog.check();
    return pings > before;
  };
  assert.equal(pings, 1, "at once");
  now = 100_000;
  stalls = [{ part: "journal", since: 80_000 }];
  assert.ok(pinged(), "20 s may be a slow disk");
  now = 110_000;
  assert.ok(pinged());
  now = 111_000;
  assert.ok(!pinged());
  now = 121_000;
  assert.ok(!pinged());
  assert.deepEqual(watchdog.stuck, stalls);
  assert.equal(logs.matching(/ERROR.*journal is stuck.*stuck_ms=31000/).length, 1);
  assert.equal(logs.lines.length, 1);
  stalls = [];
  assert.ok(pinged());
  assert.equal(logs.matching(/INFO.*make progress again/).length, 1);
});

Deno.test("while the process does not run, nothing is stuck", () => {
  let now = 0;
  let stalls: Stall[] = [];
  const logs = new LogLines();
  const options = { periodMs: 30_000, stalls: () => stalls, ping: () => {}, log: logs.log, now: () => now };
  using watchdog = new Watchdog(options);
  now = 10_000;
  watchdog.check();
  // Whoever stopped the process lets it go on half a minute later, and its polls are as late as this check.
  now = 50_000;
  stalls = [{ part: "procfs", since: 11_000 }];
  watchdog.check();
  assert.deepEqual([watchdog.stuck, logs.lines], [[], []]);
  now = 60_000;
  watchdog.check();
  assert.deepEqual(watchdog.stuck, stalls);
});

Deno.test("the status has the figures for an administrator, stuck parts first", () => {
  const figures = { points: 1_234_567, waiting: 0, dropped: 0, stuck: [] };
  assert.equal(statusText(figures), "1,234,567 points since the start, 0 waiting for an output");
  assert.equal(
    statusText({ ...figures, pointsPerSecond: 1234.5, clients: 1, waiting: 1000, dropped: 2 }),
    "1 client, 1,235 points/s, 1,234,567 points since the start, 1,000 waiting for an output, 2 dropped",
  );
  assert.equal(
    statusText({ ...figures, pointsPerSecond: 0.25, clients: 20, stuck: ["journal", "procfs"] }),
    "journal and procfs stuck, 20 clients, 0.3 points/s, 1,234,567 points since the start, 0 waiting for an output",
  );
  assert.equal(
    statusText({ points: 1, waiting: 999, pointsPerSecond: 10.4, dropped: 1, stuck: ["journal"] }),
    "journal stuck, 10 points/s, 1 points since the start, 999 waiting for an output, 1 dropped",
  );
});

Deno.test("the time of a reload is never before now on the monotonic clock", () => {
  const clock = new MonotonicClock(() => "14202.38 23109.86\n");
  const first = clock.now();
  assert.ok(first >= 14_202_390_000 && first < 14_202_490_000, `${first}`);
  assert.ok(clock.now() >= first);
  const hidden = new MonotonicClock(() => {
    throw new Deno.errors.NotFound();
  });
  const ahead = hidden.now() - new MonotonicClock().now();
  assert.ok(ahead > -20_000 && ahead <= 1_000_000, `${ahead}`);
});

Deno.test("a manager is notified of start, figures, reloads and stop, in lines that values cannot break", async () => {
  await using socket = new NotifySocket();
  const logs = new LogLines();
  const env = environment({ NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "300000" });
  const journal = { appendedPoints: 5, droppedPoints: 0, pendingPoints: 2 };
  const agent = {
    figures: { journal: () => journal, connectedClients: 3 } as Partial<Figures> as Figures,
    settings: { general: { shutdown_timeout: 20_000 }, plugins: [] },
    stalls: () => [],
  } as Partial<RunningAgent> as RunningAgent;
  {
    using manager = ServiceManager.open(env, logs.log)!;
    assert.equal(await socket.next(), "STATUS=Starting");
    manager.running(agent);
    const figures = "3 clients, 5 points since the start, 2 waiting for an output";
    assert.equal(await socket.next(), `READY=1\nSTATUS=${figures}`);
    for (let i = 0; i < 3; i++) assert.equal(await socket.next(), "WATCHDOG=1");
    manager.reloading();
    assert.match(await socket.next((text) => text !== "WATCHDOG=1"), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    manager.reloaded();
    assert.match(await socket.next((text) => text !== "WATCHDOG=1"), /^READY=1\nSTATUS=/);
    manager.stopping();
    assert.equal(
      await socket.next((text) => text !== "WATCHDOG=1"),
      `STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000\nSTATUS=Stopping, ${figures}`,
    );
    manager.reloaded();
    assert.equal(await socket.next(), "WATCHDOG=1", "the end of a reload does not take the stop back");
  }
  using notifier = Notifier.open(env, logs.log)!;
  await notifier.send("STATUS=two\nREADY=1");
  assert.equal(await socket.next((text) => text !== "WATCHDOG=1"), "STATUS=two READY=1");
  assert.deepEqual(logs.lines, []);
});

Deno.test("a process without a manager, or with one that is not reachable, runs, and logs that once", async () => {
  const logs = new LogLines();
  assert.equal(Notifier.open(environment({}), logs.log), null);
  assert.equal(Notifier.open(environment({ NOTIFY_SOCKET: "vsock:2:1234" }), logs.log), null);
  assert.equal(logs.matching(/WARN.*vsock:2:1234/).length, 1);
  using notifier = Notifier.open(environment({ NOTIFY_SOCKET: "/nonexistent/notify" }), logs.log)!;
  await notifier.send("READY=1");
  await notifier.send("WATCHDOG=1");
  assert.equal(logs.matching(/WARN.*Cannot tell the service manager READY=1/).length, 1);
  assert.equal(logs.lines.length, 2);
});

Deno.test("an abstract socket is notified if Deno supports it, otherwise the log says so", async () => {
  const path = `\0alumet-relay-test-${crypto.randomUUID()}`;
  let socket: NotifySocket | null = null;
  try {
    socket = new NotifySocket(path);
  } catch { /* this Deno knows no abstract sockets */ }
  const logs = new LogLines();
  using notifier = Notifier.open(environment({ NOTIFY_SOCKET: `@${path.slice(1)}` }), logs.log)!;
  await notifier.send("READY=1");
  if (socket) {
    await using _ = socket;
    assert.equal(await socket.next(), "READY=1");
  } else assert.equal(logs.matching(/Deno [\d.]+ cannot send to an abstract socket/).length, 1);
  assert.equal(logs.lines.length, socket ? 0 : 1);
});
