/** What happens to the two ends: each fault leaves them running and joined. */
import type { Chance } from "../../tests/kit/bytes.ts";
import { cannotFill } from "./disk.ts";
import type { End } from "./end.ts";
import type { ChaosProxy, Direction } from "./proxy.ts";
import { pause } from "../../tests/kit/waiting.ts";

/** Processes in the order of the data, and what is between them. */
export interface Stage {
  /** A client, perhaps a hop, a server. */
  readonly ends: readonly End[];
  /** Before each end but the first. */
  readonly proxies: readonly ChaosProxy[];
  /** Another one when the output has stored something. */
  mark(): string;
  /** This end may have forgotten what it has taken, of what was produced so far. */
  mayComeAgain(end: End): void;
}

export interface Fault {
  readonly name: string;
  /** Its weight among the others. */
  readonly weight: number;
  /** Parts of journals are destroyed by it. */
  readonly damages?: true;
  /** @returns what exactly was done */
  run(stage: Stage, chance: Chance): Promise<string>;
}

async function restart(end: End, chance: Chance): Promise<string> {
  const ms = chance.int(400);
  await pause(ms);
  await end.start();
  return `down for ${ms} ms`;
}

const anyEnd = ({ ends }: Stage, chance: Chance) => chance.pick(ends);
const anyProxy = ({ proxies }: Stage, chance: Chance) => chance.pick(proxies);
const directions: readonly Direction[] = ["toServer", "toClient"];

const kill: Fault = {
  name: "kill",
  weight: 10,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    await end.kill();
    return `${end.name}, ${await restart(end, chance)}`;
  },
};

const killAll: Fault = {
  name: "kill all",
  weight: 2,
  async run({ ends }, chance) {
    await Promise.all(ends.map((end) => end.kill()));
    const order = chance.int(2) === 0 ? ends : ends.toReversed();
    for (const end of order) await restart(end, chance);
    return `${order[0].name} comes back first`;
  },
};

/** Acknowledgements are held back until something has been stored, then an end is killed: it never hears of them. */
const killUnacknowledged: Fault = {
  name: "kill before the acknowledgement",
  weight: 6,
  async run(stage, chance) {
    const proxy = anyProxy(stage, chance);
    proxy.hold("toClient");
    const before = stage.mark();
    const deadline = performance.now() + 2000;
    while (stage.mark() === before && performance.now() < deadline) await pause(5);
    const stored = stage.mark() === before ? "nothing" : "something";
    await pause(chance.int(200));
    const end = anyEnd(stage, chance);
    await end.kill();
    if (chance.int(2) === 0) proxy.closeAll();
    proxy.release();
    return `${end.name} after ${stored} was stored, ${await restart(end, chance)}`;
  },
};

/** The process dies while it starts: nothing may depend on a start being finished. */
const killTwice: Fault = {
  name: "kill while it starts",
  weight: 3,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    await end.kill();
    const afterMs = chance.int(300);
    if (!end.mustTell) await end.startAndKill(afterMs);
    return `${end.name} ${afterMs} ms after its start, ${await restart(end, chance)}`;
  },
};

const cut: Fault = {
  name: "cut",
  weight: 6,
  async run(stage, chance) {
    const proxy = anyProxy(stage, chance);
    const direction = chance.pick(directions);
    const bytes = chance.int(direction === "toServer" ? 3000 : 40);
    proxy.cutAfter(direction, bytes);
    await pause(200 + chance.int(500));
    return `${direction} after ${bytes} bytes`;
  },
};

const silence: Fault = {
  name: "silence",
  weight: 3,
  async run(stage, chance) {
    const proxy = anyProxy(stage, chance);
    const held = chance.pick([["toServer"], ["toClient"], directions] as const);
    // More than the client waits for a sign of life, rarely.
    const ms = chance.int(20) === 0 ? 23_000 : 200 + chance.int(2000);
    proxy.hold(...held);
    await pause(ms);
    proxy.release();
    return `${held.join(" and ")} for ${ms} ms`;
  },
};

const unreachable: Fault = {
  name: "unreachable",
  weight: 2,
  async run({ ends, proxies }, chance) {
    const n = chance.int(proxies.length);
    const ms = 1500 + chance.int(2000);
    proxies[n].refuse();
    await pause(ms);
    const tries = ends[n].process.soFar(/relay server is away/).length;
    proxies[n].accept();
    return `for the ${ends[n].name} for ${ms} ms, retries exhausted ${tries} times in its life`;
  },
};

/** Long enough for a small journal to be full. */
const unreachableForLong: Fault = {
  name: "unreachable for long",
  weight: 6,
  async run({ proxies: [proxy] }, chance) {
    const ms = 6000 + chance.int(3000);
    proxy.refuse();
    await pause(ms);
    proxy.accept();
    return `for ${ms} ms`;
  },
};

const fullDisk: Fault = {
  name: "full disk",
  weight: cannotFill === undefined ? 3 : 0,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    end.disk.fill();
    const ms = 300 + chance.int(1500);
    await pause(ms);
    const killed = chance.int(3) === 0;
    if (killed) {
      await end.kill();
      await restart(end, chance);
      await pause(chance.int(500));
    }
    end.disk.free();
    return `of the ${end.name} for ${ms} ms${killed ? ", and killed meanwhile" : ""}`;
  },
};

const torn: Fault = {
  name: "torn record",
  weight: 3,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    await end.kill();
    const what = end.tear(chance);
    await restart(end, chance);
    return `${end.name}: ${what}`;
  },
};

const stop: Fault = {
  name: "stop",
  weight: 3,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    if (chance.int(2) === 0) {
      await end.stop();
      return `${end.name} in good order, ${await restart(end, chance)}`;
    }
    const afterMs = chance.int(60);
    await end.stopTwice(afterMs);
    return `${end.name} with a second signal after ${afterMs} ms, ${await restart(end, chance)}`;
  },
};

const flip: Fault = {
  name: "flipped bit",
  weight: 25,
  damages: true,
  async run(stage, chance) {
    const end = anyEnd(stage, chance);
    // Something must be in the journal that nobody has read.
    const proxy = stage.proxies[stage.ends.indexOf(end)];
    proxy?.refuse();
    await pause(300 + chance.int(1500));
    // In good order, so that the journal knows what its outputs have.
    await end.stop();
    const hidden = end.hiddenClients;
    const what = end.flip(chance);
    if (end.hiddenClients > hidden) stage.mayComeAgain(end);
    await restart(end, chance);
    proxy?.accept();
    return `${end.name}: ${what}`;
  },
};

export const FAULTS: readonly Fault[] = [
  kill,
  killAll,
  killUnacknowledged,
  killTwice,
  cut,
  silence,
  unreachable,
  unreachableForLong,
  fullDisk,
  torn,
  stop,
  flip,
];

/** One of them, by weight. */
export function pickFault(faults: readonly Fault[], chance: Chance): Fault {
  let rest = chance.int(faults.reduce((sum, { weight }) => sum + weight, 0));
  return faults.find(({ weight }) => (rest -= weight) < 0)!;
}
