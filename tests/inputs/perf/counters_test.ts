import assert from "node:assert/strict";
import { CounterSet, type Event } from "../../../lib/inputs/perf/counters.ts";
import { closeAll, countChildren, countGroup, countProcess } from "../../../lib/inputs/perf/targets.ts";
import type { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import {
  EACCES,
  EINVAL,
  EMFILE,
  ENABLE_ON_EXEC,
  ESRCH,
  INHERIT,
  type PerfCounter,
  type PerfTarget,
} from "../../../lib/inputs/polling/perf_events.ts";
import { FakePerf } from "../../kit/fake_perf.ts";

const event = (config: number): Event => ({
  code: { type: 0, config: BigInt(config), config1: 0n, config2: 0n },
  flags: 0n,
});
const EVENTS = [0, 1, 2].map(event);
const TARGET = { id: 1, isGroup: false, cpu: -1 };

function read(set: CounterSet): (number | undefined)[] {
  const counts: (number | undefined)[] = [];
  set.read(counts);
  return counts;
}

Deno.test("events are read together, and each time what has been counted since the last time", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  assert.equal(perf.openNow, 3);
  perf.count(1000, 1000, [10, 20, 30]);
  assert.deepEqual(read(set), [10, 20, 30]);
  perf.count(1000, 1000, [1, 0, 5]);
  assert.deepEqual(read(set), [1, 0, 5]);
  assert.deepEqual(read(set), [0, 0, 0]);
  set.close();
  set.close();
  assert.equal(perf.openNow, 0);
});

Deno.test("events that take turns are scaled to the whole time; without a turn there is no count", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 250, [10, 20, 30]);
  assert.deepEqual(read(set), [40, 80, 120]);
  perf.count(1000, 0, [0, 0, 0]);
  assert.deepEqual(read(set), []);
  // The next turn stands for its own time alone.
  perf.count(1000, 500, [10, 10, 10]);
  assert.deepEqual(read(set), [20, 20, 20]);
});

Deno.test("events that do not fit together are opened beside each other, and one that does not exist is left out", () => {
  const perf = new FakePerf();
  perf.refuse = ({ config }, { leader }) =>
    config === 2n && leader >= 0 ? EINVAL : config === 1n ? -2 : undefined;
  const set = new CounterSet(perf, EVENTS, TARGET);
  assert.deepEqual(set.failures, [undefined, -2, undefined]);
  assert.equal(perf.leaders, 2);
  perf.count(1000, 1000, [10, 20, 30]);
  assert.deepEqual(read(set), [10, , 30]);
  set.close();
});

Deno.test("a group that never gets a turn is parted, so that each event gets one by itself", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 0, [0, 0, 0]);
  assert.deepEqual(read(set), []);
  assert.equal(perf.leaders, 3);
  perf.count(900, 300, [10, 20, 30]);
  assert.deepEqual(read(set), [30, 60, 90]);
  set.close();
  assert.equal(perf.openNow, 0);
});

Deno.test("an event that cannot be read, and a count that goes back, have no point", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 1000, [10, 20, 30]);
  perf.isUnreadable = true;
  assert.deepEqual(read(set), []);
  perf.isUnreadable = false;
  assert.deepEqual(read(set), [10, 20, 30]);
  perf.count(1000, 1000, [-5, 5, 5]);
  assert.deepEqual(read(set), [, 5, 5]);
});

/** A kernel that notes what it is asked, and gives what a test says. */
class NotingPerf {
  readonly asked: string[] = [];
  answer: readonly (number | bigint)[] = [];
  /** What it gives first. */
  readonly descriptors: number[] = [];
  folder = -2;
  #next = 0;

  openCounter({ config, flags, readFormat }: PerfCounter, { leader, cpu }: PerfTarget): number {
    this.asked.push(`open ${config} flags ${flags} format ${readFormat} with ${leader} on ${cpu}`);
    return this.descriptors.shift() ?? this.#next++;
  }

  openFolder(): number {
    return this.folder;
  }

  enable(leader: number): void {
    this.asked.push(`enable ${leader}`);
  }

  readWords(descriptor: number, words: BigUint64Array<ArrayBuffer>): number {
    this.asked.push(`read ${descriptor}`);
    words.set(this.answer.slice(0, words.length).map(BigInt));
    return this.answer.length;
  }

