/** One episode: two ends with new state and an empty output, faults for a while, and then the check. */
import { Chance } from "../../tests/kit/bytes.ts";
import { freePort, type LogLine, TempDir } from "../../tests/kit/process.ts";
import { readLog } from "./books.ts";
import { check, type Outcome } from "./check.ts";
import { ChaosDisk } from "./disk.ts";
import { End } from "./end.ts";
import { type Fault, FAULTS, pickFault, type Stage } from "./faults.ts";
import { readLives } from "./ledger.ts";
import type { ChaosOutput } from "./outputs.ts";
import { ChaosProxy } from "./proxy.ts";

/**
 * `exact`: nothing may be missing. `damage`: bits of journals are flipped, as many points may be missing as were counted
 * as damaged. `drop`: the client's journal is small and drops the oldest, as many may be missing as were counted.
 */
export type Kind = "exact" | "damage" | "drop";

export interface EpochOptions {
  readonly kind: Kind;
  readonly seed: number;
  readonly ms: number;
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
    ...["--config", "/dev/null", "--log-level", "debug", "--plugins", "numbers,relay-client"],
    ...["--relay-out", `127.0.0.1:${port}`],
    ...overrides({
      ...journal(chance),
      "plugins.numbers.ledger": ledger,
      "plugins.numbers.rate": rate,
      "plugins.relay-client.client_name": "chaos",
      "plugins.relay-client.buffer_timeout": chance.pick(["1ms", "20ms", "100ms"]),
      "plugins.relay-client.retry.max_times": 3,
      "plugins.relay-client.retry.initial_delay": "50ms",
      "plugins.relay-client.retry.max_delay": "200ms",
      ...(kind === "drop" ? dropping : {}),
    }),
  ];
}

function serverArgs(output: ChaosOutput, port: number, directory: string, chance: Chance): string[] {
  return [
    ...["--config", "/dev/null", "--log-level", "debug", "--relay-in", `127.0.0.1:${port}`],
    ...output.args(directory),
    ...overrides({
      ...journal(chance),
      "plugins.relay-server.acknowledge": chance.pick(["journal", "stored"]),
    }),
  ];
}

/** Those that this kind of episode has. */
function faultsOf(kind: Kind): readonly Fault[] {
  if (kind === "exact") {
    return FAULTS.filter(({ name, damages }) => !damages && name !== "unreachable for long");
  }
  if (kind === "damage") {
    return FAULTS.filter(({ name }) => name !== "kill both" && name !== "unreachable for long");
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
    const unexpected = lines.find(({ message }) => message.includes("An error in this program"));
    if (unexpected) problems.push(`${name}, process ${processes}: ${unexpected.text}`);
    if (!orderly) return;
    if (name === "client") orderlyLives.add(readLives(ledger).at(-1)!.life);
    const said = readLog(lines);
    dropped += said.dropped;
    damaged += said.damaged;
    problems.push(...said.problems.map((problem) => `${name}, process ${processes}: ${problem}`));
  };

  const [proxyPort, serverPort] = [freePort(), freePort()];
  const proxy = stack.use(new ChaosProxy(proxyPort, serverPort));
  const server = stack.use(
    new End({
      name: "server",
      args: serverArgs(output, serverPort, dir.file("output"), chance),
      disk: stack.use(await ChaosDisk.create(DISK_MIB)),
      onEnded: onEnded("server"),
    }),
  );
  const client = stack.use(
    new End({
      name: "client",
      program: CLIENT,
      args: clientArgs(kind, proxyPort, ledger, options.rate ?? 500, chance),
      disk: stack.use(await ChaosDisk.create(DISK_MIB)),
      onEnded: onEnded("client"),
    }),
  );
  // What it drops is only said at its end.
  if (kind === "drop") client.damaged = true;
  const stage: Stage = { client, server, proxy, stored: () => output.size(dir.file("output")) };
  await server.start();
  await client.start();

  const faults = new Map<string, number>();
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  try {
    for (const choice = faultsOf(kind); performance.now() - began < options.ms;) {
      await new Promise((resolve) => setTimeout(resolve, chance.int(700)));
      const fault = pickFault(choice, chance);
      const what = await fault.run(stage, chance);
      faults.set(fault.name, (faults.get(fault.name) ?? 0) + 1);
      say(`${seconds()} s  ${fault.name}: ${what}`);
    }
    await settle(stage);
  } catch (error) {
    problems.push(String((error as Error).stack ?? error));
  }
  const counted = kind === "exact" ? 0 : kind === "drop" ? dropped : damaged;
  const outcome = check(readLives(ledger), orderlyLives, output.read(dir.file("output")), { counted });
  problems.push(...outcome.problems);
  if (kind !== "drop" && dropped > 0) problems.push(`${dropped} points were dropped where nothing may be`);
  if (kind !== "damage" && damaged > 0) problems.push(`${damaged} points were damaged by nobody`);
  if (problems.length > 0) say(`Kept to be looked at: ${keep(dir)}`);
  const { kills, cuts } = { kills: client.kills + server.kills, cuts: proxy.cut };
  return { ...outcome, problems, kills, cuts, faults, dropped, damaged };
}

/** Ends both in good order, with all that there is where it belongs. */
async function settle({ client, server, proxy }: Stage): Promise<void> {
  proxy.release();
  proxy.accept();
  for (const { disk } of [client, server]) disk.free();
  await client.stop();
  await client.start([LAST_STOP, ...overrides({ "plugins.numbers.rate": 1, "plugins.numbers.burst": 0 })]);
  await client.stop();
  await server.stop();
  await server.start([LAST_STOP]);
  await server.stop();
}

/** A copy that outlives the run. */
function keep(dir: TempDir): string {
  const target = Deno.makeTempDirSync({ prefix: "alumet-relay-chaos-" });
  new Deno.Command("cp", { args: ["-r", `${dir.path}/.`, target] }).outputSync();
  return target;
}
