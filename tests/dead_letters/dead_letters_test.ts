import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { decodeLetter, encodeLetter, timeToJson } from "../../lib/dead_letters/codec.ts";
import { DeadLetterFiles, letterFiles, lettersIn } from "../../lib/dead_letters/files.ts";
import { DeadLetterBox, deadLetterDirectory } from "../../lib/dead_letters.ts";
import { lockFile } from "../../lib/base/file_lock.ts";
import type { BatchReader } from "../../lib/journal.ts";
import { Batch, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { definePlugin, type Output, type Plugin, type PluginContext } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { cases, Chance } from "../kit/bytes.ts";
import { metricOf, pointsOf } from "../kit/decode.ts";
import { unlocked } from "../kit/locks.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf, numbered } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { pause, until } from "../kit/waiting.ts";

const F64 = metricOf("temperature", "f64", { base: "°C", prefix: "milli" });
const ODD = seriesOf(F64, {
  resourceKind: "gpu",
  resourceId: 'a"b\n\u2028',
  consumerKind: "process",
  consumerId: "日🔋",
  attributes: [["", ""], ["f", -0], ["f", NaN], ["u", 18446744073709551615n], ["b", false], ["s", "\\x"], [
    "l",
    [0n, 9007199254740993n],
  ]],
});

/** What a letter says of its point, as rows of a batch say it. */
function again(line: string) {
  const letter = decodeLetter(line);
  assert.ok(typeof letter === "object", String(letter));
  const batch = new Batch(1);
  if (typeof letter.value === "bigint") {
    batch.pushU64(seriesOf(letter.series.metric, letter.series), letter.seconds, letter.nanos, letter.value);
  } else {batch.push(
      seriesOf(letter.series.metric, letter.series),
      letter.seconds,
      letter.nanos,
      letter.value,
    );}
  return { ...pointsOf(batch, true)[0], letter };
}

Deno.test("a letter keeps its point exactly, whatever the value and the time", () => {
  const u64 = seriesOf(metricOf("u", "u64"));
  const batch = batchOf([
    ...[0, -0, 0.1, -1e300, 5e-324, NaN, Infinity, -Infinity].map((value): [Series, number] => [ODD, value]),
    ...[0n, 9007199254740992n, 9007199254740993n, 18446744073709551615n].map((
      v,
    ): [Series, bigint] => [u64, v]),
    [ODD, 1, 0, 5],
    [ODD, 1, 253_402_300_799, 999_999_999],
    [ODD, 1, 253_402_300_800, 1],
    [ODD, 1, 9_007_199_254_740_991, 7],
  ]);
  for (const [row, point] of pointsOf(batch, true).entries()) {
    const line = encodeLetter(batch, row, 'it says "no"\n', 1_795_469_648_737);
    assert.ok(!line.includes("\n"));
    const { letter, ...read } = again(line);
    assert.deepEqual(read, point);
    assert.deepEqual(letter.series.metric, batch.seriesAt(row).metric);
    assert.deepEqual([letter.reason, letter.refusedAtMs], ['it says "no"\n', 1_795_469_648_737]);
  }
  assert.equal(
    encodeLetter(batchOf([[seriesOf(F64), 12.5, 1_700_000_000, 5]]), 0, "no", 1_795_469_648_737),
    '{"refused_at":"2026-11-23T21:34:08.737Z","reason":"no","metric":"temperature","type":"f64",' +
      '"unit":{"base":"°C","prefix":"milli"},"description":"","time":"2023-11-14T22:13:20.000000005Z","value":12.5,' +
      '"resource_kind":"local_machine","resource_id":"","consumer_kind":"local_machine","consumer_id":"",' +
      '"attributes":[]}',
  );
});

Deno.test("a letter keeps values exactly as JSON has them, and as texts beyond that", () => {
  const u64 = seriesOf(metricOf("u", "u64"));
  const valueOf = (value: number | bigint) =>
    JSON.parse(encodeLetter(batchOf([[u64, value]]), 0, "no", 0)).value;
  for (const exact of [0n, 1n, 2n ** 53n, -0]) assert.equal(valueOf(exact), Number(exact) + 0);
  for (const exact of [2n ** 53n + 1n, 2n ** 64n - 1n]) assert.equal(valueOf(exact), `${exact}`);
  // An input may have made of a u64 what none is.
  for (const other of [-1, 1.5, -1.5, 2 ** 64]) assert.equal(valueOf(other), other);
  assert.deepEqual([NaN, -Infinity].map(valueOf), ["NaN", "-Infinity"]);
  assert.equal(valueOf(2 ** 63), `${2n ** 63n}`);
  for (const value of [0, 2 ** 53, -1, 1.5, 2 ** 64]) {
    const letter = decodeLetter(encodeLetter(batchOf([[u64, value]]), 0, "no", 0));
    const isU64 = Number.isInteger(value) && value >= 0 && value < 2 ** 64;
    assert.equal(typeof letter === "object" && letter.value, isU64 ? BigInt(value) : value, `${value}`);
  }
  // Written by hand, it may have been rounded.
  const line = encodeLetter(batchOf([[u64, 5]]), 0, "no", 0).replace(/"value":5/, `"value":${2 ** 53 + 2}`);
  const letter = decodeLetter(line);
  assert.equal(typeof letter === "object" && letter.value, 2 ** 53 + 2);
});

Deno.test("a letter keeps the time by the calendar from 1970 to 9999, and as nanoseconds outside of it", () => {
  for (
    const [seconds, text] of [
      [0, "1970-01-01T00:00:00.000000007Z"],
      [1, "1970-01-01T00:00:01.000000007Z"],
      [253_402_300_799, "9999-12-31T23:59:59.000000007Z"],
      [253_402_300_800, "253402300800000000007"],
      [-1, "-1000000007"],
      // What Date does not know.
      [-(2 ** 50), "-1125899906842624000000007"],
    ] as const
  ) assert.equal(timeToJson(seconds, 7), text);
});

Deno.test("an invalid line is recognised, with the reason", () => {
  const line = encodeLetter(batchOf([[ODD, 1.5]]), 0, "no", 0);
  const damaged = (pattern: RegExp, change: (letter: Record<string, unknown>) => void) => {
    const letter = JSON.parse(line);
    change(letter);
    assert.match(String(decodeLetter(JSON.stringify(letter))), pattern);
  };
  assert.equal(decodeLetter("{"), "it is not JSON");
  assert.equal(decodeLetter("null"), "it is not an object");
  damaged(/metric is not a text/, (letter) => delete letter.metric);
  damaged(/type is neither/, (letter) => letter.type = "i64");
  damaged(/unit is not an object/, (letter) => letter.unit = "W");
  damaged(/time is not a time/, (letter) => letter.time = "yesterday");
  damaged(/value is not an f64/, (letter) => letter.value = "1");
  damaged(
    /value is not a u64/,
    (letter) => Object.assign(letter, { type: "u64", value: "18446744073709551616" }),
  );
  damaged(/value is not an f64/, (letter) => Object.assign(letter, { type: "u64", value: "one" }));
  for (const other of [-1, 1.5, 2 ** 53 + 2, -(2 ** 54), "1"]) {
    const isText = typeof other === "string";
    damaged(
      isText ? /attribute a is not an f64/ : /attribute a is not a u64/,
      (letter) => letter.attributes = [["a", isText ? "f64" : "u64", other]],
    );
  }
  damaged(/refused_at is not a time/, (letter) => letter.refused_at = "");
  damaged(/unknown type/, (letter) => letter.attributes = [["a", "i64", 1]]);
  damaged(/not \[name, type, value\]/, (letter) => letter.attributes = [["a"]]);
});

Deno.test("lines with changed bytes are letters or damaged, and never throw", () => {
  const line = new TextEncoder().encode(encodeLetter(batchOf([[ODD, 1.5]]), 0, "no", 0));
  for (let seed = 0; seed < cases(2000); seed++) {
    decodeLetter(new TextDecoder().decode(new Chance(seed).mutate(line)));
  }
});

function boxIn(directory: string | null, maxBytes = 1e9) {
  const logs = new LogLines();
  return { box: new DeadLetterBox({ directory, maxBytes, log: logs.log }), logs };
}

async function values(directory: string): Promise<bigint[]> {
  const found: bigint[] = [];
  for (const { path } of await new DeadLetterFiles(directory).all()) {
    for (const line of await lettersIn(path)) {
      const letter = decodeLetter(line);
      if (typeof letter === "object") found.push(letter.value as bigint);
    }
  }
  return found;
}

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => BigInt(from + i));

