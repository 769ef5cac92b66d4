import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import { LineWriter } from "../../lib/base/stderr.ts";
import { pause, until } from "../kit/waiting.ts";

/** Standard error that takes what a test lets it take. */
class Target {
  text = "";
  /** What the next writes do. */
  next: (bytes: Uint8Array) => number | Promise<number> = (bytes) => bytes.length;

  /** Each write waits from now on. @returns what lets them take everything, one by one, as they come */
  hold(): (() => void)[] {
    const takings: (() => void)[] = [];
    this.next = async (bytes) => {
      await new Promise<void>((resolve) => takings.push(resolve));
      return bytes.length;
    };
    return takings;
  }

  async write(bytes: Uint8Array): Promise<number> {
    const count = await this.next(bytes);
    this.text += new TextDecoder().decode(bytes.subarray(0, count));
    return count;
  }

  writeSync(bytes: Uint8Array): number {
    const count = this.next(bytes) as number;
    this.text += new TextDecoder().decode(bytes.subarray(0, count));
    return count;
  }
}

function fail(error: Error): () => never {
  return () => {
    throw error;
  };
}

const FULL = new Error("No space left on device (os error 28)");

Deno.test("lines are written at once before queue(), even if the target takes a few bytes at a time", () => {
  const target = new Target();
  const writer = new LineWriter(target);
  target.next = (bytes) => Math.min(3, bytes.length);
  writer.write("one line\n");
  assert.equal(target.text, "one line\n");
  target.next = fail(FULL);
  writer.write("lost\n");
  assert.equal(writer.takeLost(), 1);
});

Deno.test("queued lines are written in order and completely", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  target.next = (bytes) => Math.min(7, bytes.length);
  const lines = Array.from({ length: 100 }, (_, n) => `line ${n}\n`);
  for (const line of lines) writer.write(line);
  assert.equal(await writer.flush(60_000), true);
  assert.equal(target.text, lines.join(""));
  assert.equal(writer.takeLost(), 0);
});

Deno.test("a line that comes just as the queue runs empty is written, and waited for by flush()", async () => {
  // The end of a write runs on in a few microtasks: the next line comes before, between or after them.
  for (let microtasks = 0; microtasks < 20; microtasks++) {
    const target = new Target();
    const writer = new LineWriter(target);
    writer.queue();
    const { promise: isWritten, resolve } = Promise.withResolvers<void>();
    target.next = (bytes) => {
      queueMicrotask(resolve);
      return bytes.length;
    };
    writer.write("first\n");
    await isWritten;
    for (let n = 0; n < microtasks; n++) await null;
    writer.write("second\n");
    assert.equal(await writer.flush(60_000), true);
    assert.equal(target.text, "first\nsecond\n", `after ${microtasks} microtasks`);
  }
});

Deno.test("a target that takes nothing costs the lines beyond a bound, which are counted, and nobody waits for it", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
  target.next = async (bytes) => {
    await stuck;
    return bytes.length;
  };
  const line = "x".repeat(1023) + "\n";
  for (let n = 0; n < 1000; n++) writer.write(line);
  assert.equal(await writer.flush(1), false);
  assert.equal(writer.takeLost(), 0, "not yet: this line would be lost, too");
  goOn();
  assert.equal(await writer.flush(60_000), true);
  assert.equal(target.text.length, 256 * 1024);
  assert.equal(writer.takeLost(), 1000 - 256);
  assert.equal(writer.takeLost(), 0);
});

Deno.test("a target that takes one line after the other is waited for, one that takes none is not", async () => {
  for (const takes of [true, false]) {
    const target = new Target();
    const writer = new LineWriter(target);
    writer.queue();
    const takings = target.hold();
    const { setTimeout } = globalThis;
    const limits: (() => void)[] = [];
    try {
      globalThis.setTimeout = ((limit: () => void) => limits.push(limit)) as unknown as typeof setTimeout;
      for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
      let isFlushed: boolean | undefined;
      const flushing = writer.flush(60_000).then((all) => isFlushed = all);
      const turn = async () => {
        for (let n = 0; n < 20; n++) await null;
      };
      for (let line = 0; line < 3 && isFlushed === undefined; line++) {
        await turn();
        if (takes) takings[line]();
        await turn();
        limits.at(-1)!();
        await turn();
      }
      assert.equal(await flushing, takes);
      assert.equal(target.text, takes ? "one\ntwo\nthree\n" : "");
    } finally {
      globalThis.setTimeout = setTimeout;
    }
  }
});

Deno.test("nothing is written behind the last line, which flush() waits for", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  writer.write("Stopped\n");
  writer.end();
  writer.write("somebody who did not know\n");
  assert.equal(await writer.flush(60_000), true);
  assert.equal(target.text, "Stopped\n");
  assert.equal(writer.takeLost(), 0);
});

