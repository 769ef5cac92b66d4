/** The program as a service: what it tells its manager, and what SIGHUP does. The test plays the manager. */
import assert from "node:assert/strict";
import { linux, namespaces, needs, python3 } from "../kit/needs.ts";
import { Namespace } from "../kit/netns.ts";
import { NotifySocket } from "../kit/notify.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting } from "../kit/wire.ts";
import { grown, POLL_FAST, portOf, readRows, startServer } from "./relay.ts";

const isPing = (text: string) => text === "WATCHDOG=1";
const isNews = (text: string) => !isPing(text) && !text.startsWith("STATUS=");

/** Sends numbers until it is stopped; the next connection goes on where the last one was cut. */
class Numbers {
  sent = 0;
  #stopped = false;
  readonly done: Promise<void>;

  constructor(readonly peer: Peer, readonly name: string) {
    this.done = this.#send();
    // Who waits for it is told.
    this.done.catch(() => {});
  }

  async #send(): Promise<void> {
    while (!this.#stopped) {
      await this.peer.send(countingFrame(this.name, this.sent, 100));
      this.sent += 100;
      await pause(5);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.done;
    await this.peer.conn.closeWrite();
    await this.peer.closed();
  }
}

Deno.test({
  name:
    "a server notifies that it is ready once it listens, reports figures and watchdog beats, and says that it stops",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using manager = new NotifySocket();
    const port = freePort();
    await using server = new Program(
      ["--relay-in", `127.0.0.1:${port}`, "--output-file", dir.file("out.csv"), ...SHUTDOWN("95s")],
      { env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "900000" } },
    );
    const first = await manager.next();
    assert.equal(first, "STATUS=Starting");
    assert.match(await manager.next(), /^READY=1\nSTATUS=0 clients, 0 points since the start, /);
    await using peer = await Peer.client(port, "node", [COUNTER]);
    await peer.send(countingFrame("node", 0, 100));
    for (let i = 0; i < 5; i++) await manager.next(isPing);
    const figures = /^STATUS=1 client, \d+(\.\d)? points\/s, 100 points since the start, 0 waiting/;
    await manager.next((text) => figures.test(text));
    server.signal("SIGTERM");
    assert.match(await manager.next(isNews), /^STOPPING=1\nEXTEND_TIMEOUT_USEC=100000000\nSTATUS=Stopping, /);
    assert.equal(await server.exit(), 0, server.log);
    assert.deepEqual(manager.messages.filter((text) => text.includes("READY=1")).length, 1);
  },
});

Deno.test({
  name: "a client is ready once its journal is open and it has measured, whether its server is up or not",
  ...needs(linux),
  async fn() {
    await using state = new TempDir();
    await using manager = new NotifySocket();
    await using client = new Program(["--relay-out", `127.0.0.1:${freePort()}`, ...POLL_FAST], {
      env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "600000", STATE_DIRECTORY: state.path },
    });
    const [, points] = /^READY=1\nSTATUS=([\d,]+) points since the start/.exec(await manager.next(isNews))!;
    assert.ok(Number(points.replaceAll(",", "")) > 0, "it has measured");
    const files = [...Deno.readDirSync(state.file("client/journal"))];
    assert.ok(files.length > 0, "the journal is open");
    // Longer than two periods: a server that is away is no hang.
    for (let i = 0; i < 8; i++) await manager.next(isPing);
    await client.line(/Cannot connect/);
    assert.deepEqual(client.soFar(/stuck/), []);
  },
});