Deno.test("added letters are on disk when sync has resolved, also in the next process", async () => {
  await using dir = new TempDir();
  const directory = dir.file("state/dead-letters/db");
  const batch = numbered(100);
  for (let process = 0; process < 3; process++) {
    const { box } = boxIn(directory);
    await box.sync();
    for (let row = 0; row < 30; row++) {
      box.add(batch, 30 * process + row, "no");
      if (row % 7 === 0) {
        assert.ok(box.pending > 0);
        await box.sync();
        assert.equal((await values(directory)).at(-1), BigInt(30 * process + row));
      }
    }
    // Two at once keep the order.
    await Promise.all([box.sync(), box.sync()]);
    assert.deepEqual([box.pending, box.refusedPoints, box.droppedPoints], [0, 30, 0]);
  }
  assert.deepEqual(await values(directory), upTo(90));
});

Deno.test("letters without a sync do not fill the memory", async () => {
  await using dir = new TempDir();
  const { box } = boxIn(dir.path);
  const batch = numbered(10_000);
  for (let row = 0; row < 10_000; row++) box.add(batch, row, "no");
  await until(() => {
    try {
      return Deno.statSync(dir.file("000001.jsonl")).size > 1024 * 1024;
    } catch {
      return false;
    }
  });
  await box.sync();
  assert.deepEqual(await values(dir.path), upTo(10_000));
});

