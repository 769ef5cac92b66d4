/** One episode: two ends with new state and an empty output, faults for a while, and then the check. */
import { Chance } from "../../tests/kit/bytes.ts";
import { freePort } from "../../tests/kit/ports.ts";
import type { LogLine } from "../../tests/kit/process.ts";
import { TempDir } from "../../tests/kit/temp_dir.ts";
import { damagedIn, readLog } from "./books.ts";
import { check, type Outcome } from "./check.ts";
import { ChaosDisk } from "./disk.ts";
import { End, type EndName } from "./end.ts";
import { type Fault, FAULTS, pickFault, type Stage } from "./faults.ts";
import { readLives } from "./ledger.ts";
import type { ChaosOutput } from "./outputs.ts";
import { ChaosProxy } from "./proxy.ts";
import { changed, checkWindows, LAST_FLAG, TRANSFORM_FLAGS, TRANSFORMS } from "./windows.ts";
import { pause } from "../../tests/kit/waiting.ts";

/**
 * `exact`: nothing may be missing. `hop`: the same, with a hop between the two. `damage`: bits of journals are flipped,
 * as many points may be missing as were counted as damaged, and beside these those of the very records that were hit,
 * which may be unreadable; what was produced before the last segment of a server was hit in what it says of clients may
 * be there twice. `windows`: both ends aggregate and attribute (./windows.ts), and nothing may be missing.
 * `windows-hop`: the same, with a hop between the two that attributes. `drop`: the client's journal is small and drops the
 * oldest, as many may be missing as were counted.
 */
export type Kind = "exact" | "damage" | "hop" | "windows" | "windows-hop" | "drop";

const hasHop = (kind: Kind) => kind === "hop" || kind === "windows-hop";
const hasWindows = (kind: Kind) => kind === "windows" || kind === "windows-hop";

export interface EpochOptions {
  readonly kind: Kind;
  readonly seed: number;
  /** How long there are faults. */
  readonly ms: number;
  /**
   * And at least how many faults and kills there are, and flipped bits where there are some: a busy machine needs more time
   * for them, at most MOST_MS. @default {0}
   */
  readonly leastFaults?: number;
  readonly leastKills?: number;
  /** Only faults that have this in their names. @default all that fit to the kind */
  readonly faults?: string | undefined;
  readonly output: ChaosOutput;
  /** Points per second. @default {500} */
  readonly rate?: number;
  readonly say: (line: string) => void;
}

export interface EpochResult extends Outcome {
  readonly kills: number;
  /** Connections that were cut in mid-frame. */
  readonly cuts: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly dropped: number;
  readonly damaged: number;
}

const CLIENT = [
  Deno.execPath(),
  "run",
  "--quiet",
  "-A",
  "--no-check",
  new URL("./numbers.ts", import.meta.url).pathname,
];
/** The longest that an episode waits for its least number of faults, in ms. */
const MOST_MS = 600_000;
const DISK_MIB = 64;
/** The last start of each end has so long to hand on what is left. */
const LAST_STOP = "--config-override=shutdown_timeout=50s";

const overrides = (settings: Record<string, string | number>) =>
  Object.entries(settings).map(([key, value]) => `--config-override=${key}=${value}`);

/** Flags that both ends share, and that chance decides. */
function journal(chance: Chance): Record<string, string> {
  return {
    "shutdown_timeout": "2s",
    "journal.sync": chance.pick(["always", "10ms", "50ms", "200ms"]),
    "journal.segment_size": chance.pick(["64KiB", "256KiB", "1MiB"]),
    "journal.max_size": "32MiB",
    "journal.min_free": "0",
    "journal.on_full": "block",
  };
}

const transformsOf = (kind: Kind, end: EndName) => hasWindows(kind) ? TRANSFORMS[end] : [];
const flagsOf = (kind: Kind, end: EndName) => hasWindows(kind) ? TRANSFORM_FLAGS[end] : [];
/** When an end may acknowledge: where it has transforms with a memory, outputs never know whose batches they store. */
const acknowledgeOf = (kind: Kind, chance: Chance) => {
  const acknowledge = chance.pick(["journal", "stored"]);
  return { "plugins.relay-server.acknowledge": hasWindows(kind) ? "journal" : acknowledge };
};

