/** The cases of the contract. */
import assert from "node:assert/strict";
import { newJournalId } from "../../../lib/journal.ts";
import { Chance } from "../bytes.ts";
import type { Target } from "../contract.ts";
import { ReplayJournal } from "./journal.ts";
import {
  COUNTER,
  NOT_FINITE,
  numberedPoints,
  oddPoints,
  type Point,
  point,
  START_SECONDS,
  timedPoints,
  typedPoints,
} from "./points.ts";
import { Rig, type Run } from "./rig.ts";
import { metricOf } from "../decode.ts";
import { pause } from "../waiting.ts";

interface Case<N extends string> {
  readonly name: N;
  readonly applies?: (target: Target) => boolean;
  readonly run: (target: Target) => Promise<void>;
}

const DEFAULT_MOST_UNCOMMITTED = 131_072;
/** The most lines that a log may have about a target that is down for a moment. */
const MOST_COMPLAINTS = 3;

const lives = (target: Target) => target.delivers !== "latest";

/** One process stores these batches, and stops cleanly. */
async function store(target: Target, ...batches: (readonly Point[])[]): Promise<void> {
  await using rig = await Rig.of(target, false);
  for (const batch of batches) rig.give(batch);
  const run = await rig.run();
  await run.finish();
  await rig.check(run.refused);
}

/** Chops points into batches. */
function* batchesOf(points: readonly Point[], size: number): Generator<readonly Point[]> {
  for (let at = 0; at < points.length; at += size) yield points.slice(at, at + size);
}

/** The output has noticed that its target is down: it says so once, and retries quietly. */
async function complains(run: Run): Promise<void> {
  await run.until("a complaint in the log", () => run.complaints.length > 0);
  await pause(100);
  assert.equal(run.error, null, `a target that is down is not an error of the output: ${run.error}`);
  assert.deepEqual(run.failures, [], "a target that is down does not end the process");
  assert.ok(!run.over, "the output waits for its target");
  assert.ok(
    run.complaints.length <= MOST_COMPLAINTS,
    `complains once, then at most once a minute: ${run.complaints.join("")}`,
  );
}

/** Points come while `trouble` is on, and the output retries; once it is off, all is stored. */
async function through(
  target: Target,
  trouble: (rig: Rig, on: boolean) => Promise<void> | void,
  atStart = false,
): Promise<void> {
  await using rig = await Rig.of(target, true, true);
  const points = numberedPoints(12_000);
  const batches = [...batchesOf(points, 100)];
  if (atStart) await trouble(rig, true);
  const run = await rig.run();
  if (!atStart) {
    for (const batch of batches.splice(0, 20)) rig.give(batch);
    await run.caughtUp();
    // In the middle of what it writes.
    for (const batch of batches.splice(0, 40)) rig.give(batch);
    await trouble(rig, true);
  }
  const before = run.reader.committed;
  for (const batch of batches.splice(0, 30)) rig.give(batch);
  await complains(run);
  if (atStart) assert.equal(run.reader.committed, before, "nothing is committed that is not stored");
  await trouble(rig, false);
  for (const batch of batches) rig.give(batch);
  await run.caughtUp();
  await run.until("says that the target is back", () => {
    const last = run.lines.lastIndexOf(run.complaints.at(-1)!);
    return run.lines.slice(last + 1).some((line) => JSON.parse(line).level === "info");
  });
  await run.finish();
  await rig.check(run.refused);
}

/** A set of cases with their names as types. */
function cases<const N extends string>(...list: Case<N>[]): readonly Case<N>[] {
  return list;
}