Deno.test("the oldest letters are dropped and counted, and the limit holds", async () => {
  await using dir = new TempDir();
  const { box, logs } = boxIn(dir.path, 64 * 1024);
  const batch = numbered(2000);
  for (let row = 0; row < 2000; row++) {
    box.add(batch, row, "no");
    if (row % 50 === 49) await box.sync();
    const bytes = (await letterFiles(dir.path)).reduce((sum, file) => sum + file.bytes, 0);
    assert.ok(bytes <= 64 * 1024, `${bytes}`);
  }
  const kept = await values(dir.path);
  assert.deepEqual(kept, upTo(kept.length, 2000 - kept.length));
  assert.ok(kept.length > 100, `${kept.length}`);
  assert.equal(kept.length + box.droppedPoints, 2000);
  assert.ok(logs.matching(/ERROR.*the oldest are dropped/).length > 0);
  // One that is larger than all the room is dropped, and takes nothing with it.
  box.add(batchOf([[seriesOf(F64, { resourceId: "x".repeat(100_000) }), 1]]), 0, "no");
  await box.sync();
  assert.deepEqual(await values(dir.path), kept);
});

Deno.test("without a state directory points are counted and logged", async () => {
  const { box, logs } = boxIn(null);
  for (let row = 0; row < 10; row++) box.add(numbered(10), row, "type is wrong");
  await box.sync();
  assert.deepEqual([box.refusedPoints, box.droppedPoints, box.pending], [10, 10, 0]);
  assert.equal(logs.lines.length, 1);
  assert.match(logs.lines[0], /ERROR.*no state directory.*points=10 reason="type is wrong" metric=numbers/);
});

Deno.test("a failing disk costs the letters and nothing else", async () => {
  await using dir = new TempDir();
  Deno.writeTextFileSync(dir.file("file"), "");
  const { box, logs } = boxIn(dir.file("file/below"));
  box.add(numbered(1), 0, "no");
  await box.sync();
  assert.deepEqual([box.refusedPoints, box.droppedPoints], [1, 1]);
  assert.equal(logs.matching(/ERROR.*they are lost points=1/).length, 1);
});

Deno.test("half a line of a crash stays by itself", async () => {
  await using dir = new TempDir();
  Deno.writeTextFileSync(dir.file("000001.jsonl"), '{"refused_at":"2026');
  const { box } = boxIn(dir.path);
  box.add(numbered(1, 5), 0, "no");
  await box.sync();
  assert.deepEqual(await values(dir.path), [5n]);
  assert.equal((await lettersIn(dir.file("000001.jsonl"))).length, 2);
});

Deno.test("letters that come during a replay are not part of it, and a second replay must wait", async () => {
  await using dir = new TempDir();
  const files = new DeadLetterFiles(dir.path);
  const { box } = boxIn(dir.path);
  box.add(numbered(1, 1), 0, "no");
  await box.sync();
  const first = await files.takeForReplay();
  assert.equal(first.files.length, 1);
  box.add(numbered(1, 2), 0, "no");
  await box.sync();
  assert.equal((await letterFiles(dir.path)).length, 1);
  await assert.rejects(files.takeForReplay(), /process \d+ is replaying them/);
  first.lock.close();
  // It had not ended: what it had taken comes first.
  const second = await files.takeForReplay();
  second.lock.close();
  await unlocked(dir.path);
  assert.deepEqual(await values(dir.path), [1n, 2n]);
  assert.deepEqual(second.files.map(({ number }) => number), [1, 2]);
});

