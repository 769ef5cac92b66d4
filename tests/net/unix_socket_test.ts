/** Who gets a Unix socket, and whose file it is. */
import assert from "node:assert/strict";
import { ExitError } from "../../lib/base/errors.ts";
import { listenOnUnix, type UnixSocket } from "../../lib/net/unix_socket.ts";
import { unlocked } from "../kit/locks.ts";
import { TempDir } from "../kit/temp_dir.ts";

const open = (path: string) => listenOnUnix(path, "0600", "a.key");
const connect = async (path: string) => (await Deno.connect({ transport: "unix", path })).close();

/** A socket that nobody listens on: Deno removes only the name that it has bound. */
function leaveBehind(folder: TempDir, path: string): void {
  const listener = Deno.listen({ transport: "unix", path: folder.file("other") });
  Deno.linkSync(folder.file("other"), path);
  listener.close();
}

Deno.test("of all who start at the same moment, one has the socket, and the others are told so", async () => {
  for (const isLeftBehind of [false, true]) {
    await using folder = new TempDir();
    const path = folder.file("control.sock");
    if (isLeftBehind) leaveBehind(folder, path);
    const results = await Promise.allSettled(Array.from({ length: 3 }, () => open(path)));
    const sockets = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    assert.equal(sockets.length, 1);
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      assert.ok(result.reason instanceof ExitError);
      assert.match(
        result.reason.message,
        /^Cannot listen on \S+ \(a\.key\): another process listens on it; stop it/,
      );
    }
    using socket = sockets[0];
    await connect(path);
    (await socket.listener.accept()).close();
    assert.equal(Deno.lstatSync(path).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["control.sock"]);
  }
});

Deno.test("a socket that is closed leaves the one that has taken its name", async () => {
  await using folder = new TempDir();
  const path = folder.file("s");
  const first = await open(path);
  // Somebody removes the file, and another process comes.
  Deno.removeSync(path);
  using second: UnixSocket = await open(path);
  first.close();
  first.close();
  await connect(path);
  (await second.listener.accept()).close();
  second.close();
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("a socket that cannot take one more connection is in use", async () => {
  await using folder = new TempDir();
  const path = folder.file("busy.sock");
  using busy = await open(path);
  const waiting: Deno.UnixConn[] = [];
  try {
    for (;;) waiting.push(await Deno.connect({ transport: "unix", path }));
  } catch (error) {
    assert.ok(error instanceof Deno.errors.WouldBlock);
  }
  await assert.rejects(open(path), /another process listens on it/);
  for (const conn of waiting) conn.close();
  assert.ok(Deno.lstatSync(path).isSocket);
  busy.close();
});

Deno.test("a folder that somebody keeps locked does not hold up a start", async () => {
  await using folder = new TempDir();
  const locked = await Deno.open(folder.path);
  await locked.lock(true);
  using _socket = await open(folder.file("a.sock"));
  await assert.rejects(open(folder.file("gone/a.sock")), /Cannot listen on \S+ \(a\.key\): No such file/);
  locked.close();
  await unlocked(folder.path);
});
