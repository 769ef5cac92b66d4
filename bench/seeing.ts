/**
 * What it costs to be seen: CPU time per point with and without `[http]` while nobody looks, and the time of a page
 * /metrics with 1,000 clients: `deno run -A bench/seeing.ts [PAIRS]`. Pairs of runs take turns, and the median of their
 * ratios counts, so that what else the machine does meanwhile changes little.
 */
import { Figures } from "../lib/agent/figures.ts";
import { Journals } from "../lib/agent/journals.ts";
import type { RunningAgent } from "../lib/agent/settings.ts";
import { LogRing } from "../lib/base/log_ring.ts";
import type { Input } from "../lib/plugin.ts";
import { renderFamilies } from "../lib/seeing/exposition.ts";
import { familiesOf } from "../lib/seeing/families.ts";
import { View } from "../lib/seeing/view.ts";
import { benchServer } from "./relay.ts";

const [pairs = 15] = Deno.args.map(Number);
const CLIENTS = 1000;
/** Each renders the page once; the first ones are for the compiler. */
const PAGES = 50;

interface Cost {
  /** Of a point, in µs. */
  readonly cpu: number;
  readonly peakMiB: number;
}

async function costOfPairs(directory: string, connections: number): Promise<{ off: Cost; on: Cost }[]> {
  const flags = { off: "http.enable=false", on: "http.address=127.0.0.1:0" };
  const found = [];
  for (let n = 0; n < pairs; n++) {
    const pair: Record<string, Cost> = {};
    // Who runs second may find a warmer or a hotter machine.
    for (const kind of n % 2 === 0 ? ["off", "on"] as const : ["on", "off"] as const) {
      const run = await benchServer(directory, connections, Math.ceil(400 / connections), [
        "--config-override",
        flags[kind],
      ]);
      pair[kind] = { cpu: run.busySeconds / run.points * 1e6, peakMiB: run.peakMiB };
    }
    found.push(pair as { off: Cost; on: Cost });
  }
  return found;
}

function quartiles(values: readonly number[]): [number, number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  return [1, 2, 3].map((n) => sorted[Math.floor(n * (sorted.length - 1) / 4)]) as [number, number, number];
}

/** The shortest time of a page with many clients, in ms. */
function metricsMs(): number {
  const journals = new Journals([], 1, { limitBytes: 1e6 });
  const { last } = journals;
  for (const output of ["a", "b"]) last.reader(output);
  for (let n = 0; n < CLIENTS; n++) {
    const client = last.clients.get(`node-${n}`, String(n).padStart(32, "0"));
    client.receivedPoints = 1e6 + n;
    client.lastContactMs = Date.now();
  }
  const input = { stats: {}, connectedClients: CLIENTS } as Partial<Input> as Input;
  using figures = new Figures({
    role: "server",
    inputs: [{ name: "input", input }],
    transforms: [],
    stages: [],
    outputs: [],
    journals: () => journals,
    readers: () => [],
    deadLetters: new Map(),
  });
  const view = new View({ version: "0", host: "bench", log: new LogRing() });
  view.agent = { figures, stalls: () => [] } as Partial<RunningAgent> as RunningAgent;
  let least = Infinity;
  for (let n = 0; n < PAGES; n++) {
    const began = performance.now();
    renderFamilies(familiesOf(view), "text");
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

console.log(`/metrics with ${CLIENTS} clients: ${metricsMs().toFixed(1)} ms`);
const directory = await Deno.makeTempDir({ prefix: "alumet-relay-bench-" });
try {
  for (const connections of [1, 100]) {
    const found = await costOfPairs(directory, connections);
    const [low, middle, high] = quartiles(found.map(({ off, on }) => (on.cpu / off.cpu - 1) * 100));
    const [, off] = quartiles(found.map(({ off }) => off.cpu));
    const [, more] = quartiles(found.map(({ off, on }) => on.peakMiB - off.peakMiB));
    console.log(
      `${connections} connections: ${off.toFixed(3)} µs per point, with [http] ${
        middle.toFixed(1)
      } % more in the ` +
        `median of ${pairs} pairs (${low.toFixed(1)} to ${high.toFixed(1)} in the middle half), ${
          more.toFixed(1)
        } MiB more`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
