import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { EXIT, ExitError } from "../../lib/base/errors.ts";
import type { ClientTable } from "../../lib/points/origins.ts";
import { HEADER_BYTES } from "../../lib/journal/disk/format/segment.ts";
import { lockHolder } from "../../lib/base/file_lock.ts";
import { Batch, type Metric, seriesOf } from "../../lib/points/measurement.ts";
import { copyOf, drain, fill, open, range, segmentsOf, synced, withDirectory } from "../kit/journal.ts";
import { numbered } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { pause } from "../kit/waiting.ts";

interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Runs `alumet-relay journal …` within this process. */
async function journal(...args: string[]): Promise<Outcome> {
  const outcome = { code: -1, out: "", err: "" };
  outcome.code = await main(["journal", ...args], {
    stdout: (text) => outcome.out += text,
    stderr: (text) => outcome.err += text,
    env: () => undefined,
    services: () => [],
    journal: () => false,
    terminal: () => false,
  });
  return outcome;
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

/** Four segments of three records, from four starts; output `a` has committed the first record. */
async function prepare(directory: string): Promise<string[]> {
  for (let start = 0; start < 4; start++) {
    await using journal = await open(directory);
    const reader = journal.reader("a");
    for (let n = 3 * start; n < 3 * start + 3; n++) await fill(journal, 1, 2 * n, 2);
    if (start === 0) await drain(reader, 2);
  }
  const segments = segmentsOf(directory);
  assert.equal(segments.length, 4);
  return segments;
}

/** Where the records of a segment begin; the first one is the snapshot. */
function recordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer);
  const starts = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += 8 + view.getUint32(at, true)) starts.push(at);
  return starts;
}

function change(
  path: string,
  work: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | void,
): void {
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, work(bytes) ?? bytes);
}

const flip = (at: (records: number[], bytes: Uint8Array) => number) => (path: string) =>
  change(path, (bytes) => void (bytes[at(recordsOf(bytes), bytes)] ^= 4));

interface Damage {
  name: string;
  /** Which segment it is done to. */
  segment: number;
  damage: (path: string, segments: string[]) => void;
  /** What the check says. */
  says: RegExp;
  /** What is kept for output `a`, whether it is repaired or not. */
  kept: number[];
  /** What the repair says. */
  repair?: RegExp;
}

const ALL = range(2, 24);
const without = (from: number, to: number) => ALL.filter((n) => n < from || n >= to);