Deno.test({
  name:
    "a journal that cannot be written stops the watchdog beats after a period, and log and status say why",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using manager = new NotifySocket();
    // An output that is away: were everything taken, nothing would wait for the journal.
    const away = ["enable=true", `collector_host=http://127.0.0.1:${freePort()}`];
    await using server = await startServer(dir.file("out.csv"), {
      args: ["journal.segment_size=64KiB", ...away.map((key) => `plugins.opentelemetry.${key}`)]
        .flatMap((key) => ["--config-override", key]),
      env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "1500000", STATE_DIRECTORY: dir.path },
    });
    await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
    await manager.next(isPing);
    await Deno.rename(dir.file("server/journal"), dir.file("away"));
    // The file that is open takes what comes until it is full.
    const numbers = new Numbers(peer, "node");
    await server.line(/Cannot write the journal/);
    const { text } = await server.line(/journal is stuck: the service manager will restart this process/);
    assert.match(text, /"level":"error"/);
    // What was sent before has come before.
    await manager.next((text) => text.startsWith("STATUS=journal stuck, "));
    const before = manager.messages.filter(isPing).length;
    // The time is tested: longer than between two beats.
    await pause(800);
    assert.equal(manager.messages.filter(isPing).length, before, "it is not said that all is well");
    await Deno.rename(dir.file("away"), dir.file("server/journal"));
    await server.line(/All parts make progress again/);
    await until(() => manager.messages.filter(isPing).length > before);
    await numbers.stop();
    assert.equal(await server.stop(), 0, server.log);
    assert.equal((await readRows(dir.file("out.csv"))).length, numbers.sent);
  },
});

Deno.test({
  name: "a full disk under the journal is not a hang: a new process would have no more room",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await Namespace.create();
    await disk.run("mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", "/mnt");
    await using dir = new TempDir();
    await using manager = new NotifySocket();
    await using server = await startServer(dir.file("out.csv"), {
      wrapper: ["nsenter", "--target", String(disk.pid), "--mount", "--"],
      args: ["--config-override", "journal.segment_size=64KiB", "--config-override", "journal.min_free=0"],
      // On a busy machine one try to write may take a second.
      env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "3000000", STATE_DIRECTORY: "/mnt" },
    });
    await disk.run("sh", "-c", "head -c 1M /dev/zero > /mnt/ballast || true");
    await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
    const numbers = new Numbers(peer, "node");
    await server.line(/Cannot write the journal.*No space left/);
    const before = manager.messages.filter(isPing).length;
    // Three periods.
    await until(() => manager.messages.filter(isPing).length > before + 9);
    assert.deepEqual(server.soFar(/stuck/), []);
    await disk.run("rm", "/mnt/ballast");
    await numbers.stop();
    assert.equal(await server.stop(), 0, server.log);
    assert.equal((await readRows(dir.file("out.csv"))).length, numbers.sent);
  },
});

const SHUTDOWN = (value: string) => ["--config-override", `shutdown_timeout=${value}`];

function serverFile(file: string, { flush = true, port = 0, more = "" } = {}): string {
  return `shutdown_timeout = "80s"\n${more}\n[plugins.relay-server]\naddress = "127.0.0.1:${port}"\n` +
    `[plugins.csv]\noutput_path = "${file}"\nforce_flush = ${flush}\n`;
}

Deno.test({
  name: "SIGHUP applies what can change, names the rest, changes nothing for a bad file, and loses no point",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using manager = new NotifySocket();
    const [config, file] = [dir.file("relay.toml"), dir.file("out.csv")];
    await Deno.writeTextFile(config, serverFile(file));
    await using server = new Program(["--config", config], {
      env: { NOTIFY_SOCKET: manager.path, STATE_DIRECTORY: dir.path },
    });
    await server.line(/"Running"/);
    await manager.next((text) => text.startsWith("READY=1"));
    await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
    const numbers = new Numbers(peer, "node");
    // Without cursors, which are written again and again.
    const journal = () =>
      [...Deno.readDirSync(dir.file("server/journal"))].map(({ name }) => name)
        .filter((name) => name.endsWith(".segment"));
    await until(() => journal().length > 0);
    const files = journal();

    await Deno.writeTextFile(
      config,
      serverFile(file, {
        flush: false,
        port: 1,
        more: 'log_level = "debug"\n[journal]\nmax_size = "8MiB"\n',
      }),
    );
    server.signal("SIGHUP");
    assert.match(await manager.next(isNews), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    assert.match(await manager.next(isNews), /^READY=1\nSTATUS=/);
    const done = await server.line(/Configuration read again/);
    assert.equal(done.changed, "log_level, plugins.csv.force_flush");
    await server.line(
      /Needs a restart to take effect: journal.max_size, plugins.relay-server.address"/,
    );

    const bad = serverFile(file, { more: "shutdown_timout = 3\n[jurnal]\n" });
    await Deno.writeTextFile(config, bad.replace("force_flush = true", 'force_flush = "no"'));
    server.signal("SIGHUP");
    await server.line(/Cannot read the configuration again, the previous one stays in effect/);
    await server.line(/relay.toml:2: shutdown_timout: unknown key; did you mean shutdown_timeout/);
    await server.line(/relay.toml:3: jurnal/);
    await server.line(/relay.toml:9: plugins.csv.force_flush: expected true or false/);
    assert.match(await manager.next(isNews), /^RELOADING=1/);
    assert.match(await manager.next(isNews), /^READY=1/, "the manager is not left waiting");

    await Deno.writeTextFile(config, serverFile(file));
    // Three at once are done one after the other, or together.
    for (let i = 0; i < 3; i++) server.signal("SIGHUP");
    const again = await server.line(/Configuration read again/, { count: 2 });
    assert.equal(again.changed, "log_level, plugins.csv.force_flush");
    assert.deepEqual(journal(), files, "the journal is as it was");
    await numbers.stop();
    assert.equal(await server.stop(), 0, server.log);
    assert.equal(server.matching(/Client connected/).length, 1, "nobody had to connect again");
    const rows = await readRows(file);
    assert.deepEqual(
      rows.map(({ value }) => Number(value)),
      Array.from({ length: numbers.sent }, (_, n) => n),
    );
  },
});

