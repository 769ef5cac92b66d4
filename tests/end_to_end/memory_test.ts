/** What a stranger may cost: the program in a cgroup that allows it 250 MB, half of the memory of a small machine. */
import assert from "node:assert/strict";
import { MemoryCgroup, withoutMemoryCgroups } from "../kit/memory_cgroup.ts";
import { Peer } from "../kit/peer.ts";
import { binary, Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { COUNTER, measurementFrame } from "../kit/wire.ts";
import { IN_MEMORY, portOf } from "./relay.ts";

const LIMIT_BYTES = 250 * 1024 ** 2;
/** Before there were limits for what waits, 500,000 ended such a process. */
const NAMES = Deno.env.get("CI") ? 600_000 : 150_000;
/** What takes half a minute of an idle processor may take some minutes of a busy one. */
const LONG_MS = 300_000;
/** A kernel without such groups cannot run these tests, in CI either; from its sources the program takes much more. */
const missing = withoutMemoryCgroups();
if (missing) console.error(`memory_test.ts: ${missing}`);
const canRun = binary !== undefined && missing === undefined;

/** Points of which each is a series of its own. */
function strangeFrame(name: string, first: number, count: number): Uint8Array<ArrayBuffer> {
  return measurementFrame(
    name,
    Array.from({ length: count }, (_, i) => ({
      metric: 0,
      value: BigInt(first + i),
      attributes: [["job", `a-name-that-nobody-needs-${first + i}`]],
    })),
  );
}

/** How fast the tests may be: the server slows such a client down, which has a test of its own. */
const UNSLOWED = ["--config-override", "plugins.relay-server.limits.new_series_per_second=100000000"];

async function flood(points: number, perMessage: number, args: readonly string[], dir: TempDir) {
  await using group = new MemoryCgroup(LIMIT_BYTES);
  await using server = new Program(
    [
      "--config",
      "/dev/null",
      "--relay-in",
      "127.0.0.1:0",
      "--state-dir",
      dir.file("state"),
      ...args,
      ...UNSLOWED,
    ],
    { wrapper: group.wrapper, lifetimeMs: 3 * LONG_MS },
  );
  await server.line(/"Running"/);
  await using peer = await Peer.client(portOf(server), "stranger", [COUNTER]);
  for (let n = 0; n < points; n += perMessage) await peer.send(strangeFrame("stranger", n, perMessage));
  await peer.conn.closeWrite();
  await peer.closed();
  assert.equal(await server.stop("SIGTERM", LONG_MS), 0, server.log);
  assert.equal(group.kills, 0);
  assert.equal(server.summary("relay-server").points, points);
}

if (canRun) {
  Deno.test({
    name: "a client that names each of many points in its own way does not end a server with 250 MB",
    async fn() {
      await using dir = new TempDir();
      const file = dir.file("m.sqlite");
      const long = ["--config-override", "shutdown_timeout=250s"];
      await flood(NAMES, 10_000, ["--config-override", `plugins.sqlite.path=${file}`, ...long], dir);
      const { stdout, stderr } = await runProgram(
        [file, "SELECT count(DISTINCT value) FROM measurements"],
        { program: ["sqlite3"], patienceMs: LONG_MS },
      );
      assert.equal(stdout, `${NAMES}\n`, stderr);
    },
  });

  Deno.test({
    name:
      "neither does one whose messages are as large as they may be; a larger one is refused with the limit",
    async fn() {
      await using dir = new TempDir();
      // 7.6 MB each.
      await flood(200_000, 100_000, [
        "--output-file",
        dir.file("m.csv"),
        "--config-override",
        "shutdown_timeout=250s",
      ], dir);
      await using group = new MemoryCgroup(LIMIT_BYTES);
      await using server = new Program(["--relay-in", "127.0.0.1:0", "--output-file", dir.file("n.csv")], {
        wrapper: group.wrapper,
        cwd: dir.path,
      });
      await server.line(/"Running"/);
      await using peer = await Peer.client(portOf(server), "stranger", [COUNTER]);
      await peer.send(new Uint8Array([0, 0x80, 0, 0]));
      await server.line(/Closing a connection.*body is 8388608 bytes, limit is 8192000/);
      await peer.closed();
      assert.equal(await server.stop(), 0, server.log);
    },
  });

  Deno.test({
    name:
      "V8's heap of the compiled program suits the cgroup, and programs that it starts know nothing of that",
    async fn() {
      const bytes = 1024 ** 3;
      await using group = new MemoryCgroup(bytes);
      {
        await using server = new Program(
          [
            ...["--relay-in", "127.0.0.1:0", "--output-file", "/dev/null"],
            ...["--log-level", "debug"],
            ...IN_MEMORY,
          ],
          { wrapper: group.wrapper },
        );
        const { usable_bytes, heap_bytes } = await server.line(/"Memory"/);
        assert.equal(usable_bytes, bytes);
        assert.ok(Number(heap_bytes) < bytes, `${heap_bytes}`);
      }
      const { stdout, stderr } = await runProgram(["exec", "--", "env"], { wrapper: group.wrapper });
      assert.match(stdout, /^PATH=/m, stderr);
      assert.doesNotMatch(stdout, /DENO_USE_CGROUPS/);
    },
  });
}
