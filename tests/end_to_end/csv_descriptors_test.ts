/** CSV files of many clients in a process that may open few files. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { portOf } from "./relay.ts";

Deno.test({
  name: "a server that may open 64 files writes a file for each of 60 clients, and takes the next client",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const config = dir.file("config.toml");
    await Deno.writeTextFile(
      config,
      `[plugins.relay-server]\naddress = "127.0.0.1:0"\n[plugins.csv]\noutput_path = "${
        dir.file("{client}.csv")
      }"\n`,
    );
    await using server = new Program(["--config", config, "--state-dir", dir.file("state")], {
      wrapper: ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"],
    });
    await server.line(/"Running"/);
    for (let n = 0; n < 60; n++) {
      await using peer = await Peer.client(portOf(server), `node-${n}`, [COUNTER]);
      await peer.send(countingFrame(`node-${n}`, 0, 10));
      await peer.conn.closeWrite();
      await peer.closed();
    }
    const lines = async (n: number) =>
      (await Deno.readTextFile(dir.file(`node-${n}.csv`)).catch(() => "")).split("\n").length;
    // A header, ten rows, and what follows the last line break.
    for (let n = 0; n < 60; n++) await until(async () => await lines(n) === 12);
    assert.equal(await server.stop(), 0, server.log);
    assert.deepEqual(server.matching(/Too many open files/), []);
  },
});