Deno.test({
  name:
    "SIGHUP changes who may come and how many: a limit ends no connection, a rule ends those that it denies",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const [config, file] = [dir.file("relay.toml"), dir.file("out.csv")];
    await Deno.writeTextFile(config, serverFile(file));
    await using server = new Program(["--config", config]);
    await server.line(/"Running"/);
    const port = portOf(server);
    await using first = await Peer.client(port, "first", [COUNTER]);
    const reload = async (keys: string, count: number) => {
      const text = serverFile(file).replace("[plugins.csv]", `${keys}\n[plugins.csv]`);
      await Deno.writeTextFile(config, text);
      server.signal("SIGHUP");
      return (await server.line(/Configuration read again/, { count })).changed;
    };
    assert.equal(await reload("limits.connections = 1", 1), "plugins.relay-server.limits.connections");
    await using second = await Peer.connect(port);
    await second.send(greeting("second"));
    await server.line(/Refusing a client.*there are 1 connections already/);
    await second.closed();
    await first.send(countingFrame("first", 0, 10));
    await grown(file);
    const keys = await reload('deny = ["127.0.0.0/8"]', 2);
    assert.equal(keys, "plugins.relay-server.deny, plugins.relay-server.limits.connections");
    await using third = await Peer.connect(port);
    await third.send(greeting("third"));
    await server.line(/Refusing a client.*its address is denied/);
    await third.closed();
    await first.closed();
    await server.line(/Closing a connection.*"first".*its address is denied now/);
    assert.equal(await reload("", 3), "plugins.relay-server.deny");
    await using fourth = await Peer.client(port, "fourth", [COUNTER]);
    await fourth.send(countingFrame("fourth", 0, 10));
    await fourth.conn.closeWrite();
    await fourth.closed();
    assert.equal(await server.stop(), 0, server.log);
    assert.equal((await readRows(file)).length, 20);
  },
});

Deno.test({
  name: "SIGHUP changes how often a client measures and sends, on the same connection",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using receiver = new TestServer();
    const config = dir.file("client.toml");
    const text = (interval: string, timeout: string) =>
      `[plugins.procfs]\nprocesses.enabled = false\nnetwork.enabled = false\nkernel.enabled = false\n` +
      `memory.poll_interval = "${interval}"\n[plugins.relay-client]\nrelay_server = "127.0.0.1:${receiver.port}"\n` +
      `buffer_max_length = 100000\nbuffer_timeout = "${timeout}"\n`;
    await Deno.writeTextFile(config, text("1h", "10ms"));
    await using client = new Program(["--config", config]);
    await client.line(/Connected to the relay server/);
    await until(() => receiver.points.length > 0);
    const first = receiver.points.length;
    await Deno.writeTextFile(config, text("10ms", "20ms"));
    client.signal("SIGHUP");
    const { changed } = await client.line(/Configuration read again/);
    assert.equal(changed, "plugins.procfs.memory.poll_interval, plugins.relay-client.buffer_timeout");
    await until(() => receiver.points.length >= 20 * first);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(client.matching(/Connected to the relay server/).length, 1);
  },
});

