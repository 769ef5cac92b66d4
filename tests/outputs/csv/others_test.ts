/** CSV files that others read and change: names of columns, formulas, files that are cut, and few file descriptors. */
import assert from "node:assert/strict";
import { csv } from "../../../lib/outputs/csv.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { HandlePool } from "../../../lib/outputs/csv/handle_pool.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { contextWith } from "../../kit/context.ts";
import { parseCsv } from "../../kit/csv.ts";
import { metricOf } from "../../kit/decode.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { linux, needs } from "../../kit/needs.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

const COUNT = metricOf("count");

class Running implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly #done: Promise<void>;

  private constructor(readonly output: CsvOutput, readonly logs: LogLines) {
    this.#done = output.run(this.journal.reader(), new AbortController().signal);
  }

  static async start(config: Partial<Parameters<typeof CsvOutput.open>[0]>): Promise<Running> {
    const logs = new LogLines();
    return new Running(
      await CsvOutput.open({ ...csv.config.defaultValue(), ...config }, contextWith({ log: logs.log })),
      logs,
    );
  }

  async put(batch: Batch): Promise<void> {
    await this.journal.append(batch);
    await until(() => this.journal.pendingPoints === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.journal.end();
    await this.#done;
    await this.output[Symbol.asyncDispose]();
  }
}

/** Rows by the names of their columns. */
function rowsOf(path: string): Record<string, string>[] {
  const [header, ...rows] = parseCsv(Deno.readTextFileSync(path));
  assert.equal(new Set(header).size, header.length, header.join());
  return rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]])));
}

Deno.test("an attribute that is called like a column has none of its own, whichever comes first", async () => {
  await using dir = new TempDir();
  const names = ["metric", "timestamp", "value", "resource_kind", "consumer_id", "__late_attributes"];
  const odd = seriesOf(COUNT, {
    resourceId: "odd",
    attributes: [...names.map((name): [string, string] => [name, "x"]), ["job", "j"]],
  });
  const plain = seriesOf(COUNT, { resourceId: "plain", attributes: [["job", "k"]] });
  for (const order of [[odd, plain], [plain, odd]]) {
    const path = dir.file(`${order[0] === odd}.csv`);
    {
      await using running = await Running.start({ output_path: path, rotate_size: 100_000 });
      for (const series of order) await running.put(batchOf([[series, 7n]]));
    }
    const rows = rowsOf(path);
    for (const { metric, value, job, resource_id, __late_attributes: late } of rows) {
      assert.deepEqual([metric, value], ["count", "7"]);
      assert.equal(job, resource_id === "odd" ? "j" : "k");
      assert.equal(late, resource_id === "odd" ? names.map((name) => `${name}=x`).join(",") : "");
    }
    assert.equal(rows.length, 2);
  }
});

Deno.test("texts that a spreadsheet would run are escaped if configured, and numbers never", async () => {
  await using dir = new TempDir();
  const evil = ["=1+1", "+1", "-cmd", "@SUM(A1)", "\tx"];
  const rows = evil.map((text): [Series, number] => [
    seriesOf(metricOf(text, "f64"), {
      resourceId: text,
      attributes: [["relay_client", text], ["=name", text], ["number", -1.5]],
    }),
    -2,
  ]);
  for (const escape of [true, false]) {
    const path = dir.file(`${escape}.csv`);
    for (let start = 0; start < 2; start++) {
      await using running = await Running.start({ output_path: path, escape_formulas: escape });
      await running.put(batchOf(rows));
      await running.put(batchOf([[seriesOf(COUNT, { attributes: [["late", "=1"], ["@late", "2"]] }), 1n]]));
    }
    const [header, ...found] = parseCsv(Deno.readTextFileSync(path));
    assert.equal(found.length, 12, "the file is continued after a restart");
    const mark = escape ? "'" : "";
    assert.ok(header.includes(`${mark}=name`));
    const cells = found.slice(0, 5).map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]])));
    assert.deepEqual(
      cells.map((
        row,
      ) => [row.metric, row.value, row.resource_id, row.relay_client, row[`${mark}=name`], row.number]),
      evil.map((text) => [mark + text, "-2", mark + text, mark + text, mark + text, "-1.5"]),
    );
    if (escape) { for (const cell of found.flat()) assert.doesNotMatch(cell, /^[=+@\t\r]|^-[^0-9]/); }
  }
});

