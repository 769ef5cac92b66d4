/**
 * What it costs to be seen: CPU time per point with and without `[http]` while nobody looks, and the time of a page
 * /metrics with 1,000 clients. `deno run -A bench/seeing.ts`, on a machine that does nothing else.
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

const TRIES = 5;
const CLIENTS = 1000;
/** Each renders the page once; the first ones are for the compiler. */
const PAGES = 50;

/** The least CPU time per point of some runs, in µs. */
async function leastCpu(directory: string, connections: number): Promise<{ off: number; on: number }> {
  const least = { off: Infinity, on: Infinity };
  const flags = { off: "http.enable=false", on: "http.address=127.0.0.1:0" };
  for (let n = 0; n < TRIES; n++) {
    for (const kind of ["off", "on"] as const) {
      const run = await benchServer(directory, connections, Math.ceil(400 / connections), [
        "--config-override",
        flags[kind],
      ]);
      least[kind] = Math.min(least[kind], run.busySeconds / run.points * 1e6);
    }
  }
  return least;
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
    const { off, on } = await leastCpu(directory, connections);
    const more = ((on / off - 1) * 100).toFixed(1);
    console.log(
      `${connections} connections: ${off.toFixed(3)} µs per point, with [http] ${
        on.toFixed(3)
      } µs, ${more} % more`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
