/** Listening sockets from systemd. A script in Python plays systemd: it opens the socket, and starts the program. */
import assert from "node:assert/strict";
import { listenOrAdopt } from "../../lib/net/listen.ts";
import { canAdopt, passedDescriptors } from "../../lib/net/activation.ts";
import { LogLines } from "../kit/log_lines.ts";
import { linux, needs, python3 } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { readRows } from "../end_to_end/relay.ts";

/** Deno 2.6 cannot, 2.9 can. */
const able = Deno.build.os === "linux" && await canAdopt();

Deno.test("descriptors belong to the process with the id LISTEN_PID", () => {
  const passed = (variables: Record<string, string>) => passedDescriptors((name) => variables[name], 77);
  assert.deepEqual(passed({ LISTEN_FDS: "2", LISTEN_PID: "77" }), [3, 4]);
  assert.deepEqual(passed({ LISTEN_FDS: "1", LISTEN_PID: "78" }), []);
  assert.deepEqual(passed({ LISTEN_FDS: "1" }), []);
  for (const none of ["0", "-1", "x", "1.5", ""]) {
    assert.deepEqual(passed({ LISTEN_FDS: none, LISTEN_PID: "77" }), []);
  }
});

Deno.test(
  "the probe agrees with the version of Deno",
  { ignore: Deno.build.os !== "linux" },
  () => {
    const [major, minor] = Deno.version.deno.split(".").map(Number);
    assert.equal(able, major > 2 || minor >= 9, "say so in docs/operations.md, and here");
  },
);

Deno.test("a descriptor that is not a listening socket is reported, and the server listens on its address", async () => {
  const logs = new LogLines();
  const env = (name: string) => ({ LISTEN_FDS: "90", LISTEN_PID: String(Deno.pid) })[name];
  const address = { hostname: "127.0.0.1", port: 0 };
  const { listener, isAdopted } = await listenOrAdopt(
    address,
    { key: "key", open: Deno.listen, log: logs.log },
    (name) => name === "LISTEN_FDS" ? "1" : env(name),
  );
  using _ = listener;
  assert.ok(!isAdopted);
  assert.ok((listener.addr as Deno.NetAddr).port > 0);
  assert.equal(logs.matching(/WARN.*cannot take a socket from systemd .*listening without it/).length, 1);
});

/** Starts the program with a socket, and when it has ended, once more at SIGUSR1. */
const SYSTEMD = `
import os, signal, socket, sys
s = socket.socket(socket.AF_INET)
s.bind(("127.0.0.1", 0))
s.listen(100)
port = s.getsockname()[1]
print("PORT=%d" % port, file=sys.stderr, flush=True)
args = [arg.replace("PORT", str(port)) for arg in sys.argv[1:]]
child = 0
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
for turn in range(2):
    child = os.fork()
    if child == 0:
        os.dup2(s.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="relay")
        os.execvp(args[0], args)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ENDED=%d" % code, file=sys.stderr, flush=True)
    if code != 0: sys.exit(code)
    if turn == 0: signal.sigwait({signal.SIGUSR1})
`;

function start(dir: TempDir): Program {
  return new Program(["--relay-in", "127.0.0.1:PORT", "--output-file", dir.file("out.csv")], {
    wrapper: ["python3", "-c", SYSTEMD],
  });
}

async function portOf(server: Program): Promise<number> {
  return Number((await server.line(/^PORT=/)).text.slice(5));
}

if (able) {
  Deno.test(
    "with a socket from systemd a restart refuses nobody: the next process serves connections made meanwhile",
    {
      ...needs(linux, python3),
    },
    async () => {
      await using dir = new TempDir();
      await using server = start(dir);
      const port = await portOf(server);
      const line = await server.line(/Listening for relay clients/);
      assert.deepEqual([line.address, line.socket], [`127.0.0.1:${port}`, "systemd"]);
      await using before = await Peer.client(port, "before", [COUNTER]);
      await before.send(countingFrame("before", 0, 100_000));
      await before.conn.closeWrite();
      await before.closed();

      server.signal("SIGTERM");
      await server.line(/ENDED=0/);
      // Nobody is there: the connection is made all the same, and waits.
      await using between = await Peer.connect(port);
      server.signal("SIGUSR1");
      await server.line(/Listening for relay clients/, { count: 2 });
      await using peer = await Peer.client(port, "after", [COUNTER]);
      await peer.send(countingFrame("after", 0, 10));
      await between.send(new Uint8Array([0, 0, 0, 1, 0]));
      await between.closed();
      await server.line(/"Closing a connection".*PostcardError|Closing a connection/);
      await peer.conn.closeWrite();
      await peer.closed();
      server.signal("SIGTERM");
      await server.line(/ENDED=0/, { count: 2 });
      const rows = await readRows(dir.file("out.csv"));
      assert.equal(rows.length, 100_010);
      const numbers = rows.slice(0, 100_000).map(({ value }) => Number(value));
      assert.deepEqual(numbers, Array.from({ length: 100_000 }, (_, n) => n));
      assert.deepEqual(server.soFar(/"level":"error"|Uncaught/), []);
    },
  );

  Deno.test("a peer that resets its connection, or is cut off, harms no other on a socket from systemd", {
    ...needs(linux, python3),
  }, async () => {
    await using dir = new TempDir();
    await using server = start(dir);
    const port = await portOf(server);
    await server.line(/"Running"/);
    await using good = await Peer.client(port, "good", [COUNTER]);
    for (let i = 0; i < 20; i++) {
      const bad = await Peer.client(port, `bad-${i}`, [COUNTER]);
      await bad.send(countingFrame(`bad-${i}`, 0, 1000).subarray(0, 5000));
      bad.conn.close();
    }
    await server.line(/Client disconnected/, { count: 20 });
    await good.send(countingFrame("good", 0, 10));
    await good.conn.closeWrite();
    await good.closed();
    server.signal("SIGTERM");
    await server.line(/ENDED=0/);
    assert.equal((await readRows(dir.file("out.csv"))).length, 10);
    assert.deepEqual(server.soFar(/"level":"error"|Uncaught/), []);
  });
} else {
  Deno.test("if Deno cannot take the socket, the error says what uses the port and what to do", {
    ...needs(linux, python3),
  }, async () => {
    await using dir = new TempDir();
    await using server = start(dir);
    await server.line(/cannot take a socket from systemd .*: listening without it/);
    await server.line(
      /Cannot listen on 127.0.0.1:\d+ \(plugins.relay-server.address\): systemd uses that port, .*systemctl disable --now alumet-relay-server.socket/,
    );
    assert.equal(await server.exit(), 69);
  });
}