const DAMAGES: Damage[] = [
  {
    name: "a flipped byte in a header",
    segment: 1,
    damage: flip(() => 9),
    says: /segment: the checksum of its header is wrong[^]*6 points are missing/,
    kept: without(6, 12),
  },
  {
    name: "a flipped byte in the format at the beginning",
    segment: 2,
    damage: flip(() => 0),
    says: /segment: it does not begin like a segment/,
    kept: without(12, 18),
  },
  {
    name: "a flipped byte in the list of clients",
    segment: 1,
    damage: flip(([snapshot]) => snapshot + 12),
    says: /byte 40: the list of clients is damaged\n[^\n]*1 problem\n/,
    kept: ALL,
    repair: /damaged list of clients was rebuilt/,
  },
  {
    name: "a flipped byte in the length of the list of clients",
    segment: 1,
    damage: flip(([snapshot]) => snapshot),
    says: /byte 40: the list of clients is damaged/,
    kept: ALL,
    repair: /damaged list of clients was rebuilt/,
  },
  {
    name: "a flipped byte in the length of a record",
    segment: 1,
    damage: flip(([, , second]) => second),
    says: /byte \d+: the record there is damaged: its checksum is wrong[^]*4 points are missing/,
    kept: without(8, 12),
  },
  {
    name: "a flipped byte in the checksum of a record",
    segment: 2,
    damage: flip(([, first]) => first + 5),
    says: /byte \d+: the record there is damaged: its checksum is wrong[^]*6 points are missing/,
    kept: without(12, 18),
  },
  {
    name: "a flipped byte in the last record of a segment",
    segment: 2,
    damage: flip((_, bytes) => bytes.length - 1),
    says: /byte \d+: the file ends in the middle of a record[^]*2 points are missing/,
    kept: without(16, 18),
  },
  {
    name: "a flipped byte in a record of the last segment",
    segment: 3,
    damage: flip(([, , second]) => second + 12),
    says: /byte \d+: the record there is damaged/,
    kept: without(20, 24),
    repair: /lost_points 4/,
  },
  {
    name: "a flipped byte in the list of clients of the last segment",
    segment: 3,
    damage: flip(([snapshot]) => snapshot + 12),
    says: /byte 40: the list of clients is damaged/,
    kept: ALL,
  },
  {
    name: "a record longer than the rest of the file",
    segment: 1,
    damage: flip(([, first]) => first + 2),
    says: /byte \d+: the file ends in the middle of a record/,
    kept: without(6, 12),
  },
  {
    name: "a missing segment in the middle",
    segment: 1,
    damage: (path) => Deno.removeSync(path),
    says: /segment: 6 points are missing between .*000\.segment and this segment/,
    kept: without(6, 12),
  },
  {
    name: "a tail of zeros, as after a power failure",
    segment: 3,
    damage: (path) => change(path, (bytes) => Uint8Array.from([...bytes, ...new Uint8Array(5000)])),
    says: /the last 5000 bytes are an incomplete record, as after a crash/,
    kept: ALL,
    repair: /ended in the middle of a record, which is cut off.*lost_bytes 5000/,
  },
  {
    name: "zeros within a segment, to its end",
    segment: 1,
    damage: (path) => change(path, (bytes) => void bytes.fill(0, recordsOf(bytes)[2])),
    says: /the file ends in the middle of a record/,
    kept: without(8, 12),
  },
  {
    name: "garbage instead of a segment",
    segment: 2,
    damage: (path) => change(path, () => crypto.getRandomValues(new Uint8Array(3000))),
    says: /segment: it does not begin like a segment/,
    kept: without(12, 18),
  },
  {
    name: "an empty file with the name of a segment",
    segment: 0,
    damage: (path) =>
      Deno.writeFileSync(path.replace(/\d+\.segment/, `${"5".repeat(20)}.segment`), new Uint8Array()),
    says: /555\.segment: it has 0 bytes/,
    kept: ALL,
  },
  {
    name: "a copy of a segment under another name",
    segment: 1,
    damage: (path) => Deno.copyFileSync(path, path.replace(/\d+\.segment/, `${"0".repeat(18)}77.segment`)),
    says: /77\.segment: it begins with the same record as/,
    kept: ALL,
  },
  {
    name: "a damaged cursor",
    segment: 0,
    damage: (path) => change(path.replace(/\w+\.segment/, "a.cursor"), (bytes) => void (bytes[12] ^= 1)),
    says: /a\.cursor: it is damaged: its output will get all points in the journal again/,
    kept: range(0, 24),
    repair: /cursor of a was damaged and has been removed/,
  },
  {
    name: "a damaged id",
    segment: 0,
    damage: (path) => change(path.replace(/\w+\.segment/, "journal.id"), (bytes) => bytes.subarray(0, 20)),
    says: /journal\.id: it cannot be read/,
    kept: ALL,
    repair: /Cannot read the id of the journal, it gets a new one/,
  },
];

for (const { name, segment, damage, says, kept, repair } of DAMAGES) {
  Deno.test(`${name}: check says where, a start and a repair keep the rest, and then check is content`, () =>
    withDirectory(async (root) => {
      const [damaged, started] = [`${root}/damaged`, `${root}/started`];
      const segments = await prepare(damaged);
      assert.equal((await journal("check", "--path", damaged)).code, 0);
      damage(segments[segment], segments);
      await copyOf(damaged, started);

      const checked = await journal("check", "--path", damaged);
      assert.equal(checked.code, 65, checked.out);
      assert.match(checked.out, says);
      assert.match(lines(checked.out).at(-1)!, /: \d+ points in \d+ records of \d segments, \d+ problems?$/);
      assert.equal((await journal("status", "--path", damaged)).code, 0);

      {
        await using journal = await open(started);
        assert.deepEqual(await drain(journal.reader("a")), kept);
      }
      const repaired = await journal("repair", "--path", damaged);
      assert.equal(repaired.code, 0, repaired.err);
      assert.match(repaired.out, repair ?? /./);
      const lost = Math.max(0, ALL.length - kept.length);
      assert.match(lines(repaired.out).at(-1)!, new RegExp(`repaired, ${lost} points lost$`));
      const again = await journal("check", "--path", damaged);
      assert.equal(again.code, 0, again.out);
      assert.match((await journal("repair", "--path", damaged)).out, /nothing to repair/);

      await using opened = await open(damaged);
      const reader = opened.reader("a");
      await fill(opened, 1, 100, 2);
      assert.deepEqual(await drain(reader), [...kept, 100, 101]);
      assert.equal(reader.pendingPoints, 0);
      const { quarantinedSegments, tornTails } = opened.stats;
      assert.deepEqual([quarantinedSegments, tornTails], [0, 0]);
    }));
}

