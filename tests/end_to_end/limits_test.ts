/** Limits of the process that its user has set: see ulimit in bash(1). */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { binary, PROGRAM } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { IN_MEMORY, portOf, startServer } from "./relay.ts";

/** Deno itself must not write a large file before the program runs. */
const WITHOUT_CACHE = binary
  ? PROGRAM
  : [PROGRAM[0], "run", "--no-code-cache", "--cached-only", ...PROGRAM.slice(2)];
const LIMIT_KIB = 512;

Deno.test({
  name:
    "a file that is as large as ulimit -f allows is an error of the log; the process goes on, and stops when it is told to",
  ...needs(linux),
  fn: async () => {
    await using dir = new TempDir();
    const file = dir.file("out.csv");
    await using server = await startServer(file, {
      program: WITHOUT_CACHE,
      wrapper: ["bash", "-c", `ulimit -f ${LIMIT_KIB}; exec "$@"`, "bash"],
      args: [...IN_MEMORY, "--config-override", 'shutdown_timeout="1s"'],
    });
    await using peer = await Peer.client(portOf(server), "node-1", [COUNTER]);
    for (let n = 0; n < 20; n++) await peer.send(countingFrame("node-1", n * 1000, 1000));
    await server.line(/Cannot write, keeping the rows.*File too large/);
    await until(() => Deno.statSync(file).size === LIMIT_KIB * 1024);
    assert.equal(await server.stop(), 69, server.log);
    await server.line(/points could not be written in time/);
  },
});