export const CASES = cases(
  {
    name: "every type of value and attribute is stored",
    run: (target) => store(target, typedPoints()),
  },
  {
    name: "odd names are stored unchanged, or refused and counted, and cost no other point",
    run: (target) => store(target, oddPoints().slice(0, 20), oddPoints().slice(20)),
  },
  {
    name: "NaN and infinities are stored, or refused and counted, and cost no other point",
    run: (target) =>
      store(
        target,
        [1, ...NOT_FINITE, 2].map((value, i) => point({ value, nanos: i * 1_000_000 })),
        NOT_FINITE.map((value, i) => point({ value: i, attributes: [["f64", value]] })),
      ),
  },
  {
    name: "times of the whole calendar are stored, or refused and counted, and cost no other point",
    run: (target) => store(target, timedPoints()),
  },
  {
    name: "points of one series and one time are treated as the output declares",
    run: (target) => store(target, [1, 2, 3].map((value) => point({ value })), [point({ value: 4 })]),
  },
  {
    name: "attributes that first come after the first batch are stored",
    run: (target) =>
      store(
        target,
        [point({ value: 1, attributes: [["first", "a"]] }), point({ value: 2, nanos: 1_000_000 })],
        [point({ value: 3, attributes: [["second", 1n]] })],
        [point({ value: 4, attributes: [["third", "x,y=z"], ["first", true], ["fourth", [1n, 2n]]] })],
        [point({ value: 5, attributes: [["first", "a"]], nanos: 2_000_000 })],
        Array.from({ length: 100 }, (_, i) => point({ value: i, attributes: [[`late_${i}`, BigInt(i)]] })),
      ),
  },
  {
    name: "metrics that first come after the first batch are stored",
    run: (target) =>
      store(
        target,
        ...Array.from({ length: 30 }, (_, i) => [
          point({ value: 1n, nanos: i * 1_000_000 }),
          point({ metric: metricOf(`late_metric_${i}`, i % 2 ? "f64" : "u64"), value: i % 2 ? 0.5 : 5n }),
        ]),
      ),
  },
  {
    name: "10,000 series are stored",
    async run(target) {
      await using rig = await Rig.of(target, false);
      for (let round = 0; round < 2; round++) {
        const points = Array.from({ length: 10_000 }, (_, i) =>
          point({
            metric: COUNTER,
            value: BigInt(i),
            seconds: START_SECONDS + round,
            consumerKind: "process",
            consumerId: String(i),
            attributes: [["name", `process ${i}`]],
          }));
        for (const batch of batchesOf(points, 4096)) rig.give(batch);
      }
      const run = await rig.run();
      await run.finish();
      assert.ok(
        run.reader.mostUncommittedPoints <= (target.mostUncommittedPoints ?? DEFAULT_MOST_UNCOMMITTED),
      );
      await rig.check(run.refused);
    },
  },
  {
    name: "batches are committed as they come, those without points too",
    async run(target) {
      await using rig = await Rig.of(target);
      const run = await rig.run();
      const sender = { name: "node", instance: newJournalId() };
      for (let n = 0; n < 5; n++) {
        rig.give(n % 2 ? [] : numberedPoints(10, 10 * n), { ...sender, sequence: n + 1 });
        await run.caughtUp();
        await rig.check(run.refused);
      }
      assert.equal(run.reader.clients.get(sender.name, sender.instance).account("output").sequence, 5);
      await run.finish();
    },
  },
  {
    name: "a target that is down at the start is waited for",
    applies: lives,
    run: (target) => through(target, ({ instance }, on) => on ? instance.stop!() : instance.start!(), true),
  },
  {
    name: "a target that dies in the middle of a batch and comes back gets everything",
    applies: lives,
    run: (target) => through(target, ({ instance }, on) => on ? instance.stop!() : instance.start!()),
  },
  {
    name: "a target that refuses for a while gets everything afterwards",
    applies: lives,
    run: (target) => through(target, ({ instance }, on) => instance.refuse!(on)),
  },
  {
    name: "a target that stays silent for a while gets everything afterwards",
    applies: lives,
    run: (target) => through(target, ({ instance }, on) => instance.hang!(on)),
  },
  {
    name: "a slow target gets everything, and what waits for it is bounded",
    applies: lives,
    async run(target) {
      await using rig = await Rig.of(target, true, true);
      await rig.instance.slow!(true);
      const run = await rig.run();
      for (const batch of batchesOf(numberedPoints(20_000), 500)) {
        rig.give(batch);
        await pause(2);
      }
      await run.finish();
      await rig.instance.slow!(false);
      await rig.check(run.refused);
    },
  },
  {
    name: "what an output reads ahead of its target is bounded, however much there is",
    applies: lives,
    async run(target) {
      await using rig = await Rig.of(target, true, true);
      await rig.instance.stop!();
      const limit = target.mostUncommittedPoints ?? DEFAULT_MOST_UNCOMMITTED;
      for (let n = 0; n < 100; n++) rig.journal.push(() => numberedPoints(4000, 4000 * n));
      const run = await rig.run();
      await complains(run);
      let before = -1;
      for (let still = 0; still < 5; still++) {
        if (run.reader.uncommittedPoints !== before) still = 0;
        before = run.reader.uncommittedPoints;
        await pause(50);
      }
      assert.equal(run.reader.committed, 0);
      assert.ok(
        run.reader.mostUncommittedPoints <= limit,
        `${run.reader.mostUncommittedPoints} points are read`,
      );
      await run.abort();
      assert.equal(run.reader.committed, 0, "what is not stored is not committed in the end either");
    },
  },
  {
    name: "an abort while the target is down ends the output, and the next process stores the rest",
    applies: lives,
    async run(target) {
      await using rig = await Rig.of(target, true, true);
      const first = await rig.run();
      for (const batch of batchesOf(numberedPoints(5000), 50)) rig.give(batch);
      await first.caughtUp();
      await rig.instance.stop!();
      for (const batch of batchesOf(numberedPoints(5000, 5000), 50)) rig.give(batch);
      await complains(first);
      await first.abort();
      await rig.instance.start!();
      const second = await rig.run(first.reader.committed);
      await second.finish();
      await rig.check(first.refused + second.refused);
    },
  },
  {
    name: "an output does not take the position of another journal for its own",
    applies: lives,
    async run(target) {
      await using rig = await Rig.of(target);
      for (const batch of batchesOf(numberedPoints(1000), 100)) rig.give(batch);
      const first = await rig.run();
      await first.finish();
      rig.journal = new ReplayJournal({ durable: true });
      for (const batch of batchesOf(numberedPoints(1000, 1000), 100)) rig.give(batch);
      const second = await rig.run();
      await second.finish();
      // A journal in memory is empty in each new process.
      rig.journal = new ReplayJournal({ durable: false });
      for (const batch of batchesOf(numberedPoints(1000, 2000), 100)) rig.give(batch);
      const third = await rig.run();
      await third.finish();
      await rig.check(first.refused + second.refused + third.refused);
    },
  },
  {
    name: "aborts and kills during the commit lose nothing, and duplicate nothing where that is promised",
    applies: lives,
    async run(target) {
      await using rig = await Rig.of(target);
      const chance = new Chance(4711);
      let from = 0;
      let kills = 0;
      // On a busy machine it takes longer until a kill comes in the middle of a commit.
      for (let round = 0, number = 0; round < 12 || (kills === 0 && round < 240); round++) {
        const run = await rig.run(from);
        for (let n = chance.int(40); n >= 0; n--) {
          const count = chance.int(200);
          rig.give(numberedPoints(count, number));
          number += count;
          if (chance.int(10) === 0) await pause(chance.int(10));
        }
        if (chance.int(3) === 0) await run.caughtUp();
        if (chance.int(2) === 0) await run.abort();
        else if (await run.kill(200)) kills++;
        // A journal saves its cursors now and then: they are behind.
        from = Math.max(0, run.reader.committed - (target.delivers === "exactly_once" ? chance.int(60) : 0));
      }
      assert.ok(kills > 0, "at least once it died in a commit");
      const last = await rig.run(from);
      await last.finish();
      await rig.check();
    },
  },
  {
    name: "a client's batch that comes again through another server is stored once",
    applies: ({ remembersClients = false }) => remembersClients,
    async run(target) {
      await using rig = await Rig.of(target);
      const client = { name: "node", instance: newJournalId() };
      const batch = (sequence: number) => numberedPoints(100, 100 * sequence);
      for (let sequence = 1; sequence <= 10; sequence++) rig.give(batch(sequence), { ...client, sequence });
      const first = await rig.run();
      await first.finish();
      rig.journal = new ReplayJournal({ durable: true });
      for (let sequence = 6; sequence <= 15; sequence++) {
        if (sequence <= 10) rig.journal.push(batch(sequence), { ...client, sequence });
        else rig.give(batch(sequence), { ...client, sequence });
      }
      const second = await rig.run();
      const [source] = second.reader.clients.sources;
      assert.ok(source, "the output says what it has of a client");
      await second.caughtUp();
      assert.equal(await source(client), 15);
      assert.equal(await source({ ...client, instance: newJournalId() }), 0);
      await second.finish();
      await rig.check();
    },
  },
);
