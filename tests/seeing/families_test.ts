import assert from "node:assert/strict";
import type { Figures, OutputFigures } from "../../lib/agent/figures.ts";
import type { ClientBooks } from "../../lib/agent/stats.ts";
import { renderFamilies } from "../../lib/seeing/exposition.ts";
import { familiesOf, type Family } from "../../lib/seeing/families.ts";
import { DELAY_BOUNDS } from "../../lib/agent/event_loop_delay.ts";
import type { HttpRequest } from "../../lib/http/head.ts";
import { jsonPage, monitoringPages, Pages, sharedPage } from "../../lib/seeing/pages.ts";
import type { View } from "../../lib/seeing/view.ts";

const text = (families: readonly Family[], format: "text" | "openmetrics") =>
  new TextDecoder().decode(renderFamilies(families, format)).split("\n");

Deno.test("a family has its name, type and help, and a line for each sample that has a value", () => {
  const families: Family[] = [
    { name: "a_seconds", type: "gauge", help: "An a.", samples: [{ labels: {}, value: 1.5 }] },
    {
      name: "b",
      type: "counter",
      help: "A b.",
      samples: [{ labels: { x: 'a"b', y: "z" }, value: 2 }, { labels: {}, value: NaN }],
    },
    { name: "none", type: "gauge", help: "None.", samples: [{ labels: {}, value: NaN }] },
    { name: "empty", type: "gauge", help: "None.", samples: [] },
  ];
  assert.deepEqual(text(families, "text"), [
    "# HELP alumet_relay_a_seconds An a.",
    "# TYPE alumet_relay_a_seconds gauge",
    "alumet_relay_a_seconds 1.5",
    "# HELP alumet_relay_b_total A b.",
    "# TYPE alumet_relay_b_total counter",
    'alumet_relay_b_total{x="a\\"b",y="z"} 2',
    "",
  ]);
  assert.deepEqual(text(families, "openmetrics"), [
    "# HELP alumet_relay_a_seconds An a.",
    "# TYPE alumet_relay_a_seconds gauge",
    "# UNIT alumet_relay_a_seconds seconds",
    "alumet_relay_a_seconds 1.5",
    "# HELP alumet_relay_b A b.",
    "# TYPE alumet_relay_b counter",
    'alumet_relay_b_total{x="a\\"b",y="z"} 2',
    "# EOF",
    "",
  ]);
});

const outputOf = (name: string, more: Partial<OutputFigures> = {}): OutputFigures => ({
  ...{ name, pendingPoints: 1, lagSeconds: 2, droppedPoints: 3, isTargetAway: false, deadLetters: 4 },
  ...{ droppedDeadLetters: 5 },
  ...more,
});

const bookOf = (client: string, lastContactMs: number, received = 10): ClientBooks => ({
  ...{ client, instance: "", lastContactMs, received, rejected: 2, duplicates: 3, outputs: {} },
});

/** What a process says of itself. */
function viewOf(books: readonly ClientBooks[], connected: string[] | undefined, isFull = false): View {
  const figures = {
    role: "server",
    startedMs: 5000,
    eventLoopDelay: { counts: [...DELAY_BOUNDS.map((_, i) => i + 1), 7], sumSeconds: 1.5 },
    process: () => ({ residentBytes: 1, heapBytes: 2, cpuSeconds: 3 }),
    journal: () => ({
      ...{ directory: null, bytes: 1, limitBytes: 2, isFull, appendedPoints: 3, droppedPoints: 4 },
      ...{ pendingPoints: 5, oldestSeconds: 6 },
    }),
    counters: () => ({ journal: { appendedPoints: 3, droppedPoints: 4, diskBytes: 5, syncMs: 6 } }),
    outputs: () => [outputOf("a"), outputOf("b", { isTargetAway: true })],
    parts: () => [
      { name: "rapl", kind: "input", counters: { missedPolls: 5, waitMs: 1500 }, gauges: [] },
      { name: "perf", kind: "input", counters: { missedPolls: 6, open: 7 }, gauges: ["open"] },
    ],
    clients: () => books,
    connectedClients: connected?.length,
    connectionOf: (client: string) =>
      connected?.includes(client) ? { address: "a", version: "v" } : undefined,
  } as unknown as Figures;
  const facts = { version: "1.2.3", host: "h", log: { counts: { info: 3 } } };
  return { facts, problems: isFull ? ["full"] : [], agent: { figures } } as unknown as View;
}

