import assert from "node:assert/strict";
import { DiskJournal } from "../../../lib/journal/disk/disk_journal.ts";
import { LinesInput } from "../../../lib/inputs/lines/input.ts";
import { config } from "../../../lib/inputs/lines/config.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import type { BatchReader } from "../../../lib/journal.ts";
import { contextWith } from "../../kit/context.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { Program } from "../../kit/process.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";
import { Taking, textsOf } from "./taking.ts";

const append = (path: string, text: string) => Deno.writeTextFileSync(path, text, { append: true });

Deno.test("a file is read from its beginning and followed, whole line by whole line", async () => {
  await using directory = new TempDir();
  const path = directory.file("a.lp");
  append(path, "a value=1 0\na value=2 0\na val");
  await using taking = await Taking.open({ files: [path] });
  await until(() => taking.points.length === 2);
  append(path, "ue=3 0\n");
  await until(() => taking.points.length === 3);
  assert.deepEqual(taking.points, ["a 1 @0", "a 2 @0", "a 3 @0"]);
});

Deno.test("a file that does not exist yet is followed when it does", async () => {
  await using directory = new TempDir();
  await using taking = await Taking.open({ files: [directory.file("a.lp")] });
  append(directory.file("a.lp"), "a value=1 0\n");
  await until(() => taking.points.length === 1);
});

