/**
 * What the page costs with many hosts, in Chromium and in the server: `page.ts [HOSTS [SERIES [EVERY_S [SECONDS]]]]`. One
 * process speaks for all hosts, with clients of ours; the server writes CSV to nowhere. With ALUMET_RELAY_BIN the compiled
 * program is measured.
 */
import { createLogger } from "../lib/base/log.ts";
import { Batch, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { Browser, type Tab } from "../tests/kit/chromium.ts";
import { pause } from "../tests/kit/waiting.ts";
import { startHost } from "./host.ts";
import { freePort, MAIN, start, stop, usageOf } from "./process.ts";

const [hosts = 1000, series = 50, everySeconds = 5, seconds = 60] = Deno.args.map(Number);
/** Slices of a poll in which the hosts take turns. */
const SLICES = 50;

const log = createLogger("bench", { level: "error" });
const metric = (name: string, base: string): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix: "" },
  description: "",
});
const POWER = metric("meter_power", "W");
const METRICS = Array.from({ length: series - 1 }, (_, i) => metric(`metric_${i}`, ["By", "%", "1"][i % 3]));

/** A host: its way to the server, and what it measures. */
function host(index: number, address: string, stop: AbortSignal) {
  const { journal, running } = startHost(index, address, { log, stop });
  const measured = [POWER, ...METRICS].map((one) => seriesOf(one));
  return {
    running,
    poll(): void {
      const now = Date.now();
      const batch = new Batch(series);
      for (const one of measured) {
        batch.push(one, Math.floor(now / 1000), 0, 50 + Math.random() * 100 + index % 7);
      }
      void journal.append(batch);
    },
  };
}

/** Notes frames and tasks that take long. */
const WATCH = `(() => {
  const seen = globalThis.seen = { frame: 0, long: 0, task: 0 };
  let before = performance.now();
  const frame = (now) => {
    seen.frame = Math.max(seen.frame, now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      seen.long++;
      seen.task = Math.max(seen.task, duration);
    }
  }).observe({ type: "longtask" });
})()`;

async function metrics(tab: Tab): Promise<Record<string, number>> {
  const list: { name: string; value: number }[] = (await tab.send("Performance.getMetrics")).metrics;
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

async function heapMiB(tab: Tab): Promise<number> {
  await tab.send("HeapProfiler.collectGarbage");
  return (await metrics(tab)).JSHeapUsedSize / 2 ** 20;
}

/** The memory of the page's process that it shares with no file. */
async function ownMiB(browser: Browser): Promise<number> {
  const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
  const sizes = (processInfo as { type: string; id: number }[]).filter(({ type }) => type === "renderer")
    .map(({ id }) => Number(/RssAnon:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${id}/status`))![1]) / 1024);
  return Math.max(...sizes);
}

const row = (...cells: (string | number)[]) =>
  console.log(`| ${cells.map((cell) => typeof cell === "number" ? cell.toFixed(1) : cell).join(" | ")} |`);

const port = freePort();
const page = freePort();
const server = await start([
  ...[MAIN, "--relay-in", `127.0.0.1:${port}`, "--output-file", "/dev/null"],
  ...["--config-override", `http.address=127.0.0.1:${page}`],
]);
const end = new AbortController();
const all = Array.from({ length: hosts }, (_, index) => host(index, `127.0.0.1:${port}`, end.signal));
let slice = 0;
const polling = setInterval(() => {
  for (let i = slice; i < all.length; i += SLICES) all[i].poll();
  slice = (slice + 1) % SLICES;
}, everySeconds * 1000 / SLICES);
const cpu = () => usageOf(server.pid).cpuSeconds;
const serverMs = async () => {
  const before = cpu();
  await pause(seconds * 1000);
  return (cpu() - before) / seconds * 1000;
};

try {
  await pause((everySeconds * 3 + 10) * 1000);
  const alone = await serverMs();
  console.log(
    `Nobody looks: ${alone.toFixed(0)} ms of CPU a second, ${usageOf(server.pid).peakMiB.toFixed(0)} MiB`,
  );
  await using browser = await Browser.start();
  row(
    "page",
    "CPU ms/s",
    "of it scripts",
    "longest frame",
    "long tasks",
    "longest task",
    "heap MiB",
    "later",
    "process MiB",
    "server ms/s",
  );
  const url = `http://127.0.0.1:${page}/`;
  const pages: [name: string, hash: string, action?: string][] = [
    ["hosts", "#/"],
    ["hosts, scrolling", "#/", "setInterval(() => scrollTo(0, (scrollY + 700) % 30_000), 250)"],
    ["a host", `#/host/node-${hosts - 1}`],
    ["process", "#/process"],
  ];
  for (const [name, hash, action] of pages) {
    await using tab = await browser.open(url + hash);
    await tab.send("Performance.enable");
    await tab.until(`document.querySelectorAll("main section").length > 0`);
    await pause(4000);
    if (action) await tab.evaluate(action);
    await pause(2000);
    await tab.evaluate(WATCH);
    const heap = await heapMiB(tab);
    const before = await metrics(tab);
    await tab.evaluate("Object.assign(seen, { frame: 0, long: 0, task: 0 })");
    const ofServer = await serverMs();
    const after = await metrics(tab);
    const { frame, long, task } = await tab.evaluate("seen");
    const perSecond = (key: string) => (after[key] - before[key]) / seconds * 1000;
    const later = await heapMiB(tab);
    row(
      ...[
        name,
        perSecond("TaskDuration"),
        perSecond("ScriptDuration"),
        frame,
        String(long),
        task,
        heap,
        later,
        await ownMiB(browser),
      ],
      ofServer,
    );
  }
  console.log(`Peak memory of the server: ${usageOf(server.pid).peakMiB.toFixed(0)} MiB`);
} finally {
  clearInterval(polling);
  end.abort();
  await Promise.allSettled(all.map(({ running }) => running));
  await stop(server);
}
Deno.exit(0);