Deno.test("a torn tail of any length is reported as one, and cut off", () =>
  withDirectory(async (root) => {
    const whole = `${root}/whole`;
    const last = (await prepare(whole)).at(-1)!;
    const bytes = Deno.readFileSync(last);
    const start = recordsOf(bytes).at(-1)!;
    for (let length = start + 1; length < bytes.length; length++) {
      const directory = `${root}/${length}`;
      await copyOf(whole, directory);
      Deno.truncateSync(last.replace(whole, directory), length);
      const checked = await journal("check", "--path", directory);
      assert.equal(checked.code, 65);
      assert.match(
        checked.out,
        new RegExp(`byte ${start}: the last ${length - start} bytes are an incomplete record`),
      );
      assert.match(
        (await journal("repair", "--path", directory)).out,
        /cut off.*\n.*repaired, 0 points lost/,
      );
      assert.equal((await journal("check", "--path", directory)).code, 0);
      assert.equal(Deno.statSync(last.replace(whole, directory)).size, start);
      await Deno.remove(directory, { recursive: true });
    }
  }));

Deno.test("swapped segments and unknown files are not damage", () =>
  withDirectory(async (directory) => {
    const [, one, two] = await prepare(directory);
    Deno.renameSync(one, `${directory}/x`);
    Deno.renameSync(two, one);
    Deno.renameSync(`${directory}/x`, two);
    Deno.writeTextFileSync(`${directory}/notes.txt`, "mine");
    const { code, out } = await journal("check", "--path", directory);
    assert.equal(code, 0);
    assert.equal(
      lines(out).filter((line) => /has the name of another segment, and is used/.test(line)).length,
      2,
    );
    await using opened = await open(directory);
    assert.deepEqual(await drain(opened.reader("a")), ALL);
    assert.equal(Deno.readTextFileSync(`${directory}/notes.txt`), "mine");
  }));

const metric = (name: string, type: Metric["type"], base = "1"): Metric => ({
  name,
  type,
  unit: { base, prefix: type === "f64" ? "milli" : "" },
  description: "",
});

function batchFrom(clients: ClientTable): Batch {
  const batch = new Batch();
  const energy = seriesOf(metric("energy", "f64", "J"), {
    resourceKind: "cpu_package",
    resourceId: "0",
    attributes: [["list", [1n, 2n ** 64n - 1n]], ["on", true], ["text", "a\u001b[31m"]],
  });
  const count = seriesOf(metric("count", "u64"));
  batch.push(energy, 1_700_000_000, 5, NaN);
  batch.push(energy, 1_700_000_000, 5, -Infinity);
  batch.push(energy, 1_700_000_000, 5, 0.1);
  batch.credit(clients.get("node", "ab".repeat(16)), 41);
  batch.pushU64(count, 1_700_000_001, 0, 2n ** 64n - 1n);
  batch.credit(clients.get("agent"), 0);
  return batch;
}

Deno.test("dump ends when nobody reads any more, and when its output cannot be written", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 2000 });
      journal.reader("csv");
      for (let n = 0; n < 10; n++) await fill(journal, 1, n, 100);
    }
    let pieces = 0;
    const dump = (stdout: () => boolean) =>
      main(["journal", "dump", "--path", directory], { stdout, stderr: (text) => void (err += text) });
    let err = "";
    assert.equal(await dump(() => ++pieces > 100), 0);
    // One with lines, and the empty rest.
    assert.deepEqual([pieces, err], [2, ""]);
    const full = () => {
      throw new ExitError(EXIT.unavailable, "Cannot write to standard output: no space");
    };
    assert.equal(await dump(full), EXIT.unavailable);
    assert.match(err, /^Cannot write to standard output: no space\n$/);
  }));