  close(descriptor: number): void {
    this.asked.push(`close ${descriptor}`);
  }
}

Deno.test("a leader begins when all are open, or with the program that is executed; members begin with it", () => {
  const events = [event(7), { ...event(8), flags: 1n << 5n }];
  for (
    const [onExec, begin] of [[false, 1n], [true, 1n | 1n << 12n]] as const
  ) {
    const perf = new NotingPerf();
    const set = new CounterSet(perf, events, { id: 5, isGroup: false, cpu: 3, onExec });
    assert.deepEqual(perf.asked.splice(0), [
      `open 7 flags ${begin} format 11 with -1 on 3`,
      "open 8 flags 32 format 11 with 0 on 3",
      ...onExec ? [] : ["enable 0"],
    ]);
    assert.equal(set.descriptors, 2);
    perf.answer = [2, 10, 10, 3, 4];
    assert.deepEqual(read(set), [3, 4]);
    set.close();
    assert.deepEqual(perf.asked, ["read 0", "close 0", "close 1"]);
    assert.equal(set.descriptors, 0);
  }
});

Deno.test("a descriptor may be 0, as that of the standard input may be closed", () => {
  const perf = new NotingPerf();
  perf.descriptors.push(3, 0);
  const set = new CounterSet(perf, [event(0), event(1)], TARGET);
  assert.deepEqual(set.failures, [undefined, undefined]);
  assert.deepEqual(perf.asked.map((text) => text.split(" ").slice(-3)[0]), ["-1", "3", "enable"]);
});

Deno.test("a read that is short, or of another number of events, gives nothing, and the next one is complete", () => {
  const perf = new NotingPerf();
  const set = new CounterSet(perf, [event(0), event(1)], TARGET);
  for (const answer of [[], [2, 10, 10, 3], [1, 10, 10, 3, 4], [3, 10, 10, 3, 4]]) {
    perf.answer = answer;
    assert.deepEqual(read(set), []);
  }
  perf.answer = [2, 10, 10, 3, 4];
  assert.deepEqual(read(set), [3, 4]);
});

Deno.test("a nanosecond is time enough, and only events that could have counted are parted", () => {
  const opened = (perf: NotingPerf) => perf.asked.filter((text) => text.startsWith("open")).length;
  for (
    const [events, answer, counts, isParted] of [
      [2, [2, 1, 1, 3, 4], [3, 4], false],
      [2, [2, 2, 1, 3, 4], [6, 8], false],
      [2, [2, 0, 0, 0, 0], [0, 0], false],
      [2, [2, 1, 0, 5, 5], [], true],
      [1, [1, 5, 0, 5], [], false],
    ] as const
  ) {
    const perf = new NotingPerf();
    const set = new CounterSet(perf, [event(0), event(1)].slice(0, events), TARGET);
    perf.answer = answer;
    assert.deepEqual(read(set), counts, answer.join());
    assert.equal(opened(perf), isParted ? 2 * events : events, answer.join());
    const apart = perf.asked.filter((text) => text.includes("with -1")).length;
    assert.equal(apart, isParted ? 1 + events : 1);
  }
  const perf = new NotingPerf();
  const set = new CounterSet(perf, [event(0), event(1)], { ...TARGET, onExec: true });
  perf.answer = [2, 1, 0, 0, 0];
  read(set);
  assert.equal(opened(perf), 2, "those that began with a program cannot begin again");
});

/** Each event that was to be opened: its number, its flags, and for what. */
function asked(
  perf: FakePerf,
  refusals: (config: number, cpu: number) => number | undefined = () => undefined,
) {
  const list: string[] = [];
  perf.refuse = ({ config, flags }, { id, isGroup, cpu }) => {
    const inherits = flags & INHERIT ? " with children" : "";
    const onExec = flags & ENABLE_ON_EXEC ? " at exec" : "";
    list.push(`${config} ${isGroup ? "group" : "thread"} ${id} cpu ${cpu}${inherits}${onExec}`);
    return refusals(Number(config), cpu);
  };
  return list;
}