Deno.test("a file that is copied and truncated, as logrotate does, begins with a header and has whole rows", async () => {
  await using dir = new TempDir();
  const path = dir.file("n.csv");
  let rows = 0;
  {
    await using running = await Running.start({ output_path: path });
    for (let n = 0; n < 5; n++) {
      await running.put(numbered(500, 500 * n));
      rows += rowsOf(path).length;
      Deno.truncateSync(path, 0);
      // In the middle of a row.
      await running.put(numbered(500, 10_000));
      Deno.truncateSync(path, 1000);
      await running.put(numbered(100, 20_000));
      const text = Deno.readTextFileSync(path);
      assert.ok(text.startsWith("metric;timestamp;value;"));
      assert.equal(
        parseCsv(text.slice(text.lastIndexOf("\n", 1100) + 1)).filter(([metric]) => metric === "numbers")
          .length > 90,
        true,
      );
      Deno.truncateSync(path, 0);
    }
    assert.equal(rows, 2500);
    await running.put(numbered(10));
    assert.equal(running.logs.matching(/WARN .*Another program has cut the file/).length > 0, true);
  }
  {
    await using running = await Running.start({ output_path: path });
    await running.put(numbered(10, 10));
  }
  assert.deepEqual(rowsOf(path).map(({ value }) => Number(value)), Array.from({ length: 20 }, (_, i) => i));
  assert.deepEqual(
    [...Deno.readDirSync(dir.path)].map(({ name }) => name),
    ["n.csv"],
    "there is no second file",
  );
});

Deno.test({
  name: "many clients in one batch open no more files than they may, and lose no row",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    // The runtime may have two descriptors for one file.
    const openFiles = () => {
      const paths = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
        try {
          return Deno.readLinkSync(`/proc/self/fd/${name}`);
        } catch {
          return "";
        }
      });
      return new Set(paths.filter((path) => path.startsWith(dir.path))).size;
    };
    const clients = 150;
    let most = 0;
    const timer = setInterval(() => most = Math.max(most, openFiles()), 1);
    try {
      await using running = await Running.start({ output_path: dir.file("{client}.csv"), max_open_files: 8 });
      for (let round = 0; round < 5; round++) {
        const batch = new Batch(clients);
        for (let i = 0; i < clients; i++) {
          batch.push(
            seriesOf(COUNT, { attributes: [["relay_client", `node-${i}`]] }),
            1_700_000_000 + round,
            0,
            round,
          );
        }
        await running.put(batch);
        most = Math.max(most, openFiles());
      }
    } finally {
      clearInterval(timer);
    }
    assert.ok(most >= 4 && most <= 11, `${most} files were open`);
    for (let i = 0; i < clients; i++) {
      assert.deepEqual(rowsOf(dir.file(`node-${i}.csv`)).map(({ value }) => value), [
        "0",
        "1",
        "2",
        "3",
        "4",
      ]);
    }
  },
});

Deno.test("a pool parks what was not used for longest, and waits where all are busy", async () => {
  const parked: string[] = [];
  const file = (name: string) => ({ name, isBusy: false, park: () => void parked.push(name) });
  const [a, b, c] = ["a", "b", "c"].map(file);
  const pool = new HandlePool(2);
  await pool.enter(a);
  await pool.enter(b);
  await pool.enter(a);
  await pool.enter(c);
  assert.deepEqual(parked, ["b"]);
  a.isBusy = c.isBusy = true;
  const waiting = pool.enter(b);
  await Promise.resolve();
  assert.deepEqual(parked, ["b"]);
  a.isBusy = false;
  pool.notifyIdle();
  await waiting;
  assert.deepEqual([parked, pool.size], [["b", "a"], 2]);
});

Deno.test(
  "while a file cannot be written, the output says that its target is away",
  { ...needs(linux) },
  async () => {
    const stop = new AbortController();
    const journal = new MemoryJournal({ limitBytes: 1e9 });
    await using output = await CsvOutput.open(
      { ...csv.config.defaultValue(), output_path: "/dev/full" },
      contextWith({ log: new LogLines().log }),
    );
    assert.equal(output.isTargetAway, false);
    const running = output.run(journal.reader(), stop.signal);
    await journal.append(numbered(10));
    await until(() => output.isTargetAway);
    assert.equal(journal.pendingPoints, 10);
    stop.abort();
    await running.catch(() => {});
  },
);