function clientArgs(kind: Kind, port: number, ledger: string, rate: number, chance: Chance): string[] {
  const dropping = {
    "journal.max_size": "4MiB",
    "journal.segment_size": "256KiB",
    "journal.on_full": "drop_oldest",
    "plugins.numbers.rate": 400,
    "plugins.numbers.batch": 2,
    "plugins.numbers.burst": 0,
    "plugins.numbers.padding": 4000,
  };
  return [
    ...["--config", "/dev/null", "--log-level", "debug", "--plugins"],
    ["numbers", ...transformsOf(kind, "client"), "relay-client"].join(),
    ...flagsOf(kind, "client"),
    ...["--relay-out", `127.0.0.1:${port}`],
    ...overrides({
      ...journal(chance),
      "plugins.numbers.ledger": ledger,
      "plugins.numbers.rate": rate,
      "plugins.relay-client.client_name": "chaos",
      ...relaySettings(chance),
      ...(kind === "drop" ? dropping : {}),
    }),
  ];
}

/** Flags that make a relay client impatient. */
function relaySettings(chance: Chance): Record<string, string | number> {
  return {
    "plugins.relay-client.buffer_timeout": chance.pick(["1ms", "20ms", "100ms"]),
    "plugins.relay-client.retry.max_times": 3,
    "plugins.relay-client.retry.initial_delay": "50ms",
    "plugins.relay-client.retry.max_delay": "200ms",
  };
}

function hopArgs(kind: Kind, listen: number, next: number, chance: Chance): string[] {
  return [
    ...["--config", "/dev/null", "--log-level", "debug", "--plugins"],
    ["relay-server", ...transformsOf(kind, "hop"), "relay-client"].join(),
    ...flagsOf(kind, "hop"),
    ...["--relay-in", `127.0.0.1:${listen}`, "--relay-out", `127.0.0.1:${next}`],
    ...overrides({
      ...journal(chance),
      ...relaySettings(chance),
      "plugins.relay-client.client_name": "hop",
      ...acknowledgeOf(kind, chance),
    }),
  ];
}

function serverArgs(
  kind: Kind,
  output: ChaosOutput,
  port: number,
  directory: string,
  chance: Chance,
): string[] {
  return [
    ...["--config", "/dev/null", "--log-level", "debug", "--relay-in", `127.0.0.1:${port}`],
    ...output.args(directory, transformsOf(kind, "server")),
    ...flagsOf(kind, "server"),
    ...overrides({ ...acknowledgeOf(kind, chance), ...journal(chance) }),
  ];
}

/** Those that this kind of episode has. */
function faultsOf(kind: Kind): readonly Fault[] {
  if (kind === "exact" || kind === "hop" || hasWindows(kind)) {
    return FAULTS.filter(({ name, damages }) => !damages && name !== "unreachable for long");
  }
  if (kind === "damage") {
    return FAULTS.filter(({ name }) => name !== "unreachable for long");
  }
  return FAULTS.filter(({ name }) => ["kill", "cut", "stop", "unreachable for long"].includes(name));
}

