/** What the API says, of an agent whose figures and hosts a test makes up. docs/seeing.md lists them. */
import assert from "node:assert/strict";
import type { Figures, PartFigures } from "../../lib/agent/figures.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import type { Counters } from "../../lib/agent/stats.ts";
import { LogRing } from "../../lib/base/log_ring.ts";
import type { BodyWriter, HttpRequest } from "../../lib/http/head.ts";
import { apiPages } from "../../lib/seeing/api.ts";
import type { Live } from "../../lib/seeing/live/live.ts";
import { View } from "../../lib/seeing/view.ts";
import { until } from "../kit/waiting.ts";

const request = (path: string, query = ""): HttpRequest => ({
  method: "GET",
  path: `/api/v1${path}`,
  query,
  headers: new Map(),
});

/** Hosts of which one is named `a`, which are looked at when a test says so. */
class Looks {
  rows = 0;
  asked: unknown[] = [];
  #told = new Set<() => void>();
  #waiting = new Set<() => void>();

  readonly live = {
    axis: { step_seconds: 3, samples: 2, newest: 30 },
    ring: { refused: 4 },
    hosts: { find: (name: string) => name === "a" ? 1 : undefined },
    rows: () => [{ name: "a", points: ++this.rows }],
    power: (most: number) => [{ name: "a", watts: [most] }],
    seriesOf: (name: string) => [{ metric: `of ${name}` }],
    consumers: () => [{ consumer: "process 7" }],
    onLook: (tell: () => void) => void this.#told.add(tell),
    next: async (signal: AbortSignal) => {
      if (signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    },
  } as unknown as Live;

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Looks when all of these streams wait for it. */
  async look(streams: number): Promise<void> {
    await until(() => this.waiting === streams);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const tell of this.#told) tell();
    for (const resolve of waiting) resolve();
  }
}

/** The API of a process, and what a test changes of it. */
function api() {
  const log = new LogRing();
  const view = new View({ version: "1.2.3", host: "here", log });
  const looks = new Looks();
  const pages = apiPages(view, () => view.agent && looks.live);
  const ask = async (path: string, query?: string) => await pages[`/api/v1${path}`](request(path, query));
  const json = async (path: string, query?: string) => {
    const { status, body } = await ask(path, query);
    assert.equal(status, 200);
    return JSON.parse(new TextDecoder().decode(body));
  };
  return { log, view, looks, pages, ask, json };
}

const figures: Partial<Figures> = {
  role: "server",
  startedMs: 1500,
  connectedClients: 0,
  servers: () => ["b:1"],
  journal: () => ({
    ...{ directory: "/j", bytes: 1, limitBytes: 2, isFull: false, oldestSeconds: 3 },
    ...{ appendedPoints: 4, droppedPoints: 5, pendingPoints: 6 },
  }),
  process: () => ({ residentBytes: 7, heapBytes: 8, cpuSeconds: 0.5 }),
  parts: () => {
    const part = (name: string, kind: PartFigures["kind"], counters: Counters) => (
      { name, kind, counters, gauges: [] }
    );
    return [
      part("x", "input", { refusedClients: 1, rejectedPoints: 20, duplicatePoints: 300 }),
      part("y", "input", { refusedClients: 4 }),
      part("x", "transform", { refusedClients: 1000, rejectedPoints: 1000 }),
      part("x", "output", { duplicatePoints: 1000 }),
    ];
  },
  outputs: () =>
    ["x", "z"].map((name) => ({
      ...{ name, pendingPoints: 1, lagSeconds: 2, droppedPoints: 3, isTargetAway: true },
      ...{ deadLetters: 4, droppedDeadLetters: 5 },
    })),
};

function agentOf(more: Partial<Figures> = {}, history = false): RunningAgent {
  const agent = { figures: { ...figures, ...more }, stalls: () => [], ...history && { history: {} } };
  return agent as unknown as RunningAgent;
}

Deno.test("the status is that of the figures, and what only inputs count is the sum of the inputs", async () => {
  const { log, view, json } = api();
  view.agent = agentOf({}, true);
  log.add("error", "main", "a message", { path: "/a" });
  const before = Date.now() / 1000;
  const { now, last_error: { time, ...error }, ...status } = await json("/status");
  assert.ok(before <= now && now <= Date.now() / 1000 && time <= now && now - time < 60, `${now} ${time}`);
  assert.deepEqual(error, { level: "error", part: "main", message: "a message", fields: { path: "/a" } });
  const output = {
    ...{ pending_points: 1, lag_seconds: 2, target_away: true, dropped_points: 3, dead_letters: 4 },
  };
  assert.deepEqual(status, {
    ...{ version: "1.2.3", host: "here", pid: Deno.pid, ready: true, problems: [], role: "server" },
    ...{ started: 1.5, connected_to: ["b:1"], clients: 0, history: true },
    ...{ refused_clients: 5, rejected_points: 20, duplicate_points: 300 },
    ...{ points: 4, dropped_points: 5, pending_points: 6 },
    journal: { directory: "/j", bytes: 1, limit_bytes: 2, full: false, oldest_seconds: 3 },
    outputs: [
      { ...output, name: "x", counters: { duplicatePoints: 1000 } },
      { ...output, name: "z", counters: {} },
    ],
    inputs: [
      { name: "x", counters: { refusedClients: 1, rejectedPoints: 20, duplicatePoints: 300 } },
      { name: "y", counters: { refusedClients: 4 } },
    ],
    ...{ memory_bytes: 7, cpu_seconds: 0.5 },
  });
});

Deno.test("what is not known is null, and a process that is not ready says why", async () => {
  const { view, json } = api();
  const process = () => ({ residentBytes: 7, heapBytes: 8, cpuSeconds: NaN });
  view.agent = agentOf({ connectedClients: undefined, process });
  view.isStopping = true;
  const { ready, problems, clients, history, cpu_seconds, last_error } = await json("/status");
  assert.deepEqual([ready, problems], [false, ["the process is stopping"]]);
  assert.deepEqual([clients, history, cpu_seconds, last_error], [null, false, null, null]);
});

Deno.test("a part is stuck when it has made no progress for more than 10 seconds", () => {
  const { view } = api();
  const { now } = performance;
  performance.now = () => 50_000;
  try {
    const stalls = [{ part: "a", since: 40_000 }, { part: "b", since: 39_999 }, { part: "c", since: 60_000 }];
    view.agent = { ...agentOf(), stalls: () => stalls };
    assert.deepEqual(view.problems, ["b is stuck"]);
  } finally {
    performance.now = now;
  }
});

Deno.test("before the agent runs the status has nothing, and there are no hosts, power and consumers", async () => {
  const { json, ask } = api();
  const { now: _, pid: __, ...status } = await json("/status");
  assert.deepEqual(status, {
    ...{
      version: "1.2.3",
      host: "here",
      ready: false,
      problems: ["the process is starting"],
      last_error: null,
    },
    ...{ role: null, started: null, connected_to: [], clients: null, history: false, refused_clients: 0 },
    ...{ points: 0, dropped_points: 0, rejected_points: 0, duplicate_points: 0, pending_points: 0 },
    ...{ journal: null, outputs: [], inputs: [], memory_bytes: null, cpu_seconds: null },
  });
  assert.deepEqual([await json("/hosts"), await json("/power"), await json("/consumers")], [[], null, []]);
  assert.equal((await ask("/host", "name=a")).status, 404);
  const { status: code, headers } = await ask("/events");
  assert.deepEqual([code, headers["retry-after"]], [503, "1"]);
});

Deno.test("the log has its times in seconds, and the index names each page", async () => {
  const { log, json, pages } = api();
  log.entries.push({ timeMs: 1500, level: "info", part: "p", message: "m", fields: {} });
  assert.deepEqual(await json("/log"), [{ time: 1.5, level: "info", part: "p", message: "m", fields: {} }]);
  const paths: string[] = await json("");
  const named = paths.map((path) => path.replace("?name=", "")).sort();
  assert.deepEqual(["/api/v1", ...named], Object.keys(pages).sort());
});

Deno.test("power is that of the 20 hosts with the most, and a host is asked for by its name", async () => {
  const { view, json, ask } = api();
  view.agent = agentOf();
  const axis = { step_seconds: 3, samples: 2, newest: 30 };
  assert.deepEqual(await json("/power"), { ...axis, hosts: [{ name: "a", watts: [20] }] });
  assert.deepEqual(await json("/consumers"), [{ consumer: "process 7" }]);
  assert.deepEqual(await json("/host", "name=a"), {
    ...axis,
    ...{ refused_series: 4, series: [{ metric: "of a" }] },
  });
  for (const query of ["", "name=", "name=b"]) assert.equal((await ask("/host", query)).status, 404);
});

Deno.test("a span of 60 seconds to 5 years is asked of an output that stores values", async () => {
  const { view, looks, ask, json } = api();
  view.agent = agentOf();
  Object.assign(looks.live.hosts, { shown: (name: string) => `${name}!`, named: (shown: string) => shown });
  const asked: unknown[] = [];
  const rows = { stepSeconds: 9, newest: 8, isWhole: true };
  const history = {
    power: (seconds: number) => {
      asked.push(seconds);
      return Promise.resolve({
        ...rows,
        hosts: [{ name: "b", rest: false }, { name: "others", rest: true }],
      });
    },
    host: (name: string, seconds: number) => {
      asked.push(name, seconds);
      return Promise.resolve({ ...rows, others: 2, series: [] });
    },
  };
  const withoutHistory = await ask("/power", "span=60");
  assert.deepEqual([withoutHistory.status, withoutHistory.headers["retry-after"]], [503, "5"]);
  assert.equal(
    new TextDecoder().decode(withoutHistory.body).trim(),
    "There are no older values: no output stores them; the output sqlite does.",
  );
  Object.assign(view.agent, { history });
  const longest = 5 * 366 * 86_400;
  assert.deepEqual(await json("/power", "span=60"), {
    ...{ step_seconds: 9, newest: 8, whole: true },
    hosts: [{ name: "b!", rest: false }, { name: "others", rest: true }],
  });
  assert.deepEqual(await json("/host", `name=x&span=${longest}`), {
    ...{ step_seconds: 9, newest: 8, whole: true, other_series: 2, series: [] },
  });
  assert.deepEqual(asked, [60, "x", longest]);
  for (const span of ["59", `${longest + 1}`, "", "x"]) {
    assert.equal((await ask("/power", `span=${span}`)).status, 400, span);
  }
  view.agent = null;
  assert.equal((await ask("/power", "span=61")).status, 503);
});

/** A reader of events, whose texts are the numbers of points that they show. */
async function listen({ ask, looks }: ReturnType<typeof api>) {
  const { status, headers, stream, release } = await ask("/events");
  assert.deepEqual([status, headers["content-type"]], [200, "text/event-stream; charset=utf-8"]);
  const points: number[] = [];
  const stop = new AbortController();
  const write: BodyWriter["write"] = (part) => {
    const data = /^(?:retry: 2000\n\n)?event: tick\ndata: (.*)\n\n$/.exec(String(part))![1];
    points.push(JSON.parse(data).hosts[0].points);
    return Promise.resolve();
  };
  const done = stream!({ write, signal: stop.signal });
  return {
    points,
    stop,
    done: done.then(() => release!()),
    until: (n: number) => until(() => points.length === n),
    looks,
  };
}

Deno.test("an event is sent at once, and with every second look; streams share what is made of a look", async () => {
  const process = api();
  process.view.agent = agentOf();
  const { looks } = process;
  const [a, b] = [await listen(process), await listen(process)];
  assert.deepEqual([a.points, b.points], [[1], [2]]);
  for (let events = 2; events <= 3; events++) {
    await looks.look(2);
    await until(() => looks.waiting === 2);
    assert.deepEqual([a.points.length, b.points.length], [events - 1, events - 1]);
    await looks.look(2);
    await Promise.all([a.until(events), b.until(events)]);
  }
  assert.deepEqual([a.points, b.points], [[1, 3, 4], [2, 3, 4]]);
  // Who leaves gets nothing more, also where that was between two looks.
  a.stop.abort();
  await until(() => looks.waiting === 2);
  b.stop.abort();
  await Promise.all([a.done, b.done]);
  assert.deepEqual([a.points.length, b.points.length], [3, 3]);
});

Deno.test("32 streams of events are served at the same time, and more are told to come again", async () => {
  const { view, ask } = api();
  view.agent = agentOf();
  const streams = [];
  for (let n = 0; n < 32; n++) streams.push(await ask("/events"));
  assert.deepEqual(new Set(streams.map(({ status }) => status)), new Set([200]));
  const { status, headers } = await ask("/events");
  assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
  streams[5].release!();
  assert.deepEqual([(await ask("/events")).status, (await ask("/events")).status], [200, 503]);
});
