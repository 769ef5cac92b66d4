/**
 * The program, which remembers what a page shows AMPLIFIED times, in some rounds of a load and not in the others:
 * `ROUND_MS=2000 deno run -A bench/seeing_server.ts ARGUMENTS…`, for seeing.ts.
 *
 * What one memory costs is less than what else differs between two rounds. Ten of them cost ten times as much, and rather
 * more, as they displace more of what is in the processor's caches. Their looks, one each second, come one after another:
 * each wakes the process up.
 */
import { Timer } from "../lib/base/timers.ts";
import { runProcess } from "../lib/cli.ts";
import { http } from "../lib/http/config.ts";
import { Seeing } from "../lib/seeing.ts";
import { Live } from "../lib/seeing/live/live.ts";
import { AMPLIFIED, isSeen } from "./seeing_rounds.ts";

const ROUND_MS = Number(Deno.env.get("ROUND_MS"));
const roundNow = () => Math.floor(Date.now() / ROUND_MS);

/** Starts what has an interval, in the rounds that are seen. */
const starts: ((after: number) => Disposable)[] = [];
let running: Disposable[] = [];

const { every } = Timer;
const { running: begin } = Seeing.prototype;
Seeing.prototype.running = function (agent) {
  begin.call(this, agent);
  const seen: typeof agent = {
    ...agent,
    watch: (take) =>
      agent.watch((batch) => {
        if (isSeen(roundNow())) take(batch);
      }),
  };
  Timer.every = (ms, action) => {
    starts.push((after) => {
      let timer = Timer.after(after, () => {
        action(0);
        timer = every.call(Timer, ms, action);
      });
      return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
    });
    return Timer.after(0, () => {});
  };
  for (let n = 0; n < AMPLIFIED; n++) new Live(seen, "bench", http.defaultValue().memory);
  Timer.every = every;
  turn();
};

/**
 * How much of a round is left when garbage is collected, in its last tenth, which does not count: else some of the rounds
 * would have to do that, and others would not.
 */
const REST = 0.05;

/** Ends a round, and begins the next one. */
function turn(): void {
  for (const timer of running) timer[Symbol.dispose]();
  running = isSeen(roundNow()) ? starts.map((start, n) => start(n * 1000 / AMPLIFIED)) : [];
  const leftMs = ROUND_MS - Date.now() % ROUND_MS;
  Timer.after(leftMs - REST * ROUND_MS, () => (globalThis as { gc?: () => void }).gc?.());
  Timer.after(leftMs, turn);
}

await runProcess(Deno.args);
