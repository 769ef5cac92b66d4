/** A wall clock that somebody sets back, by libfaketime, which Deno and the compiled program ask for the time. */
import assert from "node:assert/strict";
import { linux, type Need, needs } from "../kit/needs.ts";
import { Program, type StartOptions } from "../kit/process.ts";
import { replaceFile, TempDir } from "../kit/temp_dir.ts";
import {
  clientKeys,
  connected,
  grown,
  POLL_FAST,
  portOf,
  readRows,
  type Row,
  startServer,
  written,
} from "./relay.ts";

const HOUR_MS = 3_600_000;

function library(): string | undefined {
  for (const { name } of Deno.readDirSync("/usr/lib")) {
    const path = `/usr/lib/${name}/faketime/libfaketimeMT.so.1`;
    try {
      Deno.statSync(path);
      return path;
    } catch { /* another machine's */ }
  }
}

const faketime: Need = () => library() ? undefined : "needs libfaketime";

/** A wall clock of its own for each program that is started with `options`; the monotonic clock is the machine's. */
class WallClock {
  readonly options: StartOptions;
  readonly #file: string;

  constructor(file: string, state: string) {
    this.#file = file;
    this.set(0);
    this.options = {
      env: {
        LD_PRELOAD: library()!,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
        NO_FAKE_STAT: "1",
        XDG_STATE_HOME: state,
      },
    };
  }

  /** Whole seconds from the true time. */
  set(seconds: number): void {
    replaceFile(this.#file, `${seconds < 0 ? "" : "+"}${seconds}\n`);
  }
}

const polls = (rows: Row[]) =>
  rows.filter(({ metric }) => metric === "mem_total_B").map(({ timestamp }) => Date.parse(timestamp));

Deno.test({
  name: "wall clocks set back by an hour, while both run and while the server is down, cost no point",
  ...needs(linux, faketime),
  async fn() {
    await using dir = new TempDir();
    const files = [dir.file("first.csv"), dir.file("second.csv")];
    const clocks = {
      client: new WallClock(dir.file("client.time"), dir.file("client")),
      server: new WallClock(dir.file("server.time"), dir.file("server")),
    };
    await using first = await startServer(files[0], clocks.server.options);
    const address = `127.0.0.1:${portOf(first)}`;
    await using client = new Program([
      ...["--relay-out", address, ...POLL_FAST],
      ...clientKeys({ "retry.max_times": 1, "retry.initial_delay": "20ms", "retry.max_delay": "100ms" }),
    ], clocks.client.options);
    const journal = dir.file("client/alumet-relay/client/journal");
    await connected(client);
    const size = () => Deno.statSync(files[0]).size;
    await grown(files[0], 8000);
    clocks.server.set(-3600);
    await grown(files[0], size() + 8000);
    clocks.client.set(-3600);
    await grown(files[0], size() + 8000);
    assert.equal(await first.stop(), 0, first.log);
    await client.line(/measurements are kept on disk/);
    await written(journal, 2);
    clocks.client.set(-7200);
    clocks.server.set(-7200);
    await written(journal, 2);
    await using second = await startServer(files[1], { ...clocks.server.options, address });
    await connected(client, 2);
    await grown(files[1], 16_000);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(await second.stop(), 0, second.log);

    const { missed_polls } = client.summary("procfs");
    const rows = [...await readRows(files[0]), ...await readRows(files[1])];
    assert.equal(rows.length, client.measuredPoints, client.log);
    const times = polls(rows);
    assert.equal(new Set(times).size, times.length, "nothing is there twice");
    const steps = times.slice(1).map((time, i) => time - times[i]);
    const back = steps.filter((ms) => ms < 0);
    assert.equal(back.length, 2, `times go back twice: ${steps}`);
    for (const ms of back) assert.ok(Math.abs(ms + HOUR_MS) < HOUR_MS / 10, `${ms} ms`);
    const gaps = steps.filter((ms) => ms > 250);
    assert.ok(gaps.length <= missed_polls + 1, `${gaps} ms between polls`);
  },
});