Deno.test("another process and the agent change the files in turns", async () => {
  await using dir = new TempDir();
  const { box } = boxIn(dir.path);
  const held = await lockFile(dir.file("lock"));
  assert.ok("file" in held);
  box.add(numbered(1, 1), 0, "no");
  const synced = box.sync();
  await pause(100);
  assert.deepEqual(await values(dir.path), []);
  held.file.close();
  await synced;
  assert.deepEqual(await values(dir.path), [1n]);
});

/** An output whose target refuses what is odd, until it is mended, and may be away. */
class Picky implements Output {
  static mended = false;
  static away = false;
  static stored: bigint[] = [];

  constructor(readonly context: PluginContext) {}

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    while (true) {
      const state = await reader.wait(Infinity, signal);
      if (state !== "ready") return;
      if (Picky.away) {
        await this.context.clock.sleep(60_000, signal);
        throw new Error("aborted");
      }
      const batch = reader.next()!;
      for (let row = 0; row < batch.length; row++) {
        const value = batch.exactValue(row);
        if (value % 2n === 1n && !Picky.mended) this.context.deadLetters.add(batch, row, "it is odd");
        else Picky.stored.push(value);
      }
      await this.context.deadLetters.sync();
      reader.commit(1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const picky = definePlugin({
  name: "picky",
  kind: "output",
  description: "Refuses odd numbers",
  config: table({}, { doc: "" }),
  open: (_: Record<string, never>, context: PluginContext) => Promise.resolve(new Picky(context)),
});

class Cli implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly directory = deadLetterDirectory(`${this.dir.path}/local`, "picky");
  stdout = "";
  stderr = "";

  constructor() {
    Picky.mended = Picky.away = false;
    Picky.stored = [];
    Deno.writeTextFileSync(this.dir.file("config.toml"), "[plugins.picky]\n");
  }

  async set(values: readonly number[], reason = "it is odd"): Promise<void> {
    const { box } = boxIn(this.directory);
    for (const value of values) box.add(numbered(1, value), 0, reason);
    await box.sync();
  }

  async run(...args: string[]): Promise<number> {
    this.stdout = this.stderr = "";
    const flags = ["--state-dir", this.dir.path, "--config", this.dir.file("config.toml")];
    return await main([...args, ...flags], {
      stdout: (text) => void (this.stdout += text),
      stderr: (text) => void (this.stderr += text),
      color: () => false,
      plugins: () => Promise.resolve<readonly Plugin[]>([picky]),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("an unreadable state directory is an error, and never reported as one without dead letters", async () => {
  await using cli = new Cli();
  await Deno.writeTextFile(cli.dir.file("local"), "");
  assert.equal(await cli.run("dead-letters", "list"), 69);
  assert.equal(cli.stdout, "");
  assert.match(cli.stderr, /Cannot read \S+: .*; name one with --state-dir/);
});

Deno.test("list shows the number of letters of each output, their age and reasons", async () => {
  await using cli = new Cli();
  assert.equal(await cli.run("dead-letters", "list"), 0);
  assert.equal(cli.stdout, "There are no dead letters\n");
  assert.equal(await cli.run("dead-letters", "show"), 0);
  assert.deepEqual([cli.stdout, cli.stderr], ["", "There are no dead letters\n"]);
  await cli.set([1, 3, 5]);
  await cli.set([7], "it is\u001b[31m seven");
  Deno.writeTextFileSync(`${cli.directory}/000001.jsonl`, "{half", { append: true });
  assert.equal(await cli.run("dead-letters", "list"), 0);
  const [head, ...reasons] = cli.stdout.split("\n");
  assert.match(
    head,
    /^picky \(local\): 4 points, .*, refused from 20\d\d-\d\d-\d\dT[\d:]{8}Z to 20[\d-]{8}T[\d:]{8}Z$/,
  );
  assert.deepEqual(reasons, [
    "         3  it is odd",
    "         1  it is\\u001b[31m seven",
    "         1  damaged lines",
    "",
  ]);
  assert.equal(await cli.run("dead-letters", "list", "pick"), 64);
  assert.match(cli.stderr, /no dead letters of pick; did you mean "?picky/);
});

Deno.test("show prints the letters", async () => {
  await using cli = new Cli();
  await cli.set([1, 3]);
  assert.equal(await cli.run("dead-letters", "show", "picky"), 0);
  assert.deepEqual(cli.stdout.trim().split("\n").map((line) => JSON.parse(line).value), [1, 3]);
  assert.equal(await cli.run("dead-letters", "show", "picky", "more"), 64);
});

Deno.test("replay writes letters through the output; those refused again are set aside again", async () => {
  await using cli = new Cli();
  await cli.set([1, 3, 4, 5, 6]);
  assert.equal(await cli.run("dead-letters", "replay"), 69);
  assert.equal(cli.stdout, "picky: 2 points written, 3 refused again\n");
  assert.deepEqual(Picky.stored, [4n, 6n]);
  assert.deepEqual(await values(cli.directory), [1n, 3n, 5n]);
  Picky.mended = true;
  assert.equal(await cli.run("dead-letters", "replay", "picky"), 0);
  assert.equal(cli.stdout, "picky: 3 points written\n");
  assert.deepEqual(Picky.stored, [4n, 6n, 1n, 3n, 5n]);
  assert.deepEqual(await values(cli.directory), []);
  assert.equal(await cli.run("dead-letters", "replay"), 0);
  assert.equal(cli.stdout, "There are no dead letters of any output (local)\n");
});

Deno.test("a replay of many letters keeps their order, and leaves damaged lines in place", async () => {
  await using cli = new Cli();
  Picky.mended = true;
  await cli.set(Array.from({ length: 10_000 }, (_, i) => i));
  Deno.writeTextFileSync(`${cli.directory}/000001.jsonl`, "{half", { append: true });
  assert.equal(await cli.run("dead-letters", "replay"), 69);
  assert.equal(cli.stdout, "picky: 10000 points written, 1 damaged line left\n");
  assert.deepEqual(Picky.stored, upTo(10_000));
  const [left] = await new DeadLetterFiles(cli.directory).all();
  assert.deepEqual(await lettersIn(left.path), ["{half"]);
});

Deno.test("an aborted replay loses nothing", async () => {
  await using cli = new Cli();
  await cli.set([1, 2, 3]);
  Picky.away = true;
  const replaying = cli.run("dead-letters", "replay");
  await until(() => {
    try {
      return Deno.statSync(`${cli.directory}/replay/000001.jsonl`).isFile;
    } catch {
      return false;
    }
  });
  await pause(50);
  Deno.kill(Deno.pid, "SIGTERM");
  assert.equal(await replaying, 69);
  assert.equal(cli.stdout, "picky: 0 points written, 3 left for the next replay\n");
  Picky.away = false;
  Picky.mended = true;
  assert.equal(await cli.run("dead-letters", "list"), 0);
  assert.match(cli.stdout, /picky \(local\): 3 points/);
  assert.equal(await cli.run("dead-letters", "replay"), 0);
  assert.deepEqual(Picky.stored, [1n, 2n, 3n]);
});

Deno.test("replay needs the output in the configuration", async () => {
  await using cli = new Cli();
  await cli.set([1]);
  Deno.writeTextFileSync(cli.dir.file("config.toml"), "[plugins.picky]\nenable = false\n");
  assert.equal(await cli.run("dead-letters", "replay"), 69);
  assert.match(cli.stderr, /Cannot replay picky: the configuration does not enable \[plugins.picky\]/);
  assert.deepEqual(await values(cli.directory), [1n]);
});

Deno.test("purge removes old letters, or all, and only with --yes", async () => {
  await using cli = new Cli();
  await cli.set([1, 3]);
  const [file] = await letterFiles(cli.directory);
  const text = Deno.readTextFileSync(file.path);
  const old = text.split("\n")[0].replace(/"refused_at":"20\d\d/, '"refused_at":"2019');
  Deno.writeTextFileSync(file.path, `${old}\n${text}`);
  assert.equal(await cli.run("dead-letters", "purge"), 64);
  assert.match(cli.stderr, /--older-than AGE, such as 30days, or --all/);
  assert.equal(await cli.run("dead-letters", "purge", "--older-than", "soon", "--yes"), 64);
  assert.equal(await cli.run("dead-letters", "purge", "--older-than", "30days"), 64);
  assert.match(cli.stderr, /1 point would be permanently removed; add --yes/);
  assert.equal((await values(cli.directory)).length, 3);
  assert.equal(await cli.run("dead-letters", "purge", "--older-than", "30days", "--yes"), 0);
  assert.equal(cli.stdout, "picky (local): 1 point removed\n");
  assert.deepEqual(await values(cli.directory), [1n, 3n]);
  assert.equal(await cli.run("dead-letters", "purge", "picky", "--all", "--yes"), 0);
  assert.equal(cli.stdout, "picky (local): 2 points removed\n");
  assert.deepEqual(await values(cli.directory), []);
});