Deno.test("dump prints each point exactly, with its client and numbers, and flags select points", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 20 });
      const [reader] = ["csv", "slow"].map((name) => journal.reader(name));
      journal.append(batchFrom(journal.clients));
      await synced(journal);
      for (let n = 0; n < 6; n++) await fill(journal, 1, n, 3);
      await reader.wait();
      for (let n = 0; n < 3; n++) reader.next();
      reader.commit(3);
    }
    const dump = async (...args: string[]) => {
      const { code, out, err } = await journal("dump", "--path", directory, ...args);
      assert.equal(code, 0, err);
      return lines(out).map((line) => JSON.parse(line));
    };
    const all = await dump();
    assert.equal(all.length, 4 + 18);
    const energy = {
      record: 0,
      client: "node",
      instance: "ab".repeat(16),
      sequence: 41,
      metric: "energy",
      type: "f64",
      unit: { base: "J", prefix: "milli" },
      description: "",
      time: "2023-11-14T22:13:20.000000005Z",
      resource_kind: "cpu_package",
      resource_id: "0",
      consumer_kind: "local_machine",
      consumer_id: "",
      attributes: [["list", "list_u64", [1, "18446744073709551615"]], ["on", "bool", true], [
        "text",
        "str",
        "a\u001b[31m",
      ]],
    };
    assert.deepEqual(all[0], { ...energy, value: "NaN" });
    assert.deepEqual(all.slice(1, 3).map(({ value }) => value), ["-Infinity", 0.1]);
    const { client, instance, sequence, value, time } = all[3];
    assert.deepEqual([client, instance, sequence, value], ["agent", null, null, "18446744073709551615"]);
    assert.equal(time, "2023-11-14T22:13:21.000000000Z");
    assert.deepEqual([all[4].client, all[4].record, all[4].metric], [null, 1, "numbers"]);
    assert.ok(
      !(await journal("dump", "--path", directory)).out.includes("\u001b"),
      "nothing reaches a terminal raw",
    );

    assert.deepEqual(await dump("--limit", "5"), all.slice(0, 5));
    assert.deepEqual(await dump("--limit", "0"), []);
    assert.deepEqual(await dump("--from", "4"), all.slice(13));
    assert.deepEqual(await dump("--from", "4", "--limit", "2"), all.slice(13, 15));
    assert.deepEqual(await dump("--waiting-for", "csv"), all.slice(10));
    assert.deepEqual(await dump("--waiting-for", "csv", "--from", "2"), all.slice(10));
    assert.deepEqual(await dump("--from", "999"), []);
    for (
      const [flag, value, says] of [
        ["--from", "x", /--from x: expected a whole number/],
        ["--limit", "1.5", /expected a whole number/],
        ["--waiting-for", "cvs", /does not know this output; did you mean csv\?/],
      ] as const
    ) {
      const { code, err } = await journal("dump", "--path", directory, flag, value);
      assert.equal(code, 64);
      assert.match(err, says);
    }
    change(segmentsOf(directory)[0], (bytes) => void (bytes[recordsOf(bytes)[3] + 10] ^= 1));
    const damaged = await journal("dump", "--path", directory);
    assert.equal(damaged.code, 65);
    assert.match(damaged.err, /segment: byte \d+: its checksum is wrong/);
    assert.ok(lines(damaged.out).length >= 4 && lines(damaged.out).length < all.length);
  }));

Deno.test("status prints sizes, times, outputs and clients, for people and for programs", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { host: "here" });
      const [csv] = ["csv", "relay-client"].map((name) => journal.reader(name));
      journal.append(batchFrom(journal.clients));
      await fill(journal, 2, 0, 5);
      await drain(csv, 5);
    }
    const { code, out } = await journal("status", "--path", directory, "--json");
    assert.equal(code, 0);
    const [status] = JSON.parse(out);
    const { id, oldest_age_seconds, newest_age_seconds, bytes, ...rest } = status;
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal(bytes, segmentsOf(directory).reduce((sum, path) => sum + Deno.statSync(path).size, 0));
    const age = Date.now() / 1000 - 1_700_000_000;
    assert.ok(Math.abs(oldest_age_seconds - age) < 60 && Math.abs(newest_age_seconds - age) < 60);
    const [csv, relay] = rest.outputs;
    assert.ok(csv.oldest_waiting_age_seconds > 0 && relay.oldest_waiting_age_seconds > 0);
    const clients = rest.clients.map(({ last_contact, ...client }: Record<string, unknown>) => {
      if (client.name !== "") assert.ok(Math.abs(Date.parse(last_contact as string) - Date.now()) < 60_000);
      return client;
    });
    assert.deepEqual([rest.directory, rest.host, rest.used_by_process, rest.segments, rest.points], [
      directory,
      "here",
      null,
      1,
      14,
    ]);
    assert.deepEqual([rest.oldest, rest.newest], [
      "2023-11-14T22:13:20.000000005Z",
      "2023-11-14T22:13:20.000000009Z",
    ]);
    assert.deepEqual([csv.output, csv.position, csv.points_waiting, csv.oldest_waiting], [
      "csv",
      2,
      5,
      "2023-11-14T22:13:20.000000005Z",
    ]);
    assert.deepEqual([relay.output, relay.position, relay.points_waiting], ["relay-client", 0, 14]);
    assert.deepEqual(clients, [
      { name: "", instance: null, last_batch: null, points_waiting: 10 },
      { name: "node", instance: "ab".repeat(16), last_batch: 41, points_waiting: 3 },
      { name: "agent", instance: null, last_batch: null, points_waiting: 1 },
    ]);
    assert.deepEqual([rest.quarantine, rest.problems], [{ files: 0, bytes: 0 }, []]);

    Deno.writeTextFileSync(`${directory}/csv.cursor`, "{");
    const text = (await journal("status", "--path", directory)).out;
    for (
      const says of [
        /^Journal +\/.*$/m,
        /^Used by +nobody$/m,
        /^Id +[0-9a-f]{32}, of host here$/m,
        /^On disk +\d+ bytes in 1 segment, 14 points$/m,
        /^Oldest +2023-11-14T22:13:20Z \(\d+d .*ago\)$/m,
        /^Quarantine +empty$/m,
        /^Problem +.*csv\.cursor: it is damaged/m,
        /^relay-client +14 +2023-11-14T22:13:20Z/m,
        /^csv +14 /m,
        /^node +(ab){16} +41 +3 +20/m,
        /^\(this process\) +10$/m,
      ]
    ) assert.match(text, says);
  }));

