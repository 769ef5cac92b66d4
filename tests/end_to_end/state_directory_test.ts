/** Several agents of one user on one machine, started by hand. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Program, type StartOptions } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import {
  clientKeys,
  connected,
  grown,
  POLL_FAST,
  portOf,
  readRows,
  startServer,
  troublesOf,
} from "./relay.ts";

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test({
  name:
    "a client and a server of one user each have a journal; a second client says that it has none, and how to give it one",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    const user: StartOptions = {
      cwd: dir.path,
      env: { XDG_STATE_HOME: "", HOME: dir.file("home") },
    };
    const base = dir.file("home/.local/state/alumet-relay");
    await using server = await startServer(file, user);
    const start = (name: string, args: string[] = []) =>
      new Program([
        ...["--relay-out", `127.0.0.1:${portOf(server)}`, ...POLL_FAST],
        ...clientKeys({ client_name: name }),
        ...args,
      ], user);
    await using first = start("first");
    await connected(first);
    await using second = start("second");
    await connected(second);
    await using third = start("third", ["--state-dir", dir.file("third")]);
    await connected(third);
    await grown(file, 20_000);

    for (const client of [first, second, third]) assert.equal(await client.stop(), 0, client.log);
    assert.equal(await server.stop(), 0, server.log);
    for (const program of [server, first, third]) assert.deepEqual(troublesOf(program), []);
    const [warning, ...more] = troublesOf(second);
    assert.deepEqual([warning.level, more], ["warn", []]);
    assert.ok(warning.message.includes(`${base}/client (by HOME): process ${first.pid} uses it`), second.log);
    assert.match(warning.message, /in memory only.*--state-dir/);
    assert.deepEqual(names(base), ["client", "server"]);
    for (const role of [`${base}/client`, `${base}/server`, dir.file("third/client")]) {
      assert.ok(names(role).includes("journal"), role);
    }
    const rows = await readRows(file);
    for (const [name, client] of Object.entries({ first, second, third })) {
      const own = rows.filter(({ relay_client }) => relay_client === name);
      assert.equal(own.length, client.measuredPoints, client.log);
    }
  },
});

Deno.test({
  name: "a client with --state-dir does not start while another process uses that directory, exit code 69",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const start = () => new Program(["--relay-out", "127.0.0.1:9", "--state-dir", dir.path, ...POLL_FAST]);
    await using first = start();
    await first.line(/"Running"/);
    await using second = start();
    assert.equal(await second.exit(), 69);
    assert.match(second.lines.at(-1)!.message, new RegExp(`client .*process ${first.pid} uses it; stop`));
  },
});
