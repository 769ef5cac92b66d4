import assert from "node:assert/strict";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../../kit/waiting.ts";
import { Taking } from "./taking.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function writeAll(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = encode(text);
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

class Sender implements Disposable {
  readonly #socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });

  async send(text: string, port: number): Promise<void> {
    await this.#socket.send(encode(text), { transport: "udp", hostname: "127.0.0.1", port });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

Deno.test("lines come over TCP and a Unix socket in any pieces, the last one without a line break", async () => {
  await using directory = new TempDir();
  const path = directory.file("lines.sock");
  await using taking = await Taking.open({ tcp: "127.0.0.1:0", unix: path, unix_mode: "0600" });
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(tcp, "a value=1 0\na val");
  await until(() => taking.points.length === 1);
  await writeAll(tcp, "ue=2 0");
  await tcp.closeWrite();
  await until(() => taking.points.length === 2);
  tcp.close();
  const unix = await Deno.connect({ transport: "unix", path });
  await writeAll(unix, "b value=3 0\nbad\nb value=4 0\n");
  await until(() => taking.points.length === 4);
  unix.close();
  assert.deepEqual(taking.points, ["a 1 @0", "a 2 @0", "b 3 @0", "b 4 @0"]);
  assert.equal(taking.logs.matching(/Cannot read a line, it is left out unix=\S+ line=2 /).length, 1);
});

/** Standard input: what `pieces` has, then its end. */
function standardInput(pieces: Iterable<string>) {
  const rest = Iterator.from(pieces);
  return {
    reads: 0,
    read(into: Uint8Array): Promise<number | null> {
      const { done, value } = rest.next();
      if (done) return Promise.resolve(null);
      this.reads++;
      into.set(encode(value));
      return Promise.resolve(value.length);
    },
  };
}

Deno.test("standard input is read up to its end, the last line without a line break", async () => {
  const stdin = standardInput(["a value=1 0\na val", "ue=2 0\nbad\na value=3 0"]);
  await using taking = await Taking.open({ stdin: true }, {}, stdin);
  await until(() => taking.points.length === 3);
  assert.deepEqual(taking.points, ["a 1 @0", "a 2 @0", "a 3 @0"]);
  assert.equal(taking.logs.matching(/Cannot read a line, it is left out from=stdin line=3 /).length, 1);
});

Deno.test("while the pipe is full, standard input is not read, and nothing of it is lost", async () => {
  const count = 40_000;
  const piece = "a value=1 0\n".repeat(1000);
  const stdin = standardInput(Array.from({ length: count / 1000 }, () => piece));
  await using taking = await Taking.open({ stdin: true }, {}, stdin);
  taking.fill();
  await until(() => taking.points.length > 0);
  await pause(20);
  assert(stdin.reads < count / 1000, `${stdin.reads} pieces`);
  taking.makeRoom();
  await until(() => taking.points.length === count);
});

Deno.test("a line that a broken connection has cut is not taken", async () => {
  await using taking = await Taking.open({ tcp: "127.0.0.1:0" });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(conn, "a value=1 0\na value=12");
  await until(() => taking.points.length === 1);
  await taking.stop();
  conn.close();
  assert.deepEqual(taking.points, ["a 1 @0"]);
});

Deno.test("what arrives while a process that stops is held up is taken", async () => {
  await using taking = await Taking.open({ tcp: "127.0.0.1:0" }, { drainMs: () => PATIENCE_MS });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(conn, "a value=1 0\n");
  await until(() => taking.points.length === 1);
  const stopped = taking.stop();
  const written = conn.write(encode("a value=2 0\n"));
  // Longer than it waits for more.
  for (const began = performance.now(); performance.now() - began < 150;);
  await Promise.all([stopped, written]);
  assert.deepEqual(taking.points, ["a 1 @0", "a 2 @0"]);
});

Deno.test("a stop reads no more of a sender than can have arrived before", async () => {
  await using taking = await Taking.open({ tcp: "127.0.0.1:0" }, { drainMs: () => 3_600_000 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  const lines = `a value=1 0\n#${"x".repeat(20_000)}\n`.repeat(20);
  const sending = (async () => {
    while (true) await writeAll(conn, lines);
  })().catch(() => "closed by the process");
  await until(() => taking.points.length > 0);
  await taking.stop();
  assert.equal(await sending, "closed by the process");
});

Deno.test("a sender that is faster than the pipe waits, and loses nothing", async () => {
  await using directory = new TempDir();
  const path = directory.file("lines.sock");
  await using taking = await Taking.open({ unix: path });
  taking.fill();
  const conn = await Deno.connect({ transport: "unix", path });
  const count = 200_000;
  let isWritten = false;
  const text = Array.from({ length: count }, (_, i) => `a value=${i} ${i}\n`).join("");
  const writing = writeAll(conn, text).then(() => isWritten = true);
  await until(() => taking.points.length > 0);
  await pause(50);
  // It is not in memory instead.
  assert.equal(isWritten, false);
  assert.ok(taking.input.stats.points < count / 2, `${taking.input.stats.points} points are decoded`);
  taking.makeRoom();
  await writing;
  conn.close();
  await until(() => taking.points.length === count);
  assert.equal(
    taking.points.at(-1),
    `a ${count - 1} @0.${String(count - 1).padStart(9, "0").replace(/0+$/, "")}`,
  );
});

Deno.test("lines over UDP are taken, and while the pipe is full they are dropped and counted", async () => {
  await using taking = await Taking.open({ udp: "127.0.0.1:0" });
  using sender = new Sender();
  const to = taking.port("udp");
  await sender.send("a value=1 0\na value=2 0", to);
  await until(() => taking.points.length === 2);
  taking.fill();
  await sender.send("a value=3 0", to);
  await until(() => taking.points.length === 3);
  await sender.send("a value=4 0", to);
  await until(() => taking.input.stats.droppedDatagrams === 1);
  taking.makeRoom();
  await until(async () => {
    await sender.send("b value=5 0", to);
    return taking.points.includes("b 5 @0");
  });
  assert.ok(!taking.points.includes("a 4 @0"));
  assert.equal(taking.logs.matching(/Lines over UDP come faster than they are taken/).length, 1);
});

Deno.test("a sender of more new series than there is room for waits over TCP, and is dropped over UDP", async () => {
  const { limitBytes, shareBytes } = seriesStore;
  try {
    seriesStore.limit({ shareBytes: 20_000 });
    await using taking = await Taking.open({
      tcp: "127.0.0.1:0",
      udp: "127.0.0.1:0",
      limits: { new_series_per_second: 1 },
    });
    const lines = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) => `a,${name}=${i} value=1 0\n`).join("");
    const taken = (name: string) => taking.points.filter((point) => point.includes(`{${name}=`)).length;
    using stranger = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
    await writeAll(stranger, lines("strange", 1000));
    // Some 200 have room. It may take several reads until there are too many.
    await until(() => taken("strange") >= 300);
    await writeAll(stranger, "b value=1 0\n");
    // Another connection is read.
    using other = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
    await writeAll(other, "c value=1 0\n");
    await until(() => taking.points.includes("c 1 @0"));
    assert.ok(!taking.points.includes("b 1 @0"));

    using sender = new Sender();
    await sender.send(lines("datagram", 1000), taking.port("udp"));
    await until(() => taken("datagram") === 1000);
    await sender.send("d value=1 0\n", taking.port("udp"));
    await until(() => taking.input.stats.droppedDatagrams === 1);
    assert.match(taking.logs.lines.join(""), /more new series than there is room for.* address=127\.0\.0\.1/);
    // A stop does not wait for them.
    await taking.stop();
  } finally {
    seriesStore.limit({ limitBytes, shareBytes });
  }
});

Deno.test("peers that are not allowed are refused over TCP and UDP, and so are all where tokens are needed", async () => {
  await using directory = new TempDir();
  Deno.writeTextFileSync(directory.file("tokens"), "");
  const ways = { tcp: "127.0.0.1:0", udp: "127.0.0.1:0" };
  for (const given of [{ allow: ["10.0.0.0/8"] }, { tokens: directory.file("tokens") }]) {
    await using taking = await Taking.open({ ...ways, ...given });
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
    assert.equal(await conn.read(new Uint8Array(1)).catch(() => null), null);
    conn.close();
    using sender = new Sender();
    await sender.send("a value=1 0", taking.port("udp"));
    await until(() => taking.input.stats.droppedDatagrams === 1);
    assert.deepEqual(taking.points, []);
    assert.equal(taking.logs.matching(/Refusing a client/).length, 2);
  }
  await using taking = await Taking.open({
    ...ways,
    tokens: directory.file("tokens"),
    without_token: ["127.0.0.0/8"],
  });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(conn, "a value=1 0\n");
  await until(() => taking.points.length === 1);
  conn.close();
});

Deno.test("there are no more connections than the limit allows, and others are closed", async () => {
  await using directory = new TempDir();
  const path = directory.file("lines.sock");
  await using taking = await Taking.open({ unix: path, limits: { connections: 1 } });
  const first = await Deno.connect({ transport: "unix", path });
  await writeAll(first, "a value=1 0\n");
  await until(() => taking.points.length === 1);
  const second = await Deno.connect({ transport: "unix", path });
  assert.equal(await second.read(new Uint8Array(1)).catch(() => null), null);
  second.close();
  await writeAll(first, "a value=2 0\n");
  await until(() => taking.points.length === 2);
  first.close();
});

Deno.test("a Unix socket that was left behind is replaced, and one in use or a file is not", async () => {
  await using directory = new TempDir();
  const path = directory.file("lines.sock");
  const other = Deno.listen({ transport: "unix", path: directory.file("other.sock") });
  Deno.linkSync(directory.file("other.sock"), path);
  other.close();
  assert.ok(Deno.lstatSync(path).isSocket);
  {
    await using _taking = await Taking.open({ unix: path });
    await assert.rejects(
      Taking.open({ unix: path }),
      /Cannot listen on \S+ \(plugins.lines.unix\): another process listens on it/,
    );
  }
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
  assert.deepEqual([...Deno.readDirSync(directory.path)], []);
  Deno.writeTextFileSync(path, "precious");
  await assert.rejects(Taking.open({ unix: path }), /there is a file that is not a socket/);
  assert.equal(Deno.readTextFileSync(path), "precious");
});

Deno.test("bad lines are said at once with their number and reason, then once a minute with how many", async () => {
  await using taking = await Taking.open({ tcp: "127.0.0.1:0" });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(conn, `${"bad\n".repeat(500)}a value=1 0\n`);
  await until(() => taking.points.length === 1);
  conn.close();
  await taking.stop();
  assert.equal(taking.input.stats.badLines, 500);
  const said = taking.logs.matching(/Cannot read/);
  assert.equal(said.length, 2);
  assert.match(said[0], /line=1 reason="it has no fields" lines=1\n$/);
  assert.match(said[1], /lines=499\n$/);
});

Deno.test("a reload changes who may connect and how much", async () => {
  await using taking = await Taking.open({ tcp: "127.0.0.1:0", deny: ["127.0.0.0/8"] });
  const { config } = await import("../../../lib/inputs/lines/config.ts");
  taking.input.reconfigure(config.check({ tcp: "127.0.0.1:0" }, [], () => {}));
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: taking.port("tcp") });
  await writeAll(conn, "a value=1 0\n");
  await until(() => taking.points.length === 1);
  conn.close();
});
