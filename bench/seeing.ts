/**
 * What it costs to be seen: CPU time per point with and without `[http]` while nobody looks, and the time of a page
 * /metrics with 1,000 clients: `deno run -A bench/seeing.ts [PAIRS] [HOSTS]`. Both of a pair run at the same time, with 740
 * series a host and a poll every 2 seconds, and the median of their ratios counts.
 */
import { Figures } from "../lib/agent/figures.ts";
import { Journals } from "../lib/agent/journals.ts";
import type { RunningAgent } from "../lib/agent/settings.ts";
import { LogRing } from "../lib/base/log_ring.ts";
import type { Input } from "../lib/plugin.ts";
import { renderFamilies } from "../lib/seeing/exposition.ts";
import { familiesOf } from "../lib/seeing/families.ts";
import { View } from "../lib/seeing/view.ts";

const [pairs = 9, hosts = 300] = Deno.args.map(Number);
const CLIENTS = 1000;
/** Each renders the page once; the first ones are for the compiler. */
const PAGES = 50;

interface Cost {
  /** Of a point, in µs. */
  readonly cpu: number;
  /** Without pages of files, of which the kernel maps more or fewer. */
  readonly anonMB: number;
}

/** Two servers at the same time, so that what else the machine does slows both down alike. */
async function costOfPair(): Promise<{ off: Cost; on: Cost }> {
  const relay = Deno.env.get("ALUMET_RELAY_BIN") ?? "./denow run -A main.ts";
  const [off, on] = await Promise.all(["http.enable=false", "http.address=127.0.0.1:0"].map(async (flag) => {
    const load = new Deno.Command("python3", {
      args: [
        ["bench/many_hosts.py", "--relay", `${relay} --config-override ${flag}`],
        ["--hosts", hosts, "--series", 740, "--every", 2, "--rounds", 15].map(String),
      ].flat(),
      stderr: "inherit",
    });
    const { success, stdout } = await load.output();
    if (!success) throw new Error(`points are missing: ${new TextDecoder().decode(stdout)}`);
    const run = JSON.parse(new TextDecoder().decode(stdout));
    return { cpu: run.us_per_point_second_half[0], anonMB: run.anon_mb[0] };
  }));
  return { off, on };
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
const found = [];
for (let n = 0; n < pairs; n++) found.push(await costOfPair());
const [low, middle, high] = quartiles(found.map(({ off, on }) => (on.cpu / off.cpu - 1) * 100));
const [, off] = quartiles(found.map(({ off }) => off.cpu));
const [, more] = quartiles(found.map(({ off, on }) => on.anonMB - off.anonMB));
console.log(
  `${hosts} hosts: ${off.toFixed(2)} µs per point, with [http] ${middle.toFixed(1)} % more in the ` +
    `median of ${pairs} pairs (${low.toFixed(1)} to ${high.toFixed(1)} in the middle half), ${more} MB more`,
);