Deno.test("a group is counted on each CPU, by its folder, and on all of them or not at all", () => {
  const count = (cpus: number[], refusals?: Parameters<typeof asked>[1], events = [event(0), event(1)]) => {
    const perf = new FakePerf();
    const list = asked(perf, refusals);
    const counted = countGroup(perf, events, "/a", cpus);
    const outcome = typeof counted === "number" ? counted : counted.map(({ cpu }) => cpu);
    if (typeof counted !== "number") closeAll(counted);
    assert.equal(perf.openNow, 0);
    return { outcome, list };
  };
  const { outcome, list } = count([0, 2]);
  assert.deepEqual(outcome, [0, 2]);
  assert.deepEqual([...new Set(list)], [0, 2].flatMap((cpu) => [0, 1].map((n) => `${n} group 3 cpu ${cpu}`)));
  assert.deepEqual(count([]).outcome, []);
  // An event that this machine does not have costs itself alone.
  assert.deepEqual(count([0, 2], (n) => n === 1 ? EINVAL : undefined).outcome, [0, 2]);
  assert.equal(count([0, 2], (n, cpu) => cpu < 2 ? undefined : n === 0 ? EACCES : EINVAL).outcome, EACCES);
  assert.equal(count([0, 2], (n, cpu) => cpu === 2 && n === 1 ? EMFILE : undefined).outcome, EMFILE);
  assert.equal(count([0], undefined, []).outcome, ESRCH);
  const perf = new FakePerf();
  perf.refuseFolder = () => true;
  assert.equal(countGroup(perf, EVENTS, "/a", [0]), -2);
  // The descriptor of a folder may be 0, too.
  const noting = new NotingPerf();
  noting.folder = 0;
  assert.equal(typeof countGroup(noting, EVENTS, "/a", [0]), "object");
});

Deno.test("a process is counted by each of its threads, with those that begin meanwhile, and with its children", () => {
  const count = (looks: readonly string[][], refuses: (id: string) => boolean = () => false) => {
    const perf = new FakePerf();
    const list = asked(perf);
    const { refuse } = perf;
    perf.refuse = (counter, target) =>
      refuse(counter, target) ?? (refuses(String(target.id)) ? target.id === 1 ? EACCES : EINVAL : undefined);
    let look = 0;
    const folders: string[] = [];
    const files = {
      proc: "/p",
      list: (folder: string) => (folders.push(folder), looks[Math.min(look++, looks.length - 1)]),
    } as unknown as ProcFiles;
    const counted = countProcess(perf, files, [event(0)], 7);
    const outcome = typeof counted === "number" ? counted : counted.map(({ cpu }) => cpu);
    if (typeof counted !== "number") closeAll(counted);
    assert.equal(perf.openNow, 0);
    assert.ok(folders.every((folder) => folder === "/p/7/task"));
    return { outcome, list: [...new Set(list)], look };
  };
  const grown = count([["7"], ["7", "8"], ["7", "8"], ["9"]]);
  assert.deepEqual(grown, {
    outcome: [undefined, undefined],
    list: [7, 8].map((id) => `0 thread ${id} cpu -1 with children`),
    look: 3,
  });
  // Who begins threads for ever is looked at ten times.
  const ever = Array.from({ length: 50 }, (_, n) => Array.from({ length: n + 1 }, (_, i) => String(i + 1)));
  assert.deepEqual([(count(ever).outcome as unknown[]).length, count(ever).look], [10, 10]);
  assert.deepEqual(count([["x", "0", "1"]]).list, ["0 thread 1 cpu -1 with children"]);
  assert.deepEqual(count([["1", "2"]], (id) => id === "1").outcome, [undefined]);
  assert.equal(count([["1", "2"]], () => true).outcome, EACCES);
  assert.equal(count([[]]).outcome, ESRCH);
});

Deno.test("programs that this thread starts are counted from their first instruction on, on any CPU", () => {
  const perf = new FakePerf();
  const list = asked(perf);
  const counted = countChildren(perf, [event(0)]);
  assert.deepEqual(new Set(list), new Set(["0 thread 0 cpu -1 with children at exec"]));
  assert.ok(typeof counted !== "number" && counted.length === 1);
  closeAll(counted);
  assert.equal(perf.openNow, 0);
});