/** The samples of a family, as `label=value value`. */
function samplesOf(view: View, name: string): string[] | undefined {
  const family = familiesOf(view).find((family) => family.name === name);
  return family?.samples.map(({ suffix = "", labels, value }) =>
    `${suffix}${Object.entries(labels).map(([name, value]) => `${name}=${value} `).join("")}${value}`
  );
}

Deno.test("metrics say what a process, its journal, its outputs and its parts do", () => {
  const [view, full] = [viewOf([], undefined), viewOf([], undefined, true)];
  const of = (name: string) => samplesOf(view, name);
  assert.deepEqual([of("ready"), samplesOf(full, "ready")], [["1"], ["0"]]);
  assert.deepEqual([of("journal_full"), samplesOf(full, "journal_full")], [["0"], ["1"]]);
  assert.deepEqual(of("log_lines"), ["level=info 3"]);
  assert.match(of("build_info")![0], /^version=1\.2\.3 deno=[\d.]+ role=server 1$/);
  assert.deepEqual([
    of("start_time_seconds"),
    of("cpu_seconds"),
    of("resident_memory_bytes"),
    of("heap_bytes"),
  ], [["5"], ["3"], ["1"], ["2"]]);
  const delays = of("event_loop_delay_seconds")!;
  const last = DELAY_BOUNDS.length * (DELAY_BOUNDS.length + 1) / 2;
  assert.deepEqual(delays.slice(0, 2), [`_bucketle=${DELAY_BOUNDS[0]} 1`, `_bucketle=${DELAY_BOUNDS[1]} 3`]);
  assert.deepEqual(delays.slice(-4), [
    `_bucketle=${DELAY_BOUNDS.at(-1)} ${last}`,
    `_bucketle=+Inf ${last + 7}`,
    "_sum1.5",
    `_count${last + 7}`,
  ]);
  assert.deepEqual([of("points"), of("dropped_points"), of("pending_points"), of("journal_oldest_seconds")], [
    ["3"],
    ["4"],
    ["5"],
    ["6"],
  ]);
  assert.deepEqual([of("journal_sync_seconds"), of("journal_disk_bytes")], [["6"], undefined]);
  assert.deepEqual(of("output_target_away"), ["output=a 0", "output=b 1"]);
  assert.deepEqual(of("output_pending_points"), ["output=a 1", "output=b 1"]);
  assert.deepEqual([of("output_lag_seconds")![0], of("output_dropped_points")![0]], [
    "output=a 2",
    "output=a 3",
  ]);
  assert.deepEqual([of("output_dead_letters")![0], of("output_dropped_dead_letters")![0]], [
    "output=a 4",
    "output=a 5",
  ]);
  assert.deepEqual(of("input_missed_polls"), ["input=rapl 5", "input=perf 6"]);
  assert.deepEqual([of("input_wait_seconds"), of("input_current_open")], [["input=rapl 1.5"], [
    "input=perf 7",
  ]]);
  const types = (name: string) => familiesOf(view).find((family) => family.name === name)!.type;
  assert.deepEqual([types("input_missed_polls"), types("input_current_open")], ["counter", "gauge"]);
});

Deno.test("before the agent runs, there are the metrics of the process alone", () => {
  const view = { ...viewOf([], undefined), agent: null, problems: ["starting"] } as unknown as View;
  assert.deepEqual(familiesOf(view).map(({ name }) => name), ["build_info", "ready", "log_lines"]);
});