Deno.test("a file is followed when it is renamed and another one takes its name, and when it is truncated", async () => {
  await using directory = new TempDir();
  const path = directory.file("a.lp");
  append(path, "a value=1 0\n");
  await using taking = await Taking.open({ files: [path] });
  await until(() => taking.points.length === 1);
  Deno.renameSync(path, `${path}.1`);
  append(`${path}.1`, "a value=2 0\na value=3 0");
  append(path, "a value=4 0\na value=5 0\n");
  await until(() => taking.points.length === 5);
  // Its writer has not heard of the other file yet.
  append(`${path}.1`, "\na value=6 0\na value=");
  await until(() => taking.points.length === 6);
  append(path, "a value=7 0\n");
  append(`${path}.1`, "8 0\n");
  await until(() => taking.points.length === 8);
  Deno.truncateSync(path);
  append(path, "a value=9 0\n");
  await until(() => taking.points.length === 9);
  // Those of the two files come in any order.
  const numbers = taking.points.map((point) => Number(point.split(" ")[1]));
  assert.deepEqual(numbers.toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  append(`${path}.1`, "a value=10 0");
  await taking.stop();
  assert.equal(taking.points.at(-1), "a 10 @0", "a stop reads the old file to its end");
  assert.equal(taking.input.stats.badLines, 0);
});

/** Does something just before the nth time from now on that anybody looks at an open file. */
function onStat(n: number, act: () => void): Disposable {
  const { stat } = Deno.FsFile.prototype;
  let looks = 0;
  Deno.FsFile.prototype.stat = function () {
    if (++looks === n) act();
    return stat.call(this);
  };
  return { [Symbol.dispose]: () => void (Deno.FsFile.prototype.stat = stat) };
}

for (const look of [1, 2, 3]) {
  Deno.test(`a file that is truncated while the input looks whether it was, is read once (at step ${look})`, async () => {
    await using directory = new TempDir();
    const path = directory.file("a.lp");
    append(path, "a value=1 0\na value=2 0\n");
    await using taking = await Taking.open({ files: [path] });
    await until(() => taking.points.length === 2);
    using _truncating = onStat(look, () => {
      Deno.truncateSync(path);
      append(path, "a value=3 0\n");
    });
    await until(() => taking.points.includes("a 3 @0"));
    append(path, "a value=4 0\n");
    await until(() => taking.points.includes("a 4 @0"));
    assert.deepEqual(taking.points, [1, 2, 3, 4].map((value) => `a ${value} @0`));
  });
}

Deno.test("lines that come between the last read and a rotation are read before the other file, the last one included", async () => {
  await using directory = new TempDir();
  const path = directory.file("a.lp");
  append(path, "a value=1 0\n");
  await using taking = await Taking.open({ files: [path] });
  await until(() => taking.points.length === 1);
  using _rotating = onStat(1, () => {
    append(path, "a value=2 0\na value=3 0");
    Deno.renameSync(path, `${path}.1`);
    append(path, "a value=4 0\n");
  });
  await until(() => taking.points.includes("a 4 @0"));
  assert.deepEqual(taking.points, [1, 2, 3, 4].map((value) => `a ${value} @0`));
});

/** The input with a journal on disk, and an output that reads it; like a process that can be killed. */
class Life implements AsyncDisposable {
  readonly logs = new LogLines();
  readonly #stop = new AbortController();

  private constructor(
    readonly journal: DiskJournal,
    readonly reader: BatchReader,
    readonly input: LinesInput,
    readonly running: Promise<void>,
  ) {}

  static async begin(directory: TempDir, files: string[]): Promise<Life> {
    const registry = new MetricRegistry();
    const logs = new LogLines();
    const journal = await DiskJournal.open({
      directory: directory.file("journal"),
      log: logs.log,
      sync: "always",
      makeMetric: (metric) => registry.register(metric, "journal"),
    });
    const input = await LinesInput.open(
      config.check({ files }, [], () => {}),
      contextWith({
        log: logs.log,
        registry,
        clients: journal.clients,
        stateDirectory: directory.path,
        untilDurable: () => journal.untilDurable(),
      }),
    );
    const reader = journal.reader("out", { onlyDurable: true });
    const stop = new AbortController();
    const life: Life = new Life(
      journal,
      reader,
      input,
      input.run({ push: (batch) => journal.append(batch) }, stop.signal),
    );
    life.#stop.signal.addEventListener("abort", () => stop.abort());
    return life;
  }

  /** Reads points until there are that many, and commits them. */
  async take(count: number): Promise<string[]> {
    const points: string[] = [];
    while (points.length < count) {
      const batch = this.reader.next();
      if (batch) {
        points.push(...textsOf(batch));
        this.reader.commit(1);
      } else await this.reader.wait(100);
    }
    return points;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.running;
    await this.input[Symbol.asyncDispose]();
    await this.journal.close();
  }
}

Deno.test("after a restart reading goes on where it was, also in a file that was renamed meanwhile", async () => {
  await using directory = new TempDir();
  const path = directory.file("a.lp");
  append(path, "a value=1 0\na value=2 0\n");
  {
    await using life = await Life.begin(directory, [path]);
    assert.deepEqual(await life.take(2), ["a 1 @0", "a 2 @0"]);
  }
  append(path, "a value=3 0\n");
  {
    await using life = await Life.begin(directory, [path]);
    assert.deepEqual(await life.take(1), ["a 3 @0"]);
  }
  append(path, "a value=4 0\n");
  Deno.renameSync(path, directory.file("a.lp-20261125"));
  append(path, "a value=5 0\n");
  await using life = await Life.begin(directory, [path]);
  assert.deepEqual(await life.take(2), ["a 4 @0", "a 5 @0"]);
});

Deno.test("after a crash the journal knows the place, however old the saved one is", async () => {
  await using directory = new TempDir();
  const path = directory.file("a.lp");
  append(path, "a value=1 0\n");
  const positions = directory.file("followed-files.json");
  let old = "";
  {
    await using life = await Life.begin(directory, [path]);
    await life.take(1);
    await until(() => {
      try {
        old = Deno.readTextFileSync(positions);
        return true;
      } catch {
        return false;
      }
    });
    append(path, "a value=2 0\na value=3 0\n");
    assert.deepEqual(await life.take(2), ["a 2 @0", "a 3 @0"]);
    await until(() => Deno.readTextFileSync(positions) !== old);
  }
  // As if the process had been killed before it could save it.
  Deno.writeTextFileSync(positions, old);
  append(path, "a value=4 0\n");
  await using life = await Life.begin(directory, [path]);
  assert.deepEqual(await life.take(1), ["a 4 @0"]);
});

Deno.test("each line of a file that grows is stored once, whatever kills the process and however it is rotated", async () => {
  await using directory = new TempDir();
  const [path, csv] = [directory.file("a.lp"), directory.file("points.csv")];
  const config = directory.file("config.toml");
  Deno.writeTextFileSync(
    config,
    `[plugins.lines]\nfiles = ["${path}"]\n[plugins.csv]\noutput_path = "${csv}"\n[journal]\nenable = true\nsync = "10ms"\n`,
  );
  const args = ["--config", config, "--state-dir", directory.file("state")];
  let next = 0;
  const grow = (lines: number) => {
    let text = "";
    for (const end = next + lines; next < end; next++) text += `a value=${next} ${next}\n`;
    append(path, text);
  };
  const stored = () => {
    try {
      const rows = Deno.readTextFileSync(csv).split("\n").slice(1, -1);
      return rows.map((row) => Number(row.split(";")[2]));
    } catch {
      return [];
    }
  };
  grow(1);
  for (let life = 0; life < 4; life++) {
    await using program = new Program(args);
    await program.line(/Following a file/);
    const before = stored().length;
    // It is killed while it reads.
    for (let n = 0; n < 40; n++) grow(500);
    if (life === 2) {
      Deno.renameSync(path, `${path}.1`);
      grow(500);
    }
    await until(() => stored().length > before);
    if (life < 3) await program.stop("SIGKILL");
    else {
      await until(() => stored().length >= next);
      assert.equal(await program.stop(), 0, program.log);
    }
  }
  assert.deepEqual(stored(), Array.from({ length: next }, (_, i) => i));
});