Deno.test("a failed write loses one line, and half a line ends before the next one", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  const write = async (line: string, next: Target["next"]) => {
    target.next = next;
    writer.write(line);
    await writer.flush(60_000);
  };
  await write("one\n", (bytes) => bytes.length);
  await write("two\n", fail(FULL));
  assert.equal(writer.takeLost(), 0, "not yet: this line would be lost, too");
  let calls = 0;
  await write("half\n", () => calls++ === 0 ? 2 : fail(FULL)());
  await write("three\n", (bytes) => bytes.length);
  assert.equal(target.text, "one\nha\nthree\n");
  assert.equal(writer.takeLost(), 2);
});

Deno.test("a write to a full non-blocking pipe is retried", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  let tries = 0;
  target.next = (bytes) => tries++ === 0 ? fail(new Deno.errors.WouldBlock("EAGAIN"))() : bytes.length;
  const { setTimeout } = globalThis;
  const pauses: unknown[] = [];
  globalThis.setTimeout = ((action: () => void, ms?: number) => {
    pauses.push(ms);
    return setTimeout(action, 0);
  }) as typeof setTimeout;
  try {
    writer.write("a line\n");
    await until(() => tries === 2);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.equal(await writer.flush(60_000), true);
  assert.deepEqual([target.text, tries, writer.takeLost(), pauses[0]], ["a line\n", 2, 0, 100]);
});

Deno.test("the log reports lost lines with its next line", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  const log = createLogger("agent", { write: writer.write, takeLost: writer.takeLost, journal: true });
  target.next = fail(FULL);
  log.info("one");
  log.for("csv").info("two");
  await until(() => writer.flush(0));
  await pause(0);
  target.next = (bytes) => bytes.length;
  log.info("three");
  await writer.flush(60_000);
  log.info("four");
  log.info("five");
  await writer.flush(60_000);
  assert.equal(
    target.text,
    "<6>agent: three\n" +
      "<4>agent: Lines of the log were lost: standard error did not take them lines=2\n" +
      "<6>agent: four\n<6>agent: five\n",
  );
});

Deno.test("a line is written whenever it comes, also in the moment in which the line before it has just been written", async () => {
  for (let steps = 0; steps < 30; steps++) {
    const target = new Target();
    const writer = new LineWriter(target);
    writer.queue();
    writer.write("one\n");
    for (let step = 0; step < steps; step++) await Promise.resolve();
    writer.write("two\n");
    assert.equal(await writer.flush(60_000), true);
    assert.equal(target.text, "one\ntwo\n", `after ${steps} steps`);
  }
});

Deno.test("lines wait up to 256 KiB, one line may be longer, and lost lines are told when half of that is left", async () => {
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  const takings = target.hold();
  const take = async () => {
    takings.shift()!();
    for (let n = 0; n < 20; n++) await null;
  };
  const write = (length: number) => writer.write("x".repeat(length - 1) + "\n");
  const MOST = 256 * 1024;
  write(MOST + 1);
  write(1);
  await take();
  assert.equal(writer.takeLost(), 1, "behind the long one");
  write(1);
  write(MOST);
  await take();
  assert.equal(writer.takeLost(), 1, "the long one behind another");
  // The second half of what may wait, and the first.
  write(MOST / 2);
  write(MOST / 2);
  write(1);
  assert.equal(writer.takeLost(), 0);
  await take();
  assert.equal(writer.takeLost(), 1);
  await take();
  write(MOST / 2 + 1);
  write(MOST);
  assert.equal(writer.takeLost(), 0);
  await take();
  assert.equal(writer.takeLost(), 1);
  assert.equal(await writer.flush(60_000), true);
  assert.equal(target.text.length, (MOST + 1) + 1 + MOST + (MOST / 2 + 1));
});

Deno.test("a target that takes one line after the other is waited for 20 times as long as for one line", async () => {
  const { setTimeout } = globalThis;
  const { now } = performance;
  const target = new Target();
  const writer = new LineWriter(target);
  writer.queue();
  const takings = target.hold();
  const limits: (() => void)[] = [];
  let nowMs = 5;
  const turn = async () => {
    for (let n = 0; n < 20; n++) await null;
  };
  try {
    globalThis.setTimeout = ((limit: () => void) => limits.push(limit)) as unknown as typeof setTimeout;
    performance.now = () => nowMs;
    for (let n = 0; n < 4; n++) writer.write("line\n");
    let isFlushed: boolean | undefined;
    const flushing = writer.flush(100).then((all) => isFlushed = all);
    for (const [atMs, flushed] of [[1000, undefined], [2004, undefined], [2005, false]] as const) {
      await turn();
      takings.shift()!();
      await turn();
      nowMs = atMs;
      // The limit, and one more turn of the event loop.
      for (let stage = 0; stage < 2; stage++) {
        for (const limit of limits.splice(0)) limit();
        await turn();
      }
      assert.equal(isFlushed, flushed, `${atMs} ms`);
    }
    assert.equal(await flushing, false);
  } finally {
    globalThis.setTimeout = setTimeout;
    performance.now = now;
  }
  while (takings.length > 0) {
    takings.shift()!();
    await turn();
  }
});
