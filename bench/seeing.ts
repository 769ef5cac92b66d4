/**
 * What it costs to be seen while nobody looks, on the load of a cluster (740 series a host, a poll every 2 seconds), and the
 * time of a page /metrics with 1,000 clients: `deno run -A bench/seeing.ts [PAIRS] [HOSTS] [TURNS]`.
 *
 * - PAIRS of servers, one of them with `[http]`: the CPU time of a point, and memory. Both of a pair run at the same time.
 * - One server for TURNS of two rounds: in one of both, which one varies, it remembers what a page shows ten times. So neither
 *   what else the machine does counts, nor what one process has better than the other: of the CPU time of a point, the
 *   differences between two processes of one program are larger than what is measured. A tenth of the difference is given.
 *
 * Each median is given with the range in which it lies with 95 % certainty.
 */
import { Figures } from "../lib/agent/figures.ts";
import { Journals } from "../lib/agent/journals.ts";
import type { RunningAgent } from "../lib/agent/settings.ts";
import { LogRing } from "../lib/base/log_ring.ts";
import type { Input } from "../lib/plugin.ts";
import { renderFamilies } from "../lib/seeing/exposition.ts";
import { familiesOf } from "../lib/seeing/families.ts";
import { View } from "../lib/seeing/view.ts";
import { V8_FLAGS } from "../tools/v8_flags.ts";
import { AMPLIFIED, isSeen } from "./seeing_rounds.ts";

const [pairs = 9, hosts = 300, turns = 150] = Deno.args.map(Number);
const ROUND_SECONDS = 2;
/** Rounds before the first turn, for the compiler. */
const LEAD_ROUNDS = 20;
const CLIENTS = 1000;
/** Each renders the page once; the first ones are for the compiler. */
const PAGES = 50;

interface Cost {
  /** Of a point, in µs. */
  readonly cpu: number;
  /** Without pages of files, of which the kernel maps more or fewer. */
  readonly anonMB: number;
}

interface Run {
  readonly us_per_point_second_half: readonly number[];
  readonly first_round: number;
  readonly us_per_point_by_round: readonly number[];
  readonly anon_mb: readonly number[];
}

async function load(relay: string, rounds: number, args: readonly string[] = []): Promise<Run> {
  const command = new Deno.Command("python3", {
    args: [
      ["bench/many_hosts.py", "--relay", relay, "--moving", ...args],
      ["--hosts", hosts, "--series", 740, "--every", ROUND_SECONDS, "--rounds", rounds].map(String),
    ].flat(),
    env: { ROUND_MS: String(ROUND_SECONDS * 1000) },
    stderr: "inherit",
  });
  const { success, stdout } = await command.output();
  if (!success) throw new Error(`points are missing: ${new TextDecoder().decode(stdout)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Two servers at the same time, so that what else the machine does slows both down alike. */
async function costOfPair(): Promise<{ off: Cost; on: Cost }> {
  const relay = Deno.env.get("ALUMET_RELAY_BIN") ?? "./denow run -A main.ts";
  const [off, on] = await Promise.all(["http.enable=false", "http.address=127.0.0.1:0"].map(async (flag) => {
    const run = await load(`${relay} --config-override ${flag}`, 30);
    return { cpu: run.us_per_point_second_half[0], anonMB: run.anon_mb[0] };
  }));
  return { off, on };
}

/** What a point costs more while it is remembered, in percent: one figure for each turn. */
async function costOfTurns(): Promise<number[]> {
  const server = `./denow run -A ${V8_FLAGS} bench/seeing_server.ts --config-override http.enable=false`;
  const rounds = LEAD_ROUNDS + 2 * turns + 2;
  const { first_round, us_per_point_by_round: costs } = await load(server, rounds, ["--by-round"]);
  const found: number[] = [];
  const lead = LEAD_ROUNDS + (first_round + LEAD_ROUNDS) % 2;
  for (let at = lead; at + 1 < costs.length; at += 2) {
    const [seen, unseen] = isSeen(first_round + at) ? [at, at + 1] : [at + 1, at];
    found.push((costs[seen] / costs[unseen] - 1) * 100 / AMPLIFIED);
  }
  return found;
}

const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b);

function medianOf(values: readonly number[]): number {
  const half = (values.length - 1) / 2;
  return (sorted(values)[Math.floor(half)] + sorted(values)[Math.ceil(half)]) / 2;
}

/** Between which of the values the median of all that could be found lies, with 95 % certainty; with fewer than 6, less. */
function rangeOf(values: readonly number[]): [number, number] {
  const { length } = values;
  // That just `place` of them are below the median, and that fewer are.
  let [place, just, fewer] = [0, 0.5 ** length, 0];
  while (fewer + just <= 0.025) {
    fewer += just;
    place++;
    just *= (length - place + 1) / place;
  }
  place = Math.max(1, place);
  return [sorted(values)[place - 1], sorted(values)[length - place]];
}

function stated(values: readonly number[], unit: string, digits = 1): string {
  const [low, high] = rangeOf(values).map((n) => n.toFixed(digits));
  return `${medianOf(values).toFixed(digits)} ${unit} more (${low} to ${high})`;
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
if (pairs > 0) {
  const found = [];
  for (let n = 0; n < pairs; n++) found.push(await costOfPair());
  const point = medianOf(found.map(({ off }) => off.cpu)).toFixed(2);
  const cpu = stated(found.map(({ off, on }) => (on.cpu / off.cpu - 1) * 100), "%");
  const memory = stated(found.map(({ off, on }) => on.anonMB - off.anonMB), "MB");
  console.log(`${hosts} hosts, ${point} µs per point; with [http] in ${pairs} pairs: ${cpu}, ${memory}`);
}
if (turns > 0) {
  const found = await costOfTurns();
  console.log(
    `${hosts} hosts; while points are remembered, in ${found.length} turns: ${stated(found, "%", 2)}`,
  );
}