Deno.test("each client has metrics where clients may connect, those heard last first", () => {
  const books = [bookOf("old", 1000), bookOf("new", 3000), bookOf("", 9000, 100), bookOf("gone", 2000)];
  const view = viewOf(books, ["new"]);
  const of = (name: string) => samplesOf(view, name);
  assert.deepEqual([of("received_points"), of("rejected_points"), of("duplicate_points")], [["130"], ["8"], [
    "12",
  ]]);
  assert.deepEqual([of("connected_clients"), of("known_clients")], [["1"], ["3"]]);
  assert.deepEqual(of("client_connected"), ["client=new 1", "client=gone 0", "client=old 0"]);
  assert.deepEqual(of("client_last_contact_timestamp_seconds"), [
    "client=new 3",
    "client=gone 2",
    "client=old 1",
  ]);
  assert.deepEqual(of("client_received_points"), ["client=new 10", "client=gone 10", "client=old 10"]);
  assert.deepEqual([of("client_rejected_points")![0], of("client_duplicate_points")![0]], [
    "client=new 2",
    "client=new 3",
  ]);
  const alone = viewOf(books, undefined);
  assert.deepEqual([samplesOf(alone, "received_points"), samplesOf(alone, "client_connected")], [
    ["130"],
    undefined,
  ]);
  const many = Array.from({ length: 10_001 }, (_, i) => bookOf(`c${i}`, i));
  const shown = samplesOf(viewOf(many, []), "client_connected")!;
  assert.deepEqual([shown.length, shown[0], shown.at(-1)], [10_000, "client=c10000 0", "client=c1 0"]);
});

const requestOf = (path: string, headers: Record<string, string> = {}, query = ""): HttpRequest => ({
  ...{ method: "GET", path, query },
  headers: new Map(Object.entries(headers)),
});

Deno.test("who asks for the same within half a second gets the same bytes, and who asks later others", async () => {
  let [ms, made] = [1000, 0];
  const page = sharedPage(({ query }) => ({
    key: query,
    headers: { "content-type": "text/plain" },
    make: () => new TextEncoder().encode(`${query} ${++made}`),
  }), () => ms);
  const ask = async (query: string) => new TextDecoder().decode((await page(requestOf("/", {}, query))).body);
  assert.deepEqual([await ask("a"), await ask("a"), await ask("b")], ["a 1", "a 1", "b 2"]);
  ms = 1500;
  assert.equal(await ask("a"), "a 1");
  ms = 1500.5;
  assert.deepEqual([await ask("a"), await ask("b")], ["a 3", "b 4"]);
  ms = 2000.5;
  assert.equal(await ask("a"), "a 3");
});

Deno.test("an answer that could not be made is made again", async () => {
  let made = 0;
  const page = jsonPage(() => made++ === 0 ? Promise.reject(new Error("away")) : { made });
  await assert.rejects(async () => await page(requestOf("/")), { message: "away" });
  const { body, headers } = await page(requestOf("/"));
  assert.equal(new TextDecoder().decode(body), '{"made":2}\n');
  assert.equal(headers["content-type"], "application/json; charset=utf-8");
});

Deno.test("a kibibyte and more is compressed for who wants that", async () => {
  for (
    const [length, accepted, isPacked] of [[1023, "gzip", false], [1024, "gzip", true], [1024, "", false], [
      9,
      "gzip",
      false,
    ]] as const
  ) {
    const page = sharedPage(() => ({ key: "", headers: {}, make: () => new Uint8Array(length) }));
    const { body, headers } = await page(requestOf("/", { "accept-encoding": accepted }));
    assert.equal(headers["content-encoding"], isPacked ? "gzip" : undefined, `${length} ${accepted}`);
    const stream = new Blob([body]).stream();
    const plain = isPacked ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
    assert.equal((await new Response(plain).bytes()).length, length);
    assert.equal(headers.vary, "accept, accept-encoding");
  }
});

Deno.test("programs that watch a process see whether it runs and is ready, and no other site does", async () => {
  const pages = (isFull: boolean) => new Pages(monitoringPages(viewOf([], undefined, isFull)));
  const ask = async (path: string, isFull = false, accept = "") => {
    const { status, body, headers } = await pages(isFull).answer(requestOf(path, { accept }));
    assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    return [status, new TextDecoder().decode(body), headers["content-type"]];
  };
  assert.deepEqual((await ask("/healthz", true)).slice(0, 2), [200, "ok\n"]);
  assert.deepEqual((await ask("/readyz")).slice(0, 2), [200, "ready\n"]);
  assert.deepEqual((await ask("/readyz", true)).slice(0, 2), [503, "full\n"]);
  assert.deepEqual((await ask("/x")).slice(0, 2), [404, "Not found; /api/v1 lists what there is.\n"]);
  const [status, metrics, type] = await ask("/metrics");
  assert.deepEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  assert.match(String(metrics), /^alumet_relay_ready 1$/m);
  assert.match(String((await ask("/metrics", false, "application/openmetrics-text"))[1]), /\n# EOF\n$/);
});
