/**
 * The program, with a look at how long its main thread is busy at a time, and how long its threads take to answer:
 * `STALLS=FILE deno run -A bench/stalls.ts ARGUMENTS…`, in place of the program of any other measurement.
 *
 * Each second it adds a line of JSON to the file: for how long at most (in ms) a timer of the main thread had to wait
 * (`late`), for how long of that the thread did something or waited for a disk (`busy`; the rest of the time other processes
 * had its core), and for how long the answer of each thread took at most, by what it was asked.
 * At the end it adds the shares of all of them.
 */
import { runProcess } from "../lib/cli.ts";

const TICK_MS = 1;
const file = Deno.openSync(Deno.env.get("STALLS") ?? "stalls.jsonl", {
  write: true,
  create: true,
  truncate: true,
});
const all = new Map<string, number[]>();
let most = new Map<string, number>();

function add(what: string, ms: number): void {
  const times = all.get(what) ?? [];
  all.set(what, times);
  times.push(ms);
  most.set(what, Math.max(most.get(what) ?? 0, ms));
}

const encoder = new TextEncoder();
const say = (line: unknown) => file.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));
const rounded = (ms: number) => Math.round(ms * 10) / 10;

/** For how long the main thread could have run and other processes had the core, in ms. */
const schedule = Deno.openSync(`/proc/self/task/${Deno.pid}/schedstat`);
const buffer = new Uint8Array(100);
function waitedMs(): number {
  schedule.seekSync(0, Deno.SeekMode.Start);
  const text = new TextDecoder().decode(buffer.subarray(0, schedule.readSync(buffer)!));
  return Number(text.split(" ")[1]) / 1e6;
}

const { postMessage } = Worker.prototype;
const asked = new WeakMap<Worker, [what: string, sinceMs: number][]>();
Worker.prototype.postMessage = function (this: Worker, message: { type?: string }, ...rest: unknown[]): void {
  let requests = asked.get(this);
  if (!requests) {
    asked.set(this, requests = []);
    this.addEventListener("message", () => {
      const [what, since] = requests!.shift() ?? ["", NaN];
      if (what !== "") add(what, performance.now() - since);
    });
  }
  requests.push([message.type ?? "work", performance.now()]);
  Reflect.apply(postMessage, this, [message, ...rest]);
};

let [beforeMs, waitedBefore] = [performance.now(), waitedMs()];
let saidMs = beforeMs;
function tick(): void {
  const [nowMs, waited] = [performance.now(), waitedMs()];
  const late = Math.max(0, nowMs - beforeMs - TICK_MS);
  add("late", late);
  add("busy", Math.max(0, late - (waited - waitedBefore)));
  if (nowMs >= saidMs + 1000) {
    say(Object.fromEntries([...most].map(([what, ms]) => [what, rounded(ms)])));
    most = new Map();
    saidMs = nowMs;
  }
  [beforeMs, waitedBefore] = [performance.now(), waitedMs()];
  setTimeout(tick, TICK_MS);
}
tick();

addEventListener("unload", () => {
  for (const [what, times] of all) {
    times.sort((a, b) => a - b);
    const share = (part: number) => rounded(times[Math.floor((times.length - 1) * part)]);
    say({
      of: what,
      count: times.length,
      median: share(0.5),
      "99%": share(0.99),
      "99.9%": share(0.999),
      most: share(1),
    });
  }
});

await runProcess(Deno.args);
