/** A process that may open few files. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { Program } from "../kit/process.ts";
import { freePort } from "../kit/ports.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { clientKeys, portOf, rowsOf, startServer } from "./relay.ts";

Deno.test({
  name:
    "a hop that may open 64 files reaches its server, although more want to connect than it can serve, in each way",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const port = freePort();
    const lines = freePort();
    await using hop = new Program(
      [
        ...["--relay-in", "127.0.0.1:0", "--relay-out", `127.0.0.1:${port}`],
        ...["--config-override", `plugins.lines={enable=true,tcp="127.0.0.1:${lines}"}`],
        ...clientKeys({ "retry.initial_delay": "50ms", "retry.max_delay": "100ms", buffer_max_length: 0 }),
      ],
      { wrapper: ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"] },
    );
    await hop.line(/"Running"/);
    const peers = [await Peer.client(portOf(hop), "first", [COUNTER])];
    try {
      // They stay, whatever the hop thinks of them.
      for (let n = 0; n < 100; n++) peers.push(await Peer.connect(portOf(hop)));
      for (let n = 0; n < 100; n++) peers.push(await Peer.connect(lines));
      await hop.line(/fewer connections than limits.connections/);
      await peers[0].send(countingFrame("first", 0, 100));
      await using server = await startServer(dir.file("out.csv"), { address: `127.0.0.1:${port}` });
      await hop.line(/Connected to the relay server/);
      await peers[0].conn.closeWrite();
      await peers[0].closed();
      await server.line(/Client connected/);
      assert.equal(await hop.stop(), 0, hop.log);
      assert.equal(await server.stop(), 0, server.log);
      assert.equal(rowsOf(await Deno.readTextFile(dir.file("out.csv"))).length, 100);
    } finally {
      for (const peer of peers) await peer[Symbol.asyncDispose]();
    }
  },
});
