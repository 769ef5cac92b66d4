/** A server that is killed at any moment, and its CSV file: every row is there once. */
import assert from "node:assert/strict";
import { Chance } from "../kit/bytes.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { parseCsv } from "../kit/csv.ts";
import { linux, needs } from "../kit/needs.ts";
import { numbered } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";
import { startServer } from "./relay.ts";

const ROUNDS = 5;
const MOST_ROUNDS = 200;

/** Gives the client numbers, some at a time, for as long as it is told. */
class Numbers {
  given = 0;
  #ended = false;
  readonly #done: Promise<void>;

  constructor(client: TestClient, chance: Chance) {
    this.#done = (async () => {
      while (!this.#ended) {
        const count = 1 + chance.int(400);
        await client.journal.append(numbered(count, this.given));
        this.given += count;
        await pause(chance.int(4));
      }
    })();
  }

  async end(): Promise<number> {
    this.#ended = true;
    await this.#done;
    return this.given;
  }
}

/** The numbers in a file's rows, in their order. */
function numbersIn(text: string): number[] {
  const [header, ...rows] = parseCsv(text);
  const column = header.indexOf("value");
  return rows.map((row) => Number(row[column]));
}

Deno.test({
  name: "a server that is killed repeatedly has every row once, in order, in one file",
  ...needs(linux),
  async fn() {
    const chance = new Chance(20_240);
    await using directory = new TempDir();
    const file = directory.file("measures.csv");
    const port = freePort();
    const options = {
      address: `127.0.0.1:${port}`,
      // What is acknowledged may be in the journal alone: its last process has the time to write it.
      args: ["--state-dir", directory.file("state"), "--config-override", "shutdown_timeout=60s"],
    };
    const retry = { max_times: 60_000, max_delay: 50 };
    await using client = new TestClient(configOf(port, { retry }));
    const numbers = new Numbers(client, chance);
    let takenBack = 0;
    // Kills go on until one of them left rows that the position does not know.
    for (let round = 0; round < ROUNDS || takenBack === 0; round++) {
      assert.ok(round < MOST_ROUNDS, "no kill left rows that were taken back");
      await using server = await startServer(file, options);
      const before = (await Deno.stat(file)).size;
      await until(() => Deno.statSync(file).size > before, PATIENCE_MS, "rows are written");
      // The time is tested: the server may be killed at any moment.
      await pause(chance.int(500));
      await server.stop("SIGKILL");
      takenBack += server.matching(/Removing the rows/).length;
      assert.deepEqual(server.matching(/there twice/), [], server.log);
    }
    await using server = await startServer(file, options);
    const total = await numbers.end();
    await client.finish();
    assert.equal(await server.stop(), 0, server.log);
    takenBack += server.matching(/Removing the rows/).length;

    const found = numbersIn(await Deno.readTextFile(file));
    const wrong = found.findIndex((number, i) => number !== i);
    assert.ok(wrong < 0, `row ${wrong} has number ${found[wrong]}`);
    assert.equal(found.length, total);
    const names = [...Deno.readDirSync(directory.path)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["measures.csv", "measures.csv.position", "state"]);
  },
});
