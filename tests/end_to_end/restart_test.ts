/** A server that is killed, and comes back on its port. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import {
  clientKeys,
  connected,
  grown,
  IN_MEMORY,
  POLL_FAST,
  portOf,
  readRows,
  startServer,
} from "./relay.ts";

Deno.test({
  name:
    "when a server is killed and restarted, the client reconnects by itself and sends what it measured meanwhile",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const files = [dir.file("first.csv"), dir.file("second.csv")];
    await using first = await startServer(files[0], { args: [...IN_MEMORY] });
    const address = `127.0.0.1:${portOf(first)}`;
    await using client = new Program([
      ...["--relay-out", address, ...POLL_FAST],
      ...clientKeys({ "retry.initial_delay": "100ms", "retry.max_delay": "200ms", "retry.max_times": 1000 }),
      ...IN_MEMORY,
    ]);
    await grown(files[0], 20_000);
    assert.equal(await first.stop("SIGKILL"), "SIGKILL");
    await client.line(/Connection lost/);
    await client.line(/Cannot connect/, { count: 3 });
    await using second = await startServer(files[1], { address });
    await connected(client, 2);
    await grown(files[1], 20_000);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(await second.stop(), 0, second.log);

    const rows = [...await readRows(files[0]), ...await readRows(files[1])];
    const { sent_points: points, resent_points: resent, connections } = client.summary("relay-client");
    assert.equal(connections, 2);
    assert.equal(points, client.measuredPoints, client.log);
    // Nothing is lost. What was written and not acknowledged when the server was killed may be there twice: without a
    // journal the second server cannot know of it.
    // The files may have other columns: what has none in one of them is in __late_attributes there.
    const keyOf = ({ __late_attributes: late, ...columns }: Record<string, string>) => {
      const cells = Object.entries(columns).filter(([, value]) => value !== "").map(([key, value]) =>
        `${key}=${value}`
      );
      return [...cells, ...late.split(",").filter((entry) => entry !== "")].sort().join();
    };
    const keys = new Set(rows.map(keyOf));
    assert.equal(keys.size, points, client.log);
    assert.ok(
      rows.length - points <= resent,
      `${rows.length} rows of ${points} points, ${resent} sent again`,
    );
    const polls = rows.filter(({ metric }) => metric === "mem_total_B").map(({ timestamp }) =>
      Date.parse(timestamp)
    );
    const { missed_polls } = client.summary("procfs");
    const gaps = polls.slice(1).map((time, i) => time - polls[i]).filter((ms) => ms > 250);
    assert.ok(gaps.length <= missed_polls + 1, `${gaps} ms between polls`);
  },
});
