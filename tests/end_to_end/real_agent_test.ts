/**
 * A real agent's recorded session into a server that is killed: what protocol 2, which has no acknowledgements, allows
 * (docs/delivery.md).
 */
import assert from "node:assert/strict";
import { framesOf, testdata, testdataText } from "../kit/bytes.ts";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import type { Program } from "../kit/process.ts";
import { sessionBatches } from "../kit/session.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { startServer } from "./relay.ts";

/** What a real client says at the beginning of each connection: its greeting and its metrics. */
const HEAD = 3;

Deno.test({
  name:
    "everything of a real agent that reached the journal is stored once, whatever is killed; what was still in the kernel dies with the server",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    const frames = framesOf(testdata("sessions/real-agent/client-0.bin"));
    const counts = sessionBatches().map(({ length }) => length);
    const [header, ...rows] = testdataText("sessions/real-agent/expected.csv").trimEnd().split("\n");
    /** The rows of messages `from … to-1`. */
    const rowsOf = (from: number, to: number) => {
      const before = (n: number) => counts.slice(0, n).reduce((sum, count) => sum + count, 0);
      return rows.slice(before(from), before(to));
    };
    const expected: string[] = [];
    const stored = () => Deno.readTextFileSync(file).trimEnd().split("\n").slice(1);

    const address = `127.0.0.1:${freePort()}`;
    const env = { XDG_STATE_HOME: dir.file("state") };
    await using stack = new AsyncDisposableStack();
    const life = async (): Promise<{ server: Program; peer: Peer }> => {
      const server = stack.use(await startServer(file, { address, env }));
      const peer = stack.use(await Peer.connect(Number(address.split(":")[1])));
      for (const frame of frames.slice(0, HEAD)) await peer.send(frame);
      assert.equal((await peer.answer()).accept, true);
      return { server, peer };
    };
    const send = async (peer: Peer, from: number, to: number) => {
      for (const frame of frames.slice(HEAD + from, HEAD + to)) await peer.send(frame);
    };
    /** Waits until they are in the file, and safe there: the file's position has passed them. */
    const storing = async (from: number, to: number) => {
      expected.push(...rowsOf(from, to));
      const { length } = new TextEncoder().encode([header, ...expected, ""].join("\n"));
      const isSafe = () => Deno.readTextFileSync(`${file}.position`).includes(`"size":${length}`);
      await until(() => stored().length === expected.length && isSafe(), PATIENCE_MS);
    };

    // What has been stored when the server is killed is there once afterwards.
    const first = await life();
    await send(first.peer, 0, 8);
    await storing(0, 8);
    assert.equal(await first.server.stop("SIGKILL"), "SIGKILL");

    // The agent has written these, and the kernel has taken them; the server has not seen them when it dies.
    const second = await life();
    await send(second.peer, 8, 10);
    await storing(8, 10);
    second.server.signal("SIGSTOP");
    await send(second.peer, 10, 16);
    assert.equal(await second.server.stop("SIGKILL"), "SIGKILL");

    // Half a message dies with the server too; a real agent sends it again, as a whole, when it is back.
    const third = await life();
    await send(third.peer, 16, 18);
    await storing(16, 18);
    await third.peer.send(frames[HEAD + 18].subarray(0, 5000));
    assert.equal(await third.server.stop("SIGKILL"), "SIGKILL");

    const last = await life();
    await send(last.peer, 18, 24);
    await last.peer.conn.closeWrite();
    await last.peer.closed();
    expected.push(...rowsOf(18, 24));
    assert.equal(await last.server.stop(), 0, last.server.log);
    assert.equal(Deno.readTextFileSync(file).split("\n", 1)[0], header);
    assert.deepEqual(stored(), expected);
    assert.equal(expected.length, rows.length - rowsOf(10, 16).length);
  },
});
