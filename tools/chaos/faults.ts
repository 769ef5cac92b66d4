/** What happens to the two ends: each fault leaves them running and joined. */
import type { Chance } from "../../tests/kit/bytes.ts";
import { cannotFill } from "./disk.ts";
import type { End } from "./end.ts";
import type { ChaosProxy, Direction } from "./proxy.ts";

/** Two ends and what is between them. */
export interface Stage {
  readonly client: End;
  readonly server: End;
  readonly proxy: ChaosProxy;
  /** Bytes that the output has stored. */
  stored(): number;
}

export interface Fault {
  readonly name: string;
  /** How often it happens, beside others. */
  readonly weight: number;
  /** Parts of journals are destroyed by it. */
  readonly damages?: true;
  /** @returns what exactly was done */
  run(stage: Stage, chance: Chance): Promise<string>;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function restart(end: End, chance: Chance): Promise<string> {
  const ms = chance.int(400);
  await sleep(ms);
  await end.start();
  return `down for ${ms} ms`;
}

const either = ({ client, server }: Stage, chance: Chance) => chance.pick([client, server]);
const directions: readonly Direction[] = ["toServer", "toClient"];

const kill: Fault = {
  name: "kill",
  weight: 10,
  async run(stage, chance) {
    const end = either(stage, chance);
    await end.kill();
    return `${end.name}, ${await restart(end, chance)}`;
  },
};

const killBoth: Fault = {
  name: "kill both",
  weight: 2,
  async run({ client, server }, chance) {
    await Promise.all([client.kill(), server.kill()]);
    const order = chance.int(2) === 0 ? [client, server] : [server, client];
    for (const end of order) await restart(end, chance);
    return `${order[0].name} comes back first`;
  },
};

/** Acknowledgements are held back until something has been stored, then an end is killed: it never hears of them. */
const killUnacknowledged: Fault = {
  name: "kill before the acknowledgement",
  weight: 6,
  async run(stage, chance) {
    const { proxy } = stage;
    proxy.hold("toClient");
    const before = stage.stored();
    const deadline = performance.now() + 2000;
    while (stage.stored() === before && performance.now() < deadline) await sleep(5);
    const stored = stage.stored() - before;
    await sleep(chance.int(200));
    const end = either(stage, chance);
    await end.kill();
    if (chance.int(2) === 0) proxy.closeAll();
    proxy.release();
    return `${end.name} after ${stored} bytes were stored, ${await restart(end, chance)}`;
  },
};

/** The process dies while it starts: nothing may depend on a start being finished. */
const killTwice: Fault = {
  name: "kill while it starts",
  weight: 3,
  async run(stage, chance) {
    const end = either(stage, chance);
    await end.kill();
    const afterMs = chance.int(300);
    if (!end.damaged) await end.startAndKill(afterMs);
    return `${end.name} ${afterMs} ms after its start, ${await restart(end, chance)}`;
  },
};

const cut: Fault = {
  name: "cut",
  weight: 6,
  async run({ proxy }, chance) {
    const direction = chance.pick(directions);
    const bytes = chance.int(direction === "toServer" ? 3000 : 40);
    proxy.cutAfter(direction, bytes);
    await sleep(200 + chance.int(500));
    return `${direction} after ${bytes} bytes`;
  },
};

const silence: Fault = {
  name: "silence",
  weight: 3,
  async run({ proxy }, chance) {
    const held = chance.pick([["toServer"], ["toClient"], directions] as const);
    // More than the client waits for a sign of life, rarely.
    const ms = chance.int(20) === 0 ? 23_000 : 200 + chance.int(2000);
    proxy.hold(...held);
    await sleep(ms);
    proxy.release();
    return `${held.join(" and ")} for ${ms} ms`;
  },
};

const unreachable: Fault = {
  name: "unreachable",
  weight: 2,
  async run({ proxy, client }, chance) {
    const ms = 1500 + chance.int(2000);
    proxy.refuse();
    await sleep(ms);
    const tries = client.process.matching(/trying on/).length;
    proxy.accept();
    return `for ${ms} ms, retries exhausted ${tries} times in this life`;
  },
};

/** Long enough for a small journal to be full. */
const unreachableForLong: Fault = {
  name: "unreachable for long",
  weight: 6,
  async run({ proxy }, chance) {
    const ms = 6000 + chance.int(3000);
    proxy.refuse();
    await sleep(ms);
    proxy.accept();
    return `for ${ms} ms`;
  },
};

const fullDisk: Fault = {
  name: "full disk",
  weight: cannotFill === undefined ? 3 : 0,
  async run(stage, chance) {
    const end = either(stage, chance);
    end.disk.fill();
    const ms = 300 + chance.int(1500);
    await sleep(ms);
    const killed = chance.int(3) === 0;
    if (killed) {
      await end.kill();
      await restart(end, chance);
      await sleep(chance.int(500));
    }
    end.disk.free();
    return `of the ${end.name} for ${ms} ms${killed ? ", and killed meanwhile" : ""}`;
  },
};

const torn: Fault = {
  name: "torn record",
  weight: 3,
  async run(stage, chance) {
    const end = either(stage, chance);
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
    const end = either(stage, chance);
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
    const end = either(stage, chance);
    // Something must be in the journal that nobody has read.
    if (end.name === "client") stage.proxy.refuse();
    await sleep(300 + chance.int(1500));
    await end.kill();
    end.damaged = true;
    const what = end.flip(chance);
    await restart(end, chance);
    stage.proxy.accept();
    return `${end.name}: ${what}`;
  },
};

export const FAULTS: readonly Fault[] = [
  kill,
  killBoth,
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