Deno.test("a journal that a process uses can be read, but not repaired", () =>
  withDirectory(async (directory) => {
    await using used = await open(directory, { segmentBytes: 2000 });
    used.reader("a");
    let stopped = false;
    const writing = (async () => {
      for (let n = 0; !stopped; n++) {
        await used.append(numbered(20, 20 * n));
        await pause(0);
      }
    })();
    assert.equal(lockHolder(`${directory}/lock`), Deno.pid);
    for (let n = 0; n < 10; n++) {
      const checked = await journal("check", "--path", directory);
      assert.equal(checked.code, 0, checked.out);
      const dumped = await journal("dump", "--path", directory);
      assert.equal(dumped.code, 0, dumped.err);
      const values = lines(dumped.out).map((line) => JSON.parse(line).value);
      assert.deepEqual(values, range(0, values.length));
    }
    const { out } = await journal("status", "--path", directory);
    assert.match(out, new RegExp(`^Used by +process ${Deno.pid}$`, "m"));
    const repaired = await journal("repair", "--path", directory);
    assert.equal(repaired.code, 69);
    assert.match(repaired.err, new RegExp(`process ${Deno.pid} uses it. Stop that process first`));
    stopped = true;
    await writing;
  }));

Deno.test("the commands find journals in state directories, in the configuration, or by --path", async () => {
  await using dir = new TempDir();
  for (const role of ["client", "server"]) {
    await using journal = await open(`${dir.path}/state/${role}/journal`);
    journal.reader("a");
    await fill(journal, 1, 0, role === "client" ? 3 : 5);
  }
  const state = ["--state-dir", `${dir.path}/state`];
  const { code, out } = await journal("status", "--json", ...state);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(out).map(({ points }: { points: number }) => points), [3, 5]);
  const checked = await journal("check", ...state);
  assert.deepEqual(lines(checked.out).map((line) => / (\d) points .* good$/.exec(line)?.[1]), ["3", "5"]);
  for (const command of ["dump", "repair"]) {
    const { code, err } = await journal(command, ...state);
    assert.equal(code, 64);
    assert.match(err, /without --path: there are .*client\/journal, .*server\/journal/);
  }
  const server = `${dir.path}/state/server/journal`;
  assert.equal(lines((await journal("dump", "--config-override", `journal.path=${server}`)).out).length, 5);
  assert.equal(lines((await journal("dump", "--path", server)).out).length, 5);

  const missing = await journal("status", "--state-dir", `${dir.path}/none`);
  assert.equal(missing.code, 69);
  assert.match(
    missing.err,
    /There is no directory .*none \(by --state-dir\)/,
  );
  const wrong = await journal("check", "--path", `${dir.path}/none`);
  assert.equal(wrong.code, 69);
  assert.match(wrong.err, /Cannot read the journal in .*none/);
  const nowhere = await journal("status");
  assert.equal(nowhere.code, 78);
  assert.match(nowhere.err, /no state directory.*--state-dir.*--path/);
});

Deno.test("an unreadable state directory is an error, and never reported as a missing journal", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("file"), "");
  const { code, err } = await journal("status", "--state-dir", dir.file("file"));
  assert.equal(code, 69);
  assert.match(err, /^Cannot read \S+\/file: .*; name one with --state-dir or --path/);
});
