/** Standard output, descriptors and /dev/shm, for processes that have given up permissions. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { type Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { IN_MEMORY, POLL_FAST, portOf, startServer } from "./relay.ts";

const POINTS = 100;

async function rowsIn(file: string): Promise<number> {
  const text = await Deno.readTextFile(file).catch(() => "");
  return text.split("\n").filter((line) => line.startsWith("counter")).length;
}

/** Points to a server, until as many rows are in a file. */
async function send(server: Program, file: string): Promise<void> {
  await using peer = await Peer.client(portOf(server), "node-1", [COUNTER]);
  await peer.send(countingFrame("node-1", 0, POINTS));
  await until(() => rowsIn(file).then((rows) => rows === POINTS));
}

const PATHS: [path: string, redirection: string][] = [
  ["-", '> >(cat >"$FILE")'],
  ["/dev/stdout", '> >(cat >"$FILE")'],
  ["/dev/stdout", '>"$FILE"'],
  ["/dev/stderr", '2> >(tee "$FILE" >&2)'],
  ["/dev/fd/3", '3> >(cat >"$FILE")'],
  ["/proc/self/fd/3", '3>>"$FILE"'],
];

for (const [path, redirection] of PATHS) {
  Deno.test({
    name: `a server writes to ${path} where the shell says ${redirection}`,
    ...needs(linux),
    fn: async () => {
      await using dir = new TempDir();
      const file = dir.file("rows");
      await using server = await startServer(path, {
        wrapper: ["bash", "-c", `exec "$@" ${redirection}`, "bash"],
        env: { FILE: file },
      });
      await send(server, file);
      assert.equal(await server.stop(), 0, server.log);
      assert.deepEqual(server.matching(/"(ERROR|WARN)"/i), [], server.log);
    },
  });
}

/** What is in /dev/shm: the file, the state, or the journal alone. */
const SHARED_MEMORY: [
  what: string,
  file: (shm: string, dir: string) => string,
  args: (shm: string) => string[],
][] = [
  ["file", (shm) => `${shm}/out.csv`, () => []],
  ["state", (_, dir) => `${dir}/out.csv`, (shm) => ["--state-dir", `${shm}/state`]],
  ["journal", (_, dir) => `${dir}/out.csv`, (shm) => ["--config-override", `journal.path="${shm}/journal"`]],
];

for (const [what, fileIn, argsFor] of SHARED_MEMORY) {
  Deno.test({
    name: `a server whose ${what} is in /dev/shm stores points, and keeps the permissions for that`,
    ...needs(linux),
    fn: async () => {
      await using dir = new TempDir();
      const shm = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "alumet-relay-" });
      try {
        const file = fileIn(shm, dir.path);
        await using server = await startServer(file, { args: argsFor(shm) });
        await server.line(/Permissions to start programs.*are kept/);
        await send(server, file);
        assert.equal(await server.stop(), 0, server.log);
        assert.equal(server.summary("csv").points, POINTS);
      } finally {
        await Deno.remove(shm, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "when nobody reads standard output any more, the process says so and ends",
  ...needs(linux),
  fn: async () => {
    const { code, stdout, stderr } = await runProgram(
      ["--plugins", "procfs,csv", "--output-file", "-", ...POLL_FAST, ...IN_MEMORY],
      { wrapper: ["bash", "-c", 'set -o pipefail; "$@" | head -1', "bash"] },
    );
    assert.equal(stdout.split("\n").length, 2);
    assert.match(stdout, /^metric;timestamp;/);
    assert.equal(code, 69, stderr);
    assert.match(stderr, /ERROR.*Nobody reads \/dev\/stdout any more/);
  },
});