export async function runEpoch(options: EpochOptions): Promise<EpochResult> {
  const { kind, seed, output, say } = options;
  const chance = new Chance(seed);
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir());
  for (const name of ["ledger", "output", "logs"]) Deno.mkdirSync(dir.file(name));
  const ledger = dir.file("ledger");

  const problems: string[] = [];
  const orderlyLives = new Set<number>();
  let dropped = 0;
  let damaged = 0;
  let processes = 0;
  const onEnded = (name: string) => (lines: readonly LogLine[], orderly: boolean) => {
    const text = lines.map(({ text }) => text).join("\n") + "\n";
    Deno.writeTextFileSync(dir.file(`logs/${String(++processes).padStart(4, "0")}-${name}.log`), text);
    const unexpected = lines.find(({ message }) => message.includes("Internal error"));
    if (unexpected) problems.push(`${name}, process ${processes}: ${unexpected.text}`);
    damaged += damagedIn(lines);
    if (!orderly) return;
    if (name === "client") orderlyLives.add(readLives(ledger).at(-1)!.life);
    const said = readLog(lines);
    dropped += said.dropped;
    problems.push(...said.problems.map((problem) => `${name}, process ${processes}: ${problem}`));
  };

  const ports = { client: freePort(), hop: freePort(), server: freePort(), behindHop: freePort() };
  const makeEnd = async (name: EndName, args: string[], program?: readonly string[]) =>
    stack.use(
      new End({
        ...{ name, args, program },
        disk: stack.use(await ChaosDisk.create(DISK_MIB)),
        onEnded: onEnded(name),
      }),
    );
  const sends = hasHop(kind) ? ["client", "hop"] as const : ["client"] as const;
  const proxies = sends.map((_, n) => {
    const isLast = n === sends.length - 1;
    const port = n === 0 ? ports.client : ports.behindHop;
    return stack.use(new ChaosProxy(port, isLast ? ports.server : ports.hop));
  });
  const rate = options.rate ?? 500;
  const client = await makeEnd("client", clientArgs(kind, ports.client, ledger, rate, chance), CLIENT);
  const hops = hasHop(kind) ? [await makeEnd("hop", hopArgs(kind, ports.hop, ports.behindHop, chance))] : [];
  const server = await makeEnd("server", serverArgs(kind, output, ports.server, dir.file("output"), chance));
  const ends = [client, ...hops, server];
  // What it drops is only said at its end.
  if (kind === "drop") client.mustTell = true;
  const again = new Map<number, number>();
  const stage: Stage = {
    ends,
    proxies,
    mark: () => output.mark(dir.file("output")),
    mayComeAgain: (end) => {
      // Nobody sends to a client.
      if (end !== client) { for (const { life, begun } of readLives(ledger)) again.set(life, begun); }
    },
  };
  for (const end of ends.toReversed()) await end.start();

  const faults = new Map<string, number>();
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  try {
    const choice = faultsOf(kind).filter(({ name }) => name.includes(options.faults ?? ""));
    const { leastFaults = 0, leastKills = 0 } = options;
    const isEnough = (count: number) =>
      count >= leastFaults && killsOf(ends) >= leastKills &&
      (kind !== "damage" || (faults.get("flipped bit") ?? 0) >= leastKills);
    const isOver = (count: number) => {
      const ms = performance.now() - began;
      return ms >= options.ms && (isEnough(count) || ms >= MOST_MS);
    };
    for (let count = 0; !isOver(count); count++) {
      await pause(chance.int(700));
      const fault = pickFault(choice, chance);
      const what = await fault.run(stage, chance);
      faults.set(fault.name, (faults.get(fault.name) ?? 0) + 1);
      say(`${seconds()} s  ${fault.name}: ${what}`);
    }
    await settle(stage, kind);
  } catch (error) {
    problems.push(String((error as Error).stack ?? error));
  }
  const hit = ends.reduce((sum, { hitPoints }) => sum + hitPoints, 0);
  const counted = kind === "drop" ? dropped : kind === "damage" ? damaged + hit : 0;
  const [lives, points] = [readLives(ledger), output.read(dir.file("output"))];
  const outcome = hasWindows(kind)
    ? checkWindows(lives, orderlyLives, points, ends.map(({ name }) => name))
    : check(lives, orderlyLives, points, { counted, again });
  problems.push(...outcome.problems);
  if (kind !== "drop" && dropped > 0) problems.push(`${dropped} points were dropped where nothing may be`);
  if (kind !== "damage" && damaged > 0) problems.push(`${damaged} points were damaged by nobody`);
  if (problems.length > 0) say(`Kept to be looked at: ${keep(dir)}`);
  const kills = killsOf(ends);
  const cuts = proxies.reduce((sum, { cut }) => sum + cut, 0);
  return { ...outcome, problems, kills, cuts, faults, dropped, damaged };
}

const killsOf = (ends: readonly End[]) => ends.reduce((sum, { kills }) => sum + kills, 0);

/** Ends all in good order, with all that there is where it belongs. */
async function settle({ ends, proxies }: Stage, kind: Kind): Promise<void> {
  for (const proxy of proxies) {
    proxy.release();
    proxy.accept();
  }
  for (const { disk } of ends) disk.free();
  for (const end of ends) {
    const nothingNew = end.name === "client"
      ? overrides({ "plugins.numbers.rate": 0, "plugins.numbers.burst": 0 })
      : [];
    const flags = [LAST_STOP, ...nothingNew, ...(hasWindows(kind) ? [LAST_FLAG] : [])];
    await end.stop();
    await end.start(flags);
    await end.stop();
    if (!hasWindows(kind)) continue;
    await end.start([...flags, ...changed(end.name)]);
    await end.stop();
  }
}

/** A copy that outlives the run. */
function keep(dir: TempDir): string {
  const target = Deno.makeTempDirSync({ prefix: "alumet-relay-chaos-" });
  new Deno.Command("cp", { args: ["-r", `${dir.path}/.`, target] }).outputSync();
  return target;
}