Deno.test({
  name: "SIGHUP says that a configuration from a pipe cannot be read again, and the process goes on",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await Deno.writeTextFile(dir.file("relay.toml"), serverFile(dir.file("out.csv")));
    await using server = new Program([], {
      cwd: dir.path,
      wrapper: ["bash", "-c", 'exec "$@" --config <(cat relay.toml)', "bash"],
    });
    await server.line(/"Running"/);
    server.signal("SIGHUP");
    await server.line(/Cannot read \/dev\/fd\/\d+ again: .* can be read at the start only; .*--config/);
    await server.line(/Cannot read the configuration again, the previous one stays in effect/);
    await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
    await peer.send(countingFrame("node", 0, 10));
    await grown(dir.file("out.csv"));
    assert.equal(await server.stop(), 0, server.log);
  },
});

Deno.test({
  name: "SIGHUP stops a process whose terminal is gone, and reloads one whose terminal is still open",
  ...needs(linux, python3),
  async fn() {
    await using dir = new TempDir();
    // The leader of a session that has a terminal: the kernel sends it SIGHUP when the terminal goes.
    const script = `
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(log, 2)
    os.execvp(sys.argv[2], sys.argv[2:])
def wait(text):
    for _ in range(600):
        if os.path.exists(sys.argv[1]) and text in open(sys.argv[1]).read(): return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    sys.exit("no " + text)
wait('"Running"')
os.kill(pid, signal.SIGHUP)
wait("Configuration read again")
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const log = dir.file("log");
    await using terminal = new Program(
      ["--relay-in", "127.0.0.1:0", "--output-file", dir.file("out.csv")],
      { wrapper: ["python3", "-c", script, log] },
    );
    assert.equal(await terminal.exit(PATIENCE_MS), 0, terminal.log);
    const said = await Deno.readTextFile(log);
    assert.match(said, /"Stopping".*the terminal is gone/);
    assert.match(said, /"Stopped"/);
  },
});

Deno.test({
  name: "where standard error is systemd's journal, lines have a priority and no time",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const args = ["--log-format", "text", "--relay-in", "127.0.0.1:0", "--output-file", dir.file("out.csv")];
    const start = (stream: string) =>
      new Program(args, {
        wrapper: ["sh", "-c", `export JOURNAL_STREAM=${stream}; exec "$@"`, "sh"],
      });
    await using server = start("$(stat -L -c %d:%i /proc/self/fd/2)");
    const { text } = await server.line(/Running/);
    assert.match(text, /^<6>alumet-relay: Running inputs=relay-server outputs=csv$/);
    assert.equal(await server.stop(), 0);
    assert.ok(server.lines.every(({ text }) => /^<[3467]>/.test(text)), server.log);
    await using other = start("1:2");
    assert.match((await other.line(/Running/)).text, /^\d{4}-\d\d-\d\dT.* INFO {2}alumet-relay: Running/);
    await other.stop();
  },
});

Deno.test({
  name: "an abstract notify socket is used, or the log says that this Deno does not support it",
  ...needs(linux, python3),
  async fn() {
    await using dir = new TempDir();
    const name = `alumet-relay-test-${crypto.randomUUID()}`;
    const script = `
import signal, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + sys.argv[1])
p = subprocess.Popen(sys.argv[2:])
signal.signal(signal.SIGTERM, lambda *_: p.terminate())
s.settimeout(0.1)
while p.poll() is None:
    try:
        if b"READY=1" in s.recv(4096): print("HEARD", file=sys.stderr, flush=True)
    except TimeoutError: pass
sys.exit(p.returncode)
`;
    await using server = new Program(
      ["--relay-in", "127.0.0.1:0", "--output-file", dir.file("out.csv")],
      { wrapper: ["python3", "-c", script, name], env: { NOTIFY_SOCKET: `@${name}` } },
    );
    await server.line(/HEARD|Deno [\d.]+ cannot send to an abstract socket/);
    await server.line(/"Running"/);
    assert.equal(await server.stop(), 0, server.log);
  },
});
