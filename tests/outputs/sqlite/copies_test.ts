/** Copies of a database, made and opened as docs/sqlite.md says. */
import assert from "node:assert/strict";
import { MemoryJournal } from "../../../lib/journal.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { commandsOf } from "../../kit/doc_commands.ts";
import { blocks, documents } from "../../kit/documents.ts";
import { needs } from "../../kit/needs.ts";
import { shell } from "../../kit/process.ts";
import { sqlite3 } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const block = blocks(documents().get("docs/sqlite.md")!, "sh").find((text) => text.includes("VACUUM INTO"))!;

Deno.test({
  name: "the commands of docs/sqlite.md copy a database, and the copy needs no files beside it",
  ...needs(sqlite3),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("measurements.sqlite");
    const journal = new MemoryJournal({ limitBytes: 1e6 });
    {
      const context = contextWith({ clients: journal.clients });
      await using output = await sqlite.open({ ...sqlite.config.defaultValue(), path }, context);
      const batch = new Batch();
      batch.push(seriesOf(metricOf("n")), 1_700_000_000, 0, 42);
      await journal.append(batch);
      journal.end();
      await output.run(journal.reader(), new AbortController().signal);
    }
    const [copy, count] = commandsOf(block);
    await shell("sh", "-ec", `cd '${dir.path}'; ${copy}`);
    assert.equal(await shell("sh", "-ec", `cd '${dir.path}'; ${count}`), "1\n");
    // Bytes 18 and 19 of the header: 2 is WAL, which has files beside it; 1 is the ordinary mode.
    assert.deepEqual([...(await Deno.readFile(path)).subarray(18, 20)], [2, 2]);
    assert.deepEqual([...(await Deno.readFile(dir.file("copy.sqlite"))).subarray(18, 20)], [1, 1]);
    assert.equal(await shell("sqlite3", dir.file("copy.sqlite"), "SELECT value FROM measurements"), "42\n");
    const beside = [...Deno.readDirSync(dir.path)].filter(({ name }) => name.startsWith("copy.sqlite-"));
    assert.deepEqual(beside, []);
  },
});
